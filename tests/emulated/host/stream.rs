//! What a played stream leaves behind.

use std::collections::BTreeMap;

use super::Headers;

/// What the client got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// Headers, `:status` among them.
    pub headers: Headers,
    /// All of the body.
    pub body: Vec<u8>,
    /// The body in the pieces in which it arrived.
    pub pieces: Vec<Vec<u8>>,
    /// Trailers, if any.
    pub trailers: Option<Headers>,
    /// Whether it ended; `false` = the stream was reset, or never went on.
    pub complete: bool,
}

impl Reply {
    /// The status.
    pub fn status(&self) -> u16 {
        self.headers.get(":status").and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// The body as text; lossy.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One attempt as the router made it and the server saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempt {
    /// The cluster.
    pub server: String,
    /// The request's headers behind the upstream chain.
    pub headers: Headers,
    /// The request's body behind the upstream chain.
    pub body: Vec<u8>,
    /// Whether the request reached the server: no for a failed connection or a local reply of the upstream chain.
    pub sent: bool,
    /// Headers of the server's answer; empty if none came.
    pub answer: Headers,
}

/// Everything that is known once a stream is over.
#[derive(Debug, Default)]
pub struct Played {
    /// `None` if nothing reached the client.
    pub reply: Option<Reply>,
    /// All attempts in order.
    pub attempts: Vec<Attempt>,
    /// What attempts have sent of their own meanwhile, in order.
    pub inside: Vec<Attempt>,
    /// Filter state at the end.
    pub filter_state: BTreeMap<String, Vec<u8>>,
    /// Request headers as the listener's access log sees them.
    pub logged_request: Headers,
}

impl Played {
    /// The client's answer.
    pub fn reply(&self) -> &Reply {
        self.reply.as_ref().expect("an answer")
    }

    /// The servers that got the request, in order.
    pub fn servers(&self) -> Vec<&str> {
        self.attempts.iter().filter(|attempt| attempt.sent).map(|attempt| attempt.server.as_str()).collect()
    }
}
