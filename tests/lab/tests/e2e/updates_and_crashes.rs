//! What happens to Envoy itself in the middle of an outage: a worker's VM is lost, the configuration is replaced, two
//! versions of the module run side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dualpath_lab::client::{Client, request_text};
use dualpath_lab::http::Connection;
use dualpath_lab::metrics::Metrics;
use dualpath_lab::stub::Behaviour;
use dualpath_lab::traffic::Traffic;
use dualpath_lab::xds::Part;
use serde_json::{Value, json};

use crate::world::{Options, World, test_module};

async fn world(breaker: Value, change: impl FnOnce(&mut Options)) -> World {
    World::start_with(|options| {
        options.concurrency = 4;
        options.set("/breaker", breaker);
        for server in 0..3 {
            options.set(&format!("/servers/{server}/timeout"), json!("600ms"));
        }
        // Here the probes are the calls that the test sends.
        options.set("/servers/0/probe", json!({"enabled": false}));
        change(options);
    })
    .await
}

fn policy(base_open: &str) -> Value {
    json!({"consecutive": 3, "failure_rate": 0, "base_open": base_open, "max_open": base_open, "jitter": 0, "lease": "1s"})
}

/// Fails the primary until its breaker is open.
async fn open(world: &World) {
    world.primary.set(Behaviour::status(500));
    for _ in 0..3 {
        assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("secondary"));
    }
    assert_eq!(transitions(&metrics(world).await, "closed", "open"), 1.0);
}

async fn metrics(world: &World) -> Metrics {
    world.envoy.metrics().await.expect("metrics")
}

fn transitions(metrics: &Metrics, from: &str, to: &str) -> f64 {
    let labels = [("server", "primary"), ("from", from), ("to", to)];
    metrics.sum("dualpath_breaker_transitions_total", &labels)
}

fn events(metrics: &Metrics, event: &str) -> f64 {
    metrics.sum("dualpath_breaker_events_total", &[("event", event)])
}

#[tokio::test]
async fn a_vm_that_dies_with_the_probe_keeps_the_server_out_only_for_its_lease() {
    let module = test_module();
    let world = world(policy("300ms"), |options| options.set("/envoy/wasm_file", json!(module))).await;
    open(&world).await;
    world.primary.set(Behaviour::Normal);
    // While the breaker is open this is a call like any other: only the primary's attempt traps, and only the probe
    // gets there.
    let deadly = world.client.clone().header("x-test-module-trap", "primary");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !world.envoy.logs().contains("trapping, as the request says") {
        assert!(Instant::now() < deadline, "the probe does not come");
        let _ = deadly.request("1", "tools/call", &json!({"name": "search", "arguments": {"query": "q"}})).await;
    }
    let trapped = Instant::now();
    assert_eq!(transitions(&metrics(&world).await, "open", "half_open"), 1.0);
    loop {
        let reply = world.client.search("q").await;
        match reply.served_by().as_deref() {
            Some("primary") => break,
            Some(other) => assert_eq!(other, "secondary"),
            // The worker whose VM is gone has none until it is loaded again.
            None => assert_eq!(reply.status(), 503, "{}", reply.answer.text()),
        }
        assert!(trapped.elapsed() < Duration::from_secs(20), "traffic does not return");
    }
    let out = trapped.elapsed();
    // Lease and open period, and a second for a machine that is busy.
    assert!((Duration::from_millis(600)..Duration::from_millis(2300)).contains(&out), "{out:?}");
    let metrics = metrics(&world).await;
    assert_eq!(transitions(&metrics, "half_open", "closed"), 1.0);
    assert_eq!(transitions(&metrics, "closed", "open"), 1.0);
    assert_eq!(events(&metrics, "corrupt_records"), 0.0);
}

#[tokio::test]
async fn an_update_in_the_middle_of_an_outage_changes_nothing_about_it() {
    let world = world(policy("20s"), |options| options.replaceable = true).await;
    open(&world).await;
    let before = world.primary.calls();
    for (number, part) in [Part::Listeners, Part::Clusters].into_iter().enumerate() {
        // Another limit in another registry: new root contexts, and new clusters.
        world.update(part, "/breaker/consecutive", json!(4 + number)).await;
        let warming = ["envoy_listener_manager_total_listeners_warming", "envoy_cluster_manager_warming_clusters"];
        let warm = |metrics: &Metrics| warming.iter().all(|gauge| metrics.sum(gauge, &[]) == 0.0);
        let (_, warm) = world.envoy.metrics_until(warm).await.expect("metrics");
        assert!(warm, "{part:?}");
        for _ in 0..40 {
            assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("secondary"), "{part:?}");
        }
    }
    assert_eq!(world.primary.calls(), before, "the breaker is as open as before");
    let metrics = metrics(&world).await;
    assert_eq!(metrics.sum("dualpath_breaker_transitions_total", &[("server", "primary")]), 1.0);
    assert_eq!(metrics.value("cortex_circuit_breaker_state", &[("server", "primary")]), Some(1.0));
    assert_eq!(events(&metrics, "corrupt_records"), 0.0);
}

