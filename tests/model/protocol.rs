//! What can happen in a state. Between any two of these steps every other worker, the clock, a crash or a lost callback may
//! come. Every change of the record is the shipped code's: decode, step, encode.

use dualpath::breaker::codec::encode;
use dualpath::breaker::step::{Decision, Effect, Step, admit, count, judge, view};
use dualpath::breaker::{
    CachedView, CallResult, Delta, Moment, Outcome, Policy, ProbeResult, Ramp, Record, State as Breaker, Ticket,
    Transition,
};

use crate::state::{Memory, NOW, OLDEST, Operation, State, TICK, TOO_LATE, Work, record};

/// The protocol as shipped, or with a bug of the field put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    Shipped,
    /// A probe keeps its lease until it reports.
    NoLeaseExpiry,
    /// A result of any epoch is taken for a probe's.
    StragglersDecide,
    /// Results are written without comparing.
    BlindResults,
    /// A probe is admitted without comparing.
    BlindProbe,
    /// Any lease of the epoch is good.
    UnfencedLease,
    /// A worker relies on what it saw however long ago that was.
    EternalView,
    /// A worker relies on what it saw although a call of its own has failed since.
    ViewDespiteFailure,
    /// A worker relies on what it saw whatever the state was.
    ViewOfAnyState,
    /// A probe without a verdict does not give its lease back.
    NeutralKeepsLease,
}

/// How much there is to explore.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub workers: usize,
    /// Calls under way at once, reports that are being written included.
    pub calls: usize,
    /// Whether answers without a verdict are among the outcomes.
    pub neutral: bool,
    /// Whether calls are, that got no answer in time while the server answered others.
    pub overdue: bool,
}

/// What must never be.
pub type Violation = &'static str;

/// The limits: two failures in a row, two good probes, one lost probe, a lease of two ticks, an open period of one.
pub fn policy() -> Policy {
    let default = Policy::default();
    Policy {
        consecutive: Some(2),
        failure_rate: None,
        buckets: 1,
        base_open_ms: TICK,
        max_open_ms: TICK,
        jitter: 0.0,
        lease_ms: 2 * TICK,
        max_lost: 1,
        probe_successes: 2,
        ramp: Ramp { ms: 0, ..default.ramp },
        ..default
    }
}

/// Every state that can follow, each with what it violates.
pub fn successors(state: &State, bounds: Bounds, variant: Variant) -> Vec<Result<State, Violation>> {
    let mut next = Vec::new();
    if state.workers.iter().filter_map(|worker| worker.operation.as_ref()).all(|operation| operation.age < OLDEST) {
        let mut later = state.clone();
        later.tick();
        forget(&mut later, variant);
        next.push(Ok(later));
    }
    let under_way: usize =
        state.workers.iter().map(|worker| worker.calls.len() + usize::from(worker.operation.is_some())).sum();
    for at in 0..state.workers.len() {
        let worker = &state.workers[at];
        let with = |work: Work| {
            let mut next = state.clone();
            next.workers[at].operation = Some(Operation { work, read: state.stored.clone(), current: true, age: 0 });
            next
        };
        match &worker.operation {
            Some(operation) => next.push(proceed(state, at, operation, variant)),
            None if under_way < bounds.calls => {
                next.push(Ok(with(Work::Admit(0))));
                next.extend(worker.memory.as_ref().map(|memory| admit_unseen(state, at, memory)));
            }
            None => {}
        }
        if worker.operation.is_none() {
            for (call, ticket) in worker.calls.iter().enumerate() {
                let mut outcomes = vec![Outcome::Success, Outcome::Failure];
                if bounds.neutral && ticket.lease.is_some() {
                    outcomes.extend([Outcome::Alive, Outcome::Neutral]);
                }
                if bounds.overdue && ticket.lease.is_none() {
                    outcomes.push(Outcome::Overdue { since_ms: NOW, answered: true });
                }
                for outcome in outcomes {
                    let kept = outcome == Outcome::Neutral && variant == Variant::NeutralKeepsLease;
                    let mut reporting = if kept { state.clone() } else { with(Work::Report(*ticket, outcome)) };
                    reporting.workers[at].calls.remove(call);
                    next.push(Ok(reporting));
                }
            }
        }
        for call in 0..worker.calls.len() {
            let mut lost = state.clone();
            lost.workers[at].calls.remove(call);
            next.push(Ok(lost));
        }
        if worker.operation.is_some() || !worker.calls.is_empty() {
            let mut crashed = state.clone();
            crashed.workers[at] = crate::state::Worker::default();
            next.push(Ok(crashed));
        }
    }
    next
}

