//! The way back to the client: through the gate's response callbacks, for a server's answer as for Envoy's own.

use super::chain::{Frame, Stop};
use super::router::{End, Failure, Stream};
use super::{Abort, Headers, Reply, Response};

impl Stream<'_> {
    /// A frame through the gate to the client; `Some` = the stream is over.
    pub(super) fn encode(&mut self, frame: Frame) -> Option<End> {
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
    pub(super) fn encode_reply(&mut self, reply: Reply) -> End {
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
    pub(super) fn own_reply(&mut self, status: u16, body: &str, details: &str, flags: u64) -> End {
        self.info.borrow_mut().set("response.code_details", details);
        self.info.borrow_mut().set_number("response.flags", flags);
        let Response { headers, .. } = Response::new(status, "text/plain", body);
        self.encode_reply(Reply { headers, body: body.as_bytes().to_vec(), complete: true, ..Reply::default() })
    }

    /// The router's reply for an attempt that failed without an answer.
    pub(super) fn router_reply(&mut self, failure: Failure) -> End {
        let (status, flags, why) = match failure {
            Failure::Connect => (503, 0x20, "remote_connection_failure|delayed_connect_error:_Connection_refused"),
            Failure::Refused => (503, 0x10, "remote_refused_stream_reset"),
            Failure::Overflow => (503, 0x80, "overflow"),
            Failure::Reset => (503, 0x40, "connection_termination"),
            Failure::Timeout => return self.own_reply(504, "upstream request timeout", "response_timeout", 0x4),
        };
        let text = "upstream connect error or disconnect/reset before headers";
        self.own_reply(status, text, &format!("upstream_reset_before_response_started{{{why}}}"), flags)
    }
}
