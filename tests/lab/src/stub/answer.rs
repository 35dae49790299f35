//! An answer as a script: bytes, pauses and possibly a reset.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{Full, channel::Channel};
use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::record::Exchange;
use crate::gzip;

/// One step of an answer's body.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Send(Bytes),
    Wait(Duration),
    /// Reset the connection.
    Reset,
}

/// Status, headers and the script of the body.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) steps: Vec<Step>,
}

impl Answer {
    /// A status with no body.
    pub(super) fn empty(status: u16) -> Self {
        Answer { status, headers: Vec::new(), steps: Vec::new() }
    }

    /// A JSON body.
    pub(super) fn json(status: u16, body: impl ToString) -> Self {
        Answer::empty(status).header("content-type", "application/json").send(body.to_string())
    }

    /// An event stream with one event per item of `data`.
    pub(super) fn events<D: AsRef<str>>(data: impl IntoIterator<Item = D>) -> Self {
        let text: String = data.into_iter().map(|d| event(d.as_ref())).collect();
        Answer::stream().send(text)
    }

    /// An event stream with nothing in it yet.
    pub(super) fn stream() -> Self {
        Answer::empty(200).header("content-type", "text/event-stream").header("cache-control", "no-cache, no-transform")
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn send(mut self, bytes: impl Into<Bytes>) -> Self {
        self.steps.push(Step::Send(bytes.into()));
        self
    }

    pub(super) fn wait(mut self, ms: u64) -> Self {
        self.steps.push(Step::Wait(Duration::from_millis(ms)));
        self
    }

    pub(super) fn reset(mut self) -> Self {
        self.steps.push(Step::Reset);
        self
    }

    /// The same as an event stream that begins with an event of another type than `message`, shows by comments that it is
    /// alive until the answer comes, and is not ended after that.
    pub(super) fn left_open(self, answer_after_ms: u64, open_ms: u64) -> Self {
        let mut stream = Answer::stream().send("event: keepalive\ndata: {}\n\n");
        stream.status = self.status;
        stream.headers.extend(self.headers.into_iter().filter(|(name, _)| name != "content-type"));
        for _ in 0..answer_after_ms / 100 {
            stream = stream.wait(100).send(": working\n\n");
        }
        for step in self.steps {
            stream = match step {
                Step::Send(bytes) if !bytes.starts_with(b"data:") => {
                    stream.send(event(&String::from_utf8_lossy(&bytes)))
                }
                Step::Send(bytes) => stream.send(bytes),
                _ => stream,
            };
        }
        stream.wait(open_ms)
    }

    /// The same, compressed.
    pub(super) fn gzip(mut self) -> Self {
        let sent = |step| if let Step::Send(bytes) = step { bytes } else { Bytes::new() };
        let body: Vec<_> = self.steps.drain(..).flat_map(sent).collect();
        self.header("content-encoding", "gzip").send(gzip::encode(&body))
    }

    /// The same bytes in pieces of `size`, a pause before each.
    pub(super) fn drip(mut self, size: usize, every_ms: u64) -> Self {
        let pause = Step::Wait(Duration::from_millis(every_ms));
        let cut = |step: Step| match step {
            Step::Send(bytes) => bytes
                .chunks(size.max(1))
                .flat_map(|piece| [pause.clone(), Step::Send(Bytes::copy_from_slice(piece))])
                .collect(),
            other => vec![other],
        };
        self.steps = self.steps.into_iter().flat_map(cut).collect();
        self
    }
}

/// One server-sent event.
pub(super) fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// A body that tells its [`Exchange`] when it has been handed over whole.
pub(super) struct Tracked {
    pub(super) exchange: Option<Exchange>,
    pub(super) inner: Inner,
}

/// A body of known length, or one that is written step by step.
pub(super) enum Inner {
    Whole(Full<Bytes>),
    Stepwise(Channel<Bytes>),
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let polled = match &mut this.inner {
            Inner::Whole(body) => Pin::new(body).poll_frame(cx),
            Inner::Stepwise(body) => Pin::new(body).poll_frame(cx),
        };
        let over = matches!(polled, Poll::Ready(None)) || this.is_end_stream();
        if over && let Some(exchange) = this.exchange.take() {
            exchange.done();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Whole(body) => body.is_end_stream(),
            Inner::Stepwise(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Whole(body) => body.size_hint(),
            Inner::Stepwise(body) => body.size_hint(),
        }
    }
}
