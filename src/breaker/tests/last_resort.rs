#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::draws::Draw;
use super::super::*;
use super::draws::{drawing, evenly};
use super::store::Store;
use super::{FAILURE, SUCCESS, at, policy};

fn worker(concurrency: u32) -> Breaker {
    let last_resort = super::super::LastResort { concurrency, ..Policy::default().last_resort };
    Breaker::new("server", Policy { last_resort, ..policy() })
}

fn never_shed() -> Moment {
    drawing(Draw::Shedding, u32::MAX, 0)
}

/// Lets `calls` calls end like `result`; answers how many of 1000 further ones with evenly spread draws are shed.
fn shed_after(calls: usize, result: CallResult) -> usize {
    let (store, mut worker) = (Store::default(), worker(u32::MAX));
    for _ in 0..calls {
        let ticket = worker.admit_last_resort(never_shed()).expect("the draw that is never shed");
        worker.report(&store, at(0), ticket, result);
    }
    evenly(Draw::Shedding, 1).filter(|moment| worker.admit_last_resort(*moment).is_err()).count()
}

#[test]
fn a_server_that_fails_everything_still_gets_a_fifth_of_the_calls() {
    assert_eq!(shed_after(0, FAILURE), 0);
    assert!(shed_after(1, FAILURE).abs_diff(500) <= 1);
    assert!(shed_after(100, FAILURE).abs_diff(800) <= 1);
}

#[test]
fn a_server_that_answers_is_spared_nothing() {
    assert_eq!(shed_after(100, SUCCESS), 0);
}

#[test]
fn what_calls_of_last_resort_learn_is_not_in_the_record() {
    let (store, mut worker) = (Store::default(), worker(9));
    let ticket = worker.admit_last_resort(at(0)).unwrap();
    worker.report(&store, at(0), ticket, FAILURE);
    worker.flush(&store, at(300));
    assert_eq!((store.calls.get(), worker.take_counters().get(Event::LastResort)), (0, 1));
}

#[test]
fn so_many_are_under_way_at_once_and_no_more() {
    let mut worker = worker(2);
    worker.admit_last_resort(at(1)).unwrap();
    worker.admit_last_resort(at(2)).unwrap();
    assert_eq!(worker.admit_last_resort(at(3)), Err(Refusal::Crowded));
    worker.end_last_resort(2);
    worker.end_last_resort(2);
    assert!(worker.admit_last_resort(at(3)).is_ok(), "one has ended, however often it says so");
    assert_eq!(worker.admit_last_resort(at(3)), Err(Refusal::Crowded));
    assert_eq!(worker.take_counters().get(Event::RefusedCrowded), 2);
}

#[test]
fn a_call_whose_end_is_never_heard_of_does_not_take_a_place_for_ever() {
    let mut worker = worker(1);
    worker.admit_last_resort(at(0)).unwrap();
    let lease_ms = worker.policy().lease_ms;
    assert!(worker.admit_last_resort(at(lease_ms - 1)).is_err());
    assert!(worker.admit_last_resort(at(lease_ms)).is_ok());
}

#[test]
fn calls_are_let_go_again_once_the_failures_are_old() {
    let (store, mut worker) = (Store::default(), worker(9));
    for _ in 0..5 {
        let ticket = worker.admit_last_resort(never_shed()).unwrap();
        worker.report(&store, at(0), ticket, FAILURE);
        worker.end_last_resort(0);
    }
    let low = |now_ms| drawing(Draw::Shedding, 0, now_ms);
    assert_eq!(worker.admit_last_resort(low(1)), Err(Refusal::Shed));
    assert!(worker.admit_last_resort(low(10_000)).is_ok());
}
