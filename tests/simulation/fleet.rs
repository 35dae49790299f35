//! A fleet of sidecars in front of one server that dies, crawls and comes back. Each sidecar is a process of two workers with the
//! shipped breaker, admission, prober's schedule, failover budget and limits, all by the registry's defaults; the sidecars share
//! nothing.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;

use dualpath::breaker::{Admission, Breaker, CallResult, Look, Moment, Outcome, State, Ticket, Transition};
use dualpath::budget::Budget;
use dualpath::call::admission::{AdmissionTerms, Breakers, admit};
use dualpath::call::story::Skip;
use dualpath::concurrency::{Limit, UnderWay};
use dualpath::failure::{BreakerEffect, Class};
use dualpath::json::Value;
use dualpath::probe::Schedule;
use dualpath::registry::{Registry, ServerIndex};

use super::world::{Random, Store};

/// How the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Well,
    /// It refuses connections, and what it was at work on is lost.
    Dead,
    /// Its work takes ten times as long.
    Crawls,
}

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub name: &'static str,
    pub sidecars: usize,
    /// Calls a second of each sidecar.
    pub rate: f64,
    /// Whether calls have another server to go to, which is always well.
    pub second: bool,
    /// What the registry says of the server beside its URL, as members of JSON; empty: nothing, as shipped.
    pub keys: &'static str,
    /// Within how long the sidecars have started, ms; so their ticks are at the same times if it is short.
    pub started_ms: u64,
    /// Until when the server is how, s.
    pub phases: &'static [(u64, Condition)],
}

/// What came of it. All series have a value for each second.
#[derive(Debug, Default)]
pub struct Seen {
    /// Calls that came to the server.
    pub calls: Vec<u32>,
    /// Probes that came to the server.
    pub probes: Vec<u32>,
    /// Probes in each tenth of a second.
    pub tenths: Vec<u32>,
    /// Calls and probes that waited at the server.
    pub waiting: Vec<usize>,
    /// Sidecars whose breaker was not closed.
    pub away: Vec<usize>,
    /// Calls of the clients', how many of them failed and how many the other server took.
    pub asked: u32,
    pub lost: u32,
    pub elsewhere: u32,
    /// How long after the death each sidecar's breaker opened, ms, in order.
    pub opened_ms: Vec<u64>,
    /// How long after the server was well for good each breaker closed for good, ms, in order.
    pub returned_ms: Vec<u64>,
    /// Breakers that opened after the server was well for good.
    pub reopened: u32,
    /// Those of them that did so more than a minute later, when what had piled up was gone.
    pub swinging: u32,
}

/// How many times as much as the fleet's calls the server can do.
pub const CAPACITY: f64 = 2.0;
const WORK_MS: f64 = 100.0;
const CRAWLS: f64 = 10.0;
const WORKERS: usize = 2;
const TICK_US: u64 = 250_000;
const LOOK_MS: u64 = 900;

struct Worker {
    breaker: Breaker,
    budget: Budget,
    limit: Option<Rc<Limit>>,
}

struct Sidecar {
    store: Store,
    workers: [Worker; WORKERS],
    prober: Breaker,
    schedule: Schedule,
    is_probing: bool,
    look_ms: u64,
    state: State,
    opened_ms: Option<u64>,
    closed_ms: u64,
}

/// What is at the server, or was until its client gave up.
struct Flying {
    sidecar: usize,
    /// `None`: a probe.
    worker: Option<usize>,
    ticket: Ticket,
    began_us: u64,
    under_way: Option<UnderWay>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Tick(usize),
    Arrival,
    /// The server is done with this one, if it has not died since.
    Done(usize, u32),
    Refused(usize),
    GivenUp(usize),
    Phase(usize),
    Second,
}

struct Fleet<'s> {
    setting: &'s Setting,
    registry: Registry,
    random: Random,
    sidecars: Vec<Sidecar>,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    flying: Vec<Option<Flying>>,
    queue: VecDeque<usize>,
    at_work: usize,
    hands: usize,
    condition: Condition,
    deaths: u32,
    died_ms: u64,
    well_ms: Option<u64>,
    seen: Seen,
}

