//! Every schedule of a few operations of two workers. A worker is single-threaded and touches the others only through the
//! store, so a schedule is an order of host calls. An operation is run again from its beginning with the answers that it
//! got so far until it asks for one more; so it can be suspended between any two host calls without threads.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::cell::{Cell, RefCell};

use super::super::*;
use super::store::Store;
use super::{FAILURE, SUCCESS, at, policy};
use crate::shared_data::{HostError, SetError, SharedData};

#[derive(Clone, Copy)]
enum Operation {
    Admit,
    /// Report on the call admitted last; nothing if it was refused.
    Report(CallResult),
    Flush,
}

#[derive(Clone)]
enum Asked {
    Get,
    Set(Vec<u8>, u32),
}

#[derive(Clone)]
enum Answer {
    Got(Option<(Vec<u8>, u32)>),
    Wrote(Result<(), SetError>),
}

/// Gives the answers of the log in order, and notes the first call that the log does not cover.
struct Replay<'l> {
    log: &'l [Answer],
    used: Cell<usize>,
    next: RefCell<Option<Asked>>,
}

impl Replay<'_> {
    fn answer(&self, asked: Asked) -> Option<Answer> {
        if let Some(answer) = self.log.get(self.used.get()) {
            self.used.set(self.used.get() + 1);
            return Some(answer.clone());
        }
        self.next.borrow_mut().get_or_insert(asked);
        None
    }
}

impl SharedData for Replay<'_> {
    fn get(&self, _key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
        match self.answer(Asked::Get) {
            Some(Answer::Got(entry)) => Ok(entry),
            Some(Answer::Wrote(_)) => panic!("a read where there was a write"),
            None => Err(HostError),
        }
    }

    fn set(&self, _key: &str, value: &[u8], token: u32) -> Result<(), SetError> {
        match self.answer(Asked::Set(value.to_vec(), token)) {
            Some(Answer::Wrote(result)) => result,
            Some(Answer::Got(_)) => panic!("a write where there was a read"),
            None => Err(SetError::Host),
        }
    }
}

#[derive(Clone)]
struct Worker {
    breaker: Breaker,
    script: Vec<Operation>,
    log: Vec<Answer>,
    ticket: Option<Ticket>,
    probes: usize,
    refusals: usize,
    transitions: Vec<Transition>,
}

impl Worker {
    fn new(policy: Policy, script: &[Operation]) -> Self {
        Worker {
            breaker: Breaker::new("server", policy),
            script: script.iter().rev().copied().collect(),
            log: Vec::new(),
            ticket: None,
            probes: 0,
            refusals: 0,
            transitions: Vec::new(),
        }
    }

    fn run(&mut self, operation: Operation, store: &impl SharedData, moment: Moment) {
        match operation {
            Operation::Admit => match self.breaker.admit(store, moment) {
                Admission::Admit { ticket, transition, .. } => {
                    self.ticket = Some(ticket);
                    self.probes += usize::from(ticket.lease.is_some());
                    self.transitions.extend(transition);
                }
                Admission::Refuse { transition, .. } => {
                    self.ticket = None;
                    self.refusals += 1;
                    self.transitions.extend(transition);
                }
            },
            Operation::Report(result) => {
                let ticket = self.ticket;
                self.transitions.extend(ticket.and_then(|t| self.breaker.report(store, moment, t, result)));
            }
            Operation::Flush => self.transitions.extend(self.breaker.flush(store, moment)),
        }
    }

    /// The next host call, after finishing every operation that needs none. `None` at the end of the script.
    fn next(&mut self, moment: Moment) -> Option<Asked> {
        while let Some(operation) = self.script.last().copied() {
            let mut trial = self.clone();
            let replay = Replay { log: &self.log, used: Cell::new(0), next: RefCell::default() };
            trial.run(operation, &replay, moment);
            if let Some(asked) = replay.next.into_inner() {
                return Some(asked);
            }
            trial.script.pop();
            trial.log.clear();
            *self = trial;
        }
        None
    }
}

