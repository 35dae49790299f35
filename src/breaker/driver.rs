//! A worker's side of the breaker: admits calls, and gathers their results until they are worth a write.

use super::counters::{Counters, bump};
use super::policy::Policy;
use super::record::{Record, State, Ticket};
use super::results::{CallResult, Delta, Outcome, Verdict};
use super::shared_record::{Failed, SharedData, SharedRecord};
use super::step::{self, Decision, Effect, Moment, Refusal, Step, Transition, View};

/// The answer to a call that asks to be admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may go, and must [report](Breaker::report) or be [released](Breaker::release).
    Admit {
        /// What it has to show then.
        ticket: Ticket,
        /// Whether it is the probe.
        probe: bool,
        /// The change of state that admitting it was.
        transition: Option<Transition>,
    },
    /// It may not.
    Refuse {
        /// Why.
        reason: Refusal,
        /// When it is worth asking again, ms from now.
        retry_after_ms: u64,
        /// The change of state that refusing it was: too many probes were lost.
        transition: Option<Transition>,
    },
}

/// How long a success may wait to be written together with others, ms.
pub const FLUSH_AFTER_MS: u64 = 200;

/// A worker that loses looks once more whether it may go; after that, somebody else is making progress.
const ADMISSION_TRIES: u32 = 2;
const RESULT_TRIES: u32 = 4;

/// One server's breaker in one worker.
#[derive(Debug, Clone)]
pub struct Breaker {
    shared: SharedRecord,
    /// Results not written yet, with the time of the oldest.
    pending: Option<(Delta, u64)>,
    /// A probe's verdict that could not be written yet.
    verdict: Option<Verdict>,
}

impl Breaker {
    /// The breaker of `server` under `policy`. Touches nothing shared: a new worker takes over what it finds.
    pub fn new(server: &str, policy: Policy) -> Self {
        Breaker { shared: SharedRecord::new(server, policy), pending: None, verdict: None }
    }

    /// The shared-data key of the record.
    pub fn key(&self) -> &str {
        &self.shared.key
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    /// What happened inside since the last time this was asked.
    pub fn take_counters(&mut self) -> Counters {
        std::mem::take(&mut self.shared.counters)
    }

    /// Asks for a call to be admitted. One read; no write while the server is healthy, except the very first.
    pub fn admit(&mut self, store: &impl SharedData, moment: Moment) -> Admission {
        let policy = self.shared.policy;
        let decide = |record: &Record| step::admit(record, moment, &policy);
        match self.shared.update(store, moment, ADMISSION_TRIES, moment.random, decide) {
            Ok(Step { answer: Decision::Admit(ticket), transition, .. }) => {
                Admission::Admit { ticket, probe: ticket.lease.is_some(), transition }
            }
            Ok(Step { answer: Decision::Refuse { reason, retry_after_ms }, transition, .. }) => {
                Admission::Refuse { reason, retry_after_ms, transition }
            }
            Err(Failed::Conflict) => match self.peek(store, moment.now_ms) {
                View { admits: true, .. } => self.admit_anyway(),
                View { state, retry_after_ms, .. } => {
                    let reason = if state == State::Open { Refusal::Open } else { Refusal::ProbeInFlight };
                    Admission::Refuse { reason, retry_after_ms, transition: None }
                }
            },
            Err(Failed::Host | Failed::Foreign) => self.admit_anyway(),
        }
    }

    /// Looks without asking: for the gauge, and to choose servers that are only tried if an earlier one fails. Writes
    /// nothing. A record that cannot be read looks closed.
    pub fn peek(&mut self, store: &impl SharedData, now_ms: u64) -> View {
        match self.shared.look(store, now_ms) {
            Ok(record) => step::view(&record, &self.shared.policy, now_ms),
            Err(_) => View { state: State::Closed, retry_after_ms: 0, admits: true },
        }
    }

    /// Gives back the ticket of a call that was never sent, so that another call can be the probe.
    pub fn release(&mut self, store: &impl SharedData, moment: Moment, ticket: Ticket) {
        self.report(store, moment, ticket, CallResult { outcome: Outcome::Neutral, took_ms: 0 });
    }

    /// Reports how an admitted call ended. Failures, slow calls and verdicts of probes are written at once; successes wait
    /// up to [`FLUSH_AFTER_MS`] for others, unless they break a run of failures.
    pub fn report(
        &mut self,
        store: &impl SharedData,
        moment: Moment,
        ticket: Ticket,
        result: CallResult,
    ) -> Option<Transition> {
        if let Some(lease) = ticket.lease {
            self.verdict = Some(Verdict { epoch: ticket.epoch, lease, result });
            return self.flush_verdict(store, moment);
        }
        if result.outcome == Outcome::Neutral {
            return None;
        }
        if self.pending.as_ref().is_some_and(|(delta, _)| delta.epoch != ticket.epoch) {
            // One of the two is stale, and only the record knows which.
            self.flush_pending(store, moment);
            if let Some((left, _)) = self.pending.take() {
                bump(&mut self.shared.counters.lost_results, left.counts.total());
            }
        }
        let (delta, oldest_ms) = self.pending.get_or_insert_with(|| (Delta::new(ticket.epoch), moment.now_ms));
        delta.add(result, &self.shared.policy);
        let old = moment.now_ms.abs_diff(*oldest_ms) >= FLUSH_AFTER_MS;
        if old || delta.is_adverse() || ticket.run_seen || self.shared.seen_run {
            return self.flush_pending(store, moment);
        }
        None
    }

    /// Writes what is waiting. For the worker's tick.
    pub fn flush(&mut self, store: &impl SharedData, moment: Moment) -> Option<Transition> {
        let judged = self.flush_verdict(store, moment);
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
            bump(&mut self.shared.counters.stale_results, delta.counts.total());
        }
        done.transition
    }

    fn flush_verdict(&mut self, store: &impl SharedData, moment: Moment) -> Option<Transition> {
        let verdict = self.verdict?;
        let policy = self.shared.policy;
        let change = |record: &Record| step::judge(record, &verdict, moment, &policy);
        let done = self.shared.update(store, moment, RESULT_TRIES, verdict.epoch, change).ok()?;
        self.verdict = None;
        match done.answer {
            Effect::Counted => {}
            Effect::Stale => bump(&mut self.shared.counters.stale_results, 1),
            Effect::Fenced => bump(&mut self.shared.counters.fenced_verdicts, 1),
        }
        done.transition
    }

    /// Nothing that goes wrong in the breaker keeps a call from its server.
    fn admit_anyway(&self) -> Admission {
        let (epoch, run_seen) = (self.shared.seen_epoch, self.shared.seen_run);
        Admission::Admit { ticket: Ticket { epoch, lease: None, run_seen }, probe: false, transition: None }
    }
}
