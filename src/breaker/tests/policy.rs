#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::{Value, json};

use super::super::*;
use crate::registry::reader::Node;
use crate::registry::{Problem, Problems};

fn read(value: Value) -> Result<Policy, Vec<Problem>> {
    let problems = Problems::default();
    let policy = Policy::read(&Node::root(&value, &problems), &Policy::default());
    let found = problems.into_vec();
    assert_eq!(policy.is_none(), found.iter().any(|p| p.rule != "is not a known key"), "{found:?}");
    policy.filter(|_| found.is_empty()).ok_or(found)
}

fn rules(value: Value) -> Vec<String> {
    read(value).expect_err("a problem").into_iter().map(|p| format!("{}: {}", p.path, p.rule)).collect()
}

#[test]
fn an_empty_mapping_is_the_default_policy() {
    assert_eq!(read(json!({})), Ok(Policy::default()));
}

#[test]
fn every_key_reaches_the_policy() {
    let wire = json!({
        "consecutive": 3, "failure_rate": 0.25, "min_calls": 20, "window": "30s", "slow": "2s", "slow_rate": 0.75,
        "base_open": "1s", "max_open": "1m", "jitter": 0, "decay": "30s", "lease": "10s", "max_lost": 2,
        "probe_successes": 4, "growth": 1.5, "ramp": "20s", "ramp_min_share": 0.2, "ramp_aggression": 2,
        "last_resort_success_rate": 0.9, "last_resort_aggression": 3, "last_resort_max_rejection": 0.7,
        "last_resort_concurrency": 9, "mode": "metrics_only", "enforce_percent": 50, "reset_id": 7,
    });
    let policy = Policy {
        consecutive: Some(3),
        failure_rate: Some(0.25),
        min_calls: 20,
        slow: Some(Slow { after_ms: 2_000, rate: 0.75 }),
        buckets: 10,
        bucket_ms: 3_000,
        base_open_ms: 1_000,
        growth: 1.5,
        max_open_ms: 60_000,
        jitter: 0.0,
        decay_ms: 30_000,
        lease_ms: 10_000,
        max_lost: 2,
        probe_successes: 4,
        ramp: Ramp { ms: 20_000, min_share: 0.2, aggression: 2 },
        last_resort: LastResort { success_rate: 0.9, aggression: 3, max_rejection: 0.7, concurrency: 9 },
        mode: Mode::MetricsOnly,
        enforce_percent: 50,
        reset_id: 7,
    };
    assert_eq!(read(wire), Ok(policy));
}

#[test]
fn zero_turns_a_limit_off() {
    assert_eq!(read(json!({"consecutive": 0})).map(|p| p.consecutive), Ok(None));
    assert_eq!(read(json!({"failure_rate": 0})).map(|p| p.failure_rate), Ok(None));
}

#[test]
fn a_breaker_that_nothing_can_open_is_refused() {
    assert_eq!(rules(json!({"consecutive": 0, "failure_rate": 0})), ["registry: nothing can open this breaker"]);
    assert!(read(json!({"consecutive": 0, "failure_rate": 0, "slow": "1s"})).is_ok());
}

#[test]
fn a_first_open_period_above_the_longest_is_refused_where_it_was_written() {
    assert_eq!(rules(json!({"base_open": "5m"})), ["base_open: base_open (5m) must not be longer than max_open (2m)"]);
    assert_eq!(rules(json!({"max_open": "1s"})), ["max_open: base_open (5s) must not be longer than max_open (1s)"]);
}

#[test]
fn a_slow_rate_without_a_slow_threshold_is_refused() {
    assert_eq!(rules(json!({"slow_rate": 0.5})), ["slow_rate: has no effect without slow"]);
    assert_eq!(rules(json!({"slow": "1s", "slow_rate": 0})), ["slow_rate: must be above 0"]);
}

#[test]
fn all_problems_are_noted_at_once() {
    let wire = json!({"consecutive": -1, "window": 10, "rampp": "10s"});
    let paths: Vec<_> = read(wire).expect_err("problems").into_iter().map(|p| p.path).collect();
    assert_eq!(paths, ["consecutive", "window", "rampp"]);
}

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
fn what_a_server_does_not_say_is_as_for_all_of_them() {
    let common = Policy { consecutive: None, slow: Some(Slow { after_ms: 10, rate: 0.2 }), ..Policy::default() };
    let problems = Problems::default();
    let read = |value: Value| Policy::read(&Node::root(&value, &problems), &common);
    assert_eq!(read(json!({})), Some(common));
    let slower = Policy { slow: Some(Slow { after_ms: 20, rate: 0.2 }), ..common };
    assert_eq!(read(json!({"slow": "20ms"})), Some(slower));
    assert_eq!(read(json!({"min_calls": 3})), Some(Policy { min_calls: 3, ..common }));
    assert!(problems.is_empty());
}

#[test]
fn a_ramps_share_without_a_ramp_is_refused() {
    assert_eq!(rules(json!({"ramp": "0s", "ramp_min_share": 0.5})), ["ramp_min_share: has no effect while ramp is 0s"]);
    assert_eq!(rules(json!({"ramp": "0s", "ramp_aggression": 2})), ["ramp_aggression: has no effect while ramp is 0s"]);
}

#[test]
fn a_share_of_enforcement_where_nothing_is_recorded_is_refused() {
    for mode in ["disabled", "forced_open"] {
        let wire = json!({"mode": mode, "enforce_percent": 50});
        assert_eq!(rules(wire), ["enforce_percent: has no effect in this mode"]);
    }
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
