//! Invariants under random histories: several workers, calls that never report, workers that vanish, a clock that jumps.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use proptest::prelude::*;

use super::super::step::{Decision, admit, judge};
use super::super::*;
use super::store::Store;
use super::{ALIVE, FAILURE, NEUTRAL, SUCCESS, limited, policy};
use crate::shared_data::SetError;

#[derive(Debug, Clone, Copy)]
enum Act {
    Admit,
    Report(prop::sample::Index, CallResult),
    /// A call that never reports.
    Lose(prop::sample::Index),
    Flush,
    /// The worker's VM is replaced.
    Crash,
    Conflict,
}

fn act() -> impl Strategy<Value = Act> {
    let result = prop_oneof![
        Just(SUCCESS),
        Just(FAILURE),
        Just(FAILURE),
        Just(NEUTRAL),
        Just(ALIVE),
        (0u64..20_000).prop_map(limited)
    ];
    prop_oneof![
        6 => Just(Act::Admit),
        6 => (any::<prop::sample::Index>(), result).prop_map(|(which, result)| Act::Report(which, result)),
        1 => any::<prop::sample::Index>().prop_map(Act::Lose),
        1 => Just(Act::Flush),
        1 => Just(Act::Crash),
        1 => Just(Act::Conflict),
    ]
}

fn elapsed() -> impl Strategy<Value = i64> {
    prop::sample::select(vec![
        0,
        0,
        0,
        1,
        199,
        499,
        500,
        999,
        1_000,
        2_000,
        8_000,
        9_999,
        60_000,
        1 << 45,
        -1,
        -3_000,
        -60_000,
    ])
}

fn strict() -> Policy {
    Policy { failure_rate: Some(0.5), min_calls: 4, jitter: 0.25, ..policy() }
}

