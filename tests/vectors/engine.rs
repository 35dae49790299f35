//! Vectors that play calls against breakers.

use std::collections::HashMap;

use dualpath::breaker::codec::{Decoded, decode};
use dualpath::breaker::{
    Admission, Breaker, CallResult, Event, Mode, Moment, Outcome, Policy, Ramp, Record, Slow, State, Ticket, Transition,
};
use dualpath::shared_data::SharedData;
use serde_json::{Value, json};

use crate::pure::each_step;
use crate::store::{Entry, Stale, Store};
use crate::{Run, expect, fail, skip};

/// Turns "above" into "at or above": less than any two rates differ by.
const ABOVE: f64 = 1e-9;

fn known(config: &Value, keys: &[&str]) -> Run {
    match config.as_object().into_iter().flatten().find(|(key, _)| !keys.contains(&key.as_str())) {
        Some((key, _)) => skip(format!("config key {key}")),
        None => Ok(()),
    }
}

/// The vector's configuration as a policy, or the feature that it lacks.
fn policy(config: &Value) -> Run<Policy> {
    known(config, &["consecutive", "rate", "slow", "min_calls", "window", "open", "half_open", "clock_guard"])?;
    let (rate, slow, window) = (&config["rate"], &config["slow"], &config["window"]);
    let (open, half_open) = (&config["open"], &config["half_open"]);
    known(rate, &["mode", "threshold", "evaluate_on"])?;
    known(slow, &["duration_ms", "threshold"])?;
    known(window, &["type", "length_ms", "buckets", "align"])?;
    known(open, &["base_ms", "growth", "multiplier", "max_ms", "boundary", "decay_ms"])?;
    known(half_open, &["mode", "lease_ms", "max_lost", "successes", "permits", "eval"])?;

    let default = Policy::default();
    let mut policy = Policy { jitter: 0.0, growth: 1.0, ramp: Ramp { ms: 0, ..default.ramp }, ..default };
    policy.consecutive = config["consecutive"].as_u64().map(|limit| limit as u16);
    policy.failure_rate = match (rate["threshold"].as_f64(), rate["mode"].as_str().unwrap_or("failure_ge")) {
        (None, _) => None,
        (Some(rate), "failure_ge") => Some(rate),
        (Some(rate), "failure_gt") => Some(rate + ABOVE),
        (Some(rate), "success_lt") => Some(1.0 - rate + ABOVE),
        (_, mode) => return skip(format!("rate mode {mode}")),
    };
    policy.slow =
        slow["duration_ms"].as_u64().map(|after_ms| Slow { after_ms, rate: slow["threshold"].as_f64().unwrap_or(1.0) });
    policy.min_calls = config["min_calls"].as_u64().map_or(default.min_calls, |calls| calls as u32);
    match window["type"].as_str() {
        None | Some("none") => {}
        Some("time") => {
            let buckets = window["buckets"].as_u64().unwrap_or(10);
            policy.buckets = buckets as u8;
            policy.bucket_ms = (window["length_ms"].as_u64().unwrap_or(10_000) / buckets) as u16;
        }
        Some(other) => return skip(format!("{other} window")),
    }
    policy.base_open_ms = open["base_ms"].as_u64().unwrap_or(default.base_open_ms);
    policy.decay_ms = open["decay_ms"].as_u64().unwrap_or(default.decay_ms);
    policy.max_open_ms = match open["growth"].as_str().unwrap_or("none") {
        "none" => policy.base_open_ms,
        "exp" => {
            policy.growth = open["multiplier"].as_f64().unwrap_or(2.0);
            open["max_ms"].as_u64().unwrap_or(default.max_open_ms.max(policy.base_open_ms))
        }
        growth => return skip(format!("{growth} growth of the open period")),
    };
    if half_open["mode"] == "skip" {
        return skip("closing without a probe");
    }
    policy.lease_ms = half_open["lease_ms"].as_u64().unwrap_or(default.lease_ms);
    policy.max_lost = half_open["max_lost"].as_u64().map_or(default.max_lost, |lost| lost as u8);
    policy.probe_successes = half_open["successes"].as_u64().unwrap_or(1) as u8;
    Ok(policy)
}

fn result(step: &Value) -> Run<CallResult> {
    let outcome = match step["outcome"].as_str() {
        Some("success") => Outcome::Success,
        Some("failure") => Outcome::Failure,
        Some("ignored") => Outcome::Neutral,
        Some("ratelimit") => Outcome::Limited { retry_after_ms: None },
        other => return skip(format!("outcome {other:?}")),
    };
    Ok(CallResult { outcome, took_ms: step["dur"].as_u64().unwrap_or(0) })
}

fn moment(step: &Value) -> Moment {
    Moment { now_ms: step["t"].as_u64().expect("t"), random: 0 }
}

