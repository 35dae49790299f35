#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::codec::{Decoded, decode, encode};
use super::super::*;
use super::store::Store;
use super::{FAILURE, NEUTRAL, SUCCESS, at, policy};
use crate::shared_data::SetError;

fn worker() -> Breaker {
    Breaker::new("server", policy())
}

fn admit(worker: &mut Breaker, store: &Store, now_ms: u64) -> Ticket {
    match worker.admit(store, at(now_ms)) {
        Admission::Admit { ticket, .. } => ticket,
        refused => panic!("{refused:?}"),
    }
}

fn call(worker: &mut Breaker, store: &Store, now_ms: u64, result: CallResult) -> Option<Transition> {
    let ticket = admit(worker, store, now_ms);
    worker.report(store, at(now_ms), ticket, result)
}

/// A store in which two failures opened the breaker at time 0, for 1 s.
fn opened() -> (Store, Breaker) {
    let (store, mut worker) = (Store::default(), worker());
    for _ in 0..2 {
        call(&mut worker, &store, 0, FAILURE);
    }
    assert_eq!(store.record().state, State::Open);
    (store, worker)
}

#[test]
fn a_success_on_a_healthy_record_costs_no_host_call_and_its_admission_one_read_at_most() {
    let (store, mut worker) = (Store::default(), worker());
    call(&mut worker, &store, 0, SUCCESS);
    let before = store.calls.get();
    let ticket = admit(&mut worker, &store, VIEW_MS);
    assert_eq!(store.calls.get(), before + 1);
    worker.report(&store, at(VIEW_MS), ticket, SUCCESS);
    assert_eq!(store.calls.get(), before + 1);
}

#[test]
fn successes_are_written_after_200_ms_or_by_the_tick() {
    let (store, mut worker) = (Store::default(), worker());
    let tickets = [0, 0, 0].map(|now_ms| admit(&mut worker, &store, now_ms));
    worker.report(&store, at(0), tickets[0], SUCCESS);
    worker.report(&store, at(FLUSH_AFTER_MS - 1), tickets[1], SUCCESS);
    assert_eq!(store.record().window.counts(0).total(), 0);
    worker.report(&store, at(FLUSH_AFTER_MS), tickets[2], SUCCESS);
    assert_eq!(store.record().window.counts(0).total(), 3);
    call(&mut worker, &store, 300, SUCCESS);
    worker.flush(&store, at(301));
    assert_eq!(store.record().window.counts(301).total(), 4);
}

#[test]
fn a_success_breaks_a_run_of_other_workers_at_once() {
    let (store, mut first, mut second) = (Store::default(), worker(), worker());
    let ticket = admit(&mut first, &store, 0);
    call(&mut second, &store, 0, FAILURE);
    admit(&mut first, &store, VIEW_MS);
    first.report(&store, at(VIEW_MS), ticket, SUCCESS);
    assert_eq!(store.record().run, 0);
}

#[test]
fn a_worker_that_starts_later_takes_over_an_open_breaker() {
    // danielfm/pybreaker #26, cockatiel #89, Higress ai-proxy: state was reset, or its deadline ignored, by a newcomer.
    let (store, _) = opened();
    let changed = Policy { consecutive: Some(9), ..policy() };
    let refused = Admission::Refuse { reason: Refusal::Open, retry_after_ms: 900, transition: None };
    assert_eq!(Breaker::new("server", changed).admit(&store, at(100)), refused);
}

#[test]
fn a_probe_that_is_not_sent_is_released() {
    // Sentinel #1638: another rule refused the call that was the probe.
    let (store, mut worker) = opened();
    let probe = admit(&mut worker, &store, 1_000);
    worker.release(&store, at(1_000), probe);
    assert!(admit(&mut worker, &store, 1_000).lease.is_some());
}

#[test]
fn releasing_changes_nothing_once_the_probe_has_reported() {
    let (store, mut worker) = opened();
    let probe = admit(&mut worker, &store, 1_000);
    store.faults.borrow_mut().push(SetError::Host);
    worker.report(&store, at(1_001), probe, SUCCESS);
    worker.release(&store, at(1_002), probe);
    assert_eq!(worker.flush(&store, at(1_003)).map(|t| t.to), Some(State::Closed), "the report still counts");
    let (before, calls) = (store.record(), store.calls.get());
    worker.take_counters();
    worker.release(&store, at(1_004), probe);
    assert_eq!((store.record(), store.calls.get()), (before, calls));
    assert_eq!(worker.take_counters(), Counters::default());
}

#[test]
fn releasing_a_call_that_is_no_probe_costs_nothing() {
    let (store, mut worker) = (Store::default(), worker());
    let ticket = admit(&mut worker, &store, 0);
    let before = store.calls.get();
    worker.release(&store, at(1), ticket);
    worker.release(&store, at(1), Ticket { last_resort: true, ..ticket });
    worker.flush(&store, at(300));
    assert_eq!(store.calls.get(), before);
}

#[test]
fn looking_writes_nothing_and_takes_no_lease() {
    let (store, mut worker) = opened();
    let before = store.entry.borrow().clone();
    let open = View { state: State::Open, retry_after_ms: 1, admits: false, counts: Counts::default() };
    assert_eq!(worker.peek(&store, 999), open);
    assert_eq!(worker.peek(&store, 1_000), View { retry_after_ms: 0, ..open });
    assert_eq!(*store.entry.borrow(), before);
}

