//! The breaker: a dead server is left alone, one probe finds it well again.

use std::time::{Duration, Instant};

use dualpath_lab::stub::Behaviour;
use serde_json::json;

use crate::world::World;

const STATE: &str = "cortex_circuit_breaker_state";

async fn world_with_open_period(base_open: &str) -> World {
    let breaker = json!({"consecutive": 3, "failure_rate": 0, "base_open": base_open, "max_open": "30s", "jitter": 0});
    World::start_with(|options| {
        options.set("/breaker", breaker);
        // What is tested here is what calls do.
        options.set("/envoy/prober", json!("off"));
    })
    .await
}

/// Fails the primary until its breaker is open: three calls.
async fn open(world: &World) {
    world.primary.set(Behaviour::status(500));
    for _ in 0..3 {
        assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("secondary"));
    }
    assert_eq!(world.primary.calls(), 3);
}

#[tokio::test]
async fn the_gauge_of_every_server_is_there_before_any_traffic() {
    let world = World::start().await;
    for server in ["primary", "secondary", "rest"] {
        let labels = [("server", server)];
        let (metrics, held) =
            world.envoy.metrics_until(|m| m.value(STATE, &labels) == Some(0.0)).await.expect("metrics");
        assert!(held, "{server}: {:?}", metrics.series(STATE, &[]).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn an_open_breaker_keeps_calls_from_the_dead_server() {
    let world = world_with_open_period("20s").await;
    open(&world).await;
    for _ in 0..20 {
        assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("secondary"));
    }
    assert_eq!(world.primary.calls(), 3, "both workers know");
    let (_, open) =
        world.envoy.metrics_until(|m| m.value(STATE, &[("server", "primary")]) == Some(1.0)).await.expect("metrics");
    assert!(open);
}

#[tokio::test]
async fn after_the_open_period_one_probe_brings_traffic_back() {
    let world = world_with_open_period("700ms").await;
    open(&world).await;
    // Long enough for every call of the burst below to be under way while the probe is.
    world.primary.set(Behaviour::Delay { ms: 400 });
    tokio::time::sleep(Duration::from_millis(800)).await;
    let burst: Vec<_> = (0..8)
        .map(|_| {
            let client = world.client.clone();
            tokio::spawn(async move { client.search("q").await.served_by() })
        })
        .collect();
    for call in burst {
        assert!(call.await.expect("a call").is_some());
    }
    assert_eq!(world.primary.calls(), 4, "exactly one of the burst was the probe");
    world.primary.set(Behaviour::Normal);
    let deadline = Instant::now() + Duration::from_secs(20);
    while world.client.search("q").await.served_by().as_deref() != Some("primary") {
        assert!(Instant::now() < deadline, "traffic does not return");
    }
    let (_, closed) =
        world.envoy.metrics_until(|m| m.value(STATE, &[("server", "primary")]) == Some(0.0)).await.expect("metrics");
    assert!(closed);
}

#[tokio::test]
async fn a_probe_that_fails_opens_again() {
    let world = world_with_open_period("500ms").await;
    open(&world).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    for _ in 0..5 {
        assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("secondary"));
    }
    assert_eq!(world.primary.calls(), 4, "one probe, then silence again");
}

#[tokio::test]
async fn answers_that_are_no_outage_do_not_open_it() {
    let world = world_with_open_period("20s").await;
    for behaviour in [Behaviour::tool_error("no"), Behaviour::rpc_error(-32602, "no"), Behaviour::status(403)] {
        world.primary.set(behaviour);
        for _ in 0..4 {
            world.client.search("q").await;
        }
    }
    world.primary.set(Behaviour::Normal);
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"));
}

#[tokio::test]
async fn the_last_server_of_a_chain_never_gets_no_calls_at_all() {
    let world = world_with_open_period("20s").await;
    world.stop_mcp().await;
    world.rest.set(Behaviour::status(500));
    for _ in 0..8 {
        assert_eq!(world.client.search("q").await.status(), 503);
    }
    world.rest.set(Behaviour::Normal);
    let deadline = Instant::now() + Duration::from_secs(5);
    while world.client.search("q").await.served_by().as_deref() != Some("rest") {
        assert!(Instant::now() < deadline, "its breaker is open for 20 s, but some calls go all the same");
    }
}

#[tokio::test]
async fn a_slow_server_is_taken_out_if_the_operator_says_what_slow_is() {
    let breaker = json!({
        "consecutive": 0, "failure_rate": 0, "slow": "100ms", "slow_rate": 0.5, "min_calls": 3, "base_open": "20s",
        "max_open": "30s",
    });
    let world = World::start_with(|options| options.set("/breaker", breaker)).await;
    world.primary.set(Behaviour::Delay { ms: 200 });
    for _ in 0..3 {
        assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"));
    }
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("secondary"));
}

#[tokio::test]
async fn a_server_that_has_only_just_come_back_is_spared_but_not_left_out() {
    let breaker = json!({
        "consecutive": 3, "failure_rate": 0, "base_open": "300ms", "max_open": "30s", "jitter": 0, "ramp": "1h",
        "ramp_min_share": 0,
    });
    let world = World::start_with(|options| options.set("/breaker", breaker)).await;
    open(&world).await;
    world.primary.set(Behaviour::Normal);
    let (_, closed) =
        world.envoy.metrics_until(|m| m.value(STATE, &[("server", "primary")]) == Some(0.0)).await.expect("metrics");
    assert!(closed, "the prober has found it well");
    let mut elsewhere = 0;
    for _ in 0..10 {
        elsewhere += usize::from(world.client.search("q").await.served_by().as_deref() == Some("secondary"));
    }
    assert!(elsewhere >= 8, "{elsewhere} of 10 went elsewhere");
    world.secondary.set(Behaviour::status(500));
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"), "which is still the next hop");
    let diverted = [("server", "primary"), ("event", "ramp_diverted")];
    let (_, told) = world
        .envoy
        .metrics_until(|m| m.value("dualpath_breaker_events_total", &diverted).is_some_and(|n| n >= 8.0))
        .await
        .expect("metrics");
    assert!(told);
}
