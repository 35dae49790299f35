#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::draws::Draw;
use super::super::*;
use super::store::Store;
use super::{FAILURE, at, policy};

/// The moment at which `draw` comes out as `value` of 2^32: the way back through the finaliser.
pub fn drawing(draw: Draw, value: u32, now_ms: u64) -> Moment {
    let inverse = |odd: u32| (0..5).fold(odd, |x, _| x.wrapping_mul(2u32.wrapping_sub(odd.wrapping_mul(x))));
    let mut bits = value ^ (value >> 16);
    bits = bits.wrapping_mul(inverse(0xC2B2_AE35));
    bits ^= bits >> 13 ^ bits >> 26;
    bits = bits.wrapping_mul(inverse(0x85EB_CA6B));
    bits ^= bits >> 16;
    Moment { now_ms, random: bits ^ draw as u32 }
}

/// A thousand moments at which `draw` comes out evenly spread.
pub fn evenly(draw: Draw, now_ms: u64) -> impl Iterator<Item = Moment> {
    (0..1_000u32).map(move |n| drawing(draw, n * (u32::MAX / 1_000), now_ms))
}

/// Random numbers that are the same every time.
fn randoms(count: usize) -> impl Iterator<Item = u32> {
    let next = |last: &u64| Some(last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    std::iter::successors(Some(1), next).map(|state| (state >> 32) as u32).take(count)
}

#[test]
fn no_two_random_numbers_give_the_same_draw() {
    for value in [0, 1, 0x8000_0000, u32::MAX, 123_456_789] {
        for draw in [Draw::Enforcement, Draw::Shedding] {
            let expected = f64::from(value) / (f64::from(u32::MAX) + 1.0);
            assert!((draw.of(drawing(draw, value, 0)) - expected).abs() < 1e-12, "{draw:?} {value}");
        }
    }
}

#[test]
fn of_the_calls_that_a_half_enforced_breaker_refuses_as_many_are_shed_as_of_all_calls() {
    // One number for both decisions made "at most four in five are shed" mean all of them.
    let half = Policy { enforce_percent: 50, ..policy() };
    let (store, mut worker) = (Store::default(), Breaker::new("server", half));
    for _ in 0..2 {
        worker.report(&store, at(0), Ticket { epoch: 0, ..Ticket::default() }, FAILURE);
    }
    for _ in 0..1_000 {
        let ticket = Ticket { last_resort: true, ..Ticket::default() };
        worker.report(&store, at(0), ticket, FAILURE);
    }
    let (mut refused, mut shed) = (0, 0);
    for random in randoms(20_000) {
        let moment = Moment { now_ms: 1, random };
        if let Admission::Refuse { .. } = worker.admit(&store, moment) {
            refused += 1;
            match worker.admit_last_resort(moment) {
                Ok(_) => worker.end_last_resort(1),
                Err(reason) => {
                    assert_eq!(reason, Refusal::Shed);
                    shed += 1;
                }
            }
        }
    }
    let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole);
    assert!((share(refused, 20_000) - 0.5).abs() < 0.02, "{refused} refused");
    assert!((share(shed, refused) - half.last_resort.max_rejection).abs() < 0.02, "{shed} of {refused} shed");
}

#[test]
fn the_draws_of_one_random_number_are_independent_of_each_other() {
    // In each quarter of one draw the other is as likely to be in each of its quarters.
    let draws: [fn(Moment) -> f64; 3] =
        [Moment::draw, |moment| Draw::Enforcement.of(moment), |moment| Draw::Shedding.of(moment)];
    for (first, second) in [(0, 1), (0, 2), (1, 2)] {
        let mut cells = [[0u32; 4]; 4];
        for random in randoms(16_000) {
            let quarter = |draw: fn(Moment) -> f64| (draw(Moment { now_ms: 0, random }) * 4.0) as usize;
            cells[quarter(draws[first])][quarter(draws[second])] += 1;
        }
        let even = cells.as_flattened().iter().all(|count| count.abs_diff(1_000) < 150);
        assert!(even, "{first} and {second}: {cells:?}");
    }
}
