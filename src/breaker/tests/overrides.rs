#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::draws::Draw;
use super::super::*;
use super::draws::evenly;
use super::store::Store;
use super::{FAILURE, SUCCESS, at, call, policy};

fn worker(mode: Mode) -> Breaker {
    Breaker::new("server", Policy { mode, ..policy() })
}

/// A store in which two failures opened the breaker at time 0, for 1 s.
fn opened() -> Store {
    let (store, mut worker) = (Store::default(), worker(Mode::Normal));
    (0..2).for_each(|_| assert!(call(&mut worker, &store, 0, FAILURE)));
    assert_eq!(store.record().state, State::Open);
    store
}

#[test]
fn a_breaker_that_is_forced_open_refuses_for_ever_and_writes_nothing() {
    let (store, mut worker) = (Store::default(), worker(Mode::ForcedOpen));
    for now_ms in [0, 1_000, 1 << 40] {
        assert!(!call(&mut worker, &store, now_ms, SUCCESS));
        assert!(!worker.look(&store, at(now_ms)).admits);
        assert_eq!(worker.peek(&store, now_ms).state, State::Open);
    }
    assert_eq!(store.calls.get(), 0);
    assert_eq!(worker.take_counters().get(Event::RefusedForcedOpen), 3);
}

#[test]
fn a_disabled_breaker_admits_everything_and_records_nothing() {
    let (store, mut worker) = (opened(), worker(Mode::Disabled));
    let before = store.entry.borrow().clone();
    (0..9).for_each(|_| assert!(call(&mut worker, &store, 1, FAILURE)));
    worker.flush(&store, at(300));
    assert!(worker.look(&store, at(1)).admits);
    assert_eq!(worker.peek(&store, 1).state, State::Closed);
    assert_eq!(*store.entry.borrow(), before);
}

#[test]
fn a_breaker_for_metrics_only_changes_its_state_and_refuses_nothing() {
    let (store, mut worker) = (Store::default(), worker(Mode::MetricsOnly));
    (0..5).for_each(|_| assert!(call(&mut worker, &store, 0, FAILURE)));
    assert_eq!(worker.peek(&store, 0).state, State::Open);
    assert!(worker.look(&store, at(0)).admits);
    let counters = worker.take_counters();
    assert_eq!((counters.get(Event::NotEnforced), counters.get(Event::RefusedOpen)), (4, 0));
    assert!(call(&mut worker, &store, 1_000, SUCCESS), "the probe");
    assert_eq!(worker.peek(&store, 1_000).state, State::Closed);
}

#[test]
fn so_many_per_cent_of_the_refusals_hold() {
    let store = opened();
    let mut worker = Breaker::new("server", Policy { enforce_percent: 30, ..policy() });
    let refused =
        evenly(Draw::Enforcement, 1).filter(|moment| matches!(worker.admit(&store, *moment), Admission::Refuse { .. }));
    assert!(refused.count().abs_diff(300) <= 1);
}

#[test]
fn entering_and_leaving_an_override_writes_nothing() {
    let store = opened();
    assert!(!call(&mut worker(Mode::ForcedOpen), &store, 500, SUCCESS));
    assert!(call(&mut worker(Mode::Disabled), &store, 500, FAILURE));
    assert_eq!(store.record().epoch, 1);
    assert!(!call(&mut worker(Mode::Normal), &store, 999, SUCCESS), "the open period goes on");
    assert!(call(&mut worker(Mode::Normal), &store, 1_000, SUCCESS), "and ends with a probe as usual");
}

#[test]
fn a_reset_happens_once_however_many_workers_are_told_of_it() {
    let store = opened();
    let told = || Breaker::new("server", Policy { reset_id: 7, ..policy() });
    let by: Vec<_> = (0..4).filter_map(|_| told().reset_once(&store, at(1))).map(|t| (t.to, t.reason)).collect();
    assert_eq!(by, [(State::Closed, Reason::Reset)]);
    let mut worker = worker(Mode::Normal);
    (0..2).for_each(|_| assert!(call(&mut worker, &store, 2, FAILURE)));
    assert_eq!(told().reset_once(&store, at(3)), None, "a worker that starts later does not reset again");
    assert_eq!((store.record().state, store.record().attempt), (State::Open, 1));
}

#[test]
fn a_configuration_older_than_the_last_reset_does_not_reset() {
    let store = opened();
    let told = |reset_id| Breaker::new("server", Policy { reset_id, ..policy() });
    told(7).reset_once(&store, at(1));
    let mut worker = worker(Mode::Normal);
    (0..2).for_each(|_| assert!(call(&mut worker, &store, 2, FAILURE)));
    assert_eq!(told(6).reset_once(&store, at(3)), None);
    assert_eq!(told(8).reset_once(&store, at(3)).map(|t| t.to), Some(State::Closed));
}

#[test]
fn a_reset_forgets_the_run_and_the_length_of_the_open_periods() {
    let (store, mut worker) = (Store::default(), Breaker::new("server", Policy { reset_id: 1, ..policy() }));
    call(&mut worker, &store, 0, FAILURE);
    assert_eq!(worker.reset_once(&store, at(0)), None, "it is closed already");
    assert_eq!((store.record().run, store.record().window.counts(0).total(), store.record().epoch), (0, 0, 0));
}
