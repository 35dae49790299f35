//! What the gate does itself: protocol methods while nobody answers, methods other than POST, the kill switch, metrics.

use dualpath_lab::stub::{Behaviour, Kind};
use serde_json::{Value, json};

use crate::world::World;

/// A world in which the gate knows that no MCP server is available.
async fn without_mcp() -> World {
    let breaker = json!({"consecutive": 1, "failure_rate": 0, "base_open": "60s"});
    let world = World::start_with(|options| options.set("/breaker", breaker)).await;
    world.stop_mcp().await;
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("rest"));
    world
}

#[tokio::test]
async fn protocol_methods_are_answered_while_no_mcp_server_is() {
    let world = without_mcp().await;
    let ask = async |method: &str, params: Value| {
        let reply = world.client.request("\"x\"", method, &params).await.expect("an answer");
        assert_eq!((reply.status(), reply.id().as_deref()), (200, Some("\"x\"")), "{method}: {}", reply.answer.text());
        reply.result()
    };
    let params =
        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    assert_eq!(ask("initialize", params).await["protocolVersion"], json!("2025-06-18"));
    assert_eq!(ask("ping", json!({})).await, json!({}));
    let tools = ask("tools/list", json!({})).await;
    let names: Vec<_> = tools["tools"].as_array().expect("tools").iter().map(|tool| tool["name"].clone()).collect();
    assert_eq!(names, ["search", "sql", "complete"]);
    let notification =
        world.client.post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await.expect("202");
    assert_eq!((notification.status, notification.body.len()), (202, 0));
}

#[tokio::test]
async fn an_mcp_server_answers_protocol_methods_while_it_can() {
    let world = World::start().await;
    let reply = world.client.request("1", "tools/list", &json!({})).await.expect("an answer");
    assert_eq!(reply.status(), 200);
    assert_eq!(world.primary.received().last().and_then(|r| r.rpc_method.clone()).as_deref(), Some("tools/list"));
    world.primary.set(Behaviour::Hang);
    let reply = world.client.request("1", "tools/list", &json!({})).await.expect("an answer");
    assert_eq!(reply.status(), 200, "a listing may be replayed: {}", reply.answer.text());
    assert_eq!(world.secondary.received().len(), 1);
}

#[tokio::test]
async fn get_and_delete_keep_the_server_s_405() {
    let world = World::start().await;
    for method in ["GET", "DELETE"] {
        let answer = world.client.open(method, "").await.expect("an answer").whole().await.expect("a body");
        assert_eq!(answer.status, 405, "{method}: {}", answer.text());
    }
}

#[tokio::test]
async fn the_kill_switch_takes_effect_at_once_and_is_undone_at_once() {
    let world = World::start().await;
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"));
    world.envoy.modify_runtime("dualpath.mcp_enabled", "0").await.expect("runtime");
    let before = world.calls();
    for _ in 0..4 {
        let reply = world.client.search("q").await;
        assert_eq!(reply.served_by().as_deref(), Some("rest"), "{}", reply.answer.text());
    }
    assert_eq!(world.calls()[..2], before[..2], "no MCP server is touched");
    world.envoy.modify_runtime("dualpath.mcp_enabled", "100").await.expect("runtime");
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"));
}

#[tokio::test]
async fn mcp_can_be_off_from_the_start() {
    let world = World::start_with(|options| {
        options.env.push(("MCP_SNOWFLAKE_ENABLED".to_owned(), "false".to_owned()));
    })
    .await;
    for _ in 0..4 {
        let reply = world.client.search("q").await;
        assert_eq!(reply.served_by().as_deref(), Some("rest"), "{}", reply.answer.text());
    }
    assert_eq!(world.calls(), [0, 0, 4]);
    let reply = world.client.request("1", "tools/list", &json!({})).await.expect("an answer");
    assert_eq!(reply.result()["tools"].as_array().map(Vec::len), Some(3), "{}", reply.answer.text());
}

#[tokio::test]
async fn metrics_say_which_way_every_call_went() {
    let world = World::start().await;
    world.client.search("q").await;
    world.client.call("sql", json!({"sql": "s"})).await;
    world.primary.set(Behaviour::status(503));
    world.client.search("q").await;
    world.stop_mcp().await;
    world.client.search("q").await;

    let (metrics, _) = world.envoy.metrics_until(|m| m.sum("cortex_calls_total", &[]) == 4.0).await.expect("metrics");
    let calls = |labels: &[(&str, &str)]| metrics.sum("cortex_calls_total", labels);
    assert_eq!(calls(&[("mode", "mcp"), ("task", "search")]), 2.0, "{metrics:#?}");
    assert_eq!(calls(&[("mode", "mcp"), ("task", "sql")]), 1.0);
    assert_eq!(calls(&[("mode", "direct"), ("task", "search")]), 1.0);
    assert_eq!(metrics.sum("cortex_fallback_total", &[]), 2.0, "two calls were not answered by the first choice");
    for (stub, _) in world.stubs() {
        let arrived = stub.received().len();
        let attempts = metrics.sum("dualpath_attempts_total", &[("server", stub.name())]);
        // The two MCP servers were also tried once each after they had stopped.
        let refused = usize::from(stub.kind() == Kind::Mcp);
        assert_eq!(attempts, (arrived + refused) as f64, "{}", stub.name());
    }
    let (_, timed) =
        world.envoy.metrics_until(|m| m.sum("cortex_latency_ms_count", &[]) == 4.0).await.expect("metrics");
    assert!(timed, "every call has a latency");
}

#[tokio::test]
async fn a_batch_is_answered_by_one_server_only() {
    let world = World::start().await;
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"sql","arguments":{"sql":"s"}}},{"jsonrpc":"2.0","id":2,"method":"ping"}]"#;
    let answer = world.client.post(batch).await.expect("an answer");
    assert!(answer.status < 500, "{} {}", answer.status, answer.text());
    assert_eq!(world.secondary.received().len() + world.rest.received().len(), 0);
}
