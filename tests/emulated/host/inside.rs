//! The listener inside Envoy: what a held attempt dispatches goes through it to a server's cluster, where another attempt
//! of the same VM meets it, after the callback that has sent it.

use std::cell::RefCell;
use std::rc::Rc;

use super::chain::{Frame, Leg, Stop};
use super::router::Stream;
use super::{Attempt, Behaviour, Headers, HttpCall, Response, Route, StreamInfo, Worker, worker};

impl Stream<'_> {
    /// Whether the server refuses the next connection.
    pub(super) fn refuses(&self, server: &str) -> bool {
        let script = self.exchange.servers.get(server);
        script.is_none_or(|script| matches!(script.front(), Some(Behaviour::ConnectFailure)))
    }

    /// What becomes of a dispatched call: the answer that it gets.
    pub(super) fn inside(&mut self, call: &HttpCall) -> (Headers, Vec<u8>) {
        let mut call = call.clone();
        let to = call.headers.remove("x-dualpath-to");
        let server = to.map(|to| String::from_utf8_lossy(&to).into_owned()).unwrap_or_default();
        if call.cluster != "dualpath-sessions" {
            self.worker.process().violation(format!("a call to {} for {server:?}", call.cluster));
        }
        call.cluster = server;
        let (worker, route) = (self.worker, self.route);
        through(worker, route, &call, &mut |mut seen| {
            let behaviour = self.next_behaviour(&seen.server);
            seen.sent =
                !matches!(behaviour, Behaviour::ConnectFailure | Behaviour::RefusedStream | Behaviour::Overflow);
            let response = match behaviour {
                Behaviour::Answer(response) => response,
                Behaviour::Reply(make) => make(&seen),
                Behaviour::Hang => Response::new(504, "text/plain", "upstream request timeout"),
                _ => Response::new(503, "text/plain", "upstream connect error or disconnect/reset before headers"),
            };
            self.played.inside.push(seen);
            response
        })
    }
}

/// The answer to a dispatched call, through the upstream filter of the server's cluster; `server` is what stands behind it.
pub fn through(
    worker: &Worker,
    route: &Route,
    call: &HttpCall,
    server: &mut dyn FnMut(Attempt) -> Response,
) -> (Headers, Vec<u8>) {
    let mut request = call.headers.clone();
    let Some(plugin) = worker.plugin_of(&call.cluster) else {
        worker.process().violation(format!("a call to {}", call.cluster));
        return answer(503, "no such cluster");
    };
    route.inject(&call.cluster, &mut request);
    let info = Rc::new(RefCell::new(StreamInfo::default()));
    let context = worker.stream_context(&plugin, &info);
    let answered = match exchange(context, route, request, call, server) {
        Ok(answered) => answered,
        Err(Stop::Local(reply)) => (reply.headers, reply.body),
        Err(Stop::Overflow) => answer(413, "Payload Too Large"),
    };
    worker::finish(context);
    answered
}

fn exchange(
    context: u32,
    route: &Route,
    request: Headers,
    call: &HttpCall,
    server: &mut dyn FnMut(Attempt) -> Response,
) -> Result<(Headers, Vec<u8>), Stop> {
    let mut frames = vec![Frame::Headers(request, call.body.is_empty())];
    frames.extend((!call.body.is_empty()).then(|| Frame::Data(call.body.clone(), true)));
    let (headers, body) = push(Leg::new(context, true, route.buffer_limit), frames)?;
    let response = server(Attempt { server: call.cluster.clone(), headers, body, ..Attempt::default() });
    let last = response.pieces.len();
    let mut frames = vec![Frame::Headers(response.headers, last == 0)];
    frames.extend(
        (1..).zip(response.pieces).map(|(n, piece)| Frame::Data(piece, n == last && response.trailers.is_none())),
    );
    frames.extend(response.trailers.map(Frame::Trailers));
    push(Leg::new(context, false, route.buffer_limit), frames)
}

/// Sends a message into one direction of the filter; what comes out.
fn push(mut leg: Leg, frames: Vec<Frame>) -> Result<(Headers, Vec<u8>), Stop> {
    let (mut headers, mut body) = (Headers::default(), Vec::new());
    for frame in frames {
        for out in leg.push(frame)? {
            match out {
                Frame::Headers(all, _) => headers = all,
                Frame::Data(bytes, _) => body.extend(bytes),
                Frame::Trailers(_) => {}
            }
        }
    }
    Ok((headers, body))
}

fn answer(status: u16, text: &str) -> (Headers, Vec<u8>) {
    (Response::new(status, "text/plain", text).headers, text.as_bytes().to_vec())
}
