#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use proptest::prelude::*;

use super::found::{FEWEST, WINDOW_MS};
use super::*;

const POLICY: ConcurrencyPolicy = ConcurrencyPolicy { min: 2, max: 100, tolerance: 1_500 };

fn limit(policy: ConcurrencyPolicy) -> Rc<Limit> {
    Rc::new(Limit::new(policy))
}

/// Windows in which as many calls as may be are under way, and each takes so long.
fn busy(limit: &Rc<Limit>, windows: u64, took_ms: u64, now_ms: &mut u64) {
    for _ in 0..windows {
        let _under_way: Vec<_> = (0..limit.limit()).map(|_| limit.enter()).collect();
        for _ in 0..FEWEST {
            *now_ms += WINDOW_MS / (FEWEST - 1);
            limit.ended(Class::Success, took_ms, *now_ms);
        }
        *now_ms += 10;
        limit.ended(Class::Success, took_ms, *now_ms);
    }
}

#[test]
fn a_server_is_full_with_as_many_calls_as_its_limit_and_has_room_again_when_one_ends() {
    let limit = limit(ConcurrencyPolicy { min: 2, max: 2, ..POLICY });
    let first = limit.enter();
    assert!(!limit.is_full());
    let second = limit.enter();
    assert!(limit.is_full());
    assert_eq!(limit.under_way(), 2);
    drop(first);
    assert!(!limit.is_full());
    drop(second);
    assert_eq!(limit.under_way(), 0);
}

#[test]
fn a_limit_begins_at_20_within_its_bounds() {
    for (min, max, first) in [(2, 100, 20), (1, 5, 5), (50, 100, 50)] {
        assert_eq!(limit(ConcurrencyPolicy { min, max, ..POLICY }).limit(), first);
    }
}

#[test]
fn it_grows_up_to_its_most_while_answers_take_no_longer() {
    let (limit, mut now) = (limit(POLICY), 0);
    busy(&limit, 40, 50, &mut now);
    assert_eq!(limit.limit(), 100);
}

#[test]
fn it_does_not_grow_beyond_twice_of_what_is_needed() {
    let limit = limit(POLICY);
    let _under_way: Vec<_> = (0..5).map(|_| limit.enter()).collect();
    (0..1_000).for_each(|at| limit.ended(Class::Success, 50, at * 150));
    assert_eq!(limit.limit(), 20);
}

#[test]
fn what_is_not_used_is_given_up_by_and_by() {
    let (limit, mut now) = (limit(POLICY), 0);
    busy(&limit, 40, 50, &mut now);
    let _under_way: Vec<_> = (0..15).map(|_| limit.enter()).collect();
    (0..1_000).for_each(|at| limit.ended(Class::Success, 50, now + at * 150));
    assert!((30..=31).contains(&limit.limit()), "{}", limit.limit());
}

#[test]
fn it_goes_down_when_answers_take_longer_and_recovers_afterwards() {
    let (limit, mut now) = (limit(POLICY), 0);
    busy(&limit, 40, 50, &mut now);
    busy(&limit, 5, 500, &mut now);
    let slow = limit.limit();
    assert!(slow < 30, "{slow}");
    busy(&limit, 40, 50, &mut now);
    assert_eq!(limit.limit(), 100);
}

#[test]
fn what_has_become_slow_for_good_is_the_norm_after_some_time_at_the_least() {
    let (limit, mut now) = (limit(POLICY), 0);
    busy(&limit, 20, 50, &mut now);
    let lowest = (0..20).map(|_| {
        busy(&limit, 1, 500, &mut now);
        limit.limit()
    });
    assert_eq!(lowest.min(), Some(2));
    busy(&limit, 60, 500, &mut now);
    assert_eq!(limit.limit(), 100);
}

#[test]
fn a_server_that_says_that_it_has_too_many_gets_a_tenth_less_a_window() {
    let limit = limit(POLICY);
    (0..10).for_each(|at| limit.ended(Class::Overload, 1, at));
    assert_eq!(limit.limit(), 18);
    limit.ended(Class::Overload, 1, WINDOW_MS);
    assert_eq!(limit.limit(), 16);
}

#[test]
fn silence_counts_and_what_fails_at_once_does_not() {
    let (limit, mut now) = (limit(POLICY), 0);
    busy(&limit, 10, 50, &mut now);
    let before = limit.limit();
    let _under_way: Vec<_> = (0..before).map(|_| limit.enter()).collect();
    for at in 0..100 {
        limit.ended(Class::Lost, 1, now + at * 100);
        limit.ended(Class::Server, 1, now + at * 100);
        limit.ended(Class::Cancelled, 9_000, now + at * 100);
    }
    assert_eq!(limit.limit(), before);
    (0..20).for_each(|at| limit.ended(Class::Lost, 30_000, now + 10_000 + at * 100));
    assert!(limit.limit() < before);
}

proptest! {
    /// Whatever happens: the limit stays within its bounds, and what is under way is what was not ended.
    #[test]
    fn no_history_takes_a_limit_out_of_its_bounds(
        (min, max) in (1..50_u32).prop_flat_map(|min| (Just(min), min..=200)),
        tolerance in 1_100..10_000_u32,
        events in proptest::collection::vec((0..6_u8, prop_oneof![0..100_u64, Just(u64::MAX), Just(0)], 0..5_000_u64), 0..300),
    ) {
        let limit = limit(ConcurrencyPolicy { min, max, tolerance });
        let (mut now, mut under_way) = (0, Vec::new());
        for (what, took, later) in events {
            now += later;
            match what {
                0 | 1 => under_way.push(limit.enter()),
                2 => drop(under_way.pop()),
                3 => limit.ended(Class::Success, took, now),
                4 => limit.ended(Class::Lost, took, now),
                _ => limit.ended(Class::Overload, took, now),
            }
            prop_assert!((min..=max).contains(&limit.limit()), "{}", limit.limit());
            prop_assert_eq!(limit.under_way() as usize, under_way.len());
        }
    }
}
