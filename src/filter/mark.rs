//! What an attempt writes on an answer for the gate and for Envoy's router.

use crate::failure::Class;
pub use crate::wiring::header::{ANSWER as ANSWER_MARK, FAILOVER as FAILOVER_MARK, WAIT as WAIT_MARK};

/// The attempt's note on an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The server that answered.
    pub server: String,
    /// What the answer means.
    pub class: Class,
    /// Whether it is something that an MCP client can read.
    pub readable: bool,
    /// Which attempt of the call it was, from 1.
    pub attempt: u8,
}

impl Mark {
    /// The header value.
    pub fn encode(&self) -> String {
        let readable = if self.readable { "readable" } else { "unreadable" };
        format!("{};{};{readable};{}", self.server, self.class.as_str(), self.attempt)
    }

    /// The note in a header value; `None` for anything that no attempt wrote.
    pub fn decode(value: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(value).ok()?.split(';');
        let server = parts.next()?.to_owned();
        let class = Class::parse(parts.next()?)?;
        let readable = parts.next()? == "readable";
        let attempt = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Mark { server, class, readable, attempt })
    }
}
