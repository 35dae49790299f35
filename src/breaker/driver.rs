//! A worker's side of the breaker: admits calls, and gathers their results until they are worth a write.

mod reporting;

pub use reporting::FLUSH_AFTER_MS;

use super::counters::{Counters, Event};
use super::draws::Draw;
use super::last_resort::LastResortCalls;
use super::policy::{Mode, Policy};
use super::record::{Lease, Record, State, Ticket};
use super::results::{Delta, ProbeResult};
use super::shared_record::{Failed, SharedRecord};
use super::step::{self, Decision, Moment, Refusal, Step, Transition, View};
use super::window::Counts;
use crate::shared_data::SharedData;

/// The answer to a call that asks to be admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may go, and must [report](Breaker::report) or be [released](Breaker::release).
    Admit {
        /// What it has to show then. With a lease in it, it is the probe.
        ticket: Ticket,
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

/// A worker that loses looks once more whether it may go; after that, somebody else is making progress.
const ADMISSION_TRIES: u32 = 2;
const RESULT_TRIES: u32 = 4;

/// One server's breaker in one worker.
#[derive(Debug, Clone)]
pub struct Breaker {
    shared: SharedRecord,
    /// Results not written yet, with the time of the oldest.
    pending: Option<(Delta, u64)>,
    /// A probe's result that could not be written yet.
    probe: Option<ProbeResult>,
    /// The epoch and lease of the probe that reported last.
    reported: Option<(u32, Lease)>,
    /// When the server last answered a call of this worker, ms.
    answered_ms: Option<u64>,
    last_resort: LastResortCalls,
    /// Successes that were reported since they were last taken, and how long they took together, ms.
    answers: (u32, u64),
}

impl Breaker {
    /// The breaker of `server` under `policy`. Touches nothing shared: a new worker takes over what it finds.
    pub fn new(server: &str, policy: Policy) -> Self {
        Breaker {
            shared: SharedRecord::new(server, policy),
            pending: None,
            probe: None,
            reported: None,
            answered_ms: None,
            last_resort: LastResortCalls::default(),
            answers: (0, 0),
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

    /// Puts the operator's hand on the breaker, or takes it off. Nothing of it is stored.
    pub fn set_mode(&mut self, mode: Mode) {
        self.shared.policy.mode = mode;
    }

    /// How many successes there were since the last time this was asked, and how long they took together, in ms.
    pub fn take_answers(&mut self) -> (u32, u64) {
        std::mem::take(&mut self.answers)
    }

    /// Asks for a call to be admitted. While the server is healthy that is one read per [`VIEW_MS`](super::VIEW_MS), and no
    /// write except the very first; else one read at least.
    pub fn admit(&mut self, store: &impl SharedData, moment: Moment) -> Admission {
        let policy = self.shared.policy;
        match policy.mode {
            Mode::Disabled => return self.admit_anyway(None),
            Mode::ForcedOpen => return self.refuse(Refusal::ForcedOpen, policy.base_open_ms, None),
            Mode::Normal | Mode::MetricsOnly => {}
        }
        if let Some(view) = self.shared.cached(moment.now_ms) {
            let ticket = Ticket { epoch: view.epoch, ..Ticket::default() };
            return Admission::Admit { ticket, pass_over: false, transition: None };
        }
        let (mut pass_over, mut lost) = (false, false);
        let decide = |record: &Record| {
            let step = step::admit(record, moment, &policy);
            pass_over = step::passes_over(record, moment, &policy);
            // The counter begins anew when the loss opens the breaker.
            lost = step.record.as_ref().is_some_and(|next| next.lost != record.lost && record.state == State::HalfOpen);
            step
        };
        let decided = self.shared.update(store, moment, ADMISSION_TRIES, moment.random, decide);
        match decided {
            Ok(Step { answer, transition, .. }) => {
                self.shared.counters.add(Event::ProbeLost, lost.into());
                match answer {
                    Decision::Admit(ticket) => {
                        self.shared.counters.add(Event::ProbeGranted, ticket.lease.is_some().into());
                        Admission::Admit { ticket, pass_over, transition }
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

    /// Looks without asking: for the gauge, and for how long to wait. Writes nothing, and always reads. A record that cannot
    /// be read looks closed.
    pub fn peek(&mut self, store: &impl SharedData, now_ms: u64) -> View {
        let counts = Counts::default();
        let closed = View { state: State::Closed, retry_after_ms: 0, admits: true, counts };
        let policy = self.shared.policy;
        match policy.mode {
            Mode::Disabled => closed,
            Mode::ForcedOpen => View { state: State::Open, retry_after_ms: policy.base_open_ms, admits: false, counts },
            Mode::Normal | Mode::MetricsOnly => {
                let looked = self.shared.look(store, now_ms);
                // Whoever peeks may just have reported a failure, so this spares the next call no look.
                self.shared.forget_view();
                looked.map_or(closed, |record| step::view(&record, &policy, now_ms))
            }
        }
    }

    /// Looks whether a call may go that is not to be the probe: a later hop, which is only tried if an earlier one fails.
    /// Writes nothing, and reads as seldom as [`admit`](Self::admit).
    pub fn look(&mut self, store: &impl SharedData, moment: Moment) -> Look {
        let policy = self.shared.policy;
        let now_ms = moment.now_ms;
        if policy.mode.records() && (self.shared.cached(now_ms).is_some() || self.shared.is_absent(now_ms)) {
            return Look { admits: true, pass_over: false, ticket: self.unasked() };
        }
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
                self.shared.counters.count(Event::LastResort);
                Ok(Ticket { last_resort: true, ..self.unasked() })
            }
            Err(reason) => {
                self.shared.counters.count(reason);
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
        self.shared.counters.count(Event::RampDiverted);
    }

    /// Resets the breaker if the policy asks for it and no worker has done so yet. The number of the last reset has a key
    /// of its own, and who writes it resets; a configuration that is older than the last reset changes nothing.
    pub fn reset_once(&mut self, store: &impl SharedData, moment: Moment) -> Option<Transition> {
        let policy = self.shared.policy;
        if policy.reset_id == 0 || !self.shared.claim(store, "reset:", policy.reset_id) {
            return None;
        }
        self.reset(store, moment)
    }

    /// Resets the breaker: closed, with nothing counted.
    pub fn reset(&mut self, store: &impl SharedData, moment: Moment) -> Option<Transition> {
        let policy = self.shared.policy;
        let reset = |record: &Record| step::reset(record, moment, &policy);
        let done = self.shared.update(store, moment, RESULT_TRIES, moment.random, reset);
        self.shared.forget_view();
        done.ok()?.transition
    }

    /// The ticket of a call that goes without having asked. It belongs to the epoch last seen.
    fn unasked(&self) -> Ticket {
        Ticket { epoch: self.shared.seen_epoch, ..Ticket::default() }
    }

    /// Nothing that goes wrong in the breaker keeps a call from its server.
    fn admit_anyway(&self, transition: Option<Transition>) -> Admission {
        Admission::Admit { ticket: self.unasked(), pass_over: false, transition }
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
        let enforced =
            policy.mode == Mode::Normal && Draw::Enforcement.of(moment) * 100.0 < f64::from(policy.enforce_percent);
        if !enforced {
            self.shared.counters.count(Event::NotEnforced);
            return self.admit_anyway(transition);
        }
        self.refuse(reason, retry_after_ms, transition)
    }

    fn refuse(&mut self, reason: Refusal, retry_after_ms: u64, transition: Option<Transition>) -> Admission {
        self.shared.counters.count(reason);
        Admission::Refuse { reason, retry_after_ms, transition }
    }
}

fn refusal_in(state: State) -> Refusal {
    if state == State::Open { Refusal::Open } else { Refusal::ProbeInFlight }
}
