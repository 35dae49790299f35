//! Synthetic probes: what the prober does when no call comes, in both of its placements.

use std::time::{Duration, Instant};

use dualpath_lab::stub::{Behaviour, Received, Sessions, Stub};
use serde_json::json;

use crate::world::{Options, PRIMARY_PAT, REST_PAT, World};

const STATE: &str = "cortex_circuit_breaker_state";
const PROBES: &str = "dualpath_probes_total";
const PLACEMENTS: [&str; 2] = ["bootstrap", "listener"];

/// The open period of every breaker here.
const OPEN: Duration = Duration::from_millis(400);
/// How often the prober looks.
const TICK: Duration = Duration::from_secs(1);

async fn world(change: impl FnOnce(&mut Options)) -> World {
    let breaker = json!({"consecutive": 3, "failure_rate": 0, "base_open": "400ms", "max_open": "400ms", "jitter": 0, "ramp": "0s"});
    World::start_with(|options| {
        options.set("/breaker", breaker);
        change(options);
    })
    .await
}

/// Opens the primary's breaker by three calls that fail over.
async fn open(world: &World) {
    for _ in 0..3 {
        assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("secondary"));
    }
}

async fn until_state(world: &World, server: &str, state: f64) {
    let labels = [("server", server)];
    let (metrics, held) = world.envoy.metrics_until(|m| m.value(STATE, &labels) == Some(state)).await.expect("metrics");
    assert!(
        held,
        "{server} is not {state}: {:?}\n{}",
        metrics.series(STATE, &[]).collect::<Vec<_>>(),
        world.envoy.logs()
    );
}

fn probes(stub: &Stub) -> Vec<Received> {
    let of_prober =
        |received: &Received| received.header("user-agent").is_some_and(|by| by.starts_with("dualpath-prober/"));
    stub.received().into_iter().filter(of_prober).collect()
}

