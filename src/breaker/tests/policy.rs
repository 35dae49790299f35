#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::*;

#[test]
fn jitter_is_added_after_the_cap_so_that_replicas_at_the_cap_spread_out() {
    let policy = Policy { jitter: 0.25, ..Policy::default() };
    assert_eq!(policy.open_period_ms(255, None, 0), 120_000);
    assert_eq!(policy.open_period_ms(255, None, u32::MAX), 150_000);
}

#[test]
fn a_servers_retry_after_lengthens_the_open_period_within_the_bounds_and_never_shortens_it() {
    let policy = Policy { jitter: 0.0, ..Policy::default() };
    assert_eq!(policy.open_period_ms(1, Some(30_000), 0), 30_000);
    assert_eq!(policy.open_period_ms(3, Some(1), 0), 20_000);
    assert_eq!(policy.open_period_ms(1, Some(u64::MAX), 0), 120_000);
}

#[test]
fn the_share_of_a_returning_server_grows_with_time_from_its_minimum_to_all_calls() {
    let policy = Policy { ramp: Ramp { ms: 10_000, min_share: 0.1, aggression: 1 }, ..Policy::default() };
    for (elapsed_ms, share) in [(0, 0.1), (500, 0.1), (2_500, 0.25), (9_999, 0.9999)] {
        assert!(policy.ramp_takes(elapsed_ms, share - 1e-9), "{elapsed_ms}");
        assert!(!policy.ramp_takes(elapsed_ms, share + 1e-9), "{elapsed_ms}");
    }
    assert!(policy.ramp_takes(10_000, 1.0) && policy.ramp_takes(u64::MAX, 1.0));
    let eager = Policy { ramp: Ramp { aggression: 2, ..policy.ramp }, ..policy };
    assert!(
        eager.ramp_takes(2_500, 0.5 - 1e-9) && !eager.ramp_takes(2_500, 0.5 + 1e-9),
        "the square root of a quarter"
    );
    let none = Policy { ramp: Ramp { ms: 0, ..policy.ramp }, ..policy };
    assert!(none.ramp_takes(0, 1.0));
}

#[test]
fn calls_of_last_resort_are_shed_the_more_the_fewer_succeed() {
    let policy = Policy::default();
    let sheds = |total, ok, draw| policy.sheds(Counts { ok, fail: total - ok, slow: 0 }, draw);
    // The numbers of Envoy's admission control: no rejection from the threshold on, growing below it, capped.
    for (total, ok, probability) in
        [(100, 19, 0.792_079_207_920_792_1), (100, 0, 0.8), (100, 57, 0.396_039_603_960_396)]
    {
        assert!(sheds(total, ok, probability - 1e-9) && !sheds(total, ok, probability + 1e-9), "{ok} of {total}");
    }
    assert!(!sheds(100, 95, 0.0) && !sheds(100, 100, 0.0) && !sheds(0, 0, 0.0));
    let early =
        Policy { last_resort: LastResort { aggression: 2, max_rejection: 1.0, ..policy.last_resort }, ..policy };
    let root = 0.396_039_603_960_396_f64.sqrt();
    let counts = Counts { ok: 57, fail: 43, slow: 0 };
    assert!(early.sheds(counts, root - 1e-9) && !early.sheds(counts, root + 1e-9));
}

#[test]
fn the_open_period_grows_by_its_factor_up_to_the_longest() {
    let policy = Policy { jitter: 0.0, growth: 1.5, ..Policy::default() };
    let periods = [1, 2, 3, 255].map(|attempt| policy.open_period_ms(attempt, None, 0));
    assert_eq!(periods, [5_000, 7_500, 11_250, 120_000]);
    let constant = Policy { growth: 1.0, ..policy };
    assert_eq!(constant.open_period_ms(200, None, 0), 5_000);
}

#[test]
fn a_policy_keeps_its_fingerprint_from_version_to_version_and_no_two_have_the_same() {
    let default = Policy::default();
    let slow = Some(Slow { after_ms: 2_000, rate: 0.75 });
    let moving = [
        default,
        Policy { consecutive: None, failure_rate: None, slow, ..default },
        Policy { min_calls: 11, ..default },
        Policy { ramp: Ramp { aggression: 2, ..default.ramp }, ..default },
    ];
    assert_eq!(moving.map(|policy| policy.fingerprint()), [4_267_213_865, 1_580_980_457, 641_006_812, 1_538_909_002]);
    // What moves no record is not in it.
    let hands_on = Policy {
        last_resort: LastResort { concurrency: 1, ..default.last_resort },
        mode: Mode::MetricsOnly,
        enforce_percent: 1,
        reset_id: 1,
        ..default
    };
    assert_eq!(hands_on.fingerprint(), default.fingerprint());
}
