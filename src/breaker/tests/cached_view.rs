//! How often the record is read, and what a worker that does not read can miss.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use proptest::prelude::*;

use super::super::*;
use super::store::Store;
use super::{ALIVE, FAILURE, NEUTRAL, SUCCESS, at, limited, policy};
use crate::shared_data::SetError;

fn worker() -> Breaker {
    Breaker::new("server", policy())
}

/// A store with a closed record that nobody has counted in, and a worker that has not seen it.
fn healthy() -> (Store, Breaker) {
    let store = Store::default();
    worker().admit(&store, at(0));
    store.calls.set(0);
    (store, worker())
}

/// A store in which two failures opened the breaker at time 0, for 1 s.
fn opened() -> Store {
    let (store, mut worker) = healthy();
    fail_twice(&mut worker, &store, 0);
    assert_eq!(store.record().state, State::Open);
    store
}

/// A ticket of the record as it is.
fn ticket(store: &Store) -> Ticket {
    Ticket { epoch: store.record().epoch, ..Ticket::default() }
}

/// Reports two failures, which open the breaker.
fn fail_twice(worker: &mut Breaker, store: &Store, now_ms: u64) {
    for _ in 0..2 {
        worker.report(store, at(now_ms), ticket(store), FAILURE);
    }
}

/// Host calls that admitting one more call at `now_ms` costs.
fn cost(worker: &mut Breaker, store: &Store, now_ms: u64) -> u32 {
    let before = store.calls.get();
    worker.admit(store, at(now_ms));
    store.calls.get() - before
}

#[test]
fn a_thousand_calls_to_a_healthy_server_cost_one_read_per_20_ms() {
    let (store, mut worker) = healthy();
    for n in 0..1_000 {
        let moment = at(100 + n * VIEW_MS / 1_000);
        let admission = worker.admit(&store, moment);
        let expected = Admission::Admit { ticket: ticket(&store), pass_over: false, transition: None };
        assert_eq!(admission, expected);
        assert_eq!(worker.look(&store, moment), Look { admits: true, pass_over: false, ticket: ticket(&store) });
    }
    assert_eq!(store.calls.get(), 1);
    worker.admit(&store, at(100 + VIEW_MS));
    assert_eq!(store.calls.get(), 2);
}

#[test]
fn a_record_that_is_not_there_is_created_once_and_then_not_read_for_a_while() {
    let (store, mut worker) = (Store::default(), worker());
    assert_eq!(cost(&mut worker, &store, 0), 2, "a read and a write");
    assert_eq!(cost(&mut worker, &store, VIEW_MS - 1), 0);
}

#[test]
fn looking_at_a_record_that_is_not_there_creates_none_and_is_done_once_in_a_while() {
    let (store, mut worker) = (Store::default(), worker());
    (0..1000).for_each(|_| assert!(worker.look(&store, at(0)).admits));
    assert_eq!((store.calls.get(), store.entry.borrow().is_none()), (1, true));
    assert!(worker.look(&store, at(VIEW_MS)).admits);
    assert_eq!(store.calls.get(), 2, "another worker may have made one since");
    // Whoever sends a call makes one, whatever was seen a moment ago.
    assert!(matches!(worker.admit(&store, at(VIEW_MS)), Admission::Admit { .. }));
    assert!(store.entry.borrow().is_some());
}

#[test]
fn whatever_a_worker_learns_of_a_failure_makes_its_next_call_look() {
    let slow = Policy { slow: Some(Slow { after_ms: 100, rate: 1.0 }), consecutive: Some(100), ..policy() };
    let adverse = [FAILURE, limited(10), CallResult { took_ms: 101, ..SUCCESS }];
    for result in adverse {
        for written in [true, false] {
            let (store, mut worker) = (healthy().0, Breaker::new("server", slow));
            worker.admit(&store, at(0));
            if !written {
                store.faults.borrow_mut().push(SetError::Host);
            }
            worker.report(&store, at(1), ticket(&store), result);
            assert_eq!(cost(&mut worker, &store, 1), 1, "{result:?}");
            // While a run of failures lasts, any worker's next one may open the breaker.
            let run = written && result == FAILURE;
            assert_eq!(cost(&mut worker, &store, 1), u32::from(run), "{result:?}: and then knows again");
        }
        let (store, mut worker) = healthy();
        worker.admit(&store, at(0));
        worker.report(&store, at(1), Ticket { last_resort: true, ..ticket(&store) }, FAILURE);
        assert_eq!(cost(&mut worker, &store, 1), 1, "a call of last resort has failed");
    }
}

