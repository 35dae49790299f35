//! One series of a metric, as a key that costs nothing to copy, compare and hash.

use super::family::{self, Family};
use super::names::{Name, Names};
use crate::breaker::State;
use crate::credential::{Cause, Severity, Slot};
use crate::failure::Class;
use crate::held::Holding;

/// Who gave a call its answer: the label `mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnsweredBy {
    /// From an MCP server.
    Mcp,
    /// From a REST API.
    Direct,
    /// From the gate itself.
    Gate,
    /// From the cache.
    Cache,
}

impl AnsweredBy {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            AnsweredBy::Mcp => "mcp",
            AnsweredBy::Direct => "direct",
            AnsweredBy::Gate => "gate",
            AnsweredBy::Cache => "cache",
        }
    }
}

/// How a call ended for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallStatus {
    /// Answered by the first server of the operator's order.
    Success,
    /// Answered, but by another server than that one.
    Fallback,
    /// Answered with an error that is about the call, not about the servers.
    Error,
    /// Not answered: no path was left, or no room. Dualpath's fault or its servers'.
    Failed,
    /// Turned away by the gate for a mistake of the client's, before any server was asked.
    Refused,
    /// The client left before there was an answer.
    Cancelled,
}

impl CallStatus {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            CallStatus::Success => "success",
            CallStatus::Fallback => "fallback",
            CallStatus::Error => "error",
            CallStatus::Failed => "failed",
            CallStatus::Refused => "refused",
            CallStatus::Cancelled => "cancelled",
        }
    }
}

