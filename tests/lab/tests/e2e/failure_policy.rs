//! The operator's word on failures, and what trusted servers say of their tools: on the real Envoy, whose router makes
//! some of the attempts itself.

use std::time::{Duration, Instant};

use dualpath_lab::stub::Behaviour;
use serde_json::{Value, json};

use crate::world::{World, since};

async fn world(changes: &[(&str, Value)]) -> World {
    World::start_with(|options| changes.iter().for_each(|(pointer, value)| options.set(pointer, value.clone()))).await
}

/// How often each server gets a call of the tool that may not be replayed, while the primary behaves like this.
async fn sql(world: &World, behaviour: Behaviour) -> [usize; 3] {
    let before = world.calls();
    world.primary.set(behaviour);
    world.client.call("sql", json!({"sql": "insert"})).await;
    world.heal();
    since(before, world.calls())
}

fn losses() -> [Behaviour; 2] {
    [Behaviour::ResetBeforeHeaders, Behaviour::Hang]
}

#[tokio::test]
async fn a_lost_call_is_never_sent_on_where_a_server_says_so() {
    let world = world(&[("/servers/0/outcomes", json!({"lost": {"failover": "never"}}))]).await;
    for behaviour in losses() {
        let before = world.calls();
        world.primary.set(behaviour.clone());
        let reply = world.client.search("q").await;
        assert_eq!(since(before, world.calls()), [1, 0, 0], "{behaviour:?}: {}", reply.answer.text());
        world.heal();
    }
    world.primary.set(Behaviour::status(500));
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("secondary"), "another class");
}

#[tokio::test]
async fn a_lost_call_is_sent_on_where_its_tool_says_so() {
    let world = world(&[("/tools/1/outcomes", json!({"lost": {"failover": "always"}}))]).await;
    for behaviour in losses() {
        assert_eq!(sql(&world, behaviour.clone()).await, [1, 1, 0], "{behaviour:?}");
    }
    assert_eq!(sql(&world, Behaviour::status(500)).await, [1, 0, 0], "another class");
}

#[tokio::test]
async fn rules_alerts_and_refused_replays_show_in_envoys_statistics() {
    let world = world(&[
        ("/failure", json!({"rules": [{"jsonrpc_code": -32050, "class": "overload"}]})),
        ("/servers/0/outcomes", json!({"overload": {"alert": true}})),
    ])
    .await;
    assert_eq!(sql(&world, Behaviour::rpc_error(-32050, "warehouse suspended")).await, [1, 1, 0]);
    assert_eq!(sql(&world, Behaviour::sse_error(-32050, "warehouse suspended")).await, [1, 1, 0]);
    assert_eq!(sql(&world, Behaviour::status(500)).await, [1, 0, 0]);
    let alerts = [("server", "primary"), ("class", "overload")];
    let refused = [("task", "sql"), ("reason", "not_replayable")];
    let (metrics, held) = world
        .envoy
        .metrics_until(|metrics| {
            metrics.value("dualpath_alerts_total", &alerts) == Some(2.0)
                && metrics.value("dualpath_replay_refused_total", &refused) == Some(1.0)
        })
        .await
        .expect("metrics");
    assert!(held, "{:?}", metrics.series("dualpath_alerts_total", &[]).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_tool_that_trusted_servers_call_idempotent_is_sent_on_by_every_worker() {
    let tool = |name: &str| json!({"name": name, "task": name});
    let trusted = json!(true);
    let world = world(&[
        ("/servers/0/trust_annotations", trusted.clone()),
        ("/servers/1/trust_annotations", trusted),
        ("/tools/1", tool("sql")),
    ])
    .await;
    assert_eq!(sql(&world, Behaviour::status(500)).await, [1, 0, 0], "nothing is known yet");
    let tools = json!([{"name": "sql", "inputSchema": {"type": "object"}, "annotations": {"idempotentHint": true}}]);
    let body = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}).to_string();
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    world.primary.set(Behaviour::Status { status: 200, headers, body });
    let listed = world.client.request("1", "tools/list", &json!({})).await.expect("an answer");
    assert_eq!(listed.result()["tools"], tools, "the client gets the list as it is");
    world.heal();
    // A worker that has looked before looks again after a second. Until then one of two may be lucky many times in a row.
    let (begun, mut in_a_row) = (Instant::now(), 0);
    while in_a_row < 8 {
        assert!(begun.elapsed() < Duration::from_secs(10), "not every worker knows");
        let all_look = begun.elapsed() > Duration::from_millis(1_100);
        let sent_on = sql(&world, Behaviour::status(500)).await == [1, 1, 0];
        in_a_row = if sent_on && all_look { in_a_row + 1 } else { 0 };
    }
    assert_eq!(sql(&world, Behaviour::ResetBeforeHeaders).await, [1, 1, 0]);
    assert_eq!(sql(&world, Behaviour::Hang).await, [1, 1, 0]);
}