#[test]
fn successes_and_results_without_a_verdict_cost_no_look() {
    let (store, mut worker) = healthy();
    worker.admit(&store, at(0));
    for result in [SUCCESS, NEUTRAL, ALIVE] {
        worker.report(&store, at(1), ticket(&store), result);
        assert_eq!(cost(&mut worker, &store, 1), 0, "{result:?}");
    }
}

#[test]
fn a_lost_race_and_a_reset_make_the_next_call_look() {
    let (store, mut worker) = healthy();
    worker.admit(&store, at(0));
    worker.report(&store, at(0), ticket(&store), SUCCESS);
    store.faults.borrow_mut().extend([SetError::CasMismatch; 4]);
    worker.flush(&store, at(1));
    assert_eq!(cost(&mut worker, &store, 1), 1);
    let mut worker = Breaker::new("server", Policy { reset_id: 1, ..policy() });
    worker.admit(&store, at(2));
    worker.reset_once(&store, at(2));
    assert_eq!(cost(&mut worker, &store, 2), 1);
}

#[test]
fn what_a_worker_writes_itself_it_need_not_read() {
    let (store, mut worker) = healthy();
    worker.admit(&store, at(0));
    worker.report(&store, at(0), ticket(&store), SUCCESS);
    worker.flush(&store, at(300));
    assert_eq!(cost(&mut worker, &store, 300 + VIEW_MS - 1), 0);
}

#[test]
fn a_breaker_that_is_not_closed_is_looked_at_for_every_call() {
    let (store, mut worker) = (opened(), worker());
    (0..3).for_each(|n| assert_eq!(cost(&mut worker, &store, n), 1, "open"));
    assert_eq!(cost(&mut worker, &store, 1_000), 2, "the probe's lease is written");
    (0..3).for_each(|_| assert_eq!(cost(&mut worker, &store, 1_001), 1, "half-open"));
    let before = store.calls.get();
    (0..3).for_each(|_| assert!(!worker.look(&store, at(1_001)).admits));
    assert_eq!(store.calls.get(), before + 3);
}

#[test]
fn a_server_that_is_coming_back_is_looked_at_for_every_call_until_it_is_back() {
    let ramped = Policy { ramp: Policy::default().ramp, ..policy() };
    let (store, mut worker) = (opened(), Breaker::new("server", ramped));
    let Admission::Admit { ticket, .. } = worker.admit(&store, at(1_000)) else { panic!("no probe") };
    worker.report(&store, at(1_000), ticket, SUCCESS);
    assert_eq!(store.record().state, State::Closed);
    for now_ms in [1_000, 1_001, 1_001, 10_999, 10_999] {
        assert_eq!(cost(&mut worker, &store, now_ms), 1, "{now_ms}");
    }
    assert_eq!(cost(&mut worker, &store, 11_000), 1);
    assert_eq!(cost(&mut worker, &store, 11_001), 0);
}

#[test]
fn an_opening_by_another_worker_is_seen_within_20_ms_and_calls_until_then_decide_nothing() {
    let (store, mut first) = healthy();
    first.admit(&store, at(100));
    let mut second = worker();
    fail_twice(&mut second, &store, 101);
    let open = store.record();
    assert_eq!(open.state, State::Open);
    let Admission::Admit { ticket: late, .. } = first.admit(&store, at(100 + VIEW_MS - 1)) else { panic!("refused") };
    assert!(matches!(first.admit(&store, at(100 + VIEW_MS)), Admission::Refuse { reason: Refusal::Open, .. }));
    assert_eq!(first.report(&store, at(130), late, FAILURE), None);
    assert_eq!((store.record(), first.take_counters().get(Event::StaleResult)), (open, 1));
}

#[test]
fn a_clock_that_goes_back_makes_the_next_call_look() {
    let (store, mut worker) = healthy();
    worker.admit(&store, at(100));
    assert_eq!(cost(&mut worker, &store, 101), 0);
    assert_eq!(cost(&mut worker, &store, 100), 1, "though no earlier than the last look");
    assert_eq!(worker.take_counters().get(Event::ClockBackward), 1);
    assert_eq!(cost(&mut worker, &store, 5), 1);
    assert_eq!(cost(&mut worker, &store, 5), 0);
}

#[test]
fn a_worker_that_only_measures_relies_on_what_it_saw_as_well() {
    let (store, mut worker) = (healthy().0, Breaker::new("server", Policy { mode: Mode::MetricsOnly, ..policy() }));
    assert_eq!(cost(&mut worker, &store, 0), 1);
    assert_eq!(cost(&mut worker, &store, 1), 0);
    assert_eq!(worker.take_counters(), Counters::default());
}

