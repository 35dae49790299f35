#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::time::Duration;

use super::HANDSHAKE;
use crate::breaker::{Counts, Moment, State, View};
use crate::failure::BreakerEffect;
use crate::probe::Schedule;
use crate::registry::Probe;

fn probe(idle: bool) -> Probe {
    Probe { request: HANDSHAKE, timeout: Duration::from_secs(3), interval: Duration::from_secs(10), idle }
}

fn view(state: State, retry_after_ms: u64) -> View {
    View { state, retry_after_ms, admits: state == State::Closed, counts: Counts::default() }
}

fn at(now_ms: u64) -> Moment {
    Moment { now_ms, random: 0 }
}

#[test]
fn a_server_is_probed_once_its_breaker_gives_a_lease_and_not_before() {
    let due = |view| Schedule::default().is_due(&probe(false), &view, || false, 0);
    assert!(!due(view(State::Open, 1)), "the open period runs");
    assert!(due(view(State::Open, 0)));
    assert!(!due(view(State::HalfOpen, 1)), "somebody holds the lease");
    assert!(due(view(State::HalfOpen, 0)));
    assert!(!due(view(State::Closed, 0)), "nothing is known against it");
}

#[test]
fn a_probe_that_decided_nothing_is_not_repeated_at_once() {
    for (effect, next) in [
        (BreakerEffect::Neutral, 10_000),
        (BreakerEffect::Success, 0),
        (BreakerEffect::Failure, 0),
        (BreakerEffect::Limited, 0),
    ] {
        let half_open = view(State::HalfOpen, 0);
        let mut schedule = Schedule::default();
        schedule.note(&probe(false), &half_open, effect, at(500));
        let first = (500..).find(|now| schedule.is_due(&probe(false), &half_open, || false, *now)).unwrap();
        assert_eq!(first, 500 + next, "{effect:?}");
    }
}

#[test]
fn an_idle_server_is_probed_every_interval_unless_a_call_shows_it_well() {
    let idle = view(State::Closed, 0);
    let busy = View { counts: Counts { ok: 1, ..Counts::default() }, ..idle };
    let failing = View { counts: Counts { fail: 1, ..Counts::default() }, ..idle };
    let mut schedule = Schedule::default();
    assert!(schedule.is_due(&probe(true), &idle, || false, 0));
    assert!(schedule.is_due(&probe(true), &failing, || false, 0), "one failure is no reason to look away");
    assert!(!schedule.is_due(&probe(true), &busy, || false, 0));
    schedule.note(&probe(true), &idle, BreakerEffect::Success, at(0));
    assert!(!schedule.is_due(&probe(true), &idle, || false, 9_999));
    assert!(schedule.is_due(&probe(true), &idle, || false, 10_000));
}

#[test]
fn a_server_whose_token_is_in_doubt_is_asked_once_an_interval() {
    let closed = view(State::Closed, 0);
    let mut schedule = Schedule::default();
    assert!(schedule.is_due(&probe(false), &closed, || true, 0));
    schedule.note(&probe(false), &closed, BreakerEffect::Neutral, at(0));
    assert!(!schedule.is_due(&probe(false), &closed, || true, 9_999));
    assert!(schedule.is_due(&probe(false), &closed, || true, 10_000));
    assert!(!schedule.is_due(&probe(false), &closed, || false, 10_000));
}

#[test]
fn chance_puts_a_probe_off_by_up_to_half_of_the_interval() {
    let idle = view(State::Closed, 0);
    let next = |random| {
        let mut schedule = Schedule::default();
        schedule.note(&probe(true), &idle, BreakerEffect::Success, Moment { now_ms: 0, random });
        (0..).find(|now| schedule.is_due(&probe(true), &idle, || false, *now)).unwrap()
    };
    assert_eq!([0, 1 << 31, u32::MAX].map(next), [10_000, 12_500, 14_999]);
}
