//! Whole outages under load on four workers: what the breaker does once, it does once for all of them.

use std::path::Path;
use std::time::{Duration, Instant};

use dualpath_lab::envoy::free_ports;
use dualpath_lab::metrics::Metrics;
use dualpath_lab::stub::{Behaviour, Config, Process, reserve_port};
use dualpath_lab::traffic::{Outcome, Traffic};
use serde_json::{Value, json};

use crate::world::{Options, PRIMARY_PAT, World};

/// A world with four workers and this policy.
async fn world(policy: Value, change: impl FnOnce(&mut Options)) -> World {
    World::start_with(|options| {
        options.concurrency = 4;
        options.set("/breaker", policy);
        options.set("/servers/0/timeout", json!("600ms"));
        change(options);
    })
    .await
}

/// Short open periods without chance in them. Only the run of failures opens.
fn policy(base_open: &str, max_open: &str) -> Value {
    json!({"consecutive": 3, "failure_rate": 0, "base_open": base_open, "max_open": max_open, "jitter": 0})
}

/// Connections that come and go are spread over all workers.
fn load(world: &World) -> Traffic {
    Traffic::start(&world.client, 12, Duration::from_millis(1))
}

fn transitions(metrics: &Metrics, from: &str, to: &str) -> f64 {
    let labels = [("server", "primary"), ("from", from), ("to", to)];
    metrics.sum("dualpath_breaker_transitions_total", &labels)
}

async fn until(world: &World, what: &str, holds: impl Fn(&Metrics) -> bool) -> Metrics {
    let (metrics, held) = world.envoy.metrics_until(holds).await.expect("metrics");
    let seen: Vec<_> = metrics.series("dualpath_breaker_transitions_total", &[]).collect();
    assert!(held, "{what}: {seen:?}");
    metrics
}

fn assert_all_answered(outcomes: &[Outcome]) {
    let failed: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.answered_by.as_ref().err()).collect();
    assert!(failed.is_empty(), "{} of {}: {}", failed.len(), outcomes.len(), failed[0]);
}

/// How long each open period was meant to be, from the filter's log, ms.
fn periods(world: &World) -> Vec<u64> {
    let period = |line: &str| {
        let opened = line.split_once("breaker of primary: ")?.1;
        let text = opened.split_once("-> open ")?.1.split_once("for ")?.1.split_once(" ms")?.0;
        text.parse().ok()
    };
    world.envoy.logs().lines().filter_map(period).collect()
}

#[tokio::test]
async fn an_outage_opens_the_breaker_once_however_many_workers_see_it() {
    for failure in [Behaviour::status(500), Behaviour::ResetBeforeHeaders, Behaviour::Hang] {
        let world = world(policy("20s", "20s"), |_| {}).await;
        let traffic = load(&world);
        traffic.next(200).await;
        world.primary.set(failure.clone());
        until(&world, "opens", |metrics| transitions(metrics, "closed", "open") > 0.0).await;
        let during = traffic.next(400).await;
        // Results of calls that were under way when it opened must not open it again, and nothing else may happen.
        let metrics = world.envoy.metrics().await.expect("metrics");
        assert_eq!(transitions(&metrics, "closed", "open"), 1.0, "{failure:?}");
        assert_eq!(metrics.sum("dualpath_breaker_transitions_total", &[("server", "primary")]), 1.0, "{failure:?}");
        assert!(during.iter().all(|call| call.answered_by.as_deref() == Ok("secondary")), "{failure:?}");
        assert_all_answered(&traffic.outcomes());
    }
}

#[tokio::test]
async fn a_dead_server_sees_at_most_one_call_per_open_period() {
    let world = world(policy("400ms", "400ms"), |_| {}).await;
    let traffic = load(&world);
    traffic.next(100).await;
    world.primary.set(Behaviour::status(500));
    until(&world, "opens", |metrics| transitions(metrics, "closed", "open") > 0.0).await;
    // What was under way has arrived once the servers have answered calls that were sent later.
    traffic.next(50).await;
    let (opened, before) = (Instant::now(), world.primary.received().len());
    until(&world, "five probes", |metrics| transitions(metrics, "half_open", "open") >= 5.0).await;
    let (time, probes) = (opened.elapsed(), world.primary.received().len() - before);
    let metrics = world.envoy.metrics().await.expect("metrics");
    assert!(probes as f64 <= transitions(&metrics, "open", "half_open"), "{probes} probes");
    assert!(probes as u128 <= time.as_millis() / 400 + 1, "{probes} probes in {time:?}");
    assert_eq!(transitions(&metrics, "closed", "open"), 1.0);
    assert_all_answered(&traffic.outcomes());
}