#[test]
fn neutral_results_of_normal_calls_leave_no_trace() {
    let (store, mut worker) = (Store::default(), worker());
    call(&mut worker, &store, 0, FAILURE);
    let before = store.record();
    call(&mut worker, &store, 0, NEUTRAL);
    worker.flush(&store, at(0));
    assert_eq!(store.record(), before);
}

#[test]
fn a_host_that_fails_lets_every_call_through_and_is_counted() {
    let (store, mut worker) = opened();
    store.unreadable.set(true);
    admit(&mut worker, &store, 1);
    assert!(worker.peek(&store, 1).admits);
    assert_eq!(worker.take_counters().get(Event::HostError), 2);
    store.unreadable.set(false);
    store.faults.borrow_mut().push(SetError::Host);
    assert_eq!(admit(&mut worker, &store, 1_000).lease, None, "nobody holds a lease that was not written");
}

#[test]
fn results_that_cannot_be_written_are_kept_for_the_tick() {
    let (store, mut worker) = (Store::default(), worker());
    call(&mut worker, &store, 0, FAILURE);
    store.faults.borrow_mut().extend([SetError::CasMismatch; 4]);
    assert_eq!(call(&mut worker, &store, 0, FAILURE), None);
    assert_eq!(worker.take_counters().get(Event::WriteGivenUp), 1);
    assert_eq!(worker.flush(&store, at(1)).map(|t| t.to), Some(State::Open));
    assert_eq!(worker.flush(&store, at(1)), None);
}

#[test]
fn a_verdict_that_cannot_be_written_is_kept_for_the_tick() {
    let (store, mut worker) = opened();
    let probe = admit(&mut worker, &store, 1_000);
    store.faults.borrow_mut().push(SetError::Host);
    assert_eq!(worker.report(&store, at(1_001), probe, SUCCESS), None);
    assert_eq!(worker.flush(&store, at(1_100)).map(|t| t.to), Some(State::Closed));
}

#[test]
fn stale_and_fenced_results_are_counted() {
    // gobreaker #122 dropped them silently, and operators could not explain the numbers.
    let (store, mut worker) = (Store::default(), worker());
    let late = admit(&mut worker, &store, 0);
    for _ in 0..2 {
        call(&mut worker, &store, 0, FAILURE);
    }
    worker.report(&store, at(1), late, FAILURE);
    assert_eq!(worker.take_counters().get(Event::StaleResult), 1);
    let lost = admit(&mut worker, &store, 1_000);
    admit(&mut worker, &store, 1_500);
    worker.report(&store, at(1_501), lost, SUCCESS);
    assert_eq!(worker.take_counters().get(Event::FencedVerdict), 1);
}

#[test]
fn the_loser_of_a_race_to_probe_looks_again_and_refuses() {
    let (store, mut worker) = opened();
    store.faults.borrow_mut().extend([SetError::CasMismatch; 2]);
    assert!(matches!(worker.admit(&store, at(1_000)), Admission::Refuse { .. }));
}

#[test]
fn a_corrupt_value_is_replaced_and_the_call_admitted() {
    let (store, mut worker) = (Store::holding(b"somebody else's value, long enough to be a header", 9), worker());
    let ticket = admit(&mut worker, &store, 0);
    assert_eq!((worker.take_counters().get(Event::CorruptRecord), store.record().epoch), (1, ticket.epoch));
}

#[test]
fn a_key_that_somebody_else_keeps_writing_is_left_to_them() {
    let (store, mut worker) = (Store::default(), worker());
    for _ in 0..20 {
        *store.entry.borrow_mut() = Some((b"foreign".to_vec(), 9));
        admit(&mut worker, &store, 0);
    }
    assert_eq!(*store.entry.borrow(), Some((b"foreign".to_vec(), 9)));
}

#[test]
fn a_deleted_key_is_created_again_with_its_own_token() {
    let (store, mut worker) = (Store::holding(&[], 41), worker());
    admit(&mut worker, &store, 0);
    assert_eq!(store.record().state, State::Closed);
}

#[test]
fn a_record_of_a_newer_minor_keeps_its_extra_bytes_through_a_write() {
    let (store, mut worker) = (Store::default(), worker());
    let mut newer = Record { schema: 2, newer_tail: vec![1, 2, 3], ..Record::new(5, &policy(), 0) };
    *store.entry.borrow_mut() = Some((encode(&newer), 1));
    call(&mut worker, &store, 0, FAILURE);
    newer.run = 1;
    newer.window.add(Counts { ok: 0, fail: 1, slow: 0 }, 0);
    assert_eq!(decode(&store.entry.borrow().clone().unwrap().0), Decoded::Newer(newer));
    assert!(worker.take_counters().get(Event::NewerRecord) > 0);
}

#[test]
fn a_new_record_begins_with_a_random_epoch_so_that_old_tickets_do_not_fit_it() {
    let (store, mut worker) = (Store::default(), worker());
    worker.admit(&store, Moment { now_ms: 0, random: 0xABCD_EF01 });
    assert_eq!(store.record().epoch, 0xABCD_EF01);
}
