//! Who is asked first: shares, prices, a header that keeps a client where it is, a request that names a server; and that
//! `dualpath explain --routing` says what the filter then does.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use dualpath_lab::client::Client;
use dualpath_lab::registry::Builder;
use dualpath_lab::stub::{Behaviour, Sessions};
use serde_json::{Value, json};

use crate::world::{World, dualpath};

/// A world whose tool `search` has this order.
async fn world(routing: Value) -> World {
    World::start_with(|options| {
        options.concurrency = 4;
        options.set("/tools/0/routing", routing);
    })
    .await
}

/// What `dualpath explain --routing` says of calls of `search`.
fn explained(registry: &Builder, more: &[&str]) -> Value {
    let file = dualpath_lab::scratch::Scratch::new().expect("a directory");
    let path = file.path().join("registry.json");
    std::fs::write(&path, registry.tree().to_string()).expect("a file");
    let command = ["explain", "--routing", "--tool", "search", "--format", "json"];
    let output = Command::new(dualpath()).args(command).args(more).arg(&path).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ways: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    ways[0].clone()
}

/// The order that it names.
fn order(way: &Value) -> Vec<String> {
    let order = way["order"].as_array().into_iter().flatten();
    order.map(|server| server.as_str().unwrap_or_default().to_owned()).collect()
}

async fn answered_by(client: &Client) -> String {
    let reply = client.search("q").await;
    reply.served_by().unwrap_or_else(|| panic!("HTTP {}: {}", reply.status(), reply.answer.text()))
}

/// Who answers a call as one server after the other fails, until nobody is left; then all are well again.
async fn one_after_the_other(world: &World, client: &Client) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let server = answered_by(client).await;
        let (stub, _) = world.stubs().into_iter().find(|(stub, _)| stub.name() == server).expect("a stub");
        stub.set(Behaviour::status(503));
        seen.push(server);
    }
    world.heal();
    seen
}

#[tokio::test]
async fn calls_spread_by_weight_as_explained_and_a_server_that_fails_costs_none() {
    let world = world(json!({"by": "weight", "weights": {"primary": 70, "secondary": 20, "rest": 10}})).await;
    let way = explained(&world.registry, &[]);
    const CALLS: usize = 600;
    let mut counts = BTreeMap::<String, usize>::new();
    for _ in 0..CALLS {
        *counts.entry(answered_by(&world.client).await).or_default() += 1;
    }
    for share in way["shares"].as_array().expect("shares") {
        let (server, percent) =
            (share["server"].as_str().expect("an id"), share["percent"].as_f64().expect("a number"));
        let part = counts.get(server).copied().unwrap_or_default() as f64 / CALLS as f64;
        let fair = percent / 100.0;
        // Six standard deviations of fair draws: one run in 500 million is further off.
        let tolerance = 6.0 * (fair * (1.0 - fair) / CALLS as f64).sqrt();
        assert!((part - fair).abs() < tolerance, "{server}: {counts:?}");
    }
    world.primary.set(Behaviour::status(503));
    for _ in 0..60 {
        assert_ne!(answered_by(&world.client).await, "primary");
    }
    world.secondary.set(Behaviour::status(503));
    for _ in 0..20 {
        assert_eq!(answered_by(&world.client).await, "rest");
    }
}

#[tokio::test]
async fn the_cheapest_that_can_is_asked_first_and_the_next_cheapest_after_it_as_explained() {
    let world = World::start_with(|options| {
        let price = |per_call: f64| json!({"per_call": per_call, "as_of": "2026-11-28"});
        for (server, per_call) in [(0, 3.0), (1, 1.0), (2, 2.0)] {
            options.set(&format!("/servers/{server}/price"), price(per_call));
        }
        for server in [0, 2] {
            options.set(&format!("/servers/{server}/offers"), json!({"models": ["large"]}));
        }
        options.set(
            "/routing",
            json!({"tasks": {
                "search": {"by": "cost"}, "complete": {"by": "cost", "needs": {"model": "large"}},
            }}),
        );
    })
    .await;
    assert_eq!(order(&explained(&world.registry, &[])), ["secondary", "rest", "primary"]);
    assert_eq!(one_after_the_other(&world, &world.client).await, ["secondary", "rest", "primary"]);
    let before = world.secondary.calls();
    for expected in ["rest", "primary"] {
        let reply = world.client.call("complete", json!({"prompt": "p"})).await;
        assert_eq!(reply.served_by().as_deref(), Some(expected), "{}", reply.answer.text());
        world.rest.set(Behaviour::status(503));
    }
    world.primary.set(Behaviour::status(503));
    assert_eq!(world.client.call("complete", json!({"prompt": "p"})).await.served_by(), None);
    assert_eq!(world.secondary.calls(), before, "it does not offer the model, whatever becomes of the call");
}

