//! Routing by latency: workers with the shipped record, order and draws, two servers.

use dualpath::call::route::{Lot, Route, chain, reorder};
use dualpath::health::{Latency, tell};
use dualpath::json::Value;
use dualpath::registry::{Registry, ServerIndex};
use serde_json::json;

use super::world::{Random, Store, WORKERS};

/// How often a worker tells what it has seen and looks what others have, in seconds.
const TICK_S: f64 = 0.2;

/// What is simulated.
#[derive(Clone, Copy)]
pub struct Setting {
    /// How widely single answers are spread: the sigma of a log-normal distribution.
    pub sigma: f64,
    /// For how long.
    pub seconds: f64,
    /// Calls a second, in all.
    pub rate: f64,
    /// From when to when the first server takes five times as long, in seconds.
    pub slow: (f64, f64),
    /// How many times longer a server takes that has all the calls.
    pub under_load: f64,
}

/// Both take 100 ms.
pub const EQUAL: Setting =
    Setting { sigma: 0.5, seconds: 3_600.0, rate: 20.0, slow: (f64::INFINITY, f64::INFINITY), under_load: 1.0 };

/// The first is five times as slow from the tenth minute to the fifteenth.
pub const BECOMES_SLOW: Setting = Setting { seconds: 7_200.0, slow: (600.0, 900.0), ..EQUAL };

/// What came of it.
pub struct Seen {
    /// How often the first server became another.
    pub moves: u32,
    /// How long after it became slow no worker asked the first server first any more.
    pub left_s: Option<f64>,
    /// How long after it was well again all workers did.
    pub back_s: Option<f64>,
}

#[derive(Default, Clone)]
struct Worker {
    order: Vec<ServerIndex>,
    /// Answers and their time together, of each server.
    seen: [(u32, f64); 2],
}

const IDS: [&str; 2] = ["first", "second"];

fn registry() -> Registry {
    let server = |(id, tier): (&str, &str)| json!({"id": id, "kind": "mcp", "tier": tier, "url": "https://a.example"});
    let servers: Vec<_> = IDS.into_iter().zip(["primary", "secondary"]).map(server).collect();
    let tool = json!({"name": "search", "task": "search", "routing": {"by": "latency"}});
    let registry = json!({"version": 1, "servers": servers, "tools": [tool]}).to_string();
    Registry::from_json(&Value::parse(&registry).expect("JSON")).expect("a registry")
}

/// Plays it.
pub fn run(setting: &Setting, seed: u64) -> Seen {
    let (registry, store, mut random) = (registry(), Store::default(), Random(seed));
    let route = Route::Tool(&registry.tools[0]);
    let mut workers = vec![Worker::default(); WORKERS];
    let (mut moves, mut left_s, mut back_s) = (0, None, None);
    // The share of the calls that each server has of late.
    let mut share = [0.5, 0.5];
    let mut ticks = 0_u64;
    let mut now = 0.0;
    while now < setting.seconds {
        now += random.gap_us(setting.rate) as f64 / 1e6;
        // One worker after the other.
        while ticks as f64 * TICK_S / (WORKERS as f64) < now {
            let worker = &mut workers[ticks as usize % WORKERS];
            let first = worker.order.first().copied();
            tick(worker, &store, &registry);
            let moved = first.is_some() && first != worker.order.first().copied();
            // What one worker does the others do as well.
            moves += u32::from(moved && (ticks as usize).is_multiple_of(WORKERS));
            ticks += 1;
        }
        let random_bits = (random.bits() >> 32) as u32;
        let worker = &mut workers[(random.bits() % WORKERS as u64) as usize];
        let draw = route.draw(&registry, random_bits, |_| None);
        let server = chain(&registry, route, Lot { draw, fastest: &worker.order, ..Lot::default() })[0];
        let at = usize::from(server.0);
        share = [0, 1].map(|other| share[other] + (f64::from(u8::from(other == at)) - share[other]) / 100.0);
        let slow = if at == 0 && (setting.slow.0..setting.slow.1).contains(&now) { 5.0 } else { 1.0 };
        let load = 1.0 + (setting.under_load - 1.0) * share[at];
        let took = 100.0 * slow * load * spread(setting.sigma, &mut random);
        let (answers, together) = worker.seen[at];
        worker.seen[at] = (answers + 1, together + took);

        let all_ask = |server: u16| workers.iter().all(|worker| worker.order.first() == Some(&ServerIndex(server)));
        if now > setting.slow.0 && left_s.is_none() && all_ask(1) {
            left_s = Some(now - setting.slow.0);
        }
        if now > setting.slow.1 && back_s.is_none() && all_ask(0) {
            back_s = Some(now - setting.slow.1);
        }
    }
    Seen { moves, left_s, back_s }
}

fn tick(worker: &mut Worker, store: &Store, registry: &Registry) {
    for (id, (answers, together)) in IDS.iter().zip(std::mem::take(&mut worker.seen)) {
        if answers > 0 {
            tell(store, id, answers, together as u64);
        }
    }
    reorder(&mut worker.order, registry, &IDS.map(|id| Latency::read(store, id).steady()));
}

/// A factor around 1, its mean.
fn spread(sigma: f64, random: &mut Random) -> f64 {
    let (one, other) = (1.0 - random.draw(), random.draw());
    let normal = (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos();
    (sigma * normal - sigma * sigma / 2.0).exp()
}