fn registry(setting: &Setting) -> Registry {
    let keys =
        [r#"{"version":1,"servers":[{"id":"one","kind":"mcp","url":"https://a.example""#, setting.keys, "}]}"].concat();
    Registry::from_json(&Value::parse(&keys).expect("JSON")).expect("a registry")
}

/// Plays it.
pub fn run(setting: &Setting, seed: u64) -> Seen {
    let registry = registry(setting);
    let server = &registry.servers[0];
    let worker = || Worker {
        breaker: Breaker::new("one", server.breaker),
        budget: Budget::new(registry.failover.budget),
        limit: server.concurrency.map(|policy| Rc::new(Limit::new(policy))),
    };
    let sidecar = |_| Sidecar {
        store: Store::default(),
        workers: [worker(), worker()],
        prober: Breaker::new("one", server.breaker),
        schedule: Schedule::default(),
        is_probing: false,
        look_ms: 0,
        state: State::Closed,
        opened_ms: None,
        closed_ms: 0,
    };
    let sidecars = (0..setting.sidecars).map(sidecar).collect();
    let all = setting.rate * setting.sidecars as f64;
    let busy = if all > 0.0 { all } else { setting.sidecars as f64 };
    let mut fleet = Fleet {
        setting,
        random: Random(seed),
        sidecars,
        events: BinaryHeap::new(),
        flying: Vec::new(),
        queue: VecDeque::new(),
        at_work: 0,
        hands: (busy * CAPACITY * WORK_MS / 1_000.0).ceil() as usize,
        condition: Condition::Well,
        deaths: 0,
        died_ms: 0,
        well_ms: None,
        seen: Seen::default(),
        registry,
    };
    for at in 0..setting.sidecars {
        let first = (fleet.random.draw() * setting.started_ms as f64 * 1_000.0) as u64;
        fleet.at(first, Event::Tick(at));
    }
    for (next, (until_s, _)) in setting.phases.iter().enumerate() {
        fleet.at(until_s * 1_000_000, Event::Phase(next + 1));
    }
    fleet.at(1_000_000, Event::Second);
    fleet.enter(0, 0);
    if all > 0.0 {
        fleet.at(0, Event::Arrival);
    }
    fleet.play()
}

impl Fleet<'_> {
    fn at(&mut self, at_us: u64, event: Event) {
        self.events.push(Reverse((at_us, event)));
    }

    fn play(mut self) -> Seen {
        while let Some(Reverse((now_us, event))) = self.events.pop() {
            match event {
                Event::Phase(next) if next == self.setting.phases.len() => break,
                Event::Phase(next) => self.enter(next, now_us),
                Event::Second => {
                    let away = self.sidecars.iter().filter(|sidecar| sidecar.state != State::Closed).count();
                    self.seen.away.push(away);
                    self.seen.waiting.push(self.queue.len());
                    self.at(now_us + 1_000_000, Event::Second);
                }
                Event::Tick(at) => self.tick(at, now_us),
                Event::Arrival => self.arrival(now_us),
                Event::Refused(number) => self.settle(number, Outcome::Failure, Class::NotSent, now_us),
                Event::GivenUp(number) => {
                    let since_ms = self.flying[number].as_ref().map_or(0, |flying| flying.began_us / 1_000);
                    let overdue = Outcome::Overdue { since_ms, answered: false };
                    self.settle(number, overdue, Class::Lost, now_us);
                }
                Event::Done(number, deaths) if deaths == self.deaths => {
                    self.at_work -= 1;
                    self.settle(number, Outcome::Success, Class::Success, now_us);
                    self.begin_work(now_us);
                }
                Event::Done(..) => {}
            }
        }
        let well_ms = self.well_ms.unwrap_or_default();
        self.seen.returned_ms = self.sidecars.iter().map(|sidecar| sidecar.closed_ms.saturating_sub(well_ms)).collect();
        self.seen.opened_ms = self.sidecars.iter().filter_map(|sidecar| sidecar.opened_ms).collect();
        self.seen.returned_ms.sort_unstable();
        self.seen.opened_ms.sort_unstable();
        self.seen
    }

    fn enter(&mut self, phase: usize, now_us: u64) {
        self.condition = self.setting.phases[phase].1;
        match self.condition {
            Condition::Dead => {
                (self.deaths, self.at_work, self.died_ms) = (self.deaths + 1, 0, now_us / 1_000);
                self.queue.clear();
                for number in 0..self.flying.len() {
                    self.settle(number, Outcome::Failure, Class::Lost, now_us);
                }
            }
            Condition::Well if phase + 1 == self.setting.phases.len() => self.well_ms = Some(now_us / 1_000),
            Condition::Well | Condition::Crawls => {}
        }
    }

    fn moment(&mut self, now_us: u64) -> Moment {
        Moment { now_ms: now_us / 1_000, random: (self.random.bits() >> 32) as u32 }
    }

    fn noticed(&mut self, at: usize, transition: Option<Transition>, now_ms: u64) {
        let Some(transition) = transition else { return };
        let sidecar = &mut self.sidecars[at];
        sidecar.state = transition.to;
        match transition.to {
            State::Open if self.deaths > 0 => {
                sidecar.opened_ms.get_or_insert(now_ms - self.died_ms);
                if let (Some(well_ms), State::Closed) = (self.well_ms, transition.from) {
                    self.seen.reopened += 1;
                    self.seen.swinging += u32::from(now_ms - well_ms > 60_000);
                }
            }
            State::Closed => sidecar.closed_ms = now_ms,
            State::Open | State::HalfOpen => {}
        }
    }

    /// What Envoy's timers do: the workers write what waits, the prober looks about once a second.
    fn tick(&mut self, at: usize, now_us: u64) {
        self.at(now_us + TICK_US, Event::Tick(at));
        let moment = self.moment(now_us);
        for worker in 0..WORKERS {
            let Sidecar { workers, store, .. } = &mut self.sidecars[at];
            let flushed = workers[worker].breaker.flush(store, moment);
            self.noticed(at, flushed, moment.now_ms);
        }
        let sidecar = &mut self.sidecars[at];
        let Some(probe) = &self.registry.servers[0].probe else { return };
        if moment.now_ms < sidecar.look_ms {
            return;
        }
        sidecar.look_ms = moment.now_ms + LOOK_MS;
        let view = sidecar.prober.peek(&sidecar.store, moment.now_ms);
        if sidecar.is_probing || !sidecar.schedule.is_due(probe, &view, || false, moment.now_ms) {
            return;
        }
        let timeout_us = probe.timeout.as_micros() as u64;
        let (ticket, transition) = match sidecar.prober.admit(&sidecar.store, moment) {
            Admission::Admit { ticket, transition, .. } => (Some(ticket), transition),
            Admission::Refuse { transition, .. } => (None, transition),
        };
        self.noticed(at, transition, moment.now_ms);
        let ticket = ticket.filter(|ticket| ticket.lease.is_some() || view.state == State::Closed);
        let Some(ticket) = ticket else { return };
        self.sidecars[at].is_probing = true;
        let probe = Flying { sidecar: at, worker: None, ticket, began_us: now_us, under_way: None };
        self.send(probe, timeout_us, now_us);
    }

    fn arrival(&mut self, now_us: u64) {
        let gap = self.random.gap_us(self.setting.rate * self.setting.sidecars as f64);
        self.at(now_us + gap, Event::Arrival);
        self.seen.asked += 1;
        let at = (self.random.draw() * self.setting.sidecars as f64) as usize;
        let which = (self.random.draw() * WORKERS as f64) as usize;
        let moment = self.moment(now_us);
        let Sidecar { workers, store, .. } = &mut self.sidecars[at];
        let worker = &mut workers[which];
        worker.budget.deposit(moment.now_ms);
        let chain = [ServerIndex(0), ServerIndex(1)];
        let chain = if self.setting.second { &chain[..] } else { &chain[..1] };
        let terms = AdmissionTerms { may_probe: true, may_divert: true, is_limited: true, last_resort: true };
        let mut asking = Asking { worker, store, moment, transition: None };
        let first = admit(chain, terms, &mut asking).hops.first().copied();
        let transition = asking.transition;
        let under_way = worker.limit.as_ref().map(Limit::enter);
        self.noticed(at, transition, moment.now_ms);
        match first {
            Some((ServerIndex(0), ticket)) => {
                let call = Flying { sidecar: at, worker: Some(which), ticket, began_us: now_us, under_way };
                let timeout_us = self.registry.servers[0].timeout.as_micros() as u64;
                self.send(call, timeout_us, now_us);
            }
            Some(_) => self.seen.elsewhere += 1,
            None => self.seen.lost += 1,
        }
    }

    fn send(&mut self, flying: Flying, timeout_us: u64, now_us: u64) {
        let number = self.flying.len();
        if flying.worker.is_none() {
            count(&mut self.seen.probes, now_us / 1_000_000);
            count(&mut self.seen.tenths, now_us / 100_000);
        } else {
            count(&mut self.seen.calls, now_us / 1_000_000);
        }
        self.flying.push(Some(flying));
        if self.condition == Condition::Dead {
            return self.at(now_us + 1_000, Event::Refused(number));
        }
        self.at(now_us + timeout_us, Event::GivenUp(number));
        self.queue.push_back(number);
        self.begin_work(now_us);
    }

    /// The server works on what has come first, even if whoever asked has given up: it doesn't notice.
    fn begin_work(&mut self, now_us: u64) {
        while self.at_work < self.hands
            && let Some(number) = self.queue.pop_front()
        {
            let times = if self.condition == Condition::Crawls { CRAWLS } else { 1.0 };
            // Half of the work is always the same, the rest as chance has it.
            let work_us = (WORK_MS * 500.0 * times) as u64 + self.random.gap_us(2_000.0 / WORK_MS / times);
            self.at_work += 1;
            self.at(now_us + work_us, Event::Done(number, self.deaths));
        }
    }

    fn settle(&mut self, number: usize, outcome: Outcome, class: Class, now_us: u64) {
        let Some(flying) = self.flying[number].take() else { return };
        let moment = self.moment(now_us);
        let took_ms = (now_us - flying.began_us) / 1_000;
        let result = CallResult { outcome, took_ms };
        let is_well = outcome == Outcome::Success;
        let Sidecar { workers, store, prober, schedule, is_probing, .. } = &mut self.sidecars[flying.sidecar];
        let Some(worker) = flying.worker.map(|worker| &mut workers[worker]) else {
            *is_probing = false;
            let transition = prober.report(store, moment, flying.ticket, result);
            let view = prober.peek(store, moment.now_ms);
            let effect = if is_well { BreakerEffect::Success } else { BreakerEffect::Failure };
            if let Some(probe) = &self.registry.servers[0].probe {
                schedule.note(probe, &view, effect, moment);
            }
            return self.noticed(flying.sidecar, transition, moment.now_ms);
        };
        let transition = worker.breaker.report(store, moment, flying.ticket, result);
        if flying.ticket.last_resort {
            worker.breaker.end_last_resort(flying.began_us / 1_000);
        }
        if let Some(under_way) = &flying.under_way {
            under_way.limit().ended(class, took_ms, moment.now_ms);
        }
        if !is_well {
            // What was certainly not sent goes on for nothing, anything else as far as the budget allows.
            let goes_on = class == Class::NotSent
                || worker.budget.allows(moment.now_ms) && {
                    worker.budget.spend();
                    true
                };
            if self.setting.second && goes_on {
                self.seen.elsewhere += 1;
            } else {
                self.seen.lost += 1;
            }
        }
        self.noticed(flying.sidecar, transition, moment.now_ms);
    }
}

