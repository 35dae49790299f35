//! The conversation in which a server lists its tools: one message at a time, each after the answer to the one before.
//!
//! With a handshake, where the server's version has one; then page after page. A session that is opened for it has to be
//! closed by the caller.

use std::time::Duration;

use super::List;
use crate::json::Value;
use crate::mcp::ProtocolVersion;
use crate::probe::{self, Message};
use crate::registry::Server;

/// A server that has not come to an end by then is not known to list anything.
const MAX_PAGES: u8 = 20;
const MAX_PAGE: usize = 1 << 20;
const MAX_CURSOR: usize = 4096;

/// Bounds of what a server says of how long its list counts, in ms: an hour is too long for a server that has been replaced,
/// and less than ten seconds would have it asked all the time.
const SHORTEST_TTL_MS: u64 = 10_000;
const LONGEST_TTL_MS: u64 = 3_600_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Handshake,
    Ready,
    Page,
}

/// A conversation under way.
#[derive(Debug)]
pub struct Walk {
    step: Step,
    /// The version that is spoken.
    version: &'static str,
    session: Option<String>,
    pages: u8,
    /// The shortest that a page has said, ms.
    ttl_ms: Option<u64>,
    list: List,
}

/// An answer.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'h> {
    /// Its HTTP status.
    pub status: u16,
    /// The id of a session, if it brings one.
    pub session: Option<&'h str>,
    /// Its body: JSON, also where the server has sent events.
    pub body: &'h [u8],
}

/// How it goes on.
#[derive(Debug)]
pub enum Next {
    /// With this message.
    Ask(Message),
    /// The list is whole. It counts for as long as the server has said, or else as the registry does; so long after it
    /// began it is to be listed again, ms.
    Done(List, u64),
    /// No list can be had.
    Failed,
}

impl Walk {
    /// Begins it, with this message.
    pub fn begin(server: &Server) -> (Self, Message) {
        let step = if server.protocol.is_stateless() { Step::Page } else { Step::Handshake };
        let version = server.protocol.as_str();
        let walk = Walk { step, version, session: None, pages: 0, ttl_ms: None, list: List::default() };
        let message = match step {
            Step::Page => walk.page(server, None),
            _ => probe::request(server, &crate::registry::ProbeRequest::Initialize(server.protocol)),
        };
        (walk, message)
    }

    /// The session that has been opened for it.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Which page of the list an answer brings; `None` before the first.
    pub fn page_under_way(&self) -> Option<crate::mcp::Page> {
        let page = if self.pages == 0 { crate::mcp::Page::First } else { crate::mcp::Page::Later };
        (self.step == Step::Page).then_some(page)
    }

    /// Takes an answer; `None` = there is none. `every`: how often the registry wants a list that says nothing of how long it
    /// counts. `now_ms` is when the list ends, if it does.
    pub fn go_on(&mut self, server: &Server, heard: Option<Heard<'_>>, every: Duration, now_ms: u64) -> Next {
        self.next(server, heard, every, now_ms).unwrap_or(Next::Failed)
    }

    fn next(&mut self, server: &Server, heard: Option<Heard<'_>>, every: Duration, now_ms: u64) -> Option<Next> {
        let heard = heard?;
        if self.step == Step::Ready {
            // Whatever a server thinks of the notification, it has got it.
            self.step = Step::Page;
            return Some(Next::Ask(self.page(server, None)));
        }
        let answer = answer_in(&heard)?;
        let result = answer.get("result")?;
        if self.step == Step::Page {
            return self.page_came(server, result, every, now_ms);
        }
        self.step = Step::Ready;
        self.session = heard.session.map(str::to_owned);
        if let Some(version) = result.get("protocolVersion").and_then(Value::as_str).and_then(ProtocolVersion::parse) {
            self.version = version.as_str();
        }
        let changes =
            result.get("capabilities").and_then(|can| can.get("tools")).and_then(|tools| tools.get("listChanged"));
        self.list.changes = changes == Some(&Value::Bool(true));
        Some(Next::Ask(self.within(probe::notification(server, "notifications/initialized"))))
    }

    fn page_came(&mut self, server: &Server, result: &Value, every: Duration, now_ms: u64) -> Option<Next> {
        let tools = result.get("tools")?.as_array()?;
        if !self.list.add(tools) {
            return None;
        }
        let ttl = result.get("ttlMs").and_then(Value::as_u64);
        self.ttl_ms = [self.ttl_ms, ttl].into_iter().flatten().min();
        self.pages = self.pages.saturating_add(1);
        // The empty string is a cursor too.
        match result.get("nextCursor").filter(|cursor| !cursor.is_null()) {
            None => {
                let every_ms = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
                // It is listed again in time, and then some: a late answer must not make it unknown for a moment.
                let (again_ms, counts_ms) = match self.ttl_ms.map(|ttl| ttl.clamp(SHORTEST_TTL_MS, LONGEST_TTL_MS)) {
                    Some(ttl) => (ttl.saturating_mul(2).wrapping_div(3), ttl),
                    None => (every_ms, every_ms.saturating_add(every_ms.wrapping_div(2))),
                };
                let mut list = std::mem::take(&mut self.list);
                list.until_ms = now_ms.saturating_add(counts_ms);
                Some(Next::Done(list, again_ms))
            }
            Some(Value::String(cursor)) if self.pages < MAX_PAGES && cursor.len() <= MAX_CURSOR => {
                Some(Next::Ask(self.page(server, Some(cursor))))
            }
            Some(_) => None,
        }
    }

    fn page(&self, server: &Server, cursor: Option<&str>) -> Message {
        let is_stateless = server.protocol.is_stateless();
        self.within(probe::list(server, is_stateless, cursor))
    }

    /// The message, in the session and the version that have been agreed on.
    fn within(&self, mut message: Message) -> Message {
        if !message.headers.iter().any(|(name, _)| *name == "mcp-protocol-version") {
            message.headers.push(("mcp-protocol-version", self.version.to_owned()));
        }
        if let Some(session) = &self.session {
            message.headers.push(("mcp-session-id", session.clone()));
        }
        message
    }
}

/// The answer to a request of ours.
fn answer_in(heard: &Heard<'_>) -> Option<Value> {
    if !(200..300).contains(&heard.status) || heard.body.len() > MAX_PAGE {
        return None;
    }
    let answer = Value::parse_bytes(heard.body).ok()?;
    probe::is_answer(&answer).then_some(answer)
}
