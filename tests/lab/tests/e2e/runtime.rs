//! What operators set by runtime keys of a running Envoy, under load.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use dualpath_lab::http;
use dualpath_lab::metrics::Metrics;
use dualpath_lab::stub::Behaviour;
use dualpath_lab::traffic::{Outcome, Traffic};
use serde_json::json;

use crate::world::World;

/// By when a key has taken effect.
const SEEN: Duration = Duration::from_secs(1);

/// Calls by twelve clients on four workers.
async fn under_load() -> (World, Traffic) {
    let world = World::start_with(|options| options.concurrency = 4).await;
    let traffic = Traffic::start(&world.client, 12, Duration::from_millis(5));
    traffic.next(50).await;
    (world, traffic)
}

/// Who answers calls that are sent a second after the key was set; no call of all that time has failed.
async fn set(world: &World, traffic: &Traffic, key: &str, value: &str) -> Vec<String> {
    world.envoy.modify_runtime(key, value).await.expect("runtime");
    let until = Instant::now() + SEEN;
    loop {
        let calls = traffic.next(20).await;
        assert!(calls.iter().all(|call| call.answered_by.is_ok()), "{calls:#?}");
        if Instant::now() > until {
            break;
        }
    }
    let answered = |call: Outcome| call.answered_by.expect("an answer");
    let mut names: Vec<_> = traffic.next(200).await.into_iter().map(answered).collect();
    names.sort_unstable();
    names.dedup();
    names
}

async fn told(world: &World, is_told: impl Fn(&Metrics) -> bool) {
    let (metrics, told) = world.envoy.metrics_until(is_told).await.expect("metrics");
    assert!(told, "{metrics:#?}");
}

fn state(metrics: &Metrics, state: &str) -> Option<f64> {
    metrics.value("dualpath_override", &[("server", "primary"), ("state", state)])
}

#[tokio::test]
async fn a_server_is_taken_out_and_put_back_within_a_second_and_no_call_fails() {
    let (world, traffic) = under_load().await;
    for (key, out, word) in
        [("mode", "forced_open", "forced_open"), ("enabled", "false", "off"), ("weight", "0", "drained")]
    {
        let key = format!("dualpath.server.primary.{key}");
        let before = world.primary.calls();
        assert!(before > 0);
        let names = set(&world, &traffic, &key, out).await;
        assert!(!names.contains(&"primary".to_owned()), "{word}: {names:?}");
        let left = world.primary.calls();
        traffic.next(100).await;
        assert_eq!(world.primary.calls(), left, "{word}: it gets no call any more");
        told(&world, |metrics| state(metrics, word) == Some(1.0)).await;
        let names = set(&world, &traffic, &key, "").await;
        assert!(names.contains(&"primary".to_owned()), "{word}: {names:?}");
        told(&world, |metrics| state(metrics, word) == Some(0.0)).await;
    }
}

#[tokio::test]
async fn mcp_is_switched_off_for_a_task_within_a_second_and_no_call_fails() {
    let (world, traffic) = under_load().await;
    set(&world, &traffic, "dualpath.task.search.mcp_enabled", "0").await;
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("rest"));
    told(&world, |metrics| metrics.value("dualpath_mcp_off", &[("task", "search")]) == Some(1.0)).await;
    drop(traffic);
    assert_eq!(
        world.client.call("sql", json!({"sql": "s"})).await.served_by().as_deref(),
        Some("primary"),
        "another task"
    );
}

#[tokio::test]
async fn a_reset_closes_an_open_breaker_within_a_second() {
    let breaker = json!({"consecutive": 3, "failure_rate": 0, "base_open": "1h", "max_open": "1h", "ramp": "0s"});
    let world = World::start_with(|options| {
        options.concurrency = 4;
        options.set("/breaker", breaker);
        // One of the workers' probers looks then.
        options.set("/envoy/prober", json!("listener"));
    })
    .await;
    world.primary.set(Behaviour::status(500));
    for _ in 0..3 {
        assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("secondary"));
    }
    world.primary.set(Behaviour::Normal);
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("secondary"), "its breaker is open");
    world.envoy.modify_runtime("dualpath.server.primary.reset", "1").await.expect("runtime");
    let until = Instant::now() + SEEN;
    while world.client.search("q").await.served_by().as_deref() != Some("primary") {
        assert!(Instant::now() < until, "not within a second");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_key_in_a_file_takes_effect_when_the_link_to_its_directory_is_replaced() {
    let world = World::start_with(|options| {
        let link = options.scratch.path().join("current");
        fs::create_dir(options.scratch.path().join("none")).expect("a directory");
        symlink("none", &link).expect("a link");
        options.set("/envoy/runtime_files", json!(link));
    })
    .await;
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"));
    let place = world.envoy.scratch().path().to_owned();
    fs::create_dir(place.join("some")).expect("a directory");
    fs::write(place.join("some/dualpath.server.primary.mode"), "forced_open\n").expect("a file");
    symlink("some", place.join("new")).expect("a link");
    fs::rename(place.join("new"), place.join("current")).expect("the link is replaced");
    let until = Instant::now() + SEEN;
    while world.client.search("q").await.served_by().as_deref() != Some("secondary") {
        assert!(Instant::now() < until, "not within a second");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    told(&world, |metrics| state(metrics, "forced_open") == Some(1.0)).await;
}

#[tokio::test]
async fn whether_a_task_has_a_path_is_told_at_the_port_of_the_metrics() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let world = World::start_with(|options| {
        options.concurrency = 4;
        options.set("/envoy/metrics_port", json!(port.port()));
    })
    .await;
    let ask = async |path: &str| http::request(port, "GET", path, &[], "").await.expect("an answer");
    let is = async |path: &str, status: u16| {
        let until = Instant::now() + SEEN;
        let mut in_a_row = 0;
        // Each connection may be another worker's.
        while in_a_row < 12 {
            in_a_row = if ask(path).await.status == status { in_a_row + 1 } else { 0 };
            assert!(Instant::now() < until, "{path} is not {status} within a second");
        }
    };
    is("/ready/tasks", 200).await;
    for server in ["primary", "secondary", "rest"] {
        is("/ready/tasks/search", 200).await;
        world.envoy.modify_runtime(&format!("dualpath.server.{server}.enabled"), "0").await.expect("runtime");
    }
    is("/ready/tasks/search", 503).await;
    assert!(ask("/ready/tasks").await.text().contains("\"without_path\":[\"search\""));
    world.envoy.modify_runtime("dualpath.server.rest.enabled", "").await.expect("runtime");
    is("/ready/tasks", 200).await;
    world.envoy.modify_runtime("dualpath.task.search.mcp_enabled", "0").await.expect("runtime");
    world.envoy.modify_runtime("dualpath.server.rest.enabled", "0").await.expect("runtime");
    is("/ready/tasks/search", 503).await;
    told(&world, |m| m.value("mcp_server_health_percent", &[("server", "primary"), ("tier", "primary")]) == Some(0.0))
        .await;
}
