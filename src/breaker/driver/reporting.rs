//! What becomes of the calls: their results are gathered, and written when it is worth it.

use super::{Breaker, RESULT_TRIES};
use crate::breaker::counters::Event;
use crate::breaker::record::{Record, Ticket};
use crate::breaker::results::{CallResult, Delta, Outcome, ProbeResult};
use crate::breaker::step::{self, Effect, Moment, Transition};
use crate::shared_data::SharedData;

/// How long a success may wait to be written together with others, ms.
pub const FLUSH_AFTER_MS: u64 = 200;

impl Breaker {
    /// Gives back the ticket of a call that was never sent, so that another call can be the probe. Does nothing for one that
    /// has reported, or that holds no lease; so whoever is not sure may release.
    pub fn release(&mut self, store: &impl SharedData, moment: Moment, ticket: Ticket) {
        if ticket.lease.is_some_and(|lease| self.reported != Some((ticket.epoch, lease))) {
            self.report(store, moment, ticket, CallResult { outcome: Outcome::Neutral, took_ms: 0 });
        }
    }

    /// Reports how an admitted call ended. Failures, slow calls and results of probes are written at once, and make the next
    /// call look at the record; successes wait up to [`FLUSH_AFTER_MS`] for others, unless they break a run of failures.
    pub fn report(
        &mut self,
        store: &impl SharedData,
        moment: Moment,
        ticket: Ticket,
        result: CallResult,
    ) -> Option<Transition> {
        if !self.shared.policy.mode.records() {
            return None;
        }
        if result.outcome == Outcome::Success {
            self.answers = (self.answers.0.saturating_add(1), self.answers.1.saturating_add(result.took_ms));
        }
        let result = self.with_own_answers(moment, result);
        let transition = self.settle(store, moment, ticket, result);
        if ticket.lease.is_some() || result.is_adverse(&self.shared.policy) {
            self.shared.forget_view();
        }
        transition
    }

    /// Remembers an answer, and tells an overdue call of those that this worker has seen since it began. The record knows of
    /// other workers' answers, by whole buckets of its window.
    fn with_own_answers(&mut self, moment: Moment, result: CallResult) -> CallResult {
        if result.is_answer() {
            self.answered_ms = Some(moment.now_ms);
        }
        let seen = |since_ms| self.answered_ms.is_some_and(|at_ms| at_ms > since_ms);
        match result.outcome {
            Outcome::Overdue { since_ms, .. } => {
                CallResult { outcome: Outcome::Overdue { since_ms, answered: seen(since_ms) }, ..result }
            }
            _ => result,
        }
    }

    fn settle(
        &mut self,
        store: &impl SharedData,
        moment: Moment,
        ticket: Ticket,
        result: CallResult,
    ) -> Option<Transition> {
        if ticket.last_resort {
            // It was sent against the breaker's decision: the record has no place for what it learnt.
            self.last_resort.count(result, &self.shared.policy, moment.now_ms);
            return None;
        }
        if let Some(lease) = ticket.lease {
            self.count_probe(result);
            self.reported = Some((ticket.epoch, lease));
            self.probe = Some(ProbeResult { epoch: ticket.epoch, lease, result });
            return self.flush_probe(store, moment);
        }
        if matches!(result.outcome, Outcome::Neutral | Outcome::Alive) {
            return None;
        }
        if self.pending.as_ref().is_some_and(|(delta, _)| delta.epoch != ticket.epoch) {
            // One of the two is stale, and only the record knows which.
            self.flush_pending(store, moment);
            if let Some((left, _)) = self.pending.take() {
                self.shared.counters.add(Event::LostResult, left.counts.total());
            }
        }
        let (delta, oldest_ms) = self.pending.get_or_insert_with(|| (Delta::new(ticket.epoch), moment.now_ms));
        delta.add(result, &self.shared.policy);
        let old = moment.now_ms.abs_diff(*oldest_ms) >= FLUSH_AFTER_MS;
        if old || delta.is_adverse() || self.shared.seen_run {
            return self.flush_pending(store, moment);
        }
        None
    }

    /// Writes what is waiting. For the worker's tick.
    pub fn flush(&mut self, store: &impl SharedData, moment: Moment) -> Option<Transition> {
        let judged = self.flush_probe(store, moment);
        let counted = self.flush_pending(store, moment);
        judged.or(counted)
    }

    fn flush_pending(&mut self, store: &impl SharedData, moment: Moment) -> Option<Transition> {
        let (delta, _) = self.pending.clone()?;
        let policy = self.shared.policy;
        let change = |record: &Record| step::count(record, &delta, moment, &policy);
        let done = self.shared.update(store, moment, RESULT_TRIES, delta.epoch, change).ok()?;
        self.pending = None;
        if done.answer != Effect::Counted {
            self.shared.counters.add(Event::StaleResult, delta.counts.total());
        }
        done.transition
    }

    fn flush_probe(&mut self, store: &impl SharedData, moment: Moment) -> Option<Transition> {
        let probe = self.probe?;
        let policy = self.shared.policy;
        let change = |record: &Record| step::judge(record, &probe, moment, &policy);
        let done = self.shared.update(store, moment, RESULT_TRIES, probe.epoch, change).ok()?;
        self.probe = None;
        match done.answer {
            Effect::Counted => {}
            Effect::Stale => self.shared.counters.count(Event::StaleResult),
            Effect::Fenced => self.shared.counters.count(Event::FencedVerdict),
        }
        done.transition
    }

    fn count_probe(&mut self, result: CallResult) {
        let slow = self.shared.policy.is_slow(result.took_ms);
        self.shared.counters.count(match result.outcome {
            Outcome::Neutral | Outcome::Alive => Event::ProbeReleased,
            Outcome::Success if !slow => Event::ProbeOk,
            Outcome::Success | Outcome::Failure | Outcome::Overdue { .. } | Outcome::Limited { .. } => {
                Event::ProbeFailed
            }
        });
    }
}
