//! The listener inside Envoy: what a held attempt dispatches goes through it to a server's cluster, where another attempt
//! of the same VM meets it, after the callback that has sent it.

use std::cell::RefCell;
use std::rc::Rc;

use super::chain::{Frame, Leg, Stop};
use super::router::Stream;
use super::{Attempt, Behaviour, Headers, HttpCall, Response, StreamInfo, worker};

impl Stream<'_> {
    /// Whether the server refuses the next connection.
    pub(super) fn refuses(&self, server: &str) -> bool {
        let script = self.exchange.servers.get(server);
        script.is_none_or(|script| matches!(script.front(), Some(Behaviour::ConnectFailure)))
    }

    /// What becomes of a dispatched call: the answer that it gets.
    pub(super) fn inside(&mut self, call: &HttpCall) -> (Headers, Vec<u8>) {
        let mut request = call.headers.clone();
        let server =
            request.remove("x-dualpath-to").map(|to| String::from_utf8_lossy(&to).into_owned()).unwrap_or_default();
        let Some(plugin) = self.worker.plugin_of(&server).filter(|_| call.cluster == "dualpath-sessions") else {
            self.worker.process().violation(format!("a call to {} for {server:?}", call.cluster));
            return answer(503, "no such cluster");
        };
        self.route.inject(&server, &mut request);
        let info = Rc::new(RefCell::new(StreamInfo::default()));
        let context = self.worker.stream_context(&plugin, &info);
        let answer = self.exchange_inside(context, request, call, server);
        worker::finish(context);
        answer
    }

    fn exchange_inside(
        &mut self,
        context: u32,
        request: Headers,
        call: &HttpCall,
        server: String,
    ) -> (Headers, Vec<u8>) {
        let mut seen = Attempt { server, ..Attempt::default() };
        let mut leg = Leg::new(context, true, self.route.buffer_limit);
        let mut frames = vec![Frame::Headers(request, call.body.is_empty())];
        frames.extend((!call.body.is_empty()).then(|| Frame::Data(call.body.clone(), true)));
        for frame in frames {
            match leg.push(frame) {
                Ok(out) => out.into_iter().for_each(|frame| match frame {
                    Frame::Headers(headers, _) => seen.headers = headers,
                    Frame::Data(bytes, _) => seen.body.extend(bytes),
                    Frame::Trailers(_) => {}
                }),
                Err(Stop::Local(reply)) => return (reply.headers, reply.body),
                Err(Stop::Overflow) => return answer(413, "Payload Too Large"),
            }
        }
        let behaviour = self.next_behaviour(&seen.server);
        seen.sent = !matches!(behaviour, Behaviour::ConnectFailure | Behaviour::RefusedStream | Behaviour::Overflow);
        let response = match behaviour {
            Behaviour::Answer(response) => response,
            Behaviour::Reply(make) => make(&seen),
            Behaviour::Hang => Response::new(504, "text/plain", "upstream request timeout"),
            _ => Response::new(503, "text/plain", "upstream connect error or disconnect/reset before headers"),
        };
        self.played.inside.push(seen);
        let mut leg = Leg::new(context, false, self.route.buffer_limit);
        let last = response.pieces.len();
        let mut frames = vec![Frame::Headers(response.headers, last == 0)];
        frames.extend((1..).zip(response.pieces).map(|(n, piece)| Frame::Data(piece, n == last)));
        let (mut headers, mut body) = (Headers::default(), Vec::new());
        for frame in frames.into_iter().flat_map(|frame| leg.push(frame).unwrap_or_default()) {
            match frame {
                Frame::Headers(all, _) => headers = all,
                Frame::Data(bytes, _) => body.extend(bytes),
                Frame::Trailers(_) => {}
            }
        }
        (headers, body)
    }
}

fn answer(status: u16, text: &str) -> (Headers, Vec<u8>) {
    (Response::new(status, "text/plain", text).headers, text.as_bytes().to_vec())
}
