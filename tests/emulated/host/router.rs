//! Envoy's connection manager and router for one request: filter chains, cluster choice, attempts, retries, end.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::types::MapType;

use super::chain::{Frame, Leg, Stop};
use super::worker::{self, Worker};
use super::{Abort, Attempt, Behaviour, Exchange, Headers, Played, Reply, Response, Route, StreamInfo, with_vm};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Connect,
    Refused,
    Reset,
    Timeout,
}

pub(super) enum End {
    /// The client has its answer, or part of it.
    Answered,
    Failed(Failure),
    /// Marked for failover.
    Marked,
    Local(Reply),
    Aborted,
    Hung,
}

struct Retry {
    left: u32,
    on_reset: bool,
    per_try_ms: Option<u64>,
}

/// Plays `exchange` through the plugin `gate` and the upstream chains of `worker`.
pub fn play(worker: &Worker, gate: &str, route: &Route, exchange: Exchange) -> Played {
    let clusters = exchange.servers.keys().cloned().collect();
    let info = StreamInfo { clusters, on_no_match: route.on_no_match.clone(), ..StreamInfo::default() };
    let info = Rc::new(RefCell::new(info));
    info.borrow_mut().refresh_route();
    info.borrow_mut().set("xds.route_name", "mcp");
    info.borrow_mut().set_number("upstream.request_attempt_count", 0);
    info.borrow_mut().set_number("response.flags", 0);
    let context = worker.stream_context(gate, &info);
    let answer = Leg::new(context, false, route.buffer_limit);
    let stream = Stream {
        worker,
        route,
        exchange,
        info,
        gate: context,
        answer,
        request: Headers::default(),
        attempt: None,
        played: Played::default(),
    };
    stream.play()
}

pub(super) struct Stream<'a> {
    worker: &'a Worker,
    route: &'a Route,
    pub(super) exchange: Exchange<'a>,
    pub(super) info: Rc<RefCell<StreamInfo>>,
    gate: u32,
    /// The gate's response direction.
    pub(super) answer: Leg,
    /// The request headers, one map for all attempts.
    request: Headers,
    /// The live attempt's context.
    attempt: Option<u32>,
    pub(super) played: Played,
}