/// What one act changed must be a legal move.
fn check_move(before: &Record, after: &Record, told: Option<Transition>) {
    let moved = after.epoch != before.epoch;
    assert_eq!(moved, before.state != after.state, "the epoch changes with the state and only then");
    assert_eq!(
        told.map(|t| (t.from, t.to)),
        moved.then_some((before.state, after.state)),
        "a move is told exactly once"
    );
    assert!(!after.lease.is_live() || after.state == State::HalfOpen, "leases live in half-open only");
    let Some(told) = told else { return };
    assert_eq!(after.epoch, before.epoch.wrapping_add(1));
    match (told.from, told.to) {
        (State::Closed, State::Open) => {
            let rate = told.counts.total() >= 4 && told.counts.fail * 2 >= told.counts.total();
            assert!(told.run >= 2 || rate, "{told:?} without evidence");
        }
        (State::Open, State::HalfOpen) | (State::HalfOpen, State::Open | State::Closed) => {}
        illegal => panic!("{illegal:?}"),
    }
    if told.to == State::Open {
        assert!((1_000..=10_000).contains(&told.period_ms), "{told:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_makes_only_legal_moves(
        history in prop::collection::vec((0usize..3, act(), elapsed(), any::<u32>()), 1..120),
    ) {
        let (store, mut now_ms) = (Store::default(), 100_000u64);
        let mut workers = [0; 3].map(|_| Breaker::new("server", strict()));
        let mut calls: Vec<Ticket> = Vec::new();
        workers[0].admit(&store, Moment { now_ms, random: 0 });
        // When the breaker was last closed: a worker may not know for a while that it no longer is.
        let mut closed_ms = now_ms;
        // Nor that the clock went back, if it is where it was when the worker looks at it again.
        let mut went_back = [false; 3];
        for (who, act, elapsed, random) in history {
            now_ms = now_ms.saturating_add_signed(elapsed);
            if elapsed < 0 {
                went_back = [true; 3];
            }
            let moment = Moment { now_ms, random };
            let (before, worker) = (store.record(), &mut workers[who]);
            let mut told = None;
            if before.state == State::Closed {
                closed_ms = now_ms;
            }
            match act {
                Act::Admit => match worker.admit(&store, moment) {
                    Admission::Admit { ticket, transition, .. } => {
                        let early = before.state == State::Open && now_ms >= before.since_ms && now_ms < before.deadline_ms;
                        let recently = now_ms.abs_diff(closed_ms) < VIEW_MS || went_back[who];
                        let unaware = ticket.epoch != before.epoch && recently;
                        prop_assert!(!early || unaware, "nothing is admitted before the deadline");
                        calls.push(ticket);
                        told = transition;
                    }
                    Admission::Refuse { transition, retry_after_ms, .. } => {
                        prop_assert!(before.state != State::Closed);
                        prop_assert!(retry_after_ms <= 10_000, "{retry_after_ms}");
                        told = transition;
                    }
                },
                Act::Report(_, _) | Act::Lose(_) if calls.is_empty() => {}
                Act::Report(which, result) => {
                    let ticket = calls.swap_remove(which.index(calls.len()));
                    told = worker.report(&store, moment, ticket, result);
                    let decides = ticket.lease == Some(before.lease) && ticket.epoch == before.epoch;
                    prop_assert!(before.state != State::HalfOpen || decides || told.is_none(), "only the holder decides");
                }
                Act::Lose(which) => drop(calls.swap_remove(which.index(calls.len()))),
                Act::Flush => told = worker.flush(&store, moment),
                Act::Crash => *worker = Breaker::new("server", strict()),
                Act::Conflict => *store.faults.borrow_mut() = vec![SetError::CasMismatch],
            }
            if matches!(act, Act::Admit) {
                went_back[who] = false;
            }
            let after = store.record();
            check_move(&before, &after, told);
            let holders = calls.iter().filter(|t| t.lease == Some(after.lease) && t.epoch == after.epoch).count();
            prop_assert!(holders <= 1, "one probe at a time");
        }
    }

    #[test]
    fn no_result_is_lost_to_conflicts(
        results in prop::collection::vec((0usize..2, any::<bool>(), 0usize..6), 1..60),
    ) {
        let tireless = Policy { consecutive: None, ..policy() };
        let store = Store::default();
        let mut workers = [0; 2].map(|_| Breaker::new("server", tireless));
        let moment = Moment { now_ms: 0, random: 0 };
        for (who, good, conflicts) in &results {
            if let Admission::Admit { ticket, .. } = workers[*who].admit(&store, moment) {
                *store.faults.borrow_mut() = vec![SetError::CasMismatch; *conflicts];
                workers[*who].report(&store, moment, ticket, if *good { SUCCESS } else { FAILURE });
                store.faults.borrow_mut().clear();
            }
        }
        for worker in &mut workers {
            worker.flush(&store, moment);
        }
        let good = results.iter().filter(|(_, good, _)| *good).count() as u32;
        prop_assert_eq!(store.record().window.counts(0), Counts { ok: good, fail: results.len() as u32 - good, slow: 0 });
    }

    #[test]
    fn a_dead_server_gets_at_most_one_probe_more_than_may_be_lost(max_lost in 0u8..10) {
        let policy = Policy { max_lost, ..policy() };
        let mut record = Record { state: State::Open, ..Record::new(0, &policy, 0) };
        let mut probes = 0;
        for lease in 0..100 {
            let step = admit(&record, Moment { now_ms: lease * policy.lease_ms, random: 0 }, &policy);
            record = step.record.unwrap();
            match step.answer {
                Decision::Admit(_) => probes += 1,
                Decision::Refuse { .. } => break,
            }
        }
        prop_assert_eq!(probes, u32::from(max_lost) + 1);
        prop_assert_eq!(record.state, State::Open);
    }

    #[test]
    fn every_breaker_closes_again_once_its_server_is_well(
        state in prop::sample::select(vec![State::Closed, State::Open, State::HalfOpen]), since_ms in 0u64..1 << 50,
        left_ms in 0u64..150_000, lease: u32, numbers: (u32, u8, u8, u8, u16), mut now_ms in 0u64..1 << 50,
    ) {
        // hermes-agent PR#13474 and others: stuck open for ever.
        let policy = Policy { probe_successes: 3, ..policy() };
        let (epoch, attempt, streak, lost, run) = numbers;
        let deadline_ms = since_ms + left_ms;
        let lease = if state == State::HalfOpen { Lease(lease) } else { Lease(lease).ended() };
        let mut record = Record {
            state, since_ms, deadline_ms, lease, epoch, attempt, streak, lost, run, ..Record::new(0, &policy, 0)
        };
        let (begin, mut moments) = (now_ms, 0);
        while record.state != State::Closed {
            moments += 1;
            prop_assert!(moments < 20);
            let moment = Moment { now_ms, random: 0 };
            let step = admit(&record, moment, &policy);
            record = step.record.unwrap_or(record);
            match step.answer {
                Decision::Refuse { retry_after_ms, .. } => now_ms += retry_after_ms,
                Decision::Admit(Ticket { epoch, lease, .. }) => {
                    let verdict = results::ProbeResult { epoch, lease: lease.unwrap(), result: SUCCESS };
                    record = judge(&record, &verdict, moment, &policy).record.unwrap();
                }
            }
        }
        prop_assert!(now_ms - begin <= 150_000 + policy.max_open_ms, "waited {}", now_ms - begin);
    }

    #[test]
    fn the_window_agrees_with_a_list_of_all_samples(
        samples in prop::collection::vec((-3i64..12, any::<bool>(), 0u32..3), 1..80), bucket_ms in 1u16..2_000,
    ) {
        let mut now_ms = 1u64 << 40;
        let mut window = Window::new(10, bucket_ms, now_ms);
        let (mut head, mut list) = (now_ms / u64::from(bucket_ms), Vec::new());
        for (buckets, good, count) in samples {
            now_ms = now_ms.saturating_add_signed(buckets * i64::from(bucket_ms) / 3);
            head = head.max(now_ms / u64::from(bucket_ms));
            let counts = if good { Counts { ok: count, ..Counts::default() } } else { Counts { fail: count, ..Counts::default() } };
            window.add(counts, now_ms);
            list.push((head, counts));
            let inside = list.iter().filter(|(bucket, _)| bucket + 10 > head);
            let (ok, fail) = inside.fold((0, 0), |(ok, fail), (_, c)| (ok + c.ok, fail + c.fail));
            prop_assert_eq!(window.counts(now_ms), Counts { ok, fail, slow: 0 });
        }
    }

    #[test]
    fn a_window_survives_any_clock_and_any_count(
        samples in prop::collection::vec((any::<u64>(), any::<(u32, u32, u32)>()), 1..30), bucket_ms: u16, buckets: u8,
    ) {
        let mut window = Window::new(buckets, bucket_ms, 0);
        for (now_ms, (ok, fail, slow)) in samples {
            window.add(Counts { ok, fail, slow }, now_ms);
            prop_assert!(window.counts(now_ms).total() <= 255 * 2 * 65_535);
        }
    }
}
