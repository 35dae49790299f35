//! Counters that are there from the start, at 0. A counter that appears with its first event has no value before, so its first
//! event raises no rate: an alert on the first refused token would be an alert on the second.
//!
//! Of each server, credential and task on its own, never of their products: so many series that a registry of 64 servers and 1000
//! tools has some thousands. They come in parts, so that no tick is long: the
//! prober's, which has no tools, and those of the gates for the tasks. To define a counter twice does no harm.

use super::metric::{AnsweredBy, CallStatus, Metric};
use super::names::{Name, RegistryNames};
use crate::breaker::State;
use crate::credential::{Cause, Slot};
use crate::failure::Class;
use crate::held::Holding;
use crate::registry::{CredentialIndex, Registry, ServerIndex, ServerKind};

/// Of so many tools at most the tasks have theirs from the start.
pub const MOST_TOOLS: usize = 64;

/// How a breaker changes its state.
const TRANSITIONS: [(State, State); 5] = [
    (State::Closed, State::Open),
    (State::Open, State::HalfOpen),
    (State::HalfOpen, State::Closed),
    (State::HalfOpen, State::Open),
    (State::Open, State::Closed),
];

/// Why failed calls are not sent on.
const STOPS: [&str; 8] =
    ["budget", "no_time", "not_replayable", "unknown_annotation", "pinned", "batch", "unreadable", "policy"];

const MODES: [AnsweredBy; 3] = [AnsweredBy::Mcp, AnsweredBy::Direct, AnsweredBy::Gate];

const STATUSES: [CallStatus; 6] = [
    CallStatus::Success,
    CallStatus::Fallback,
    CallStatus::Error,
    CallStatus::Failed,
    CallStatus::Refused,
    CallStatus::Cancelled,
];

/// Tells the counters of one part: what belongs to nobody, then of each server, of each credential, of the task of each of the
/// first [`MOST_TOOLS`] tools. `false` = there is no such part, nor one behind it.
pub fn standing(part: usize, registry: &Registry, names: &RegistryNames, tell: &mut dyn FnMut(Metric)) -> bool {
    let Some(at) = part.checked_sub(1) else {
        of_nobody(tell);
        return true;
    };
    let index = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
    if let Some(server) = registry.servers.get(at) {
        let is_limited = server.concurrency.is_some();
        of_server(names.server(ServerIndex(index(at))), server.kind, is_limited, server.credential.is_some(), tell);
        return true;
    }
    let at = at.saturating_sub(registry.servers.len());
    if at < registry.credentials.len() {
        of_credential(names.credential(CredentialIndex(index(at))), tell);
        return true;
    }
    let at = at.saturating_sub(registry.credentials.len());
    let is_one = at < registry.tools.len().min(MOST_TOOLS);
    if is_one && !(0..at).any(|before| names.task(before) == names.task(at)) {
        of_task(names.task(at), tell);
    }
    is_one
}

/// The first of the parts that are tasks'.
pub fn first_of_tasks(registry: &Registry) -> usize {
    registry.servers.len().saturating_add(registry.credentials.len()).saturating_add(1)
}

/// A list of which the compiler does not know how long it is: a loop stays one, and small.
fn unknown<T>(list: &'static [T]) -> &'static [T] {
    std::hint::black_box(list)
}

fn of_nobody(tell: &mut dyn FnMut(Metric)) {
    for task in unknown(&[Name::PROTOCOL, Name::OTHER]) {
        of_task(*task, tell);
    }
    Holding::ALL.into_iter().for_each(|what| tell(Metric::HeldRefused(what)));
    [Metric::NameIgnored, Metric::ToolsRefused].into_iter().for_each(tell);
}

fn of_server(name: Name, kind: ServerKind, is_limited: bool, has_token: bool, tell: &mut dyn FnMut(Metric)) {
    for class in unknown(&Class::ALL).iter().copied() {
        tell(Metric::Attempts(name, class));
        if kind == ServerKind::Mcp {
            tell(Metric::Probes(name, class));
        }
    }
    for (from, to) in unknown(&TRANSITIONS).iter().copied() {
        tell(Metric::Transitions(name, from, to));
    }
    if kind == ServerKind::Mcp {
        tell(Metric::SessionsOpened(name));
        tell(Metric::SessionsMoved(name));
    }
    if has_token {
        tell(Metric::Alerts(name, Class::Credential));
        tell(Metric::PatQuoted(name));
    }
    if is_limited {
        tell(Metric::ConcurrencyOver(name));
    }
}

fn of_credential(name: Name, tell: &mut dyn FnMut(Metric)) {
    for slot in Slot::BOTH {
        tell(Metric::PatRejected(name, slot));
        for cause in [Cause::Rejected, Cause::Expired, Cause::Emptied, Cause::Newer] {
            tell(Metric::PatSwitch(name, slot, slot.other(), cause));
        }
    }
}

fn of_task(name: Name, tell: &mut dyn FnMut(Metric)) {
    for mode in unknown(&MODES).iter().copied() {
        for status in unknown(&STATUSES).iter().copied() {
            tell(Metric::Calls(mode, name, status));
        }
    }
    for reason in unknown(&STOPS).iter().copied() {
        tell(Metric::ReplayRefused(name, reason));
    }
}
