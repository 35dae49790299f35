//! Session ids that tell whose they are.
//!
//! A server's `Mcp-Session-Id` reaches the client as `dp2~<server id>~<introduction>~<original>`, so that any gate knows
//! which server a later request belongs to, and how the client has introduced itself, without keeping any state. A session
//! that the gate itself opened is `dp2~~<introduction>~<24 characters base64url>`. An introduction that can't be carried
//! is left out together with its `~`; the id begins with `dp1~` then, as all did once.

use crate::wire::Id;

/// What an id without an introduction begins with.
const PLAIN: &[u8] = b"dp1~";

/// What an id with one begins with.
const INTRODUCING: &[u8] = b"dp2~";

/// The longest introduction that is carried, in characters: every request of the client's bears it.
pub const LONGEST_INTRODUCTION: usize = 1024;

/// What the random part is written with: 64 characters that are legal in a header.
const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Characters of the random part of a session of the gate's own.
const RANDOM_CHARS: usize = 24;

/// A session id of a client's request. Parsing is total: what is not ours has an unknown owner and passes unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionId<'a> {
    /// The gate opened it while no MCP server took calls.
    Gate {
        /// How the client has introduced itself, in short; empty if it is not told.
        introduction: &'a [u8],
    },
    /// A server opened it. Whether the registry still has that server is the caller's question.
    Server {
        /// The server's id.
        server: &'a str,
        /// How the client has introduced itself, in short; empty if it is not told.
        introduction: &'a [u8],
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
        let (rest, introduces) = match (value.strip_prefix(PLAIN), value.strip_prefix(INTRODUCING)) {
            (Some(rest), _) => (rest, false),
            (_, Some(rest)) => (rest, true),
            _ => return SessionId::Unknown(value),
        };
        Self::own(rest, introduces).unwrap_or(SessionId::Forged)
    }

    fn own(rest: &'a [u8], introduces: bool) -> Option<Self> {
        let (server, rest) = part(rest)?;
        let (introduction, original) = if introduces { part(rest)? } else { (&b""[..], rest) };
        let is_introduction = (1..=LONGEST_INTRODUCTION).contains(&introduction.len()) && is_base64url(introduction);
        if introduces && !is_introduction {
            return None;
        }
        if server.is_empty() {
            let is_ours = original.len() == RANDOM_CHARS && is_base64url(original);
            return is_ours.then_some(SessionId::Gate { introduction });
        }
        let server = std::str::from_utf8(server).ok().filter(|id| Id::new(id).is_some())?;
        (!original.is_empty()).then_some(SessionId::Server { server, introduction, original })
    }

    /// How the client has introduced itself, in short; empty if the id does not tell.
    pub fn introduction(&self) -> &'a [u8] {
        match self {
            SessionId::Gate { introduction } | SessionId::Server { introduction, .. } => introduction,
            SessionId::Forged | SessionId::Unknown(_) => b"",
        }
    }

    /// The session id that the client is given for `original` of `server`.
    pub fn wrap(server: &str, introduction: &str, original: &[u8]) -> Vec<u8> {
        match introduction {
            "" => [PLAIN, server.as_bytes(), b"~", original].concat(),
            _ => [INTRODUCING, server.as_bytes(), b"~", introduction.as_bytes(), b"~", original].concat(),
        }
    }

    /// A new session id of the gate's own, with the 144 lower bits of these random ones.
    pub fn mint(introduction: &str, random: [u8; RANDOM_CHARS]) -> Vec<u8> {
        let character = |byte: u8| BASE64URL.get(usize::from(byte & 63)).copied().unwrap_or(b'-');
        Self::wrap("", introduction, &random.map(character))
    }
}

/// What stands before the first `~`, and what behind it.
fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (part, rest) = bytes.split_at_checked(bytes.iter().position(|&byte| byte == b'~')?)?;
    Some((part, rest.strip_prefix(b"~")?))
}

fn is_base64url(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| BASE64URL.contains(byte))
}
