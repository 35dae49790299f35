//! A request, and how the world treats it: the script of a played stream.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use super::{Attempt, Headers};

/// The part of Envoy's configuration that the filter relies on.
#[derive(Debug, Clone)]
pub struct Route {
    /// The cluster for no match of `wasm.next`.
    pub on_no_match: String,
    /// `retry_policy.num_retries`, overridden by `x-envoy-max-retries`.
    pub num_retries: u32,
    /// Whether `retry_on` has `reset`, on the route for calls of no stated pace.
    pub retries_resets: bool,
    /// `retry_policy.per_try_timeout`, overridden by `x-envoy-upstream-rq-per-try-timeout-ms`.
    pub per_try_ms: u64,
    /// `per_connection_buffer_limit_bytes`.
    pub buffer_limit: usize,
    /// `request_body_buffer_limit`; a larger body is never sent again.
    pub replay_limit: usize,
    /// Secrets of the two `credential_injector`s, by cluster; an injector without a secret leaves the header alone.
    pub slots: BTreeMap<String, [Option<String>; 2]>,
}

impl Route {
    /// What the injectors of a cluster put into a request.
    pub fn inject(&self, cluster: &str, request: &mut Headers) {
        let slots = self.slots.get(cluster).into_iter().flatten();
        for (name, secret) in ["x-dualpath-slot-a", "x-dualpath-slot-b"].into_iter().zip(slots) {
            if let Some(secret) = secret {
                request.set(name, secret);
            }
        }
    }
}

/// A response of a server.
#[derive(Clone, Default)]
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

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pieces: Vec<_> =
            self.pieces.iter().map(|piece| format!("{:.200}", piece.escape_ascii().to_string())).collect();
        let Response { headers, trailers, reset, stall, .. } = self;
        write!(f, "{headers:?} {pieces:?} trailers {trailers:?} reset {reset} stall {stall}")
    }
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
    /// The cluster's connection pool is full; Envoy retries no such attempt.
    Overflow,
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

/// Called while an attempt waits, with its number, the first being 1.
pub type Waiting<'a> = Box<dyn FnMut(usize, &Attempt) + 'a>;

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
    /// The URI that its certificate names, if it shows one.
    pub certificate: Option<String>,
    /// Whether it speaks HTTP/2, in which it goes away by resetting the stream.
    pub http2: bool,
    /// Called while the n-th attempt waits for its answer.
    pub waiting: Option<Waiting<'a>>,
}

impl Exchange<'_> {
    /// The same with headers that end the stream.
    pub fn without_body(mut self) -> Self {
        self.pieces.clear();
        self.headers.remove("content-length");
        self
    }
}
