//! A worker's side of the breaker: reads the shared record, lets [`step`](super::step) decide, and writes the result back
//! by compare-and-swap.

use super::codec::{self, Decoded};
use super::counters::{Counters, bump};
use super::policy::Policy;
use super::record::{Record, State, Ticket};
use super::results::{CallResult, Delta, Outcome, Verdict};
use super::step::{self, Decision, Effect, Moment, Refusal, Step, Transition, View};

/// The host's key-value store, shared by all workers of the process.
pub trait SharedData {
    /// The value under `key` with its token; `None` if there is none. A deleted key may also show as an empty value.
    ///
    /// # Errors
    /// If the host refuses.
    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError>;

    /// Writes `value` if nobody has written since the read that gave `token`.
    ///
    /// # Errors
    /// If somebody has, or if the host refuses.
    fn set(&self, key: &str, value: &[u8], token: u32) -> Result<(), SetError>;
}

/// The host refused a read or a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostError;

/// Why a write did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetError {
    /// Somebody else has written since the read.
    CasMismatch,
    /// The host refused.
    Host,
}

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

/// The host takes any token for a key that does not exist, and only the right one for a key that does. So of two workers
/// that create a record with this token only the first succeeds; token 0 would overwrite without asking.
const CREATE: u32 = 0xFFFF_FFFF;

/// A worker that loses looks once more whether it may go; after that, somebody else is making progress.
const ADMISSION_TRIES: u32 = 2;
const RESULT_TRIES: u32 = 4;

/// More repairs of the record than this within [`REPAIR_PERIOD_MS`] mean that somebody else uses the key.
const MAX_REPAIRS: u32 = 10;
const REPAIR_PERIOD_MS: u64 = 60_000;

/// One server's breaker in one worker.
#[derive(Debug, Clone)]
pub struct Breaker {
    key: String,
    policy: Policy,
    /// Results not written yet, with the time of the oldest.
    pending: Option<(Delta, u64)>,
    /// A probe's verdict that could not be written yet.
    verdict: Option<Verdict>,
    /// What the record last seen said of its epoch and run.
    seen: (u32, bool),
    last_ms: u64,
    repairs: (u64, u32),
    counters: Counters,
}

/// Why a record was not read or not changed.
enum Failed {
    Host,
    Conflict,
    Foreign,
}

struct Loaded {
    record: Record,
    token: u32,
    found: Found,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Record,
    Nothing,
    Garbage,
}

impl Breaker {
    /// The breaker of `server` under `policy`. Touches nothing shared: a new worker takes over what it finds.
    pub fn new(server: &str, policy: Policy) -> Self {
        Breaker {
            key: codec::key(server, policy.buckets, policy.bucket_ms),
            policy,
            pending: None,
            verdict: None,
            seen: (0, false),
            last_ms: 0,
            repairs: (0, 0),
            counters: Counters::default(),
        }
    }

    /// The shared-data key of the record.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What happened inside since the last time this was asked.
    pub fn take_counters(&mut self) -> Counters {
        std::mem::take(&mut self.counters)
    }

