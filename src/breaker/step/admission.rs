//! May a call go to the server?

use super::{Moment, Step};
use crate::breaker::policy::Policy;
use crate::breaker::record::{Reason, Record, State, Ticket};
use crate::breaker::window::Counts;

/// The answer to a call that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may, and reports with this ticket. With a lease in it, it is the probe.
    Admit(Ticket),
    /// It may not.
    Refuse {
        /// Why.
        reason: Refusal,
        /// When it is worth asking again, ms from now.
        retry_after_ms: u64,
    },
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The open period is not over.
    Open,
    /// Another call is the probe.
    ProbeInFlight,
    /// The operator holds it open.
    ForcedOpen,
    /// Too many calls of last resort have failed lately.
    Shed,
    /// Too many calls of last resort are under way.
    Crowded,
}

impl Refusal {
    /// The name used in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::Open => "open",
            Refusal::ProbeInFlight => "probe_in_flight",
            Refusal::ForcedOpen => "forced_open",
            Refusal::Shed => "shed",
            Refusal::Crowded => "crowded",
        }
    }
}

/// A breaker as seen without asking to be admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// The stored state. An open breaker stays open after its period until a call asks.
    pub state: State,
    /// Time until the deadline, ms; 0 when closed or due.
    pub retry_after_ms: u64,
    /// Whether a call would be admitted that is not to be the probe.
    pub admits: bool,
    /// Results of the window. Nothing counts while the breaker isn't closed.
    pub counts: Counts,
}

/// Looks at a record.
pub fn view(record: &Record, policy: &Policy, now_ms: u64) -> View {
    let (_, deadline_ms) = record.times(policy, now_ms);
    View {
        state: record.state,
        retry_after_ms: deadline_ms.saturating_sub(now_ms),
        admits: record.state == State::Closed,
        counts: record.window.counts(now_ms),
    }
}

/// Whether a call that is admitted should rather go elsewhere, because the server has only just come back. The answer is
/// a draw: nothing is shared or written for it.
pub fn passes_over(record: &Record, moment: Moment, policy: &Policy) -> bool {
    record.ramping_ms(policy, moment.now_ms).is_some_and(|elapsed| !policy.ramp_takes(elapsed, moment.draw()))
}

/// A call asks to be admitted.
///
/// The probe's lease and the change to half-open are one new record, so that two workers cannot both be the probe.
pub fn admit(record: &Record, moment: Moment, policy: &Policy) -> Step<Decision> {
    let now_ms = moment.now_ms;
    if record.state == State::Closed {
        let ticket = Ticket { epoch: record.epoch, ..Ticket::default() };
        return Step::unchanged(Decision::Admit(ticket));
    }
    let mut next = record.clone();
    let rebased = next.rebase(policy, now_ms);
    if now_ms < next.deadline_ms {
        let reason = if next.state == State::Open { Refusal::Open } else { Refusal::ProbeInFlight };
        let retry_after_ms = next.deadline_ms.saturating_sub(now_ms);
        let answer = Decision::Refuse { reason, retry_after_ms };
        return Step { record: rebased.then_some(next), answer, transition: None };
    }

    let mut transition = None;
    if next.state == State::Open {
        transition = Some(next.half_open(policy, now_ms));
    } else if next.lease.is_live() {
        next.lost = next.lost.saturating_add(1);
        if next.lost > policy.max_lost {
            let opened = next.open(Reason::ProbeLost, None, policy, moment);
            let answer = Decision::Refuse { reason: Refusal::Open, retry_after_ms: opened.period_ms };
            return Step { record: Some(next), answer, transition: Some(opened) };
        }
    }
    next.lease = next.lease.next();
    next.deadline_ms = now_ms.saturating_add(policy.lease_ms);
    let ticket = Ticket { epoch: next.epoch, lease: Some(next.lease), last_resort: false };
    Step { record: Some(next), answer: Decision::Admit(ticket), transition }
}