/// The workers of one process, each with its breaker for the same server.
struct Process {
    policy: Policy,
    store: Store,
    workers: HashMap<u64, Breaker>,
    snapshots: HashMap<u64, Entry>,
    tickets: HashMap<String, Ticket>,
    transitions: Vec<Transition>,
}

pub fn run(vector: &Value) -> Run {
    let mut process = Process::new(policy(&vector["config"])?);
    each_step(vector, |step| process.step(step))
}

impl Process {
    fn new(policy: Policy) -> Self {
        Process {
            policy,
            store: Store::default(),
            workers: HashMap::new(),
            snapshots: HashMap::new(),
            tickets: HashMap::new(),
            transitions: Vec::new(),
        }
    }

    /// Lets a worker act on the store, through its snapshot if it has one.
    fn act<T>(&mut self, step: &Value, act: impl FnOnce(&mut Breaker, &Stale) -> T) -> T {
        let number = step["w"].as_u64().unwrap_or(0);
        let worker = self.workers.entry(number).or_insert_with(|| Breaker::new("server", self.policy));
        let store = Stale { store: &self.store, snapshot: self.snapshots.remove(&number).into() };
        act(worker, &store)
    }

    fn admit(&mut self, step: &Value) -> Admission {
        let admission = self.act(step, |breaker, store| breaker.admit(store, moment(step)));
        let (Admission::Admit { transition, .. } | Admission::Refuse { transition, .. }) = admission;
        self.transitions.extend(transition);
        admission
    }

    fn report(&mut self, step: &Value, ticket: Ticket) -> Run {
        let result = result(step)?;
        let transition = self.act(step, |breaker, store| breaker.report(store, moment(step), ticket, result));
        self.transitions.extend(transition);
        Ok(())
    }

    fn step(&mut self, step: &Value) -> Run {
        let times = step["n"].as_u64().unwrap_or(1);
        let id = step["id"].as_str().unwrap_or_default();
        match step["op"].as_str().unwrap_or_default() {
            "call" => {
                for _ in 0..times {
                    match self.admit(step) {
                        Admission::Admit { ticket, .. } => self.report(step, ticket)?,
                        Admission::Refuse { reason, .. } => return fail(format!("call refused: {}", reason.as_str())),
                    }
                }
            }
            "deny" => {
                for _ in 0..times {
                    let Admission::Refuse { retry_after_ms, .. } = self.admit(step) else {
                        return fail("admitted, expected a refusal");
                    };
                    expect(step, "retry_after", retry_after_ms)?;
                }
            }
            "admit" => match self.admit(step) {
                Admission::Admit { ticket, .. } => {
                    expect(step, "allow", true)?;
                    expect(step, "why", if ticket.lease.is_some() { "probe" } else { "ok" })?;
                    self.tickets.insert(id.to_owned(), ticket);
                }
                Admission::Refuse { reason, .. } => {
                    expect(step, "allow", false)?;
                    expect(step, "why", reason.as_str())?;
                }
            },
            "result" => match self.tickets.get(id) {
                Some(ticket) => self.report(step, *ticket)?,
                None => return fail(format!("no call {id} was admitted")),
            },
            "read" => {
                let key = Breaker::new("server", self.policy).key().to_owned();
                let entry = self.store.get(&key).expect("the store never fails");
                self.snapshots.insert(step["w"].as_u64().unwrap_or(0), entry);
            }
            "check" => {}
            "force" => self.force(step)?,
            other => return skip(format!("operation {other}")),
        }
        self.check(step)
    }

    /// What an operator does by hand comes as a configuration here: an override, or the number of a reset. Opening by hand
    /// does not exist; failures do it, at the same time and with the same consequences.
    fn force(&mut self, step: &Value) -> Run {
        match step["to"].as_str().unwrap_or_default() {
            "forced_open" => self.configure(Policy { mode: Mode::ForcedOpen, ..self.policy }),
            "disabled" => self.configure(Policy { mode: Mode::Disabled, ..self.policy }),
            "closed" => {
                let reset_id = self.policy.reset_id + 1;
                self.configure(Policy { mode: Mode::Normal, reset_id, ..self.policy });
                let reset = self.act(step, |breaker, store| breaker.reset_once(store, moment(step)));
                self.transitions.extend(reset);
            }
            "open" => {
                let failure = json!({"t": step["t"], "outcome": "failure"});
                let held: Vec<_> =
                    self.tickets.drain().map(|(_, ticket)| ticket).filter(|t| t.lease.is_some()).collect();
                for ticket in held {
                    self.report(&failure, ticket)?;
                }
                while let Admission::Admit { ticket, .. } = self.admit(&failure) {
                    self.report(&failure, ticket)?;
                }
            }
            other => return skip(format!("by hand to {other}")),
        }
        Ok(())
    }

    /// A configuration update: every worker gets a new breaker over the same store.
    fn configure(&mut self, policy: Policy) {
        self.policy = policy;
        self.workers.clear();
    }

