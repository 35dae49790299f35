//! The account of a call: what it is counted as once it has ended.

use super::answer::{class_of, server_of};
use super::{Call, Task};
use crate::failure::{Replay, decide, replay_refused};
use crate::registry::{Registry, ServerIndex, ServerKind};
use crate::telemetry::{AnsweredBy, CallStatus, Name, RegistryNames};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// The way that its answer came.
    pub mode: AnsweredBy,
    /// What its client got.
    pub status: CallStatus,
    /// Whether another server than the operator's first choice has answered.
    pub fell_back: bool,
}

impl Account {
    /// A call that the gate has answered itself.
    pub fn of_gate(status: CallStatus) -> Self {
        Account { mode: AnsweredBy::Gate, status, fell_back: false }
    }

    /// A call that was answered with what was kept.
    pub fn of_cache(status: CallStatus) -> Self {
        Account { mode: AnsweredBy::Cache, status, fell_back: false }
    }

    /// A call that its last server has answered, as `status` says. `first_choice`: the server that the operator's order
    /// names first.
    pub fn of(call: &Call, registry: &Registry, first_choice: Option<ServerIndex>, status: CallStatus) -> Self {
        let server = server_of(call, registry);
        let mode = match server {
            Some((_, server)) if server.kind == ServerKind::Rest => AnsweredBy::Direct,
            Some(_) => AnsweredBy::Mcp,
            None => AnsweredBy::Gate,
        };
        let is_other = server.is_some_and(|(index, _)| Some(index) != first_choice);
        let fell_back = status != CallStatus::Failed && is_other;
        let status = if status == CallStatus::Success && fell_back { CallStatus::Fallback } else { status };
        Account { mode, status, fell_back }
    }
}

impl Task {
    /// The label's value.
    pub fn name(self, names: &RegistryNames) -> Name {
        match self {
            Task::Tool(index) => names.task(index),
            Task::Protocol => Name::PROTOCOL,
            Task::Other => Name::OTHER,
        }
    }
}

/// Why a call that failed was not sent on, where that was because it may have been executed, or for want of budget or time.
pub fn why_not_sent_on(call: &Call, registry: &Registry) -> Option<&'static str> {
    if let Some(stop) = call.flight.stop() {
        return Some(stop.as_str());
    }
    // That only one server could go on with it is why there is no other.
    if !call.flight.had_another() && call.replay != Replay::Pinned {
        return None;
    }
    let class = class_of(call);
    let server = server_of(call, registry).map(|(_, server)| &server.on);
    let failover = decide(class, call.tool_overrides(registry), server).failover;
    replay_refused(class, failover, call.replay)
}
