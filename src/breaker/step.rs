//! The decisions: an event on a [`Record`] gives a new record, an answer, and perhaps a change of state. Pure.

mod admission;
mod results;

pub use admission::{Decision, Refusal, View, admit, passes_over, view};
pub use results::{Effect, count, judge, reset};

use super::policy::Policy;
use super::record::{Reason, Record, State};
use super::window::Counts;

/// What a decision takes from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic time, ms.
    pub now_ms: u64,
    /// A random number, spread evenly over all of `u32`.
    pub random: u32,
}

impl Moment {
    /// The random number as a draw, spread evenly over 0 up to, not including, 1.
    pub fn draw(self) -> f64 {
        f64::from(self.random) / (f64::from(u32::MAX) + 1.0)
    }
}

/// What an event led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<A> {
    /// The record to write; `None` if nothing changed.
    pub record: Option<Record>,
    /// The answer to whoever caused the event.
    pub answer: A,
    /// The change of state that the new record contains. Only for the worker whose write succeeds.
    pub transition: Option<Transition>,
}

impl<A> Step<A> {
    fn unchanged(answer: A) -> Self {
        Step { record: None, answer, transition: None }
    }
}

/// A change of state, as logs and metrics tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// The epoch that begins.
    pub epoch: u32,
    /// How often the breaker opened, less what healthy time took off.
    pub attempt: u8,
    /// Time until the new state's deadline, ms; 0 when closed.
    pub period_ms: u64,
    /// Failures in a row before the change.
    pub run: u16,
    /// The window before the change.
    pub counts: Counts,
}

impl Record {
    /// The times of the last change and of the deadline, moved back if they lie ahead of `now_ms`: a clock that went back
    /// an hour adds at most one period to a wait, not an hour. No lease has more than one lease time left either.
    fn times(&self, policy: &Policy, now_ms: u64) -> (u64, u64) {
        let ahead = self.since_ms.saturating_sub(now_ms);
        let deadline_ms = self.deadline_ms.saturating_sub(ahead);
        let longest_ms = if self.state == State::HalfOpen { policy.lease_ms } else { u64::MAX };
        (self.since_ms.saturating_sub(ahead), deadline_ms.min(now_ms.saturating_add(longest_ms)))
    }

    /// Makes [`Record::times`] the record's own. Answers whether that changed anything.
    fn rebase(&mut self, policy: &Policy, now_ms: u64) -> bool {
        let before = (self.since_ms, self.deadline_ms);
        (self.since_ms, self.deadline_ms) = self.times(policy, now_ms);
        before != (self.since_ms, self.deadline_ms)
    }

    fn open(
        &mut self,
        reason: Reason,
        retry_after_ms: Option<u64>,
        policy: &Policy,
        Moment { now_ms, random }: Moment,
    ) -> Transition {
        if self.state == State::Closed {
            let healthy_ms = now_ms.saturating_sub(self.since_ms);
            let decay = healthy_ms.checked_div(policy.decay_ms).unwrap_or(0);
            self.attempt = self.attempt.saturating_sub(u8::try_from(decay).unwrap_or(u8::MAX));
        }
        self.attempt = self.attempt.saturating_add(1);
        let period_ms = policy.open_period_ms(self.attempt, retry_after_ms, random);
        self.enter(State::Open, reason, period_ms, policy, now_ms)
    }

    fn half_open(&mut self, policy: &Policy, now_ms: u64) -> Transition {
        self.enter(State::HalfOpen, Reason::Due, policy.lease_ms, policy, now_ms)
    }

    fn close(&mut self, reason: Reason, policy: &Policy, now_ms: u64) -> Transition {
        self.enter(State::Closed, reason, 0, policy, now_ms)
    }

    /// Every state begins without evidence: what was counted belongs to an older epoch.
    fn enter(&mut self, to: State, reason: Reason, period_ms: u64, policy: &Policy, now_ms: u64) -> Transition {
        let transition = Transition {
            from: self.state,
            to,
            reason,
            epoch: self.epoch.wrapping_add(1),
            attempt: self.attempt,
            period_ms,
            run: self.run,
            counts: self.window.counts(now_ms),
        };
        self.state = to;
        self.reason = reason;
        self.epoch = transition.epoch;
        self.since_ms = now_ms;
        self.deadline_ms = if period_ms == 0 { 0 } else { now_ms.saturating_add(period_ms) };
        self.lease = self.lease.ended();
        self.streak = 0;
        self.lost = 0;
        self.run = 0;
        self.policy = policy.fingerprint();
        self.window.clear(now_ms);
        transition
    }
}
