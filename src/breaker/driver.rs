//! A worker's side of the breaker: admits calls, and gathers their results until they are worth a write.

use std::cell::Cell;

use super::counters::{Counters, bump};
use super::last_resort::LastResort;
use super::policy::{Mode, Policy};
use super::record::{Record, State, Ticket};
use super::results::{CallResult, Delta, Outcome, Verdict};
use super::shared_record::{Failed, SharedRecord};
use super::step::{self, Decision, Effect, Moment, Refusal, Step, Transition, View};
use super::window::Counts;
use crate::shared_data::SharedData;

/// The answer to a call that asks to be admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may go, and must [report](Breaker::report) or be [released](Breaker::release).
    Admit {
        /// What it has to show then.
        ticket: Ticket,
        /// Whether it is the probe.
        probe: bool,
        /// Whether it should rather go elsewhere if it can, because the server has only just come back.
        pass_over: bool,
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

/// The answer to a call that only looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether a normal call is admitted now.
    pub admits: bool,
    /// Whether it should rather go elsewhere if it can, because the server has only just come back.
    pub pass_over: bool,
    /// The ticket under which a normal call would be reported.
    pub ticket: Ticket,
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
    last_resort: LastResort,
}

impl Breaker {
    /// The breaker of `server` under `policy`. Touches nothing shared: a new worker takes over what it finds.
    pub fn new(server: &str, policy: Policy) -> Self {
        Breaker {
            shared: SharedRecord::new(server, policy),
            pending: None,
            verdict: None,
            last_resort: LastResort::default(),
        }
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
        match policy.mode {
            Mode::Disabled => return self.admit_anyway(None),
            Mode::ForcedOpen => return self.refuse(Refusal::ForcedOpen, policy.base_open_ms, None),
            Mode::Normal | Mode::MetricsOnly => {}
        }
        let (pass_over, lost) = (Cell::new(false), Cell::new(false));
        let decide = |record: &Record| {
            let step = step::admit(record, moment, &policy);
            pass_over.set(step::passes_over(record, moment, &policy));
            // The counter begins anew when the loss opens the breaker.
            lost.set(
                step.record.as_ref().is_some_and(|next| next.lost != record.lost && record.state == State::HalfOpen),
            );
            step
        };
        let decided = self.shared.update(store, moment, ADMISSION_TRIES, moment.random, decide);
        match decided {
            Ok(Step { answer, transition, .. }) => {
                bump(&mut self.shared.counters.probe_lost, lost.get().into());
                match answer {
                    Decision::Admit(ticket) => {
                        let probe = ticket.lease.is_some();
                        bump(&mut self.shared.counters.probe_granted, probe.into());
                        Admission::Admit { ticket, probe, pass_over: pass_over.get(), transition }
                    }
                    Decision::Refuse { reason, retry_after_ms } => {
                        self.refuse_if_enforced(reason, retry_after_ms, transition, moment)
                    }
                }
            }
            Err(Failed::Conflict) => match self.peek(store, moment.now_ms) {
                View { admits: true, .. } => self.admit_anyway(None),
                View { state, retry_after_ms, .. } => {
                    self.refuse_if_enforced(refusal_in(state), retry_after_ms, None, moment)
                }
            },
            Err(Failed::Host | Failed::Foreign) => self.admit_anyway(None),
        }
    }

    /// Looks without asking: for the gauge, and for how long to wait. Writes nothing. A record that cannot be read looks
    /// closed.
    pub fn peek(&mut self, store: &impl SharedData, now_ms: u64) -> View {
        let counts = Counts::default();
        let closed = View { state: State::Closed, retry_after_ms: 0, admits: true, counts };
        let policy = self.shared.policy;
        match policy.mode {
            Mode::Disabled => closed,
            Mode::ForcedOpen => View { state: State::Open, retry_after_ms: policy.base_open_ms, admits: false, counts },
            Mode::Normal | Mode::MetricsOnly => match self.shared.look(store, now_ms) {
                Ok(record) => step::view(&record, &policy, now_ms),
                Err(_) => closed,
            },
        }
    }

    /// Looks whether a call may go that is not to be the probe: a later hop, which is only tried if an earlier one fails.
    /// Writes nothing.
    pub fn look(&mut self, store: &impl SharedData, moment: Moment) -> Look {
        let policy = self.shared.policy;
        let record = if policy.mode.records() { self.shared.look(store, moment.now_ms).ok() } else { None };
        let (admits, pass_over) = match (&record, policy.mode) {
            (None, mode) => (mode != Mode::ForcedOpen, false),
            (Some(record), _) if record.state == State::Closed => (true, step::passes_over(record, moment, &policy)),
            (Some(record), _) => match self.refuse_if_enforced(refusal_in(record.state), 0, None, moment) {
                Admission::Admit { .. } => (true, false),
                Admission::Refuse { .. } => (false, false),
            },
        };
        Look { admits, pass_over, ticket: self.unasked() }
    }

