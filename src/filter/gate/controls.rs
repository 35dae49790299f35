//! What the gate tells Envoy's router of a call's attempts: how many, when, and how long each may take.

use super::super::host::{self, Headers};
use super::super::vm::Vm;
use crate::breaker::Ticket;
use crate::failure::{Replay, may_follow_loss};
use crate::plan::{ClientTime, HeaderList, Kind, Time, is_touched_by_rest, mcp_follows_rest, originals};
use crate::registry::{Server, ServerIndex, Tool};
use crate::wiring::state;

/// The attempts that a call may need.
pub(super) struct Attempts<'a> {
    pub vm: &'a Vm,
    pub kind: Kind,
    pub replay: Replay,
    pub tool: Option<&'a Tool>,
    pub hops: &'a [(ServerIndex, Ticket)],
}

impl<'a> Attempts<'a> {
    fn servers(&self) -> impl DoubleEndedIterator<Item = &'a Server> {
        let registry = &self.vm.registry;
        self.hops.iter().filter_map(|(server, _)| registry.server(*server))
    }

    /// The client's headers that an MCP attempt needs after a REST attempt; `None` where no such order is planned.
    pub fn headers_to_restore(&self) -> Option<HeaderList> {
        let tool = self.tool.filter(|_| mcp_follows_rest(self.servers().map(|server| server.kind)))?;
        Some(originals(Headers::Request.all(), |name| is_touched_by_rest(name, tool.mapped_headers())))
    }

    /// Whether any of the servers gets what the client authenticates with.
    pub fn show_client_authorization(&self) -> bool {
        self.servers().any(|server| self.vm.registry.gets_client_authorization(server))
    }

    /// How long each attempt may take.
    pub fn time(&self, client: &ClientTime, now: u64) -> Time {
        if self.kind == Kind::Session {
            // The stream may stay silent for as long as the server has nothing to say.
            return Time::UNLIMITED;
        }
        let slowest = self.servers().map(|server| server.timeout).max();
        let timeout = self.tool.and_then(|tool| tool.timeout).or(slowest).unwrap_or_default();
        let timeout = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        // Only what may be sent again after it was lost can need the whole time more than once.
        let shares = if self.may_be_sent_after_loss() { self.hops.len() } else { 1 };
        client.share(now, timeout, u64::try_from(shares).unwrap_or(1))
    }

    /// How often the last server may be asked once more.
    pub fn again(&self) -> u8 {
        self.servers().next_back().map_or(0, |server| server.attempts.saturating_sub(1))
    }

    /// Sets the headers that the router reads and takes off. With `patient` it waits before each further attempt.
    pub fn tell_router(&self, time: &Time, again: u8, patient: bool) {
        // One attempt per server, one more for each that has a second credential slot, and what the last one gets more.
        let slots = self.hops.iter().filter(|(server, _)| self.vm.registry.has_two_slots(*server)).count();
        let retries = self.hops.len().saturating_sub(1).saturating_add(slots).saturating_add(again.into());
        // A retry too many would have to be stopped, for which a client must not be kept waiting.
        let retries = if patient { slots.max(again.into()) } else { retries };
        Headers::Request.set("x-envoy-max-retries", retries.to_string().as_bytes());
        if self.hops.len() > 1 && self.may_be_sent_after_loss() {
            Headers::Request.set("x-envoy-retry-on", b"reset");
        }
        Headers::Request.set("x-envoy-upstream-rq-per-try-timeout-ms", time.per_try_ms.to_string().as_bytes());
        if patient {
            host::set_filter_state(state::PACE, state::PATIENT.as_bytes());
        }
    }

    /// Whether the router itself may send the call on after a loss.
    fn may_be_sent_after_loss(&self) -> bool {
        let servers = self.servers().rev().skip(1).map(|server| &server.on);
        may_follow_loss(self.tool.map(|tool| &tool.on), servers, self.replay)
    }
}
