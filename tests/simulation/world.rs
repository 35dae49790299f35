//! Workers of one process with the shipped breaker, calls that come at random, one server.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};

use dualpath::breaker::{Admission, Breaker, CallResult, Moment, Outcome, Policy, State, Ticket};
use dualpath::shared_data::{HostError, SetError, SharedData};

/// Shared data in memory that counts its writes.
#[derive(Default)]
pub struct Store {
    map: RefCell<HashMap<String, (Vec<u8>, u32)>>,
    writes: Cell<u32>,
}

impl SharedData for Store {
    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
        Ok(self.map.borrow().get(key).cloned())
    }

    fn set(&self, key: &str, value: &[u8], token: u32) -> Result<(), SetError> {
        let mut map = self.map.borrow_mut();
        if map.get(key).is_some_and(|(_, current)| token != *current) {
            return Err(SetError::CasMismatch);
        }
        self.writes.set(self.writes.get() + 1);
        map.insert(key.to_owned(), (value.to_vec(), self.writes.get()));
        Ok(())
    }
}

/// Evenly spread random numbers that a seed repeats: SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// At least 0, below 1.
    pub fn draw(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The time to the next of events that come `rate` times a second, in microseconds.
    pub fn gap_us(&mut self, rate: f64) -> u64 {
        (-(1.0 - self.draw()).ln() / rate * 1e6) as u64
    }
}

/// How results reach the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// As shipped: failures at once, successes within 200 ms.
    Batched,
    /// Every result at once.
    Exact,
    /// Every worker for itself.
    None,
}

/// What is simulated.
#[derive(Clone, Copy)]
pub struct Setting {
    pub policy: Policy,
    pub sharing: Sharing,
    /// Calls a second, in all.
    pub rate: f64,
    /// Share of the calls that fail while all is well.
    pub errors: f64,
    /// From when on every call fails, ms.
    pub outage_ms: u64,
    /// When it ends, ms.
    pub end_ms: u64,
    /// Whether to end when the breaker opens in the outage.
    pub stop_when_open: bool,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// When the breaker opened after the outage began, ms after that; `None` if it did not.
    pub opened_after_ms: Option<u64>,
    /// Calls that came in the outage until then.
    pub lost: u32,
    /// Changes from closed to open before the outage.
    pub false_trips: u32,
    /// Writes of the record until the outage.
    pub writes: u32,
}

pub const WORKERS: usize = 8;
const LATENCY_US: u64 = 100_000;
const TICK_US: u64 = 200_000;

struct Call {
    ends_us: u64,
    worker: usize,
    ticket: Ticket,
    failed: bool,
}

/// Runs one setting with one seed.
pub fn run(setting: &Setting, seed: u64) -> Seen {
    let mut random = Random(seed);
    let stores: Vec<Store> = (0..WORKERS).map(|_| Store::default()).collect();
    let store = |worker: usize| if setting.sharing == Sharing::None { &stores[worker] } else { &stores[0] };
    let new = || Breaker::new("server", setting.policy);
    let mut workers: Vec<Breaker> = (0..WORKERS).map(|_| new()).collect();
    let mut ticks: Vec<u64> = (0..WORKERS).map(|_| (random.draw() * TICK_US as f64) as u64).collect();
    let mut calls: VecDeque<Call> = VecDeque::new();
    let mut arrival_us = random.gap_us(setting.rate);
    let mut seen = Seen::default();
    let mut opened = [false; WORKERS];
    loop {
        let (ticker, tick_us) = ticks.iter().copied().enumerate().min_by_key(|(_, at)| *at).expect("workers");
        let end_us = calls.front().map_or(u64::MAX, |call| call.ends_us);
        let now_us = tick_us.min(end_us).min(arrival_us);
        let now_ms = now_us / 1_000;
        if now_ms >= setting.end_ms {
            return seen;
        }
        let outage = now_ms >= setting.outage_ms;
        let moment = Moment { now_ms, random: random.bits() as u32 };
        let (worker, transition) = if now_us == end_us {
            let call = calls.pop_front().expect("a call");
            let outcome = if call.failed { Outcome::Failure } else { Outcome::Success };
            let (breaker, store) = (&mut workers[call.worker], store(call.worker));
            let result = CallResult { outcome, took_ms: 0 };
            let told = breaker.report(store, moment, call.ticket, result);
            let exact = setting.sharing != Sharing::Batched;
            (call.worker, told.or_else(|| if exact { breaker.flush(store, moment) } else { None }))
        } else if now_us == tick_us {
            ticks[ticker] += TICK_US;
            (ticker, workers[ticker].flush(store(ticker), moment))
        } else {
            arrival_us += random.gap_us(setting.rate);
            let worker = (random.draw() * WORKERS as f64) as usize;
            seen.lost += u32::from(outage && seen.opened_after_ms.is_none());
            match workers[worker].admit(store(worker), moment) {
                Admission::Admit { ticket, transition, .. } => {
                    let failed = outage || random.draw() < setting.errors;
                    calls.push_back(Call { ends_us: now_us + LATENCY_US, worker, ticket, failed });
                    (worker, transition)
                }
                Admission::Refuse { transition, .. } => (worker, transition),
            }
        };
        if !outage {
            seen.writes = stores.iter().map(|store| store.writes.get()).sum();
        }
        if transition.is_some_and(|transition| transition.to == State::Open) {
            opened[worker] = true;
            if !outage {
                // How often a closed breaker opens is the question, so that each begins anew.
                seen.false_trips += 1;
                stores.iter().for_each(|store| store.map.borrow_mut().clear());
                workers = (0..WORKERS).map(|_| new()).collect();
            }
            let whole = setting.sharing != Sharing::None || opened.iter().all(|open| *open);
            if outage && whole && seen.opened_after_ms.is_none() {
                seen.opened_after_ms = Some(now_ms - setting.outage_ms);
                if setting.stop_when_open {
                    return seen;
                }
            }
        }
    }
}
