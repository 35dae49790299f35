//! What the breaker promises, and the bugs of other breakers that it must not have.

mod cached_view;
mod codec;
mod draws;
mod driver;
mod field_bugs;
mod interleaving;
mod invariants;
mod last_resort;
mod overdue;
mod overrides;
mod policy;
mod ramp;
mod step;
mod store;

use super::*;

const FAILURE: CallResult = CallResult { outcome: Outcome::Failure, took_ms: 0 };
const SUCCESS: CallResult = CallResult { outcome: Outcome::Success, took_ms: 0 };
const ALIVE: CallResult = CallResult { outcome: Outcome::Alive, took_ms: 0 };
const NEUTRAL: CallResult = CallResult { outcome: Outcome::Neutral, took_ms: 0 };

fn limited(retry_after_ms: u64) -> CallResult {
    CallResult { outcome: Outcome::Limited { retry_after_ms: Some(retry_after_ms) }, took_ms: 0 }
}

/// Two failures in a row open for 1 s, doubling to 8 s; a probe has 500 ms; no rate, no jitter, no ramp.
fn policy() -> Policy {
    Policy {
        consecutive: Some(2),
        failure_rate: None,
        base_open_ms: 1_000,
        max_open_ms: 8_000,
        jitter: 0.0,
        lease_ms: 500,
        ramp: Ramp { ms: 0, min_share: 0.1, aggression: 1 },
        ..Policy::default()
    }
}

fn at(now_ms: u64) -> Moment {
    Moment { now_ms, random: 0 }
}

/// One call from its admission to its result; whether it was admitted.
fn call(worker: &mut Breaker, store: &store::Store, now_ms: u64, result: CallResult) -> bool {
    match worker.admit(store, at(now_ms)) {
        Admission::Admit { ticket, .. } => {
            worker.report(store, at(now_ms), ticket, result);
            true
        }
        Admission::Refuse { .. } => false,
    }
}
