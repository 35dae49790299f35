//! Calls that get no answer in time: a run of them opens the breaker only if nobody is answered meanwhile.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::store::Store;
use super::*;

const TIMEOUT_MS: u64 = 3_000;

fn overdue(now_ms: u64) -> CallResult {
    let since_ms = now_ms - TIMEOUT_MS;
    CallResult { outcome: Outcome::Overdue { since_ms, answered: false }, took_ms: 0 }
}

fn workers() -> (Store, Breaker, Breaker) {
    let worker = || Breaker::new("server", Policy { consecutive: Some(5), ..policy() });
    (Store::default(), worker(), worker())
}

/// The state and the failures counted, after six calls of a worker that were all overdue at 10 s.
fn six_overdue(store: &Store, worker: &mut Breaker) -> (State, u32) {
    let Admission::Admit { ticket, .. } = worker.admit(store, at(9_999)) else { panic!("refused") };
    for _ in 0..6 {
        worker.report(store, at(10_000), ticket, overdue(10_000));
    }
    (store.record().state, store.record().window.counts(10_000).fail)
}

#[test]
fn a_server_that_answers_nobody_is_out_after_a_run_of_overdue_calls() {
    let (store, mut worker, _) = workers();
    assert!(call(&mut worker, &store, 6_000, SUCCESS), "before they began");
    worker.flush(&store, at(6_200));
    assert_eq!(six_overdue(&store, &mut worker).0, State::Open);
}

#[test]
fn overdue_calls_count_in_the_rate_only_while_the_worker_sees_answers() {
    for answer in [SUCCESS, ALIVE, limited(1)] {
        let (store, mut worker, _) = workers();
        call(&mut worker, &store, 7_001, answer);
        let before = store.record().window.counts(10_000).fail;
        assert_eq!(six_overdue(&store, &mut worker), (State::Closed, before + 6), "{answer:?}");
    }
}

#[test]
fn overdue_calls_count_in_the_rate_only_while_any_worker_sees_answers() {
    let (store, mut one, mut other) = workers();
    call(&mut other, &store, 8_500, SUCCESS);
    other.flush(&store, at(8_700));
    assert_eq!(six_overdue(&store, &mut one), (State::Closed, 6));
}

#[test]
fn what_was_overdue_neither_adds_to_a_run_nor_ends_it() {
    let (store, mut worker, _) = workers();
    for now_ms in [7_500, 7_501, 7_502, 7_503] {
        call(&mut worker, &store, now_ms, FAILURE);
    }
    let Admission::Admit { ticket, .. } = worker.admit(&store, at(9_000)) else { panic!("refused") };
    let late = CallResult { outcome: Outcome::Overdue { since_ms: 6_000, answered: true }, took_ms: 0 };
    call(&mut worker, &store, 9_000, NEUTRAL);
    let mut delta = Delta::new(ticket.epoch);
    delta.add(late, worker.policy());
    let step = crate::breaker::step::count(&store.record(), &delta, at(9_000), worker.policy());
    assert_eq!(step.record.map(|record| (record.state, record.run)), Some((State::Closed, 4)));
    call(&mut worker, &store, 9_001, FAILURE);
    assert_eq!(store.record().state, State::Open);
}

#[test]
fn a_share_of_overdue_calls_opens_as_any_failures_do() {
    let (store, mut worker, _) = workers();
    let policy = Policy { consecutive: Some(5), failure_rate: Some(0.5), min_calls: 10, ..policy() };
    let mut rated = Breaker::new("server", policy);
    call(&mut worker, &store, 7_001, SUCCESS);
    worker.flush(&store, at(7_300));
    let Admission::Admit { ticket, .. } = rated.admit(&store, at(9_000)) else { panic!("refused") };
    rated.report(&store, at(8_999), ticket, SUCCESS);
    for _ in 0..12 {
        rated.report(&store, at(10_000), ticket, overdue(10_000));
    }
    assert_eq!((store.record().state, store.record().reason), (State::Open, Reason::FailureRate));
}

#[test]
fn only_whole_buckets_after_a_calls_beginning_vouch_for_the_server() {
    let mut window = Window::new(10, 1_000, 5_500);
    window.add(Counts { ok: 1, ..Counts::default() }, 5_500);
    assert!(window.has_success_since(4_999));
    assert!(!window.has_success_since(5_000), "it may have been earlier in that second");
    assert!(!window.has_success_since(99_000), "a clock that went back");
    window.add(Counts { fail: 1, ..Counts::default() }, 9_000);
    assert!(window.has_success_since(4_999) && !window.has_success_since(6_000));
}
