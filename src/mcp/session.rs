//! Session ids that tell whose they are.
//!
//! A server's `Mcp-Session-Id` reaches the client as `dp1~<server id>~<original>`, so that the gate knows which server
//! a later request belongs to without keeping any state. A session that the gate itself opened is
//! `dp1~~<24 characters base64url>`.

use crate::wire::Id;

const MARK: &[u8] = b"dp1~";

/// What the random part is written with: 64 characters that are legal in a header.
const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Characters of the random part of a session of the gate's own.
const RANDOM_CHARS: usize = 24;

/// A session id of a client's request. Parsing is total: what is not ours has an unknown owner and passes unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionId<'a> {
    /// The gate opened it while no MCP server took calls.
    Gate,
    /// A server opened it. Whether the registry still has that server is the caller's question.
    Server {
        /// The server's id.
        server: &'a str,
        /// The session id as the server issued it.
        original: &'a [u8],
    },
    /// Bears our mark, but we have not written it so. No server may see it.
    Forged,
    /// Not written by Dualpath.
    Unknown(&'a [u8]),
}

impl<'a> SessionId<'a> {
    /// Reads a session id.
    pub fn parse(value: &'a [u8]) -> Self {
        match value.strip_prefix(MARK) {
            Some(rest) => Self::own(rest).unwrap_or(SessionId::Forged),
            None => SessionId::Unknown(value),
        }
    }

    fn own(rest: &'a [u8]) -> Option<Self> {
        let (server, original) = rest.split_at_checked(rest.iter().position(|&b| b == b'~')?)?;
        let original = original.strip_prefix(b"~")?;
        if server.is_empty() {
            let random = original.len() == RANDOM_CHARS && original.iter().all(|byte| BASE64URL.contains(byte));
            return random.then_some(SessionId::Gate);
        }
        let server = std::str::from_utf8(server).ok().filter(|id| Id::new(id).is_some())?;
        (!original.is_empty()).then_some(SessionId::Server { server, original })
    }

    /// The session id that the client is given for `original` of `server`.
    pub fn wrap(server: &str, original: &[u8]) -> Vec<u8> {
        [MARK, server.as_bytes(), b"~", original].concat()
    }

    /// A new session id of the gate's own, with the 144 lower bits of these random ones.
    pub fn mint(random: [u8; RANDOM_CHARS]) -> Vec<u8> {
        let character = |byte: u8| BASE64URL.get(usize::from(byte & 63)).copied().unwrap_or(b'-');
        [MARK, b"~", &random.map(character)].concat()
    }
}
