//! What `breaker` may say.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::{Value, json};

use crate::breaker::{LastResort, Mode, Policy, Ramp, Slow};
use crate::wire::{Node, Problem, Problems};

fn read(value: Value) -> Result<Policy, Vec<Problem>> {
    let problems = Problems::default();
    let policy = Policy::read(&Node::root(&(&value).into(), &problems), &Policy::default());
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
fn what_a_server_does_not_say_is_as_for_all_of_them() {
    let common = Policy { consecutive: None, slow: Some(Slow { after_ms: 10, rate: 0.2 }), ..Policy::default() };
    let problems = Problems::default();
    let read = |value: Value| Policy::read(&Node::root(&(&value).into(), &problems), &common);
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