fn count(series: &mut Vec<u32>, at: u64) {
    let at = at as usize;
    if series.len() <= at {
        series.resize(at + 1, 0);
    }
    series[at] += 1;
}

/// A call of one worker that asks for its way.
struct Asking<'w> {
    worker: &'w mut Worker,
    store: &'w Store,
    moment: Moment,
    transition: Option<Transition>,
}

const OTHER: Look =
    Look { admits: true, pass_over: false, ticket: Ticket { epoch: 0, lease: None, last_resort: false } };

impl Breakers for Asking<'_> {
    fn barred(&mut self, _server: ServerIndex) -> Option<Skip> {
        None
    }

    fn translates(&mut self, _server: ServerIndex) -> bool {
        false
    }

    fn is_full(&mut self, _server: ServerIndex) -> bool {
        false
    }

    fn is_over_limit(&mut self, server: ServerIndex) -> bool {
        server.0 == 0 && self.worker.limit.as_ref().is_some_and(|limit| limit.is_full())
    }

    fn admit(&mut self, server: ServerIndex) -> Look {
        if server.0 != 0 {
            return OTHER;
        }
        match self.worker.breaker.admit(self.store, self.moment) {
            Admission::Admit { ticket, pass_over, transition } => {
                self.transition = transition;
                Look { admits: true, pass_over, ticket }
            }
            Admission::Refuse { transition, .. } => {
                self.transition = transition;
                Look { admits: false, ..OTHER }
            }
        }
    }

    fn look(&mut self, server: ServerIndex) -> Look {
        if server.0 == 0 { self.worker.breaker.look(self.store, self.moment) } else { OTHER }
    }

    fn last_resort(&mut self, server: ServerIndex) -> Option<Ticket> {
        if server.0 == 0 { self.worker.breaker.admit_last_resort(self.moment).ok() } else { Some(OTHER.ticket) }
    }

    fn diverted(&mut self, _server: ServerIndex) {
        self.worker.breaker.note_diverted();
    }
}