/// The worker admits a call without looking at the record.
fn admit_unseen(state: &State, at: usize, memory: &Memory) -> Result<State, Violation> {
    if memory.failed {
        return Err("I7: admitted without a look after a failure of its own");
    }
    if state.breaker() != Breaker::Closed && state.away >= TOO_LATE {
        return Err("I8: admitted without a look when it had long been opened");
    }
    let mut next = state.clone();
    next.workers[at].calls.push(Ticket { epoch: memory.view.epoch, ..Ticket::default() });
    Ok(next)
}

/// What the worker keeps in mind after an operation on `seen`, `failed` if that told of a failure or of a probe.
fn remember(seen: &Record, moment: Moment, failed: bool, variant: Variant) -> Option<Memory> {
    let view = match variant {
        Variant::ViewOfAnyState => Some(CachedView { epoch: seen.epoch, seen_ms: moment.now_ms }),
        _ => CachedView::of(seen, &policy(), moment.now_ms),
    };
    view.filter(|_| !failed || variant == Variant::ViewDespiteFailure).map(|view| Memory { view, failed })
}

/// What is too old to be relied on is as good as forgotten.
fn forget(state: &mut State, variant: Variant) {
    for worker in state.workers.iter_mut().filter(|_| variant != Variant::EternalView) {
        worker.memory.take_if(|memory| !memory.view.holds(NOW));
    }
}

/// The worker decides on what it read, and writes.
fn proceed(state: &State, at: usize, operation: &Operation, variant: Variant) -> Result<State, Violation> {
    let policy = policy();
    let moment = Moment { now_ms: NOW - TICK * u64::from(operation.age), random: 0 };
    let read = operation.read.as_deref().map_or_else(|| Record::new(0, &policy, moment.now_ms), record);
    let mut next = state.clone();
    next.workers[at].memory = None;
    let again = |work: Work| Some(Operation { work, read: state.stored.clone(), current: true, age: operation.age });
    match operation.work {
        Work::Peek => {
            next.workers[at].operation = None;
            if view(&read, &policy, moment.now_ms).admits {
                next.workers[at].calls.push(Ticket { epoch: read.epoch, ..Ticket::default() });
            }
        }
        Work::Admit(failed) => {
            let step = match variant {
                Variant::NoLeaseExpiry if read.lease.is_live() => {
                    next.workers[at].operation = None;
                    return Ok(next);
                }
                _ => admit(&read, moment, &policy),
            };
            let blind = variant == Variant::BlindProbe && step.record.is_some();
            if write(&mut next, &read, operation, &step, blind)? {
                if let (Some(Transition { to: Breaker::HalfOpen, .. }), true) =
                    (step.transition, moment.now_ms < read.deadline_ms.min(read.since_ms + policy.max_open_ms))
                {
                    return Err("I6: admitted before the deadline");
                }
                next.workers[at].operation = None;
                let seen = step.record.as_ref().unwrap_or(&read);
                next.workers[at].memory = remember(seen, moment, false, variant);
                if let Decision::Admit(ticket) = step.answer {
                    next.workers[at].calls.push(ticket);
                }
            } else {
                next.workers[at].operation = again(if failed == 0 { Work::Admit(1) } else { Work::Peek });
            }
        }
        Work::Report(ticket, outcome) => {
            let decides = ticket.epoch == read.epoch && ticket.lease == Some(read.lease) && read.lease.is_live();
            let step = report(&read, ticket, outcome, moment, &policy, variant);
            let blind = variant == Variant::BlindResults && ticket.lease.is_none() && step.record.is_some();
            if write(&mut next, &read, operation, &step, blind)? {
                if read.state == Breaker::HalfOpen && step.transition.is_some() && !decides {
                    return Err("I3: a verdict by somebody who does not hold the lease");
                }
                if step.answer == Effect::Counted && read.state == Breaker::Closed {
                    // What a list of all results would say, whatever the record says.
                    next.run = match outcome {
                        Outcome::Failure => state.run + 1,
                        Outcome::Overdue { .. } => state.run,
                        _ => 0,
                    };
                }
                check_trip(&mut next, step.transition)?;
                next.workers[at].operation = None;
                let failed = matches!(outcome, Outcome::Failure | Outcome::Overdue { .. }) || ticket.lease.is_some();
                let seen = step.record.as_ref().unwrap_or(&read);
                next.workers[at].memory = remember(seen, moment, failed, variant);
            } else {
                next.workers[at].operation = again(Work::Report(ticket, outcome));
            }
        }
    }
    check_record(&next)?;
    Ok(next)
}