#[tokio::test]
async fn who_sends_the_same_header_stays_with_its_server_and_goes_on_from_there() {
    let world = world(json!({"by": "weight", "weights": {"primary": 1, "secondary": 1}, "sticky": "x-user-id"})).await;
    let mut users = BTreeMap::new();
    for user in 0..24 {
        let client = world.client.clone().header("x-user-id", &format!("user-{user}"));
        let server = answered_by(&client).await;
        for _ in 0..8 {
            assert_eq!(answered_by(&client).await, server, "on every worker");
        }
        users.insert(server, client);
    }
    assert_eq!(users.keys().collect::<Vec<_>>(), ["primary", "secondary"], "users share the servers");
    world.secondary.set(Behaviour::status(503));
    assert_eq!(answered_by(&users["secondary"]).await, "primary", "the others follow by tier");
    world.heal();
    assert_eq!(answered_by(&users["secondary"]).await, "secondary", "and it is back with its server");
}

#[tokio::test]
async fn a_session_begins_where_it_was_drawn_for_and_its_calls_stay_whatever_they_are_drawn_for() {
    let world = World::start_with(|options| {
        options.primary = options.primary.clone().sessions(Sessions::NotFound);
        options.secondary = options.secondary.clone().sessions(Sessions::NotFound);
        options.set("/routing", json!({"sessions": {"by": "weight", "weights": {"secondary": 1}}}));
        options.set("/tools/0/routing", json!({"by": "weight", "weights": {"primary": 1}}));
    })
    .await;
    let (session, _) = world.client.initialize().await.expect("a session");
    for _ in 0..8 {
        assert_eq!(answered_by(&session).await, "secondary");
    }
    world.secondary.stop().await.expect("stop");
    assert_eq!(answered_by(&session).await, "primary", "another session is opened there");
    assert_eq!(answered_by(&session).await, "primary");
}

#[tokio::test]
async fn a_request_that_may_names_who_is_asked_first_as_explained() {
    let world = World::start_with(|options| options.set("/routing", json!({"override": {"enabled": true}}))).await;
    for server in ["secondary", "rest", "primary"] {
        let expected = order(&explained(&world.registry, &["--prefer", server]));
        assert_eq!(expected[0], server);
        let naming = world.client.clone().header("x-dualpath-server", server);
        assert_eq!(one_after_the_other(&world, &naming).await, expected);
    }
    for (stub, _) in world.stubs() {
        assert!(stub.received().iter().all(|request| request.header("x-dualpath-server").is_none()), "{}", stub.name());
    }
    let before = world.calls();
    let reply = world.client.clone().header("x-dualpath-server", "nobody").search("q").await;
    assert_eq!((reply.status(), &reply.error()["data"]["reason"]), (422, &json!("SERVER_UNKNOWN")));
    assert_eq!(world.calls(), before);
}

#[tokio::test]
async fn a_name_that_a_request_may_not_say_is_ignored_and_reaches_no_server() {
    for permission in [json!({}), json!({"enabled": true, "sources": ["192.0.2.0/24"]})] {
        let world = World::start_with(|options| options.set("/routing", json!({"override": permission}))).await;
        for name in ["secondary", "nobody"] {
            // What a client writes of where it comes from is nothing to go by.
            let naming = world.client.clone().header("x-dualpath-server", name).header("x-forwarded-for", "192.0.2.1");
            assert_eq!(answered_by(&naming).await, "primary");
        }
        assert!(world.primary.received().iter().all(|request| request.header("x-dualpath-server").is_none()));
    }
}

#[tokio::test]
async fn calls_by_latency_leave_a_server_that_becomes_slow_and_no_call_fails() {
    let world = world(json!({"by": "latency"})).await;
    for _ in 0..20 {
        answered_by(&world.client).await;
    }
    assert!(world.primary.calls() >= 10, "by tier, while nothing else is known: {:?}", world.calls());
    let way = explained(&world.registry, &[]);
    assert_eq!(
        (&way["by"], order(&way)),
        (&json!("latency"), ["primary", "secondary", "rest"].map(str::to_owned).to_vec())
    );
    world.primary.set(Behaviour::Delay { ms: 120 });
    let until = Instant::now() + Duration::from_secs(60);
    let mut away = 0;
    while away < 25 {
        away = if answered_by(&world.client).await == "primary" { 0 } else { away + 1 };
        assert!(Instant::now() < until, "{:?}", world.calls());
    }
    let slow = |m: &dualpath_lab::metrics::Metrics| {
        m.value("dualpath_server_time_ms", &[("server", "primary")]).is_some_and(|ms| ms >= 5.0)
    };
    assert!(world.envoy.metrics_until(slow).await.expect("metrics").1, "the gauge says why");
}