#[tokio::test]
async fn a_server_that_is_stopped_in_its_tracks_is_left_alone_and_found_again() {
    let (_reserved, port) = reserve_port().expect("a port");
    let program = Path::new(env!("CARGO_BIN_EXE_dualpath-lab"));
    let process = Process::spawn(program, &Config { port, ..Config::mcp("primary").token(PRIMARY_PAT) });
    let process = process.expect("a child");
    let url = format!("http://{}/mcp", process.addr);
    let world = world(policy("300ms", "300ms"), |options| options.set("/servers/0/url", json!(url))).await;
    let traffic = load(&world);
    assert!(traffic.next(50).await.iter().all(|call| call.answered_by.as_deref() == Ok("primary")));
    process.freeze().expect("SIGSTOP");
    until(&world, "opens", |metrics| transitions(metrics, "closed", "open") > 0.0).await;
    let during = traffic.next(300).await;
    assert!(during.iter().all(|call| call.answered_by.as_deref() == Ok("secondary")), "{during:?}");
    process.thaw().expect("SIGCONT");
    let metrics = until(&world, "closes", |metrics| transitions(metrics, "half_open", "closed") > 0.0).await;
    assert_eq!(transitions(&metrics, "closed", "open"), 1.0);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !traffic.next(50).await.iter().all(|call| call.answered_by.as_deref() == Ok("primary")) {
        assert!(Instant::now() < deadline, "traffic does not return");
    }
    assert_all_answered(&traffic.outcomes());
}

/// Two accounts as in `envoy/two-regions.yaml`: the first has an endpoint here, one in a peered network, and an API beside its MCP
/// server. The network to all of that goes away, and comes back.
#[tokio::test]
async fn of_two_regions_with_two_accounts_the_one_that_is_cut_off_is_left_and_found_again() {
    let [mcp, rest, peered_mcp, peered_rest] = [(); 4].map(|()| free_ports().expect("ports").0);
    let world = world(policy("300ms", "300ms"), |options| {
        (options.primary.port, options.rest.port) = (mcp, rest);
        options.set("/envoy/region", json!("eu-central-1"));
        for (at, here, peered) in [(0, mcp, peered_mcp), (2, rest, peered_rest)] {
            let endpoints = [(here, "eu-central-1"), (peered, "eu-west-1")];
            let endpoints =
                endpoints.map(|(port, region)| json!({"address": format!("127.0.0.1:{port}"), "region": region}));
            options.set(&format!("/servers/{at}/endpoints"), json!(endpoints));
        }
    })
    .await;
    let traffic = load(&world);
    assert!(traffic.next(50).await.iter().all(|call| call.answered_by.as_deref() == Ok("primary")));
    world.primary.stop().await.expect("stop");
    world.rest.stop().await.expect("stop");
    until(&world, "opens", |metrics| transitions(metrics, "closed", "open") > 0.0).await;
    let during = traffic.next(300).await;
    // With its own token: a stub refuses any other.
    assert!(during.iter().all(|call| call.answered_by.as_deref() == Ok("secondary")), "{during:?}");
    world.heal();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !traffic.next(50).await.iter().all(|call| call.answered_by.as_deref() == Ok("primary")) {
        assert!(Instant::now() < deadline, "traffic does not return");
    }
    assert_all_answered(&traffic.outcomes());
}

#[tokio::test]
async fn a_flapping_server_is_left_alone_for_longer_each_time() {
    let world = world(policy("100ms", "800ms"), |_| {}).await;
    let traffic = load(&world);
    for round in 1..=5 {
        world.primary.set(Behaviour::status(503));
        until(&world, "opens", |metrics| transitions(metrics, "closed", "open") >= f64::from(round)).await;
        world.primary.set(Behaviour::Normal);
        until(&world, "closes", |metrics| transitions(metrics, "half_open", "closed") >= f64::from(round)).await;
    }
    let metrics = world.envoy.metrics().await.expect("metrics");
    assert_eq!(transitions(&metrics, "closed", "open"), 5.0, "one per outage");
    let periods = periods(&world);
    assert!(periods.is_sorted() && periods.first() == Some(&100) && periods.last() == Some(&800), "{periods:?}");
    assert_all_answered(&traffic.outcomes());
}
