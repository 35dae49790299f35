//! Every state that the shared record's protocol can come to: workers that read and write at any moment, crashes, callbacks
//! that never come, a clock that ticks in between. All decisions and bytes are the shipped code's.
//!
//! Checked in every state: only legal changes of state, each with the next epoch (I1); at most one probe (I2), and only it
//! decides (I3); opened with evidence and as soon as there is (I4); no result lost (I5); no probe before its time (I6); after
//! a failure of its own a worker looks (I7); and nobody takes a breaker to be closed that was opened longer ago than a view
//! lasts (I8). And from every state the breaker can still close. Then bugs are put back, those of the field first, and must
//! be found.
//!
//! A worker that has seen a healthy record admits calls without a look for `VIEW_MS`. What that can cost is the calls that
//! it sends for so long to a server that another worker has opened, or opened and closed, since: no more than that. They
//! carry the epoch of the view, so that their results are dropped as stale, and they never hold a lease; so all that is
//! checked about results, probes and recovery holds with them as without. The tick is a little shorter than `VIEW_MS`: a
//! view is at most one tick old.
//!
//! Not modelled: batching, the failure rate, growing periods, the ramp; tests and the simulation cover those. `cargo test`
//! explores small bounds, `make model` large ones.

#[path = "model/protocol.rs"]
mod protocol;
#[path = "model/state.rs"]
mod state;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::ExitCode;
use std::time::Instant;

use dualpath::breaker::State as Breaker;
use protocol::{Bounds, Variant, Violation, successors};
use state::{State, Worker};

/// What became of an exploration.
enum Found {
    /// So many states and steps, and nothing wrong.
    Holds { states: usize, steps: usize },
    /// What is wrong, after so many states.
    Broken { what: Violation, states: usize },
}

/// States are told apart by 128 bits of hash.
fn fingerprint(bytes: &[u8]) -> u128 {
    let hash = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        bytes.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    hash(1) << 64 | hash(2)
}

fn explore(bounds: Bounds, variant: Variant) -> Found {
    let mut first = State { workers: vec![Worker::default(); bounds.workers], ..State::default() };
    let mut known = HashMap::from([(fingerprint(&first.normalise()), 0u32)]);
    let mut closed = vec![true];
    // Steps backwards, to see from where the breaker can close.
    let mut steps: Vec<(u32, u32)> = Vec::new();
    let mut frontier = vec![(0u32, first)];
    while !frontier.is_empty() {
        let mut coming = Vec::new();
        for (from, state) in frontier {
            for next in successors(&state, bounds, variant) {
                let mut next = match next {
                    Ok(next) => next,
                    Err(what) => return Found::Broken { what, states: known.len() },
                };
                let number = known.len() as u32;
                let to = match known.entry(fingerprint(&next.normalise())) {
                    Entry::Occupied(entry) => *entry.get(),
                    Entry::Vacant(entry) => {
                        entry.insert(number);
                        closed.push(next.breaker() == Breaker::Closed);
                        coming.push((number, next));
                        number
                    }
                };
                steps.push((to, from));
            }
        }
        frontier = coming;
    }
    if can_close(&closed, &mut steps) < closed.len() {
        return Found::Broken { what: "L1: a state from which the breaker never closes", states: closed.len() };
    }
    Found::Holds { states: closed.len(), steps: steps.len() }
}

/// How many states have a way to a closed breaker.
fn can_close(closed: &[bool], steps: &mut [(u32, u32)]) -> usize {
    steps.sort_unstable();
    let mut good = closed.to_vec();
    let mut open: Vec<u32> = (0u32..).zip(closed).filter(|(_, closed)| **closed).map(|(state, _)| state).collect();
    while let Some(state) = open.pop() {
        let begin = steps.partition_point(|(to, _)| *to < state);
        for (_, from) in steps[begin..].iter().take_while(|(to, _)| *to == state) {
            if !std::mem::replace(&mut good[*from as usize], true) {
                open.push(*from);
            }
        }
    }
    good.iter().filter(|good| **good).count()
}

const SMALL: Bounds = Bounds { workers: 2, calls: 2, neutral: false, overdue: true };
/// A third worker adds nothing as long as only two calls are under way.
const LARGE: [Bounds; 2] = [
    Bounds { workers: 2, calls: 2, neutral: true, overdue: true },
    Bounds { workers: 2, calls: 3, neutral: true, overdue: false },
];

fn main() -> ExitCode {
    let large = std::env::args().any(|argument| argument == "--large");
    let mut wrong = 0;
    for bounds in if large { &LARGE[..] } else { &[SMALL] } {
        let start = Instant::now();
        let what = format!("{} workers, {} calls under way", bounds.workers, bounds.calls);
        match explore(*bounds, Variant::Shipped) {
            Found::Holds { states, steps } => {
                println!("{what}: holds in {states} states, {steps} steps ({:.1} s)", start.elapsed().as_secs_f64());
            }
            Found::Broken { what: violation, states } => {
                println!("{what}: BROKEN after {states} states: {violation}");
                wrong += 1;
            }
        }
    }
    let bounds = Bounds { workers: 2, calls: 2, neutral: true, overdue: false };
    let bugs = [
        (Variant::NoLeaseExpiry, true),
        (Variant::StragglersDecide, true),
        (Variant::BlindResults, true),
        (Variant::BlindProbe, true),
        (Variant::UnfencedLease, true),
        (Variant::EternalView, true),
        (Variant::ViewDespiteFailure, true),
        (Variant::ViewOfAnyState, true),
        (Variant::NeutralKeepsLease, false),
    ];
    for (variant, caught) in bugs {
        if !large && !caught {
            continue;
        }
        match explore(bounds, variant) {
            Found::Broken { what, states } => {
                println!("{variant:?}: found after {states} states: {what}");
                wrong += usize::from(!caught);
            }
            Found::Holds { states, .. } if caught => {
                println!("{variant:?}: NOT FOUND in {states} states");
                wrong += 1;
            }
            Found::Holds { states, .. } => {
                println!("{variant:?}: holds in {states} states, the lease's end sees to it")
            }
        }
    }
    println!("{} passed, {wrong} failed", usize::from(wrong == 0));
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