    /// A tick follows every step, so that no success still waits to be counted.
    fn check(&mut self, step: &Value) -> Run {
        let (mut stale, mut fenced) = (0, 0);
        for worker in self.workers.values_mut() {
            self.transitions.extend(worker.flush(&self.store, moment(step)));
            let new = worker.take_counters();
            stale += new.get(Event::StaleResult);
            fenced += new.get(Event::FencedVerdict);
        }
        let record = self.record(step);
        let state = match self.policy.mode {
            Mode::Normal | Mode::MetricsOnly => record.state.as_str(),
            Mode::Disabled => "disabled",
            Mode::ForcedOpen => "forced_open",
        };
        expect(step, "state", state)?;
        expect(step, "events", self.transitions.iter().map(|t| t.reason.as_str()).collect::<Vec<_>>())?;
        expect(step, "opened", self.transitions.iter().filter(|t| t.to == State::Open).count())?;
        expect(step, "effect", effect(step, stale, fenced))?;
        if step["op"] != "deny" {
            let left = self.act(step, |breaker, store| breaker.peek(store.store, moment(step).now_ms).retry_after_ms);
            expect(step, "retry_after", left)?;
        }
        let counts = record.window.counts(moment(step).now_ms);
        for (name, _) in step["counts"].as_object().into_iter().flatten() {
            let actual = match name.as_str() {
                "total" => counts.total(),
                "success" => counts.ok,
                "failure" => counts.fail,
                "slow" => counts.slow,
                "consecutive" => record.run.into(),
                other => return skip(format!("count {other}")),
            };
            expect(&step["counts"], name, json!(actual))?;
        }
        Ok(())
    }

    fn record(&self, step: &Value) -> Record {
        let key = Breaker::new("server", self.policy).key().to_owned();
        let stored = self.store.get(&key).expect("the store never fails").unwrap_or_default().0;
        match decode(&stored) {
            Decoded::Ok(record) | Decoded::Newer(record) => record,
            Decoded::Absent => Record::new(0, &self.policy, moment(step).now_ms),
            Decoded::Corrupt(why) => panic!("the engine wrote a corrupt record: {why:?}"),
        }
    }
}

fn effect(step: &Value, stale: u32, fenced: u32) -> &'static str {
    match (stale, fenced) {
        (1.., _) => "stale",
        (_, 1..) => "fenced",
        _ if step["outcome"] == "ignored" => "released",
        _ => "counted",
    }
}

/// Several breakers guard one path. A call takes the ticket of each; if one refuses, those before it are released.
pub fn run_chain(vector: &Value) -> Run {
    let mut chain = Vec::new();
    for config in vector["config"]["breakers"].as_array().into_iter().flatten() {
        chain.push((Breaker::new("server", policy(config)?), Store::default()));
    }
    let mut tickets = HashMap::new();
    each_step(vector, |step| {
        let id = step["id"].as_str().unwrap_or_default();
        match step["op"].as_str().unwrap_or_default() {
            "force" => {
                let (breaker, store) = &mut chain[step["b"].as_u64().expect("b") as usize];
                if step["to"] != "open" || breaker.policy().consecutive != Some(1) {
                    return skip("manual override");
                }
                // With a limit of one failure, a failed call leaves the record that forcing it open would leave.
                let Admission::Admit { ticket, .. } = breaker.admit(store, moment(step)) else {
                    return fail("refused by a new breaker");
                };
                let result = CallResult { outcome: Outcome::Failure, took_ms: 0 };
                breaker.report(store, moment(step), ticket, result);
            }
            "admit_all" => {
                let admitted = admit_all(&mut chain, moment(step));
                expect(step, "allow", admitted.is_some())?;
                tickets.extend(admitted.map(|tickets| (id.to_owned(), tickets)));
            }
            "result_all" => {
                for ((breaker, store), ticket) in chain.iter_mut().zip(tickets.remove(id).unwrap_or_default()) {
                    breaker.report(store, moment(step), ticket, result(step)?);
                }
            }
            other => return skip(format!("operation {other}")),
        }
        let now_ms = moment(step).now_ms;
        let states: Vec<_> = chain.iter_mut().map(|(b, store)| b.peek(store, now_ms).state.as_str()).collect();
        expect(step, "states", states)
    })
}

fn admit_all(chain: &mut [(Breaker, Store)], moment: Moment) -> Option<Vec<Ticket>> {
    let mut tickets = Vec::new();
    for at in 0..chain.len() {
        let (breaker, store) = &mut chain[at];
        match breaker.admit(store, moment) {
            Admission::Admit { ticket, .. } => tickets.push(ticket),
            Admission::Refuse { .. } => {
                for ((breaker, store), ticket) in chain.iter_mut().zip(tickets) {
                    breaker.release(store, moment, ticket);
                }
                return None;
            }
        }
    }
    Some(tickets)
}
