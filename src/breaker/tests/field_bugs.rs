//! Bugs that other breakers shipped. Those that are about one step, one driver or one race stand next to the tests of these
//! (`step`, `driver`, `interleaving`, `ramp`), those about the request path with the whole filter's tests; all name the
//! project. Here is the rest.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::*;
use super::store::Store;
use super::{ALIVE, FAILURE, NEUTRAL, SUCCESS, at, call, limited, policy};

fn fresh(policy: Policy) -> (Store, Breaker) {
    (Store::default(), Breaker::new("server", policy))
}

fn opened(policy: Policy) -> (Store, Breaker) {
    let (store, mut worker) = fresh(policy);
    (0..2).for_each(|_| assert!(call(&mut worker, &store, 0, FAILURE)));
    assert_eq!(store.record().state, State::Open);
    (store, worker)
}

#[test]
fn half_open_admits_one_call_in_all_and_not_one_at_once() {
    // failsafe #391: permits were a limit on concurrency. safe-client-gateway #3442: every process probed on its own.
    let (store, _) = opened(policy());
    let mut workers = [0; 8].map(|_| Breaker::new("server", policy()));
    let admitted = (0..100).filter(|n| matches!(workers[n % 8].admit(&store, at(1_000)), Admission::Admit { .. }));
    assert_eq!(admitted.count(), 1);
}

#[test]
fn every_worker_waits_for_the_same_deadline_jitter_and_all() {
    // pybreaker #24: each process had an open period of its own.
    let (store, mut first) = fresh(Policy { jitter: 1.0, ..policy() });
    for _ in 0..2 {
        let moment = Moment { now_ms: 0, random: 0x8000_0000 };
        if let Admission::Admit { ticket, .. } = first.admit(&store, moment) {
            first.report(&store, moment, ticket, FAILURE);
        }
    }
    let waits = [0u32, 7, u32::MAX].map(|random| {
        let mut worker = Breaker::new("server", Policy { jitter: 1.0, ..policy() });
        match worker.admit(&store, Moment { now_ms: 100, random }) {
            Admission::Refuse { retry_after_ms, .. } => retry_after_ms,
            admitted => panic!("{admitted:?}"),
        }
    });
    assert_eq!(waits, [1_400; 3]);
}

#[test]
fn a_run_begins_at_nothing_after_every_change_of_state() {
    // Envoy #18950, #40697: the counter survived the ejection, and a later run was not detected.
    let (store, mut worker) = opened(policy());
    assert!(call(&mut worker, &store, 1_000, SUCCESS));
    assert!(call(&mut worker, &store, 1_001, FAILURE));
    assert_eq!((store.record().state, store.record().run), (State::Closed, 1));
    assert!(call(&mut worker, &store, 1_002, FAILURE));
    assert_eq!(store.record().state, State::Open);
}

#[test]
fn a_run_of_rare_failures_opens_however_far_apart_they_are() {
    // SolaceProducts/solace-broker-mcp #296: the run expired with the window; at a call every 19 s it never tripped.
    let (store, mut worker) = fresh(Policy { consecutive: Some(5), ..policy() });
    (0..5).for_each(|n| assert!(call(&mut worker, &store, n * 19_000, FAILURE)));
    assert_eq!(store.record().state, State::Open);
}

#[test]
fn an_outage_across_the_edge_of_a_bucket_is_seen_whole() {
    // gobreaker #21, #64: a fixed interval forgot everything at its edge.
    let by_rate = Policy { consecutive: None, failure_rate: Some(0.5), min_calls: 10, ..policy() };
    for edge in [1_000, 5_000, 10_000] {
        let (store, mut worker) = fresh(by_rate);
        (0..10).for_each(|n| assert!(call(&mut worker, &store, edge - 5 + n, FAILURE)));
        assert_eq!(store.record().state, State::Open, "around {edge} ms");
    }
}