    /// Asks for a call to be admitted. One read; no write while the server is healthy, except the very first.
    pub fn admit(&mut self, store: &impl SharedData, moment: Moment) -> Admission {
        let policy = self.policy;
        let decide = |record: &Record| step::admit(record, moment, &policy);
        match self.update(store, moment, ADMISSION_TRIES, moment.random, decide) {
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
        match self.load(store, now_ms, self.seen.0) {
            Ok(loaded) => step::view(&loaded.record, now_ms),
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
                bump(&mut self.counters.lost_results, left.counts.total());
            }
        }
        let (delta, oldest_ms) = self.pending.get_or_insert_with(|| (Delta::new(ticket.epoch), moment.now_ms));
        delta.add(result, &self.policy);
        let old = moment.now_ms.abs_diff(*oldest_ms) >= FLUSH_AFTER_MS;
        if old || delta.is_adverse() || ticket.run_seen || self.seen.1 {
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
        let policy = self.policy;
        let change = |record: &Record| step::count(record, &delta, moment, &policy);
        let done = self.update(store, moment, RESULT_TRIES, delta.epoch, change).ok()?;
        self.pending = None;
        if done.answer != Effect::Counted {
            bump(&mut self.counters.stale_results, delta.counts.total());
        }
        done.transition
    }

    fn flush_verdict(&mut self, store: &impl SharedData, moment: Moment) -> Option<Transition> {
        let verdict = self.verdict?;
        let policy = self.policy;
        let change = |record: &Record| step::judge(record, &verdict, moment, &policy);
        let done = self.update(store, moment, RESULT_TRIES, verdict.epoch, change).ok()?;
        self.verdict = None;
        match done.answer {
            Effect::Counted => {}
            Effect::Stale => bump(&mut self.counters.stale_results, 1),
            Effect::Fenced => bump(&mut self.counters.fenced_verdicts, 1),
        }
        done.transition
    }

    /// Nothing that goes wrong in the breaker keeps a call from its server.
    fn admit_anyway(&self) -> Admission {
        let (epoch, run_seen) = self.seen;
        Admission::Admit { ticket: Ticket { epoch, lease: None, run_seen }, probe: false, transition: None }
    }

    /// Reads, lets `change` decide, and writes; from the start if another worker wrote in between. A record that does not
    /// exist is created even if nothing changes, to fix its epoch.
    fn update<A>(
        &mut self,
        store: &impl SharedData,
        moment: Moment,
        tries: u32,
        epoch: u32,
        change: impl Fn(&Record) -> Step<A>,
    ) -> Result<Step<A>, Failed> {
        for _ in 0..tries {
            let loaded = self.load(store, moment.now_ms, epoch)?;
            let step = change(&loaded.record);
            let next = match &step.record {
                Some(next) => next,
                None if loaded.found == Found::Record => return Ok(step),
                None => &loaded.record,
            };
            if loaded.found == Found::Garbage {
                self.note_repair(moment.now_ms)?;
            }
            match store.set(&self.key, &codec::encode(next), loaded.token) {
                Ok(()) => {
                    self.seen = (next.epoch, next.run > 0);
                    return Ok(step);
                }
                Err(SetError::CasMismatch) => bump(&mut self.counters.write_conflicts, 1),
                Err(SetError::Host) => {
                    bump(&mut self.counters.host_errors, 1);
                    return Err(Failed::Host);
                }
            }
        }
        bump(&mut self.counters.writes_given_up, 1);
        Err(Failed::Conflict)
    }

    /// The record, or a new one of `epoch` where there is none. A corrupt value is replaced with the token it was read
    /// with, so that a good record written meanwhile survives.
    fn load(&mut self, store: &impl SharedData, now_ms: u64, epoch: u32) -> Result<Loaded, Failed> {
        if now_ms < self.last_ms {
            bump(&mut self.counters.clock_backward, 1);
        }
        self.last_ms = now_ms;
        let Ok(found) = store.get(&self.key) else {
            bump(&mut self.counters.host_errors, 1);
            return Err(Failed::Host);
        };
        let (bytes, token) = found.unwrap_or((Vec::new(), CREATE));
        let record = match codec::decode(&bytes) {
            Decoded::Ok(record) if self.fits(&record) => record,
            Decoded::Newer(record) if self.fits(&record) => {
                bump(&mut self.counters.newer_records, 1);
                record
            }
            unusable => {
                let found = if unusable == Decoded::Absent { Found::Nothing } else { Found::Garbage };
                bump(&mut self.counters.corrupt_records, (found == Found::Garbage).into());
                return Ok(Loaded { record: Record::new(epoch, &self.policy, now_ms), token, found });
            }
        };
        self.seen = (record.epoch, record.run > 0);
        Ok(Loaded { record, token, found: Found::Record })
    }

    fn fits(&self, record: &Record) -> bool {
        record.window.bucket_ms == self.policy.bucket_ms
            && record.window.buckets.len() == usize::from(self.policy.buckets)
    }

    /// Allows a repair, unless there were too many of late.
    fn note_repair(&mut self, now_ms: u64) -> Result<(), Failed> {
        let (since_ms, count) = &mut self.repairs;
        if now_ms.abs_diff(*since_ms) >= REPAIR_PERIOD_MS {
            (*since_ms, *count) = (now_ms, 0);
        }
        bump(count, 1);
        if *count > MAX_REPAIRS { Err(Failed::Foreign) } else { Ok(()) }
    }
}