    /// Asks for a call to be let go although the breaker refuses, because nobody else could answer it. One that is let go
    /// should be [ended](Self::end_last_resort).
    ///
    /// # Errors
    /// Why not: it is shed.
    pub fn admit_last_resort(&mut self, moment: Moment) -> Result<Ticket, Refusal> {
        match self.last_resort.admit(&self.shared.policy, moment) {
            Ok(()) => {
                bump(&mut self.shared.counters.last_resort, 1);
                Ok(Ticket { last_resort: true, ..self.unasked() })
            }
            Err(reason) => {
                self.shared.counters.count_refusal(reason);
                Err(reason)
            }
        }
    }

    /// A call of last resort that was let go at `began_ms` is over.
    pub fn end_last_resort(&mut self, began_ms: u64) {
        self.last_resort.end(began_ms);
    }

    /// A call that would have been admitted has gone elsewhere, because the server has only just come back.
    pub fn note_diverted(&mut self) {
        bump(&mut self.shared.counters.ramp_diverted, 1);
    }

    /// Resets the breaker if the policy asks for it and no worker has done so yet. The number of the last reset has a key
    /// of its own, and who writes it resets; a configuration that is older than the last reset changes nothing.
    pub fn reset_once(&mut self, store: &impl SharedData, moment: Moment) -> Option<Transition> {
        let policy = self.shared.policy;
        if policy.reset_id == 0 || !self.shared.claim(store, "reset:", policy.reset_id) {
            return None;
        }
        let reset = |record: &Record| step::reset(record, moment, &policy);
        self.shared.update(store, moment, RESULT_TRIES, moment.random, reset).ok()?.transition
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
        if !self.shared.policy.mode.records() {
            return None;
        }
        if ticket.last_resort {
            // It was sent against the breaker's decision: the record has no place for what it learnt.
            self.last_resort.count(result, &self.shared.policy, moment.now_ms);
            return None;
        }
        if let Some(lease) = ticket.lease {
            self.count_probe(result);
            self.verdict = Some(Verdict { epoch: ticket.epoch, lease, result });
            return self.flush_verdict(store, moment);
        }
        if matches!(result.outcome, Outcome::Neutral | Outcome::Alive) {
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
        if old || delta.is_adverse() || self.shared.seen_run {
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

    /// The ticket of a call that goes without having asked. It belongs to the epoch last seen.
    fn unasked(&self) -> Ticket {
        Ticket { epoch: self.shared.seen_epoch, ..Ticket::default() }
    }

    /// Nothing that goes wrong in the breaker keeps a call from its server.
    fn admit_anyway(&self, transition: Option<Transition>) -> Admission {
        Admission::Admit { ticket: self.unasked(), probe: false, pass_over: false, transition }
    }

    /// Refuses, unless the operator lets this call pass all the same.
    fn refuse_if_enforced(
        &mut self,
        reason: Refusal,
        retry_after_ms: u64,
        transition: Option<Transition>,
        moment: Moment,
    ) -> Admission {
        let policy = self.shared.policy;
        let enforced = policy.mode == Mode::Normal && moment.draw() * 100.0 < f64::from(policy.enforce_percent);
        if !enforced {
            bump(&mut self.shared.counters.not_enforced, 1);
            return self.admit_anyway(transition);
        }
        self.refuse(reason, retry_after_ms, transition)
    }

    fn refuse(&mut self, reason: Refusal, retry_after_ms: u64, transition: Option<Transition>) -> Admission {
        self.shared.counters.count_refusal(reason);
        Admission::Refuse { reason, retry_after_ms, transition }
    }

    fn count_probe(&mut self, result: CallResult) {
        let counters = &mut self.shared.counters;
        let slow = self.shared.policy.is_slow(result.took_ms);
        let counter = match result.outcome {
            Outcome::Neutral | Outcome::Alive => &mut counters.probe_released,
            Outcome::Success if !slow => &mut counters.probe_ok,
            Outcome::Success | Outcome::Failure | Outcome::Limited { .. } => &mut counters.probe_failed,
        };
        bump(counter, 1);
    }
}

fn refusal_in(state: State) -> Refusal {
    if state == State::Open { Refusal::Open } else { Refusal::ProbeInFlight }
}