#[test]
fn a_server_that_nobody_called_for_weeks_starts_with_an_empty_window() {
    // linkerd2-proxy has a test for it: the distance of two bucket numbers in 32 bits.
    let by_rate = Policy { consecutive: None, failure_rate: Some(0.5), min_calls: 2, ..policy() };
    for idle_ms in [10_000, 1 << 31, (1 << 32) * 1_000 - 10_000, (1 << 32) * 1_000 + 10_000] {
        let (store, mut worker) = fresh(by_rate);
        assert!(call(&mut worker, &store, 0, FAILURE));
        assert!(call(&mut worker, &store, idle_ms, FAILURE));
        assert_eq!(store.record().state, State::Closed, "after {idle_ms} ms");
        assert_eq!(store.record().window.counts(idle_ms).fail, 1);
    }
}

#[test]
fn the_smallest_number_of_calls_has_no_say_in_half_open() {
    // resilience4j #736, #1351: users and code disagreed about what it means there.
    let patient = Policy { min_calls: 1_000, ..policy() };
    let (store, mut worker) = opened(patient);
    assert!(call(&mut worker, &store, 1_000, SUCCESS));
    assert_eq!(store.record().state, State::Closed);
}

#[test]
fn clients_that_leave_open_nothing() {
    // gobreaker #105, apache/brpc #3532, concurrency-limits #146: cancellations counted as failures.
    let (store, mut worker) = fresh(Policy { failure_rate: Some(0.1), min_calls: 1, ..policy() });
    (0..100).for_each(|_| assert!(call(&mut worker, &store, 0, NEUTRAL)));
    assert_eq!(store.record().state, State::Closed);
}

#[test]
fn expired_sessions_open_nothing_and_keep_nothing_open() {
    // MikkoParkkola/mcp-gateway PR#248: every probe failed on an expired session, for 6.5 hours.
    let (store, mut worker) = fresh(Policy { failure_rate: Some(0.1), min_calls: 1, ..policy() });
    (0..100).for_each(|_| assert!(call(&mut worker, &store, 0, ALIVE)));
    assert_eq!(store.record().state, State::Closed);
    let (store, mut worker) = opened(policy());
    (0..3).for_each(|n| assert!(call(&mut worker, &store, 1_000 + n, ALIVE)));
    assert_eq!(store.record().state, State::Closed);
}

#[test]
fn an_open_period_neither_grows_for_ever_nor_overflows() {
    // Envoy #6016, #14235, #17147: the multiplier was unbounded, or never decayed.
    let (store, mut worker) = opened(policy());
    for _ in 0..600 {
        let now_ms = store.record().deadline_ms;
        assert!(call(&mut worker, &store, now_ms, FAILURE));
        assert!(store.record().deadline_ms - now_ms <= 8_000);
    }
    assert_eq!(store.record().attempt, u8::MAX);
    let now_ms = store.record().deadline_ms;
    assert!(call(&mut worker, &store, now_ms, SUCCESS));
    let healthy = now_ms + 300 * policy().decay_ms;
    (0..2).for_each(|_| assert!(call(&mut worker, &store, healthy, FAILURE)));
    assert_eq!(store.record().deadline_ms - healthy, 1_000);
}

#[test]
fn a_server_may_ask_for_a_pause_of_a_week_and_gets_the_longest_there_is() {
    // litellm #40130, and whoever believes a Retry-After without bounds.
    let (store, mut worker) = opened(policy());
    assert!(call(&mut worker, &store, 1_000, limited(604_800_000)));
    assert_eq!(store.record().deadline_ms, 9_000);
}

#[test]
fn a_configuration_update_in_an_outage_keeps_the_state() {
    // Higress ai-proxy: a reload wiped it.
    let (store, _) = opened(policy());
    for changed in [
        Policy { consecutive: Some(50), ..policy() },
        Policy { base_open_ms: 1, ..policy() },
        Policy { mode: Mode::MetricsOnly, ..policy() },
    ] {
        Breaker::new("server", changed).admit(&store, at(1));
        let record = store.record();
        assert_eq!((record.state, record.deadline_ms, record.epoch), (State::Open, 1_000, 1));
    }
}