impl Stream<'_> {
    fn play(mut self) -> Played {
        let mut leg = Leg::new(self.gate, true, self.route.buffer_limit);
        let end = match self.decode(&mut leg) {
            Err(Stop::Local(reply)) => {
                self.request = leg.take_headers().unwrap_or_default();
                self.played.reply = Some(reply);
                End::Answered
            }
            Err(Stop::Overflow) => {
                self.request = leg.take_headers().unwrap_or_default();
                self.own_reply(413, "Payload Too Large", "request_payload_too_large", 0)
            }
            Ok(None) => {
                self.request = leg.take_headers().unwrap_or_default();
                End::Aborted
            }
            Ok(Some(_)) if leg.holds() => {
                self.request = leg.take_headers().unwrap_or_default();
                End::Hung
            }
            Ok(Some(frames)) => self.route(frames),
        };
        self.end(end)
    }

    /// The request through the gate; `None` = the client went away.
    fn decode(&mut self, leg: &mut Leg) -> Result<Option<Vec<Frame>>, Stop> {
        let pieces = std::mem::take(&mut self.exchange.pieces);
        let trailers = self.exchange.trailers.take();
        let late = self.exchange.late_end || trailers.is_some();
        let mut frames = vec![Frame::Headers(self.exchange.headers.clone(), pieces.is_empty() && !late)];
        let last = pieces.len();
        frames.extend((1..).zip(pieces).map(|(n, piece)| Frame::Data(piece, n == last && !late)));
        match trailers {
            Some(trailers) => frames.push(Frame::Trailers(trailers)),
            None if late => frames.push(Frame::Data(Vec::new(), true)),
            None => {}
        }
        let mut out = Vec::new();
        for frame in frames {
            out.extend(leg.push(frame)?);
            if self.exchange.abort == Some(Abort::RequestHeaders) {
                return Ok(None);
            }
        }
        Ok(Some(out))
    }

    /// The router: attempts until one is final.
    fn route(&mut self, frames: Vec<Frame>) -> End {
        let mut body = Vec::new();
        for frame in &frames {
            match frame {
                Frame::Headers(headers, _) => self.request = headers.clone(),
                Frame::Data(bytes, _) => body.extend_from_slice(bytes),
                Frame::Trailers(_) => {}
            }
        }
        let mut retry = self.retry_rules();
        if body.len() > self.route.replay_limit {
            retry.left = 0;
        }
        let mut first: Vec<Frame> = frames.into_iter().filter(|frame| !matches!(frame, Frame::Headers(..))).collect();
        for number in 1.. {
            let frames = if number == 1 {
                std::mem::take(&mut first)
            } else if body.is_empty() {
                Vec::new()
            } else {
                vec![Frame::Data(body.clone(), true)]
            };
            let end = self.attempt(number, frames, &retry);
            let again = match end {
                End::Marked => true,
                End::Failed(Failure::Connect | Failure::Refused) => retry.left > 0,
                End::Failed(Failure::Reset | Failure::Timeout) => retry.left > 0 && retry.on_reset,
                _ => false,
            };
            if !again {
                return match end {
                    End::Failed(failure) => self.router_reply(failure),
                    other => other,
                };
            }
            retry.left -= 1;
            self.finish_attempt();
            self.info.borrow_mut().refresh_route();
        }
        unreachable!("the loop ends by returning")
    }

    /// Reads and removes the request headers that are the router's.
    fn retry_rules(&mut self) -> Retry {
        let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
        let number = |value: Vec<u8>| text(value).parse().ok();
        let on = self.request.remove("x-envoy-retry-on").map(text).unwrap_or_default();
        let left = self.request.remove("x-envoy-max-retries").and_then(number);
        let per_try_ms = self.request.remove("x-envoy-upstream-rq-per-try-timeout-ms").and_then(number);
        self.request.remove("x-envoy-upstream-rq-timeout-ms");
        Retry {
            left: left.and_then(|n: u64| u32::try_from(n).ok()).unwrap_or(self.route.num_retries),
            on_reset: on.split(',').any(|policy| policy.trim() == "reset"),
            per_try_ms,
        }
    }

    fn attempt(&mut self, number: usize, frames: Vec<Frame>, retry: &Retry) -> End {
        let server = self.info.borrow().cluster.clone();
        self.info.borrow_mut().set_number("upstream.request_attempt_count", number as u64);
        self.info.borrow_mut().properties.remove("upstream.transport_failure_reason");
        self.info.borrow_mut().set("upstream.address", "192.0.2.1:443");
        self.request.set("x-envoy-attempt-count", number.to_string());
        if let Some(slots) = self.route.slots.get(&server) {
            for (name, secret) in ["x-dualpath-slot-a", "x-dualpath-slot-b"].into_iter().zip(slots) {
                if let Some(secret) = secret {
                    self.request.set(name, secret);
                }
            }
        }
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
        let mut behaviour = match self.exchange.servers.get_mut(server) {
            Some(script) if script.len() > 1 => script.pop_front().expect("not empty"),
            Some(script) => script.front().cloned().unwrap_or(Behaviour::Hang),
            None => Behaviour::ConnectFailure,
        };
        seen.sent = !matches!(behaviour, Behaviour::ConnectFailure | Behaviour::RefusedStream);
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
            Behaviour::Reset => return End::Failed(Failure::Reset),
            Behaviour::Hang => Response { stall: true, ..Response::default() },
            Behaviour::Answer(response) => response,
            Behaviour::Reply(make) => make(&seen),
            Behaviour::After(..) => unreachable!("unwrapped above"),
        };
        self.stream_response(response, retry, context)
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
            let wait = retry.per_try_ms.unwrap_or(15_000);
            self.worker.process().advance(Duration::from_millis(wait));
        }
        match (started, response.stall) {
            // Part of the answer is with the client: nothing is left but to break it off.
            (true, _) => End::Answered,
            (false, false) => End::Failed(Failure::Reset),
            (false, true) => End::Failed(Failure::Timeout),
        }
    }

    fn finish_attempt(&mut self) {
        if let Some(context) = self.attempt.take() {
            worker::finish(context);
        }
    }

    /// The end of the stream. A client that has gone takes the gate's context with it before the attempt's.
    fn end(mut self, end: End) -> Played {
        let mut aborted = false;
        match end {
            End::Answered => {}
            End::Local(reply) => {
                self.encode_reply(reply);
            }
            End::Aborted => {
                aborted = true;
                self.info.borrow_mut().set("response.code_details", "downstream_remote_disconnect");
                self.info.borrow_mut().set_number("response.flags", 0x4000);
            }
            End::Hung => self.worker.process().violation("the stream hangs: held and never let go".to_owned()),
            End::Failed(_) | End::Marked => unreachable!("retried or turned into a reply"),
        }
        if !aborted {
            self.finish_attempt();
        }
        let response = self.played.reply.as_ref().map(|reply| reply.headers.clone());
        with_vm(|vm| {
            let context = vm.contexts.get_mut(&self.gate).expect("a live context");
            context.maps.insert(MapType::HttpRequestHeaders as u32, self.request.clone());
            context.maps.extend(response.map(|headers| (MapType::HttpResponseHeaders as u32, headers)));
        });
        worker::log(self.gate);
        worker::finish(self.gate);
        self.finish_attempt();
        self.played.filter_state = self.info.borrow().filter_state.clone();
        self.played.logged_request = self.request;
        self.played
    }
}