async fn until_probed(stub: &Stub, times: usize) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while probes(stub).len() < times {
        assert!(Instant::now() < deadline, "{:#?}", stub.received());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_idle_dead_server_recovers_with_no_users_call_risked() {
    for placement in PLACEMENTS {
        let world = world(|options| options.set("/envoy/prober", json!(placement))).await;
        world.primary.stop().await.expect("stop");
        open(&world).await;
        world.primary.resume().expect("resume");
        let back = Instant::now();
        until_state(&world, "primary", 0.0).await;
        let took = back.elapsed();
        assert!(took < OPEN + 2 * TICK + Duration::from_millis(500), "{placement}: took {took:?}");

        let received = world.primary.received();
        let methods: Vec<_> = received.iter().map(|r| r.rpc_method.as_deref().unwrap_or_default()).collect();
        assert_eq!(methods, ["initialize"], "{placement}: one probe and nothing else, above all no user's call");
        let probe = &received[0];
        assert_eq!(probe.header("authorization"), Some(format!("Bearer {PRIMARY_PAT}").as_str()));
        assert_eq!(probe.header("x-snowflake-authorization-token-type"), Some("PROGRAMMATIC_ACCESS_TOKEN"));
        assert!(probe.path.ends_with("/mcp-servers/one"), "{}", probe.path);
        assert_eq!(probe.header("host"), Some(world.primary.addr.to_string().as_str()));
        let known = [
            "host",
            "user-agent",
            "content-type",
            "content-length",
            "accept",
            "accept-encoding",
            "authorization",
            "x-snowflake-authorization-token-type",
            "x-request-id",
            "x-forwarded-proto",
            "transfer-encoding",
        ];
        let others: Vec<_> = probe.headers.iter().filter(|(name, _)| !known.contains(&name.as_str())).collect();
        assert!(others.is_empty(), "{placement}: {others:?}");
        let labels = [("server", "primary"), ("outcome", "success")];
        let (metrics, counted) =
            world.envoy.metrics_until(|m| m.value(PROBES, &labels) == Some(1.0)).await.expect("metrics");
        assert!(counted, "{placement}: {:?}", metrics.series(PROBES, &[]).collect::<Vec<_>>());
        let served = world.client.search("q").await;
        assert_eq!(served.served_by().as_deref(), Some("primary"), "{placement}");
    }
}

#[tokio::test]
async fn a_dead_server_is_probed_once_per_open_period_of_all_workers() {
    for placement in PLACEMENTS {
        let world = world(|options| {
            options.set("/envoy/prober", json!(placement));
            options.concurrency = 4;
        })
        .await;
        world.primary.set(Behaviour::status(500));
        open(&world).await;
        until_probed(&world.primary, 3).await;
        let times: Vec<_> = probes(&world.primary).iter().map(|probe| probe.at_ms).collect();
        let tick = u64::try_from(TICK.as_millis()).expect("a short time");
        for pair in times.windows(2) {
            // One tick apart, give or take what a busy machine does to a timer.
            assert!(pair[1] - pair[0] > tick / 2, "{placement}: {times:?}");
        }
        let (metrics, _) = world.envoy.metrics_until(|_| true).await.expect("metrics");
        let counted = metrics.sum(PROBES, &[("server", "primary"), ("outcome", "server")]);
        assert!(counted >= 2.0, "{placement}: {counted}");
        assert_eq!(metrics.sum(PROBES, &[("server", "secondary")]), 0.0, "{placement}: nobody doubts the secondary");
    }
}

/// Field cases: a healthy server was kept out whose answer begins with an event of another type and whose stream stays open, or
/// whose answer is compressed.
#[tokio::test]
async fn a_probe_reads_what_a_client_could_read() {
    let gzip = |kind: &str| {
        let headers = [("content-type", kind), ("content-encoding", "gzip")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Behaviour::Status { status: 200, headers, body: "\u{1f}not for us".to_owned() }
    };
    for placement in PLACEMENTS {
        let world = world(|options| {
            options.set("/envoy/prober", json!(placement));
            // After a success a server is not probed again for that long.
            options.set("/servers/0/probe", json!({"interval": "1s"}));
        })
        .await;
        for behaviour in [
            Behaviour::SseOpen { answer_after_ms: 300, open_ms: 30_000 },
            gzip("application/json"),
            gzip("text/event-stream"),
        ] {
            world.primary.set(Behaviour::status(500));
            open(&world).await;
            world.primary.set(behaviour.clone());
            until_state(&world, "primary", 0.0).await;
        }
        let (metrics, _) = world.envoy.metrics_until(|_| true).await.expect("metrics");
        let lost = metrics.series(PROBES, &[("server", "primary"), ("outcome", "lost")]);
        assert_eq!(lost.map(|(_, probes)| probes).sum::<f64>(), 0.0, "{placement}");
    }
}

#[tokio::test]
async fn a_server_that_begins_to_answer_every_probe_is_alive_however_long_it_takes() {
    let world = world(|options| options.set("/servers/0/probe", json!({"timeout": "300ms", "interval": "1s"}))).await;
    world.primary.set(Behaviour::status(500));
    open(&world).await;
    world.primary.set(Behaviour::SseOpen { answer_after_ms: 20_000, open_ms: 0 });
    until_state(&world, "primary", 0.0).await;
}

#[tokio::test]
async fn a_probe_leaves_no_session_behind() {
    let world = world(|options| options.primary = options.primary.clone().sessions(Sessions::NotFound)).await;
    world.primary.set(Behaviour::status(500));
    open(&world).await;
    world.primary.set(Behaviour::Normal);
    until_state(&world, "primary", 0.0).await;
    let farewell = world.primary.wait_for(|r| r.method == "DELETE").await;
    let probes = probes(&world.primary);
    let opened = probes.iter().filter(|probe| probe.rpc_method.as_deref() == Some("initialize")).count();
    assert!(opened >= 1);
    assert_eq!(farewell.header("mcp-session-id"), Some("primary-session-1"));
    assert_eq!(farewell.header("authorization"), Some(format!("Bearer {PRIMARY_PAT}").as_str()));
}

#[tokio::test]
async fn a_refused_secret_is_no_verdict_and_is_not_tried_every_second() {
    let world = world(|options| options.set("/servers/0/probe", json!({"interval": "1m"}))).await;
    world.primary.set(Behaviour::status(500));
    open(&world).await;
    world.primary.accept(&["another"]);
    world.primary.set(Behaviour::Normal);
    let labels = [("server", "primary"), ("outcome", "credential")];
    let (_, counted) = world.envoy.metrics_until(|m| m.value(PROBES, &labels) == Some(1.0)).await.expect("metrics");
    assert!(counted);
    let so_far = probes(&world.primary).len();
    tokio::time::sleep(3 * TICK).await;
    assert_eq!(probes(&world.primary).len(), so_far, "the next one is a minute away");
    until_state(&world, "primary", 2.0).await;
}

#[tokio::test]
async fn a_rest_server_is_probed_only_as_its_operator_says() {
    let configured = json!({"method": "POST", "path": "/api/v2/statements", "body": {"statement": "select 1"}, "expect_status": [200]});
    for (probe, closes) in [(None, false), (Some(configured), true)] {
        let world = world(|options| {
            if let Some(probe) = &probe {
                options.set("/servers/2/probe", probe.clone());
            }
        })
        .await;
        world.stop_mcp().await;
        world.rest.set(Behaviour::status(500));
        for _ in 0..3 {
            assert_eq!(world.client.search("q").await.status(), 503);
        }
        world.rest.set(Behaviour::Normal);
        if closes {
            until_state(&world, "rest", 0.0).await;
            let probe = probes(&world.rest).pop().expect("a probe");
            assert_eq!((probe.method.as_str(), probe.path.as_str()), ("POST", "/api/v2/statements"));
            assert_eq!(probe.json(), json!({"statement": "select 1"}));
            assert_eq!(probe.header("authorization"), Some(format!("Bearer {REST_PAT}").as_str()));
        } else {
            tokio::time::sleep(OPEN + 2 * TICK).await;
            assert!(probes(&world.rest).is_empty());
        }
    }
}

#[tokio::test]
async fn without_a_prober_calls_are_the_only_probes() {
    let world = world(|options| options.set("/envoy/prober", json!("off"))).await;
    world.primary.stop().await.expect("stop");
    open(&world).await;
    world.primary.resume().expect("resume");
    tokio::time::sleep(OPEN + 2 * TICK).await;
    assert!(world.primary.received().is_empty());
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"), "this call was the probe");
    until_state(&world, "primary", 0.0).await;
}

#[tokio::test]
async fn an_idle_server_is_watched_if_the_operator_wants_that() {
    let world = world(|options| options.set("/servers/0/probe", json!({"idle": true, "interval": "100ms"}))).await;
    world.primary.stop().await.expect("stop");
    until_state(&world, "primary", 1.0).await;
    assert_eq!(world.calls(), [0, 0, 0]);
}
