//! What do the results of calls change?

use super::{Moment, Step};
use crate::breaker::policy::Policy;
use crate::breaker::record::{Reason, Record, State};
use crate::breaker::results::{Delta, Outcome, ProbeResult};

/// So many probes in a row that the server answered without a verdict close the breaker.
const ALIVE: u16 = 3;

/// What became of reported results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// They were taken into account.
    Counted,
    /// The breaker has changed its state since the calls were admitted: dropped.
    Stale,
    /// The probe's lease ran out and was issued again: dropped.
    Fenced,
}

/// Counts results of normal calls, and opens the breaker if they reach a limit.
///
/// Only a failure or a slow call can open it. A success that merely completes the smallest number of calls cannot.
pub fn count(record: &Record, delta: &Delta, moment: Moment, policy: &Policy) -> Step<Effect> {
    if record.epoch != delta.epoch || record.state != State::Closed {
        return Step::unchanged(Effect::Stale);
    }
    let mut next = record.clone();
    next.rebase(policy, moment.now_ms);
    let answered = delta.overdue > 0 && next.window.has_success_since(delta.overdue_since_ms);
    next.window.add(delta.counts, moment.now_ms);
    next.run = delta.run_after(next.run, answered);
    let limit = if delta.is_adverse() { limit_reached(&next, moment.now_ms, policy) } else { None };
    let transition = limit.map(|reason| next.open(reason, delta.retry_after_ms, policy, moment));
    Step { record: Some(next), answer: Effect::Counted, transition }
}

/// Takes the verdict of a probe. Only the holder of the current lease has one.
pub fn judge(record: &Record, verdict: &ProbeResult, moment: Moment, policy: &Policy) -> Step<Effect> {
    if record.epoch != verdict.epoch {
        return Step::unchanged(Effect::Stale);
    }
    if record.state != State::HalfOpen || !record.lease.is_live() || record.lease != verdict.lease {
        return Step::unchanged(Effect::Fenced);
    }
    let mut next = record.clone();
    next.rebase(policy, moment.now_ms);
    next.lease = next.lease.ended();
    next.deadline_ms = 0;
    let slow = policy.is_slow(verdict.result.took_ms);
    let transition = match verdict.result.outcome {
        Outcome::Neutral => None,
        // A server that refuses every probe's credential would stay half-open, with one call at a time, for ever.
        Outcome::Alive => {
            next.run = next.run.saturating_add(1);
            (next.run >= ALIVE).then(|| next.close(Reason::ProbeAlive, policy, moment.now_ms))
        }
        Outcome::Success if !slow => {
            next.streak = next.streak.saturating_add(1);
            (next.streak >= policy.probe_successes).then(|| next.close(Reason::ProbeSucceeded, policy, moment.now_ms))
        }
        Outcome::Limited { retry_after_ms } => Some(next.open(Reason::ProbeFailed, retry_after_ms, policy, moment)),
        Outcome::Success | Outcome::Failure | Outcome::Overdue { .. } => {
            Some(next.open(Reason::ProbeFailed, None, policy, moment))
        }
    };
    Step { record: Some(next), answer: Effect::Counted, transition }
}

/// The operator asks for a fresh start: closed, with nothing counted.
pub fn reset(record: &Record, moment: Moment, policy: &Policy) -> Step<Effect> {
    let mut next = record.clone();
    next.attempt = 0;
    let transition = if next.state == State::Closed {
        next.run = 0;
        next.window.clear(moment.now_ms);
        None
    } else {
        Some(next.close(Reason::Reset, policy, moment.now_ms))
    };
    Step { record: Some(next), answer: Effect::Counted, transition }
}

/// The first limit that the evidence meets. Where several do, the run is named: it says most. A server that has only just
/// come back gets half the run.
fn limit_reached(record: &Record, now_ms: u64, policy: &Policy) -> Option<Reason> {
    let ramping = record.ramping_ms(policy, now_ms).is_some();
    if policy.consecutive.is_some_and(|limit| record.run >= if ramping { limit.div_ceil(2) } else { limit }) {
        return Some(Reason::Consecutive);
    }
    let counts = record.window.counts(now_ms);
    if counts.total() < policy.min_calls.max(1) {
        return None;
    }
    let reaches = |part: u32, rate: f64| f64::from(part) >= rate * f64::from(counts.total());
    if policy.failure_rate.is_some_and(|rate| reaches(counts.fail, rate)) {
        return Some(Reason::FailureRate);
    }
    policy.slow.filter(|slow| reaches(counts.slow, slow.rate)).map(|_| Reason::SlowRate)
}