/// Plays every schedule and hands each outcome to `check`; answers how many there were.
fn every_schedule(store: &Store, workers: &[Worker], moment: Moment, check: &impl Fn(&Store, &[Worker])) -> usize {
    let mut schedules = 0;
    for turn in 0..workers.len() {
        let (store, mut workers) = (store.clone(), workers.to_vec());
        let Some(asked) = workers[turn].next(moment) else { continue };
        let answer = match asked {
            Asked::Get => Answer::Got(store.get("").expect("the store never fails")),
            Asked::Set(value, token) => Answer::Wrote(store.set("", &value, token)),
        };
        workers[turn].log.push(answer);
        schedules += every_schedule(&store, &workers, moment, check);
    }
    if schedules == 0 {
        let mut workers = workers.to_vec();
        assert!(workers.iter_mut().all(|worker| worker.next(moment).is_none()));
        check(store, &workers);
        return 1;
    }
    schedules
}

fn opened() -> Store {
    let (store, mut worker) = (Store::default(), Breaker::new("server", policy()));
    for _ in 0..2 {
        if let Admission::Admit { ticket, .. } = worker.admit(&store, at(0)) {
            worker.report(&store, at(0), ticket, FAILURE);
        }
    }
    store
}

#[test]
fn of_two_workers_that_find_an_open_period_over_exactly_one_probes() {
    // opossum #119, Polly #216, antflydb/termite #27: check, then act.
    let worker = Worker::new(policy(), &[Operation::Admit]);
    let schedules = every_schedule(&opened(), &[worker.clone(), worker], at(1_000), &|store, workers| {
        assert_eq!(workers.iter().map(|w| w.probes).sum::<usize>(), 1);
        assert_eq!(workers.iter().map(|w| w.refusals).sum::<usize>(), 1);
        assert_eq!(workers.iter().map(|w| w.transitions.len()).sum::<usize>(), 1);
        assert!(store.record().lease.is_live());
    });
    assert!(schedules > 2);
}

#[test]
fn a_probe_closes_the_breaker_once_whatever_the_others_do() {
    let worker = Worker::new(policy(), &[Operation::Admit, Operation::Report(SUCCESS), Operation::Flush]);
    every_schedule(&opened(), &[worker.clone(), worker], at(1_000), &|store, workers| {
        let closed = workers.iter().flat_map(|w| &w.transitions).filter(|t| t.to == State::Closed).count();
        assert_eq!((closed, store.record().state, store.record().epoch), (1, State::Closed, 3));
    });
}

#[test]
fn two_workers_that_create_the_record_at_once_lose_no_failure_and_open_it_once() {
    // Higress ai-proxy PR#3947: initialisation race on the same kind of store.
    let worker = Worker::new(policy(), &[Operation::Admit, Operation::Report(FAILURE)]);
    every_schedule(&Store::default(), &[worker.clone(), worker], at(0), &|store, workers| {
        let opened: Vec<_> = workers.iter().flat_map(|w| &w.transitions).map(|t| (t.to, t.run)).collect();
        assert_eq!(opened, [(State::Open, 2)]);
        assert_eq!(store.record().state, State::Open);
    });
}

#[test]
fn no_schedule_loses_an_update() {
    // gobreaker's distributed breaker applied two workers' results to the same old state.
    let tireless = Policy { consecutive: None, ..policy() };
    let script = [Operation::Admit, Operation::Report(FAILURE), Operation::Report(SUCCESS), Operation::Flush];
    let worker = Worker::new(tireless, &script);
    let schedules = every_schedule(&Store::default(), &[worker.clone(), worker], at(0), &|store, _| {
        assert_eq!(store.record().window.counts(0), Counts { ok: 2, fail: 2, slow: 0 });
    });
    assert!(schedules > 100, "{schedules}");
}
