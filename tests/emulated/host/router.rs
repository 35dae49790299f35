//! Envoy's connection manager and router for one request: filter chains, cluster choice, attempts, retries, end.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::types::MapType;

use super::chain::{Frame, Leg, Stop};
use super::worker::{self, Worker};
use super::{Abort, Exchange, Headers, Played, Reply, Route, StreamInfo, with_vm};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Connect,
    Refused,
    Overflow,
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

/// What the router may still do for the request.
pub(super) struct Retry {
    pub(super) left: u32,
    on_reset: bool,
    pub(super) per_try_ms: u64,
}

/// Plays `exchange` through the plugin `gate` and the upstream chains of `worker`.
pub fn play(worker: &Worker, gate: &str, route: &Route, exchange: Exchange) -> Played {
    let clusters = exchange.servers.keys().cloned().collect();
    let info = StreamInfo { clusters, on_no_match: route.on_no_match.clone(), ..StreamInfo::default() };
    let info = Rc::new(RefCell::new(info));
    info.borrow_mut().refresh_route();
    info.borrow_mut().set_number("upstream.request_attempt_count", 0);
    info.borrow_mut().set_number("response.flags", 0);
    // Where all clients come from.
    info.borrow_mut().set("source.address", "192.0.2.7:41000");
    if let Some(uri) = &exchange.certificate {
        info.borrow_mut().set("connection.uri_san_peer_certificate", uri);
    }
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
    pub(super) worker: &'a Worker,
    pub(super) route: &'a Route,
    pub(super) exchange: Exchange<'a>,
    pub(super) info: Rc<RefCell<StreamInfo>>,
    gate: u32,
    /// The gate's response direction.
    pub(super) answer: Leg,
    /// The request headers, one map for all attempts.
    pub(super) request: Headers,
    /// The live attempt's context.
    pub(super) attempt: Option<u32>,
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
        let mut trailers = None;
        for frame in &frames {
            match frame {
                Frame::Headers(headers, _) => self.request = headers.clone(),
                Frame::Data(bytes, _) => body.extend_from_slice(bytes),
                Frame::Trailers(_) => trailers = Some(frame.clone()),
            }
        }
        // Before the route has its say, but for further attempts once more after it.
        self.set_router_headers(1);
        for name in dualpath::wiring::header::REMOVED_BY_ROUTE {
            self.request.remove(name);
        }
        for (name, value) in dualpath::wiring::header::SET_BY_ROUTE {
            self.request.set(name, value);
        }
        let mut retry = self.retry_rules();
        if body.len() > self.route.replay_limit {
            retry.left = 0;
        }
        let mut first: Vec<Frame> = frames.into_iter().filter(|frame| !matches!(frame, Frame::Headers(..))).collect();
        for number in 1.. {
            let frames = if number == 1 {
                std::mem::take(&mut first)
            } else {
                let whole = (!body.is_empty()).then(|| Frame::Data(body.clone(), trailers.is_none()));
                whole.into_iter().chain(trailers.clone()).collect()
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
            self.info.borrow_mut().refresh_cluster();
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
            on_reset: on.split(',').any(|policy| policy.trim() == "reset")
                || (self.route.retries_resets && self.info.borrow().properties["xds.route_name"] == b"mcp"),
            per_try_ms: per_try_ms.unwrap_or(self.route.per_try_ms),
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
                let (details, flags) = match self.exchange.http2 {
                    true => ("http2.remote_reset", 0x1000_0000),
                    false => ("downstream_remote_disconnect", 0x4000),
                };
                self.info.borrow_mut().set("response.code_details", details);
                self.info.borrow_mut().set_number("response.flags", flags);
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