/// One series. A [`Name`] is a server's, a task's or a credential's; every other label is one of a fixed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// [`family::CALLS`]: mode, task, status.
    Calls(AnsweredBy, Name, CallStatus),
    /// [`family::LATENCY`]: mode, task.
    Latency(AnsweredBy, Name),
    /// [`family::FALLBACK`]: from, to, reason.
    Fallback(Name, Name, &'static str),
    /// [`family::TOOL_CALLS`]: tool, server, class, mode.
    ToolCalls(Name, Name, Class, AnsweredBy),
    /// [`family::TOOL_LATENCY`]: tool, mode.
    ToolLatency(Name, AnsweredBy),
    /// [`family::TOOL_BYTES`]: tool.
    ToolBytes(Name),
    /// [`family::TOKENS`]: task, model, direction.
    Tokens(Name, Name, &'static str),
    /// [`family::CREDITS`]: task, model.
    Credits(Name, Name),
    /// [`family::BREAKER_STATE`]: server.
    BreakerState(Name),
    /// [`family::PROBE_IN`]: server.
    ProbeIn(Name),
    /// [`family::HEALTH`]: server, tier.
    Health(Name, &'static str),
    /// [`family::SERVER_TIME`]: server.
    ServerTime(Name),
    /// [`family::OVERRIDE`]: server, state; 1 or 0.
    Override(Name, &'static str),
    /// [`family::MCP_OFF`]: task; 1 or 0.
    McpOff(Name),
    /// [`family::KILL_SWITCH`]; 1 or 0.
    KillSwitch,
    /// [`family::RUNTIME_IGNORED`].
    RuntimeIgnored,
    /// [`family::ATTEMPTS`]: server, outcome.
    Attempts(Name, Class),
    /// [`family::DRILLS`]: server, class.
    Drills(Name, Class),
    /// [`family::DRILL_IGNORED`]: reason.
    DrillIgnored(&'static str),
    /// [`family::NAME_IGNORED`].
    NameIgnored,
    /// [`family::PROBES`]: server, outcome.
    Probes(Name, Class),
    /// [`family::TOOLS_LISTED`]: server.
    ToolsListed(Name),
    /// [`family::TOOL_DRIFT`]: server, kind of difference.
    ToolDrift(Name, &'static str),
    /// [`family::TOOL_LISTS`]: server, what came of it.
    ToolLists(Name, &'static str),
    /// [`family::TOOLS_REFUSED`].
    ToolsRefused,
    /// [`family::ALERTS`]: server, class.
    Alerts(Name, Class),
    /// [`family::REPLAY_REFUSED`]: task, reason.
    ReplayRefused(Name, &'static str),
    /// [`family::CACHE`]: task, outcome.
    Cache(Name, &'static str),
    /// [`family::SESSIONS_OPENED`]: server.
    SessionsOpened(Name),
    /// [`family::SESSIONS_MOVED`]: server.
    SessionsMoved(Name),
    /// [`family::HELD`].
    Held,
    /// [`family::HELD_REFUSED`]: what there was no room for.
    HeldRefused(Holding),
    /// [`family::CONCURRENCY_LIMIT`]: server.
    ConcurrencyLimit(Name),
    /// [`family::CONCURRENCY_UNDER_WAY`]: server.
    ConcurrencyUnderWay(Name),
    /// [`family::CONCURRENCY_OVER`]: server.
    ConcurrencyOver(Name),
    /// [`family::TRANSITIONS`]: server, from, to.
    Transitions(Name, State, State),
    /// [`family::OPEN_PERIOD`]: server.
    OpenPeriod(Name),
    /// [`family::BREAKER_EVENTS`]: server, event.
    BreakerEvents(Name, &'static str),
    /// [`family::PAT_REJECTED`]: credential, slot.
    PatRejected(Name, Slot),
    /// [`family::PAT_SWITCH`]: credential, from, to, reason.
    PatSwitch(Name, Slot, Slot, Cause),
    /// [`family::PAT_QUOTED`]: server.
    PatQuoted(Name),
    /// [`family::PAT_DAYS`]: credential, slot.
    PatDays(Name, Slot),
    /// [`family::PAT_PRESENT`]: credential, slot; 1 or 0.
    PatPresent(Name, Slot),
    /// [`family::PAT_SENT`]: credential, slot; 1 or 0.
    PatSent(Name, Slot),
    /// [`family::PAT_EXPIRY_KNOWN`]: credential, slot; 1 or 0.
    PatExpiryKnown(Name, Slot),
    /// [`family::PAT_ALERT`]: credential, severity; 1 or 0.
    PatAlert(Name, Severity),
    /// [`family::PAT_AGE_VIOLATION`]: credential; 1 or 0.
    PatAgeViolation(Name),
    /// [`family::INFO`]: registry, version; 1 or 0.
    Info(Name),
}

/// The most labels that a family has.
const MOST: usize = 4;

impl Metric {
    /// The family that the series belongs to.
    #[must_use]
    pub fn family(self) -> &'static Family {
        match self {
            Metric::Calls(..) => &family::CALLS,
            Metric::Latency(..) => &family::LATENCY,
            Metric::Fallback(..) => &family::FALLBACK,
            Metric::ToolCalls(..) => &family::TOOL_CALLS,
            Metric::ToolLatency(..) => &family::TOOL_LATENCY,
            Metric::ToolBytes(_) => &family::TOOL_BYTES,
            Metric::Tokens(..) => &family::TOKENS,
            Metric::Credits(..) => &family::CREDITS,
            Metric::BreakerState(_) => &family::BREAKER_STATE,
            Metric::ProbeIn(_) => &family::PROBE_IN,
            Metric::Health(..) => &family::HEALTH,
            Metric::ServerTime(_) => &family::SERVER_TIME,
            Metric::Override(..) => &family::OVERRIDE,
            Metric::McpOff(_) => &family::MCP_OFF,
            Metric::KillSwitch => &family::KILL_SWITCH,
            Metric::RuntimeIgnored => &family::RUNTIME_IGNORED,
            Metric::Attempts(..) => &family::ATTEMPTS,
            Metric::Drills(..) => &family::DRILLS,
            Metric::DrillIgnored(_) => &family::DRILL_IGNORED,
            Metric::NameIgnored => &family::NAME_IGNORED,
            Metric::Probes(..) => &family::PROBES,
            Metric::ToolsListed(_) => &family::TOOLS_LISTED,
            Metric::ToolDrift(..) => &family::TOOL_DRIFT,
            Metric::ToolLists(..) => &family::TOOL_LISTS,
            Metric::ToolsRefused => &family::TOOLS_REFUSED,
            Metric::Alerts(..) => &family::ALERTS,
            Metric::ReplayRefused(..) => &family::REPLAY_REFUSED,
            Metric::Cache(..) => &family::CACHE,
            Metric::SessionsOpened(_) => &family::SESSIONS_OPENED,
            Metric::SessionsMoved(_) => &family::SESSIONS_MOVED,
            Metric::Held => &family::HELD,
            Metric::HeldRefused(_) => &family::HELD_REFUSED,
            Metric::ConcurrencyLimit(_) => &family::CONCURRENCY_LIMIT,
            Metric::ConcurrencyUnderWay(_) => &family::CONCURRENCY_UNDER_WAY,
            Metric::ConcurrencyOver(_) => &family::CONCURRENCY_OVER,
            Metric::Transitions(..) => &family::TRANSITIONS,
            Metric::OpenPeriod(_) => &family::OPEN_PERIOD,
            Metric::BreakerEvents(..) => &family::BREAKER_EVENTS,
            Metric::PatRejected(..) => &family::PAT_REJECTED,
            Metric::PatSwitch(..) => &family::PAT_SWITCH,
            Metric::PatQuoted(_) => &family::PAT_QUOTED,
            Metric::PatDays(..) => &family::PAT_DAYS,
            Metric::PatPresent(..) => &family::PAT_PRESENT,
            Metric::PatSent(..) => &family::PAT_SENT,
            Metric::PatExpiryKnown(..) => &family::PAT_EXPIRY_KNOWN,
            Metric::PatAlert(..) => &family::PAT_ALERT,
            Metric::PatAgeViolation(_) => &family::PAT_AGE_VIOLATION,
            Metric::Info(_) => &family::INFO,
        }
    }

    /// The series of a tool's calls that is counted together with those of other tools; itself, where it is about no tool.
    #[must_use]
    pub fn of_other_tools(self) -> Self {
        match self {
            Metric::ToolCalls(_, _, class, mode) => Metric::ToolCalls(Name::OTHER, Name::OTHER, class, mode),
            Metric::ToolLatency(_, mode) => Metric::ToolLatency(Name::OTHER, mode),
            Metric::ToolBytes(_) => Metric::ToolBytes(Name::OTHER),
            _ => self,
        }
    }

    /// The values of its family's labels, in their order, and empty text for those that it has not.
    pub(super) fn values(self, names: &Names) -> [&str; MOST] {
        let of = |name| names.text(name);
        match self {
            Metric::Calls(mode, task, status) => [mode.as_str(), of(task), status.as_str(), ""],
            Metric::Latency(mode, task) => [mode.as_str(), of(task), "", ""],
            Metric::Fallback(from, to, word) | Metric::Tokens(from, to, word) => [of(from), of(to), word, ""],
            Metric::ToolCalls(tool, server, class, mode) => [of(tool), of(server), class.as_str(), mode.as_str()],
            Metric::ToolLatency(tool, mode) => [of(tool), mode.as_str(), "", ""],
            Metric::ToolBytes(tool) => [of(tool), "", "", ""],
            Metric::Credits(task, model) => [of(task), of(model), "", ""],
            Metric::Held | Metric::ToolsRefused | Metric::KillSwitch | Metric::RuntimeIgnored | Metric::NameIgnored => {
                ["", "", "", ""]
            }
            Metric::HeldRefused(what) => [what.as_str(), "", "", ""],
            Metric::Info(registry) => [of(registry), env!("CARGO_PKG_VERSION"), "", ""],
            Metric::BreakerState(name)
            | Metric::ServerTime(name)
            | Metric::ProbeIn(name)
            | Metric::ConcurrencyLimit(name)
            | Metric::ConcurrencyUnderWay(name)
            | Metric::ConcurrencyOver(name)
            | Metric::OpenPeriod(name)
            | Metric::SessionsOpened(name)
            | Metric::SessionsMoved(name)
            | Metric::ToolsListed(name)
            | Metric::McpOff(name)
            | Metric::PatAgeViolation(name)
            | Metric::PatQuoted(name) => [of(name), "", "", ""],
            Metric::Attempts(server, class)
            | Metric::Drills(server, class)
            | Metric::Probes(server, class)
            | Metric::Alerts(server, class) => [of(server), class.as_str(), "", ""],
            Metric::DrillIgnored(reason) => [reason, "", "", ""],
            Metric::ReplayRefused(name, word)
            | Metric::Cache(name, word)
            | Metric::BreakerEvents(name, word)
            | Metric::ToolDrift(name, word)
            | Metric::Override(name, word)
            | Metric::Health(name, word)
            | Metric::ToolLists(name, word) => [of(name), word, "", ""],
            Metric::Transitions(server, from, to) => [of(server), from.as_str(), to.as_str(), ""],
            Metric::PatRejected(credential, slot)
            | Metric::PatDays(credential, slot)
            | Metric::PatPresent(credential, slot)
            | Metric::PatSent(credential, slot)
            | Metric::PatExpiryKnown(credential, slot) => [of(credential), slot.as_str(), "", ""],
            Metric::PatSwitch(credential, from, to, cause) => {
                [of(credential), from.as_str(), to.as_str(), cause.as_str()]
            }
            Metric::PatAlert(credential, severity) => [of(credential), severity.as_str(), "", ""],
        }
    }

    /// The name of its stat in Envoy, without [`ENVOY_PREFIX`](super::ENVOY_PREFIX). Made when the stat is defined and not
    /// again.
    #[must_use]
    pub fn stat_name(self, names: &Names) -> String {
        let family = self.family();
        let mut stat = family.name.to_owned();
        for (label, value) in family.labels.iter().zip(self.values(names)) {
            for part in [".", label, ".", value] {
                stat.push_str(part);
            }
        }
        stat
    }
}
