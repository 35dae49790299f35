//! What trusted servers say of their tools: which may be called twice.
//!
//! MCP's annotations are hints, and a server may lie. So they count only where the operator trusts the server
//! (`servers[].trust_annotations`), and for a tool only if every MCP server that may get its calls is trusted, at least
//! one vouches for it, and none that lists it does not. The call that may have been executed was so by one of these
//! servers, and the next one is to execute the same tool: whether that does harm is a property of the tool, which is why
//! the word of one server is enough where the operator trusts them all, and why one contradiction ends it.
//!
//! A tool vouches for itself by `readOnlyHint: true` or `idempotentHint: true`. No other hint helps, and a tool without
//! annotations is not vouched for.
//!
//! The answers to `tools/list` that clients and the prober ask for are the only source. A first page replaces what was known of its
//! server, later pages add to it. What is known lies in the host's shared data under one key per server, so that all
//! workers know it, and is forgotten after a time.

mod known;
#[cfg(test)]
mod tests;

use known::{Known, Word, listed_in};

use crate::mcp::Page;
use crate::registry::{Registry, Server, ServerIndex};
use crate::shared_data::{CREATE, SetError, SharedData};

/// How long a worker relies on what it has read, ms: so long the others may know more.
const REREAD_AFTER_MS: u64 = 1000;

/// A worker that loses a write to others reads again, so often; what it has learned then waits for the next list.
const TRIES: u32 = 3;

/// What a worker knows of the tools of all servers.
#[derive(Debug)]
pub struct Annotations {
    /// By position in the registry; `None` for a server that is not trusted.
    servers: Vec<Option<Cached>>,
    max_age_ms: u64,
}

#[derive(Debug)]
struct Cached {
    key: String,
    /// When `known` was read; `None` = never.
    read_ms: Option<u64>,
    known: Known,
}

impl Annotations {
    /// Nothing known yet, of the servers of this registry.
    pub fn new(registry: &Registry) -> Self {
        let cached = |server: &Server| {
            // A server that has moved has nothing to say for its successor.
            let key =
                ["annotations:", server.id.as_str(), " ", &server.url.authority(), &server.target("", "")].concat();
            server.trust_annotations.then_some(Cached { key, read_ms: None, known: Known::default() })
        };
        let max_age_ms = u64::try_from(registry.failure.annotations_max_age.as_millis()).unwrap_or(u64::MAX);
        Annotations { servers: registry.servers.iter().map(cached).collect(), max_age_ms }
    }

    /// Whether any server is trusted: else there is nothing to learn and nothing to ask.
    pub fn are_in_use(&self) -> bool {
        self.servers.iter().any(Option::is_some)
    }

    /// Whether calls of `tool` may be executed twice by the word of `servers`, all of which may get them.
    pub fn vouch_for(&mut self, store: &impl SharedData, tool: &str, servers: &[ServerIndex], now_ms: u64) -> bool {
        let mut vouched = false;
        for server in servers {
            let max_age_ms = self.max_age_ms;
            let Some(cached) = self.trusted(*server) else { return false };
            if cached.read_ms.is_none_or(|read_ms| now_ms.saturating_sub(read_ms) >= REREAD_AFTER_MS) {
                cached.known = stored(store, &cached.key).0;
                cached.read_ms = Some(now_ms);
            }
            match cached.known.word_on(tool, now_ms, max_age_ms) {
                Some(Word::Repeatable) => vouched = true,
                Some(Word::NotRepeatable) => return false,
                None => {}
            }
        }
        vouched
    }

    /// Learns from `answer`, which a server gave to `tools/list`. An answer that can't be read says nothing of any tool.
    pub fn learn(&mut self, store: &impl SharedData, server: ServerIndex, page: Page, answer: &[u8], now_ms: u64) {
        let max_age_ms = self.max_age_ms;
        let Some(cached) = self.trusted(server) else { return };
        let listed = listed_in(answer).unwrap_or_default();
        for _ in 0..TRIES {
            let (mut known, token) = stored(store, &cached.key);
            if page == Page::First || known.is_older_than(max_age_ms, now_ms) {
                known = Known::begun(now_ms);
            }
            known.add(&listed);
            let written = store.set(&cached.key, &known.encode(), token);
            cached.known = known;
            cached.read_ms = Some(now_ms);
            if written != Err(SetError::CasMismatch) {
                return;
            }
        }
    }

    fn trusted(&mut self, server: ServerIndex) -> Option<&mut Cached> {
        self.servers.get_mut(usize::from(server.0))?.as_mut()
    }
}

/// What lies in the shared data, and the token to change it; nothing known where there is nothing to read.
fn stored(store: &impl SharedData, key: &str) -> (Known, u32) {
    match store.get(key) {
        Ok(Some((bytes, token))) => (Known::decode(&bytes).unwrap_or_default(), token),
        _ => (Known::default(), CREATE),
    }
}
