//! One direction of one stream through one wasm filter: what is held, what is buffered, what is let through.

use proxy_wasm::types::{BufferType, MapType};

use super::worker::{Callback, call};
use super::{Headers, Reply, with_vm};

/// A piece of a message; `bool` = the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The headers.
    Headers(Headers, bool),
    /// A piece of the body.
    Data(Vec<u8>, bool),
    /// The trailers, always last.
    Trailers(Headers),
}

/// Why a direction ends early.
pub(super) enum Stop {
    /// The filter answered itself.
    Local(Reply),
    /// More was buffered than the connection's limit allows.
    Overflow,
}

/// The direction's state. Held headers and buffered body lie in the context, where the filter can change them.
pub(super) struct Leg {
    context: u32,
    request: bool,
    limit: usize,
    holding: bool,
    ended: bool,
}

impl Leg {
    pub(super) fn new(context: u32, request: bool, limit: usize) -> Self {
        Leg { context, request, limit, holding: false, ended: false }
    }

    /// Whether headers are still with the filter.
    pub(super) fn holds(&self) -> bool {
        self.holding
    }

    fn headers_kind(&self) -> u32 {
        (if self.request { MapType::HttpRequestHeaders } else { MapType::HttpResponseHeaders }) as u32
    }

    fn trailers_kind(&self) -> u32 {
        (if self.request { MapType::HttpRequestTrailers } else { MapType::HttpResponseTrailers }) as u32
    }

    fn body_kind(&self) -> u32 {
        (if self.request { BufferType::HttpRequestBody } else { BufferType::HttpResponseBody }) as u32
    }

    fn with<T>(&self, work: impl FnOnce(&mut super::Context) -> T) -> T {
        with_vm(|vm| work(vm.contexts.get_mut(&self.context).expect("a live context")))
    }

    /// The headers, whoever has them: a filter that stops a stream leaves them where they are.
    pub(super) fn take_headers(&mut self) -> Option<Headers> {
        self.holding = false;
        let kind = self.headers_kind();
        self.with(|context| context.maps.remove(&kind))
    }

    /// Runs a callback and says whether the stream goes on.
    fn run(&self, callback: Callback) -> Result<bool, Stop> {
        let go_on = call(self.context, callback);
        self.with(|context| {
            let resumed = std::mem::take(&mut context.resumed);
            match context.local_reply.clone() {
                Some(reply) => Err(Stop::Local(reply)),
                None => Ok(go_on || resumed),
            }
        })
    }

    /// Sends a frame into the filter and returns what comes out.
    pub(super) fn push(&mut self, frame: Frame) -> Result<Vec<Frame>, Stop> {
        match frame {
            Frame::Headers(headers, end) => self.headers(headers, end),
            Frame::Data(bytes, end) => self.data(bytes, end),
            Frame::Trailers(trailers) => self.trailers(trailers),
        }
    }

    fn headers(&mut self, headers: Headers, end: bool) -> Result<Vec<Frame>, Stop> {
        let (kind, count) = (self.headers_kind(), headers.0.len());
        self.with(|context| context.maps.insert(kind, headers));
        (self.holding, self.ended) = (true, end);
        let callback =
            if self.request { Callback::RequestHeaders(count, end) } else { Callback::ResponseHeaders(count, end) };
        if !self.run(callback)? {
            return Ok(Vec::new());
        }
        Ok(self.release(end))
    }

    /// What a filter lets go that has held it, from a callback that is about something else.
    pub(super) fn resumed(&mut self) -> Vec<Frame> {
        if !self.with(|context| std::mem::take(&mut context.resumed)) {
            return Vec::new();
        }
        let kind = self.body_kind();
        let body = self.with(|context| context.buffers.remove(&kind));
        let mut out = self.release(self.ended && body.is_none());
        out.extend(body.map(|bytes| Frame::Data(bytes, self.ended)));
        out
    }

    fn data(&mut self, bytes: Vec<u8>, end: bool) -> Result<Vec<Frame>, Stop> {
        self.ended = end;
        let kind = self.body_kind();
        let size = self.with(|context| {
            let buffer = context.buffers.entry(kind).or_default();
            buffer.extend(bytes);
            buffer.len()
        });
        let callback = if self.request { Callback::RequestBody(size, end) } else { Callback::ResponseBody(size, end) };
        if !self.run(callback)? {
            return if size > self.limit { Err(Stop::Overflow) } else { Ok(Vec::new()) };
        }
        let mut out = self.release(false);
        let body = self.with(|context| context.buffers.remove(&kind)).unwrap_or_default();
        // Envoy ends the stream in the middle of the callback, which enters the filter anew: it panics, and Envoy crashes.
        assert!(body.len() <= self.limit.max(size), "a body of {} bytes in the place of {size}", body.len());
        out.push(Frame::Data(body, end));
        Ok(out)
    }

    fn trailers(&mut self, trailers: Headers) -> Result<Vec<Frame>, Stop> {
        let (kind, count) = (self.trailers_kind(), trailers.0.len());
        self.with(|context| context.maps.insert(kind, trailers));
        let callback = if self.request { Callback::RequestTrailers(count) } else { Callback::ResponseTrailers(count) };
        if !self.run(callback)? {
            return Ok(Vec::new());
        }
        let mut out = self.release(false);
        let body = self.body_kind();
        out.extend(self.with(|context| context.buffers.remove(&body)).map(|bytes| Frame::Data(bytes, false)));
        out.extend(self.with(|context| context.maps.remove(&kind)).map(Frame::Trailers));
        Ok(out)
    }

    fn release(&mut self, end: bool) -> Vec<Frame> {
        if !self.holding {
            return Vec::new();
        }
        self.take_headers().map(|headers| Frame::Headers(headers, end)).into_iter().collect()
    }
}
