//! What follows from a class: the table of [`Class::decisions`], changed by the operator per server and per tool; and
//! whether the call may be executed twice.

use super::{BreakerEffect, Class, Decisions, Failover, Verdict};

/// Whether a call may be sent again after a server may have executed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Replay {
    /// It may: it changes nothing, or what it changes stays the same the second time.
    Allowed,
    /// The operator has not said that it may.
    NotReplayable,
    /// The operator leaves it to the annotations of trusted servers, and they do not vouch for it.
    UnknownAnnotation,
    /// Only the server that holds its state can answer it: it continues an exchange, or belongs to a task.
    Pinned,
    /// It is a batch, a message that wants no answer, or a stream.
    Batch,
    /// It can't be read, so it might be anything.
    Unreadable,
}

impl Replay {
    /// Whether it may be sent again.
    pub fn is_allowed(self) -> bool {
        self == Replay::Allowed
    }

    /// Whether no policy can allow it: what forbids it lies in the call, not in the tool.
    pub fn is_out_of_question(self) -> bool {
        matches!(self, Replay::Pinned | Replay::Batch | Replay::Unreadable)
    }

    /// The value of the `reason` label in metrics: why a call was not sent again. One that may be was kept back by the
    /// policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Replay::Allowed => "policy",
            Replay::NotReplayable => "not_replayable",
            Replay::UnknownAnnotation => "unknown_annotation",
            Replay::Pinned => "pinned",
            Replay::Batch => "batch",
            Replay::Unreadable => "unreadable",
        }
    }
}

/// What an operator changes of the decisions for one class; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// What the breaker is told.
    pub breaker: Option<BreakerEffect>,
    /// Whether the next server is asked.
    pub failover: Option<Failover>,
    /// Whether the other credential slot is tried on the same server before that.
    pub other_slot_first: Option<bool>,
    /// Whether the operator is alerted.
    pub alert: Option<bool>,
}

/// What an operator changes for one server or one tool: the registry's `outcomes`. Each class stands there once at most.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides(Vec<(Class, Change)>);

impl Overrides {
    /// These changes.
    pub fn new(changes: Vec<(Class, Change)>) -> Self {
        Overrides(changes)
    }

    /// What is changed for `class`.
    pub fn of(&self, class: Class) -> Change {
        self.0.iter().find(|(changed, _)| *changed == class).map(|(_, change)| *change).unwrap_or_default()
    }

    /// Every class for which something is changed.
    pub fn changes(&self) -> impl Iterator<Item = (Class, Change)> {
        self.0.iter().copied()
    }
}

/// What follows from `class` for a call of a tool at a server. The tool's word counts before the server's, the server's
/// before the table's, for each decision on its own.
pub fn decide(class: Class, tool: Option<&Overrides>, server: Option<&Overrides>) -> Decisions {
    let change = |overrides: Option<&Overrides>| overrides.map(|on| on.of(class)).unwrap_or_default();
    let (tool, server, table) = (change(tool), change(server), class.decisions());
    Decisions {
        breaker: tool.breaker.or(server.breaker).unwrap_or(table.breaker),
        failover: tool.failover.or(server.failover).unwrap_or(table.failover),
        other_slot_first: tool.other_slot_first.or(server.other_slot_first).unwrap_or(table.other_slot_first),
        alert: tool.alert.or(server.alert).unwrap_or(table.alert),
    }
}

/// What follows from a verdict: the same as from its class, but that an answer may tell the breaker more than its class does,
/// where the operator says nothing.
pub fn decide_on(verdict: &Verdict, tool: Option<&Overrides>, server: Option<&Overrides>) -> Decisions {
    let decided = decide(verdict.class, tool, server);
    let said = [tool, server].into_iter().flatten().any(|on| on.of(verdict.class).breaker.is_some());
    Decisions { breaker: verdict.effect.filter(|_| !said).unwrap_or(decided.breaker), ..decided }
}

/// Whether a call whose attempt ended in `class` may be sent to another server, or there once more with another
/// credential, where the policy says `failover`.
pub fn may_fail_over(class: Class, failover: Failover, replay: Replay) -> bool {
    match failover {
        // The policy may speak for a tool, but not for a call that only one server can go on with.
        Failover::Always => !(class.may_have_been_executed() && replay.is_out_of_question()),
        Failover::WhenReplayable => replay.is_allowed(),
        Failover::Never => false,
    }
}

/// Whether the router itself may send a call to the next server when a connection is reset or no answer comes in time.
/// It is told once for all attempts of a call, so no server of the call but the last (`servers`) may forbid it.
pub fn may_follow_loss<'a>(
    tool: Option<&Overrides>,
    mut servers: impl Iterator<Item = &'a Overrides>,
    replay: Replay,
) -> bool {
    servers.all(|on| may_fail_over(Class::Lost, decide(Class::Lost, tool, Some(on)).failover, replay))
}

/// Why a call that a server may have executed is not sent to the next one, where that is the policy's doing; `None` if it
/// is sent, or if another server would have nothing else to say.
pub fn replay_refused(class: Class, failover: Failover, replay: Replay) -> Option<&'static str> {
    let wanted = failover != Failover::Never || !class.is_about_the_call();
    let refused = !may_fail_over(class, failover, replay);
    (class.may_have_been_executed() && wanted && refused).then_some(replay.as_str())
}