#[tokio::test]
async fn two_versions_of_the_module_share_a_record_while_the_older_one_drains() {
    let world = world(policy("300ms"), |options| options.replaceable = true).await;
    // Connections that were there before the update stay with the older gate while it drains.
    let mut older = Vec::new();
    for _ in 0..8 {
        let mut connection = Connection::open(world.envoy.addr()).await.expect("a connection");
        assert_eq!(search(&mut connection).await.as_deref(), Some("primary"));
        older.push(connection);
    }
    assert_eq!(events(&metrics(&world).await, "newer_records"), 0.0);
    world.update(Part::Listeners, "/envoy/wasm_file", json!(test_module())).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut outages = 0;
    // The newer gate grants the probes that make the record its own; the clusters' attempts are of the older version.
    while outages < 4 {
        assert!(Instant::now() < deadline, "{:?}", metrics(&world).await);
        world.primary.set(Behaviour::status(500));
        until(&world, &mut older, |metrics| transitions(metrics, "closed", "open") == f64::from(outages + 1)).await;
        world.primary.set(Behaviour::Normal);
        until(&world, &mut older, |metrics| transitions(metrics, "half_open", "closed") == f64::from(outages + 1))
            .await;
        outages += 1;
    }
    // Results that wait to be written together are counted with the next flush.
    let (metrics, _) =
        world.envoy.metrics_until(|metrics| events(metrics, "newer_records") > 0.0).await.expect("metrics");
    assert!(events(&metrics, "newer_records") > 0.0, "the older module has met the newer one's record");
    assert_eq!(events(&metrics, "corrupt_records"), 0.0);
    assert_eq!(transitions(&metrics, "closed", "open"), 4.0, "one per outage");
    assert!(
        metrics.sum("envoy_listener_manager_total_filter_chains_draining", &[]) > 0.0,
        "the older gate still drains"
    );
    let log = world.envoy.logs();
    assert!(!log.contains("a record has lost its tail"), "the older module carries what it does not know");
}

/// Gate and attempts are of different modules, then of different registries, in either order, and every call takes two
/// attempts. The newer module writes calls down as a later minor version.
#[tokio::test]
async fn an_update_in_either_order_loses_no_call_and_runs_none_twice() {
    for order in [[Part::Listeners, Part::Clusters], [Part::Clusters, Part::Listeners]] {
        let never = json!({"mode": "metrics_only"});
        let world = world(never, |options| options.replaceable = true).await;
        world.primary.set(Behaviour::status(429));
        let replayable = Traffic::start(&world.client, 4, Duration::from_millis(1));
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> =
            (0..3).map(|number| tokio::spawn(write(world.client.clone(), number, stop.clone()))).collect();
        replayable.next(50).await;
        for (pointer, value) in [("/envoy/wasm_file", json!(test_module())), ("/breaker/consecutive", json!(9))] {
            for part in order {
                world.update(part, pointer, value.clone()).await;
                replayable.next(200).await;
            }
        }
        stop.store(true, Ordering::Relaxed);
        let mut failed: Vec<_> = replayable.outcomes().into_iter().filter_map(|call| call.answered_by.err()).collect();
        drop(replayable);
        let mut written = Vec::new();
        for writer in writers {
            for (statement, answered) in writer.await.expect("a writer") {
                failed.extend(answered.err());
                written.push(statement);
            }
        }
        assert_eq!(failed, [""; 0], "{order:?}");
        assert!(written.len() > 100, "{}", written.len());
        let executed: Vec<_> = [&world.secondary, &world.rest].iter().flat_map(|stub| stub.received()).collect();
        for statement in written {
            let times = executed.iter().filter(|call| call.body.contains(&format!("\"{statement}\""))).count();
            assert_eq!(times, 1, "{order:?}: {statement}");
        }
        assert!(!world.envoy.logs().contains("panicked"), "{}", world.envoy.logs());
    }
}

/// Calls a tool that must not run twice, again and again. The statements, and what came of each.
async fn write(client: Client, number: usize, stop: Arc<AtomicBool>) -> Vec<(String, Result<(), String>)> {
    let mut calls = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let statement = format!("insert {number} {}", calls.len());
        let reply = client.request("7", "tools/call", &json!({"name": "sql", "arguments": {"sql": statement}})).await;
        let answered = match reply {
            Ok(reply) if reply.served_by().is_some() => Ok(()),
            Ok(reply) => Err(format!("{statement}: {} {}", reply.status(), reply.answer.text())),
            Err(error) => Err(format!("{statement}: {error}")),
        };
        calls.push((statement, answered));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    calls
}

/// Plays calls on old and new connections until the metrics hold.
async fn until(world: &World, older: &mut Vec<Connection>, holds: impl Fn(&Metrics) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        for mut connection in std::mem::take(older) {
            assert!(search(&mut connection).await.is_some());
            assert!(world.client.search("q").await.served_by().is_some());
            // A gate that drains sends clients away now and then.
            if connection.is_reusable().await {
                older.push(connection);
            }
        }
        assert!(!older.is_empty(), "no connection to the older gate is left");
        let metrics = metrics(world).await;
        if holds(&metrics) {
            return;
        }
        let seen: Vec<_> = metrics.series("dualpath_breaker_transitions_total", &[]).collect();
        assert!(Instant::now() < deadline, "{seen:?}");
    }
}

/// Who answered a search on this connection.
async fn search(connection: &mut Connection) -> Option<String> {
    let body = request_text("1", "tools/call", &json!({"name": "search", "arguments": {"query": "q"}}));
    let headers = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    let answer = connection.send("POST", "/mcp", &headers, body).await.expect("headers").whole().await.expect("a body");
    let text = answer.text();
    ["primary", "secondary", "rest"].into_iter().find(|name| text.contains(&format!("\"{name}\""))).map(str::to_owned)
}
