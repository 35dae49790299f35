//! One attempt: its upstream chain, the server behind it, and the response on its way back to the router.

use std::time::Duration;

use super::chain::{Frame, Leg, Stop};
use super::router::{End, Failure, Retry, Stream};
use super::{Abort, Attempt, Behaviour, Response, worker};

impl Stream<'_> {
    /// What the router tells of itself, where neither it nor the virtual host is told not to.
    pub(super) fn set_router_headers(&mut self, attempt: usize) {
        self.request.set("x-envoy-attempt-count", attempt.to_string());
        self.request.set("x-envoy-expected-rq-timeout-ms", "1500");
    }

    /// Attempt `number`: the request through its upstream chain, then what the server makes of it.
    pub(super) fn attempt(&mut self, number: usize, frames: Vec<Frame>, retry: &Retry) -> End {
        let server = self.info.borrow().cluster.clone();
        self.info.borrow_mut().set_number("upstream.request_attempt_count", number as u64);
        self.info.borrow_mut().properties.remove("upstream.transport_failure_reason");
        self.info.borrow_mut().set("upstream.address", "192.0.2.1:443");
        if number > 1 {
            self.set_router_headers(number);
        }
        self.route.inject(&server, &mut self.request);
        let plugin = self.worker.plugin_of(&server).unwrap_or_else(|| panic!("cluster {server} has no filter"));
        let context = self.worker.stream_context(&plugin, &self.info);
        self.attempt = Some(context);
        let mut leg = Leg::new(context, true, self.route.buffer_limit);
        let mut seen = Attempt { server: server.clone(), ..Attempt::default() };
        let mut out = Vec::new();
        let mut stopped = None;
        let head = Frame::Headers(self.request.clone(), frames.is_empty());
        for frame in std::iter::once(head).chain(frames) {
            match leg.push(frame) {
                Ok(frames) => out.extend(frames),
                Err(stop) => {
                    stopped = Some(stop);
                    break;
                }
            }
        }
        if stopped.is_none() && leg.holds() && self.refuses(&server) {
            // It finds out while the filter waits for something else.
            return self.respond(number, seen, &server, retry, context);
        }
        while stopped.is_none() && leg.holds() {
            let Some(call) = self.worker.take_call_of(context) else { break };
            let (headers, body) = self.inside(&call);
            self.worker.answer(&call, headers, &body);
            out.extend(leg.resumed());
        }
        let hung = stopped.is_none() && leg.holds();
        if let Some(headers) = leg.take_headers() {
            self.request = headers;
        }
        for frame in out {
            match frame {
                Frame::Headers(headers, _) => self.request = headers,
                Frame::Data(bytes, _) => seen.body.extend(bytes),
                Frame::Trailers(_) => {}
            }
        }
        seen.headers = self.request.clone();
        if let Some(stop) = stopped {
            self.played.attempts.push(seen);
            return match stop {
                Stop::Local(reply) => End::Local(reply),
                Stop::Overflow => self.own_reply(413, "Payload Too Large", "request_payload_too_large", 0),
            };
        }
        if hung {
            self.played.attempts.push(seen);
            return End::Hung;
        }
        for name in [":method", ":path", ":authority"] {
            if seen.headers.first(name).is_none() {
                self.worker.process().violation(format!("attempt {number} lacks {name}"));
            }
        }
        self.respond(number, seen, &server, retry, context)
    }

    fn respond(&mut self, number: usize, mut seen: Attempt, server: &str, retry: &Retry, context: u32) -> End {
        let mut behaviour = self.next_behaviour(server);
        seen.sent = !matches!(behaviour, Behaviour::ConnectFailure | Behaviour::RefusedStream | Behaviour::Overflow);
        if let Some(waiting) = &mut self.exchange.waiting {
            waiting(number, &seen);
        }
        self.played.attempts.push(seen.clone());
        if self.exchange.abort == Some(Abort::Waiting(number)) {
            return End::Aborted;
        }
        while let Behaviour::After(delay, then) = behaviour {
            self.worker.process().advance(delay);
            behaviour = *then;
        }
        let response = match behaviour {
            Behaviour::ConnectFailure => {
                let reason = "delayed connect error: Connection refused";
                self.info.borrow_mut().set("upstream.transport_failure_reason", reason);
                return End::Failed(Failure::Connect);
            }
            Behaviour::RefusedStream => return End::Failed(Failure::Refused),
            Behaviour::Overflow => return End::Failed(Failure::Overflow),
            Behaviour::Reset => return End::Failed(Failure::Reset),
            Behaviour::Hang => Response { stall: true, ..Response::default() },
            Behaviour::Answer(response) => response,
            Behaviour::Reply(make) => make(&seen),
            Behaviour::After(..) => unreachable!("unwrapped above"),
        };
        if let Some(attempt) = self.played.attempts.last_mut() {
            attempt.answer = response.headers.clone();
        }
        self.stream_response(response, retry, context)
    }

    /// What the server does with one more request.
    pub(super) fn next_behaviour(&mut self, server: &str) -> Behaviour {
        match self.exchange.servers.get_mut(server) {
            Some(script) if script.len() > 1 => script.pop_front().expect("not empty"),
            Some(script) => script.front().cloned().unwrap_or(Behaviour::Hang),
            None => Behaviour::ConnectFailure,
        }
    }

    /// The response through the attempt, the router's verdict, and through the gate.
    fn stream_response(&mut self, response: Response, retry: &Retry, context: u32) -> End {
        let mut leg = Leg::new(context, false, self.route.buffer_limit);
        let ends = !response.reset && !response.stall;
        let mut frames = Vec::new();
        if !response.headers.0.is_empty() {
            let last = response.pieces.len();
            let trailers = response.trailers.is_some();
            frames.push(Frame::Headers(response.headers, last == 0 && !trailers && ends));
            let pieces = (1..).zip(response.pieces);
            frames.extend(pieces.map(|(n, piece)| Frame::Data(piece, n == last && !trailers && ends)));
            frames.extend(response.trailers.map(Frame::Trailers));
        }
        let mut started = false;
        for frame in frames {
            let out = match leg.push(frame) {
                Ok(out) => out,
                Err(Stop::Local(reply)) => return End::Local(reply),
                Err(Stop::Overflow) => {
                    return self.own_reply(500, "Internal Server Error", "response_payload_too_large", 0);
                }
            };
            for frame in out {
                if let Frame::Headers(headers, _) = &frame {
                    if headers.first("x-dualpath-failover").is_some() && retry.left > 0 {
                        let wait = headers.get("x-dualpath-wait").and_then(|seconds| seconds.parse().ok());
                        self.worker.process().advance(Duration::from_secs(wait.unwrap_or(0)));
                        return End::Marked;
                    }
                    self.info.borrow_mut().set("response.code_details", "via_upstream");
                    started = true;
                }
                if let Some(end) = self.encode(frame) {
                    return end;
                }
            }
        }
        if ends {
            let complete = self.played.reply.as_ref().is_some_and(|reply| reply.complete);
            return if complete { End::Answered } else { End::Hung };
        }
        if response.stall {
            self.worker.process().advance(Duration::from_millis(retry.per_try_ms));
        }
        match (started, response.stall) {
            // Part of the answer is with the client: nothing is left but to break it off.
            (true, _) => End::Answered,
            (false, false) => End::Failed(Failure::Reset),
            (false, true) => End::Failed(Failure::Timeout),
        }
    }

    /// Ends the live attempt's context.
    pub(super) fn finish_attempt(&mut self) {
        if let Some(context) = self.attempt.take() {
            worker::finish(context);
        }
    }
}