fn report(
    read: &Record,
    ticket: Ticket,
    outcome: Outcome,
    moment: Moment,
    policy: &Policy,
    variant: Variant,
) -> Step<Effect> {
    let result = CallResult { outcome, took_ms: 0 };
    let mut verdict = ticket.lease.map(|lease| ProbeResult { epoch: ticket.epoch, lease, result });
    if variant == Variant::StragglersDecide && read.state == Breaker::HalfOpen && read.lease.is_live() {
        verdict = Some(ProbeResult { epoch: read.epoch, lease: read.lease, result });
    }
    match verdict {
        Some(mut verdict) => {
            if variant == Variant::UnfencedLease {
                verdict.lease = read.lease;
            }
            judge(read, &verdict, moment, policy)
        }
        None => {
            let mut delta = Delta::new(ticket.epoch);
            delta.add(result, policy);
            count(read, &delta, moment, policy)
        }
    }
}

/// Writes what a step wants written; a record that does not exist is created in any case. Answers whether it is done.
fn write<A>(
    next: &mut State,
    read: &Record,
    operation: &Operation,
    step: &Step<A>,
    blind: bool,
) -> Result<bool, Violation> {
    let new = match &step.record {
        Some(new) => new,
        None if operation.read.is_some() => return Ok(true),
        None => read,
    };
    if !operation.current && !blind {
        return Ok(false);
    }
    let before = next.stored.as_deref().map_or_else(|| read.clone(), record);
    let legal = matches!(
        (before.state, new.state),
        (Breaker::Closed, Breaker::Open)
            | (Breaker::Open, Breaker::HalfOpen)
            | (Breaker::HalfOpen, Breaker::Open | Breaker::Closed)
    );
    let moved = before.state != new.state;
    if moved && !legal {
        return Err("I1: an illegal change of state");
    }
    if new.epoch != before.epoch.wrapping_add(moved.into()) {
        return Err("I1: the epoch changes with the state and only then");
    }
    if before.state == Breaker::HalfOpen && !moved && new.lease.0 < before.lease.0 & !1 {
        return Err("I2: a lease's number comes again");
    }
    next.stored = Some(encode(new));
    next.away = if before.state == Breaker::Closed || new.state == Breaker::Closed { 0 } else { next.away };
    for operation in next.workers.iter_mut().filter_map(|worker| worker.operation.as_mut()) {
        operation.current = false;
    }
    Ok(true)
}

/// A breaker opens with evidence, and at once when there is.
fn check_trip(next: &mut State, transition: Option<Transition>) -> Result<(), Violation> {
    match transition {
        Some(Transition { from: Breaker::Closed, .. }) if next.run < 2 => Err("I4: opened without evidence"),
        Some(_) => {
            next.run = 0;
            Ok(())
        }
        None if next.run >= 2 => Err("I4: the limit is met and it is not open"),
        None => Ok(()),
    }
}

fn check_record(next: &State) -> Result<(), Violation> {
    let Some(record) = next.stored.as_deref().map(record) else { return Ok(()) };
    if record.lease.is_live() && record.state != Breaker::HalfOpen {
        return Err("I2: a lease lives outside half-open");
    }
    let mut holders = 0;
    for worker in &next.workers {
        let reporting = worker.operation.as_ref().and_then(|operation| match operation.work {
            Work::Report(ticket, _) => Some(ticket),
            Work::Admit(_) | Work::Peek => None,
        });
        let tickets = worker.calls.iter().copied().chain(reporting);
        holders += tickets
            .filter(|t| record.lease.is_live() && t.lease == Some(record.lease) && t.epoch == record.epoch)
            .count();
    }
    if holders > 1 {
        return Err("I2: two probes at once");
    }
    if record.state == Breaker::Closed && record.run != next.run {
        return Err("I5: a result is lost");
    }
    Ok(())
}
