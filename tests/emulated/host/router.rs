//! Envoy's connection manager and router for one request: filter chains, cluster choice, attempts, retries, end.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::types::MapType;

use super::chain::{Frame, Leg, Stop};
use super::worker::{self, Worker};
use super::{Attempt, Headers, Played, Reply, StreamInfo, with_vm};

/// The part of Envoy's configuration that the filter relies on.
#[derive(Debug, Clone)]
pub struct Route {
    /// The cluster for no match of `wasm.next`.
    pub on_no_match: String,
    /// `retry_policy.num_retries`, overridden by `x-envoy-max-retries`.
    pub num_retries: u32,
    /// `per_connection_buffer_limit_bytes`.
    pub buffer_limit: usize,
    /// `request_body_buffer_limit`; a larger body is never sent again.
    pub replay_limit: usize,
    /// Secrets of the two `credential_injector`s, by cluster; an injector without a secret leaves the header alone.
    pub slots: BTreeMap<String, [Option<String>; 2]>,
}

/// A response of a server.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// Headers, `:status` among them.
    pub headers: Headers,
    /// Body, in the pieces in which it arrives.
    pub pieces: Vec<Vec<u8>>,
    /// Trailers, if any.
    pub trailers: Option<Headers>,
    /// Whether the connection breaks instead of ending the response.
    pub reset: bool,
    /// Whether nothing more comes, until a timeout.
    pub stall: bool,
}

impl Response {
    /// A response with this status, content type and body.
    pub fn new(status: u16, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        let length = body.as_ref().len().to_string();
        let status = status.to_string();
        let headers =
            Headers::new(&[(":status", status.as_str()), ("content-type", content_type), ("content-length", &length)]);
        Response { headers, pieces: vec![body.as_ref().to_vec()], ..Response::default() }
    }

    /// A `text/event-stream` of these pieces.
    pub fn events(pieces: &[&str]) -> Self {
        let headers = Headers::new(&[(":status", "200"), ("content-type", "text/event-stream")]);
        Response { headers, pieces: pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect(), ..Self::default() }
    }
}

/// What a server does with an attempt.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// The connection is refused.
    ConnectFailure,
    /// The stream is refused before it was processed.
    RefusedStream,
    /// The stream is reset after the request, before any answer.
    Reset,
    /// No answer, until a timeout.
    Hang,
    /// An answer.
    Answer(Response),
    /// An answer made from the request.
    Reply(fn(&Attempt) -> Response),
    /// The same, later.
    After(Duration, Box<Behaviour>),
}

/// Where the client goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abort {
    /// After its request headers.
    RequestHeaders,
    /// While the n-th attempt waits for an answer; the first is 1.
    Waiting(usize),
    /// After the response headers have reached it.
    ResponseHeaders,
    /// After n pieces of the body have reached it.
    ResponsePieces(usize),
}

/// A request, and how the world treats it.
pub struct Exchange<'a> {
    /// Request headers.
    pub headers: Headers,
    /// Request body, in the pieces in which it arrives. Empty = the headers end the stream.
    pub pieces: Vec<Vec<u8>>,
    /// Whether the end of the body arrives in an empty piece of its own.
    pub late_end: bool,
    /// Request trailers.
    pub trailers: Option<Headers>,
    /// What each server does, attempt by attempt; the last behaviour repeats.
    pub servers: BTreeMap<String, VecDeque<Behaviour>>,
    /// Where the client goes away.
    pub abort: Option<Abort>,
    /// Called while the n-th attempt waits for its answer.
    pub waiting: Option<Box<dyn FnMut(usize, &Attempt) + 'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Connect,
    Refused,
    Reset,
    Timeout,
}

enum End {
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

struct Stream<'a> {
    worker: &'a Worker,
    route: &'a Route,
    exchange: Exchange<'a>,
    info: Rc<RefCell<StreamInfo>>,
    gate: u32,
    /// The gate's response direction.
    answer: Leg,
    /// The request headers, one map for all attempts.
    request: Headers,
    /// The live attempt's context.
    attempt: Option<u32>,
    played: Played,
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
            return if leg.holds() { End::Hung } else { End::Answered };
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

    /// A frame through the gate to the client; `Some` = the stream is over.
    fn encode(&mut self, frame: Frame) -> Option<End> {
        if let Frame::Headers(headers, _) = &frame {
            let code = headers.get(":status").and_then(|status| status.parse().ok()).unwrap_or(0);
            self.info.borrow_mut().set_number("response.code", code);
        }
        let out = match self.answer.push(frame) {
            Ok(out) => out,
            Err(Stop::Local(reply)) => {
                self.played.reply = Some(reply);
                return Some(End::Answered);
            }
            Err(Stop::Overflow) => {
                let headers = Headers::new(&[(":status", "500")]);
                let body = b"Internal Server Error".to_vec();
                self.played.reply.get_or_insert(Reply { headers, body, complete: true, ..Reply::default() });
                return Some(End::Answered);
            }
        };
        for frame in out {
            match frame {
                Frame::Headers(headers, end) => {
                    self.played.reply = Some(Reply { headers, complete: end, ..Reply::default() });
                    if self.exchange.abort == Some(Abort::ResponseHeaders) {
                        return Some(End::Aborted);
                    }
                }
                Frame::Data(bytes, end) => {
                    let reply = self.played.reply.as_mut().expect("headers come first");
                    reply.body.extend_from_slice(&bytes);
                    reply.pieces.push(bytes);
                    reply.complete = end;
                    if self.exchange.abort == Some(Abort::ResponsePieces(reply.pieces.len())) {
                        return Some(End::Aborted);
                    }
                }
                Frame::Trailers(trailers) => {
                    let reply = self.played.reply.as_mut().expect("headers come first");
                    reply.trailers = Some(trailers);
                    reply.complete = true;
                }
            }
        }
        None
    }

    /// A local reply through the gate's response callbacks.
    fn encode_reply(&mut self, reply: Reply) -> End {
        let empty = reply.body.is_empty();
        if let Some(end) = self.encode(Frame::Headers(reply.headers, empty)) {
            return end;
        }
        if !empty && let Some(end) = self.encode(Frame::Data(reply.body, true)) {
            return end;
        }
        if self.answer.holds() { End::Hung } else { End::Answered }
    }

    /// A reply that Envoy makes itself.
    fn own_reply(&mut self, status: u16, body: &str, details: &str, flags: u64) -> End {
        self.info.borrow_mut().set("response.code_details", details);
        self.info.borrow_mut().set_number("response.flags", flags);
        let Response { headers, .. } = Response::new(status, "text/plain", body);
        self.encode_reply(Reply { headers, body: body.as_bytes().to_vec(), complete: true, ..Reply::default() })
    }

    /// The router's reply for an attempt that failed without an answer.
    fn router_reply(&mut self, failure: Failure) -> End {
        let (status, flags, why) = match failure {
            Failure::Connect => (503, 0x20, "remote_connection_failure|delayed_connect_error:_Connection_refused"),
            Failure::Refused => (503, 0x10, "remote_refused_stream_reset"),
            Failure::Reset => (503, 0x40, "connection_termination"),
            Failure::Timeout => return self.own_reply(504, "upstream request timeout", "response_timeout", 0x4),
        };
        let text = "upstream connect error or disconnect/reset before headers";
        self.own_reply(status, text, &format!("upstream_reset_before_response_started{{{why}}}"), flags)
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