#[test]
fn peeking_is_always_up_to_date_and_spares_no_call_its_look() {
    let (store, mut first) = healthy();
    first.admit(&store, at(0));
    let mut second = worker();
    fail_twice(&mut second, &store, 0);
    assert_eq!(first.peek(&store, 0).state, State::Open);
    assert!(matches!(first.admit(&store, at(0)), Admission::Refuse { .. }));
    let (store, mut worker) = healthy();
    worker.admit(&store, at(0));
    worker.peek(&store, 1);
    assert_eq!(cost(&mut worker, &store, 1), 1);
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Admit,
    Look,
    Report(prop::sample::Index, CallResult),
    Flush,
}

fn act() -> impl Strategy<Value = Act> {
    let result =
        prop_oneof![4 => Just(SUCCESS), 3 => Just(FAILURE), 1 => Just(NEUTRAL), 1 => (0u64..50).prop_map(limited)];
    prop_oneof![
        6 => Just(Act::Admit),
        2 => Just(Act::Look),
        6 => (any::<prop::sample::Index>(), result).prop_map(|(which, result)| Act::Report(which, result)),
        1 => Just(Act::Flush),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn several_workers_miss_at_most_20_ms_and_never_what_they_have_learnt_themselves(
        history in prop::collection::vec((0usize..3, act(), prop::sample::select(vec![0, 0, 1, 7, 19, 20, 50])), 1..200),
    ) {
        // It opens for 50 ms, so that the breaker goes round several times.
        let brief = Policy { base_open_ms: 50, max_open_ms: 50, lease_ms: 50, ..policy() };
        let (store, mut now_ms) = (Store::default(), 1_000u64);
        let mut workers = [0; 3].map(|_| Breaker::new("server", brief));
        workers[0].admit(&store, at(now_ms));
        let mut calls: Vec<(usize, Ticket)> = Vec::new();
        // When the breaker was last closed, and which workers have seen a failure of their own and not looked since.
        let (mut closed_ms, mut learnt) = (now_ms, [false; 3]);
        for (who, act, elapsed) in history {
            now_ms += elapsed;
            let (before, reads) = (store.record(), store.calls.get());
            if before.state == State::Closed {
                closed_ms = now_ms;
            }
            let admitted = match act {
                Act::Admit => match workers[who].admit(&store, at(now_ms)) {
                    Admission::Admit { ticket, .. } => {
                        calls.push((who, ticket));
                        Some(ticket)
                    }
                    Admission::Refuse { .. } => {
                        prop_assert!(before.state != State::Closed, "a closed breaker refuses nothing");
                        None
                    }
                },
                Act::Look => {
                    let look = workers[who].look(&store, at(now_ms));
                    prop_assert!(look.admits || before.state != State::Closed);
                    look.admits.then_some(look.ticket)
                }
                Act::Report(which, result) if !calls.is_empty() => {
                    let (who, ticket) = calls.swap_remove(which.index(calls.len()));
                    let told = workers[who].report(&store, at(now_ms), ticket, result);
                    if ticket.epoch != before.epoch {
                        let fails = |record: &Record| record.window.counts(now_ms).fail;
                        prop_assert_eq!(told, None, "a result of an older epoch decides nothing");
                        prop_assert_eq!(fails(&store.record()), fails(&before), "and is not counted");
                    }
                    let adverse = matches!(
                        result.outcome,
                        Outcome::Failure | Outcome::Overdue { .. } | Outcome::Limited { .. }
                    );
                    learnt[who] = adverse || learnt[who] && store.calls.get() == reads;
                    None
                }
                Act::Report(..) => None,
                Act::Flush => {
                    workers[who].flush(&store, at(now_ms));
                    None
                }
            };
            if let Some(ticket) = admitted {
                let looked = store.calls.get() > reads;
                prop_assert!(looked || !learnt[who], "it has seen a failure of its own");
                if before.state != State::Closed && ticket.lease.is_none() {
                    prop_assert!(!looked && ticket.epoch != before.epoch, "not one that looks, and not to be counted");
                    prop_assert!(now_ms - closed_ms < VIEW_MS, "open for {} ms", now_ms - closed_ms);
                }
            }
            if matches!(act, Act::Admit | Act::Look | Act::Flush) {
                learnt[who] &= store.calls.get() == reads;
            }
        }
    }
}
