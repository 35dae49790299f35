#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::*;
use super::store::Store;
use super::{FAILURE, SUCCESS, at, policy};

/// Four failures in a row open for 1 s; a tenth of the calls comes back at once, all within 10 s.
fn ramped() -> Policy {
    Policy { consecutive: Some(4), ramp: Policy::default().ramp, ..policy() }
}

fn call(worker: &mut Breaker, store: &Store, now_ms: u64, result: CallResult) {
    if let Admission::Admit { ticket, .. } = worker.admit(store, at(now_ms)) {
        worker.report(store, at(now_ms), ticket, result);
    }
}

/// A store in which a probe closed the breaker at 1 s.
fn closed_again() -> (Store, Breaker) {
    let (store, mut worker) = (Store::default(), Breaker::new("server", ramped()));
    (0..4).for_each(|_| call(&mut worker, &store, 0, FAILURE));
    call(&mut worker, &store, 1_000, SUCCESS);
    assert_eq!(store.record().state, State::Closed);
    (store, worker)
}

/// Of 1000 evenly spread draws, those for which the call is passed on.
fn passed_over(worker: &mut Breaker, store: &Store, now_ms: u64) -> usize {
    (0..1_000u32)
        .filter(|n| {
            let moment = Moment { now_ms, random: n * (u32::MAX / 1_000) };
            let look = worker.look(store, moment);
            let Admission::Admit { pass_over, .. } = worker.admit(store, moment) else { panic!("refused") };
            assert!(look.admits);
            assert_eq!(look.pass_over, pass_over, "looking and asking agree");
            pass_over
        })
        .count()
}

#[test]
fn calls_return_to_a_server_by_and_by() {
    // Hystrix #1647, Polly #239: the first good probe returned all traffic to a cold server.
    let (store, mut worker) = closed_again();
    let shares = [1_000, 2_000, 3_500, 6_000, 10_999, 11_000].map(|now_ms| passed_over(&mut worker, &store, now_ms));
    let near = |at: usize, share: usize| shares[at].abs_diff(share) <= 2;
    assert!(near(0, 900) && near(1, 900) && near(2, 750) && near(3, 500) && near(4, 0), "{shares:?}");
    assert_eq!(shares[5], 0);
}

#[test]
fn the_ramp_writes_nothing() {
    let (store, mut worker) = closed_again();
    let before = store.entry.borrow().clone();
    passed_over(&mut worker, &store, 2_000);
    assert_eq!(*store.entry.borrow(), before);
}

#[test]
fn every_worker_sees_the_same_ramp() {
    let (store, _) = closed_again();
    let mut other = Breaker::new("server", ramped());
    assert!(passed_over(&mut other, &store, 3_500).abs_diff(750) <= 2);
}

#[test]
fn a_server_that_has_only_just_come_back_opens_at_half_the_run() {
    let (store, mut worker) = closed_again();
    call(&mut worker, &store, 2_000, FAILURE);
    assert_eq!(store.record().state, State::Closed);
    call(&mut worker, &store, 2_000, FAILURE);
    assert_eq!((store.record().state, store.record().reason), (State::Open, Reason::Consecutive));
    let (store, mut worker) = closed_again();
    (0..3).for_each(|_| call(&mut worker, &store, 11_000, FAILURE));
    assert_eq!(store.record().state, State::Closed, "the ramp is over");
}

#[test]
fn a_new_breaker_and_a_reset_one_have_no_ramp() {
    let (store, mut worker) = (Store::default(), Breaker::new("server", ramped()));
    assert_eq!(passed_over(&mut worker, &store, 0), 0);
    let (store, _) = closed_again();
    let mut worker = Breaker::new("server", Policy { reset_id: 1, ..ramped() });
    (0..4).for_each(|_| call(&mut worker, &store, 2_000, FAILURE));
    worker.reset_once(&store, at(2_000));
    assert_eq!(passed_over(&mut worker, &store, 2_000), 0);
}
