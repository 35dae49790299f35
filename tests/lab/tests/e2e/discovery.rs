//! What servers list without any traffic, and what calls make of it; and which tools clients may call.

use std::time::{Duration, Instant};

use dualpath_lab::stub::{Sessions, Stub};
use serde_json::{Value, json};

use crate::world::{PRIMARY_PAT, World};

/// `complete` is known to the registry, and only the secondary has it; so is `search`, which both have. Neither the registry
/// nor the primary knows `sql`.
async fn world(placement: &str) -> World {
    World::start_with(|options| {
        options.set("/envoy/prober", json!(placement));
        options.set("/discovery", json!({"every": "5m"}));
        options.set("/tools/1/name", json!("unused"));
        // Each worker learns for itself within a second; with one it is known when.
        options.concurrency = 1;
        options.primary = options.primary.clone().sessions(Sessions::NotFound).without(&["complete", "sql"]);
    })
    .await
}

async fn until_listed(world: &World) {
    for (server, tools) in [("primary", 1.0), ("secondary", 3.0)] {
        let labels = [("server", server)];
        let listed = |m: &dualpath_lab::metrics::Metrics| m.value("dualpath_tools_listed", &labels) == Some(tools);
        let (_, held) = world.envoy.metrics_until(listed).await.expect("metrics");
        assert!(held, "{server}: {}", world.envoy.logs());
    }
}

fn asked(stub: &Stub) -> Vec<String> {
    let of = |received: dualpath_lab::stub::Received| received.rpc_method.unwrap_or(received.method);
    stub.received().into_iter().map(of).collect()
}

#[tokio::test]
async fn a_call_goes_at_once_to_the_server_that_is_known_without_traffic_to_have_its_tool() {
    for placement in ["bootstrap", "listener"] {
        let world = world(placement).await;
        until_listed(&world).await;
        let session = world.primary.wait_for(|received| received.method == "DELETE").await;
        assert_eq!(session.header("mcp-session-id"), Some("primary-session-1"), "what it opens it closes");
        assert_eq!(session.header("authorization"), Some(format!("Bearer {PRIMARY_PAT}").as_str()));
        let methods = ["initialize", "notifications/initialized", "tools/list", "DELETE"];
        assert_eq!(asked(&world.primary), methods, "{placement}: once, by one prober");
        assert!(world.rest.received().is_empty(), "a REST server lists nothing");

        // The worker looks once a second.
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut before = usize::MAX;
        while std::mem::replace(&mut before, world.primary.calls()) != before {
            assert!(Instant::now() < deadline, "{placement}: {}", world.envoy.logs());
            world.client.call("complete", json!({"prompt": "p"})).await;
        }
        for _ in 0..4 {
            let known = world.client.call("complete", json!({"prompt": "p"})).await;
            assert_eq!(known.served_by().as_deref(), Some("secondary"), "{placement}");
            let unknown = world.client.call("sql", json!({"sql": "select 1"})).await;
            assert_eq!(unknown.served_by().as_deref(), Some("secondary"), "{placement}");
        }
        assert_eq!(world.primary.calls(), before, "{placement}: it is not asked for what it lacks");

        let (metrics, _) = world.envoy.metrics_until(|_| true).await.expect("metrics");
        let drift = |reason| metrics.value("dualpath_tool_drift", &[("server", "secondary"), ("reason", reason)]);
        assert_eq!((drift("missing"), drift("extra"), drift("schema")), (Some(0.0), Some(2.0), Some(0.0)));
        let line = "tools of secondary that are not as those of primary: extra sql, extra complete, 2 in all";
        assert_eq!(world.envoy.logs().matches(line).count(), 1, "{placement}: once per change");
    }
}

#[tokio::test]
async fn a_tool_that_is_not_allowed_is_unknown_on_every_path_and_in_every_list() {
    let world = World::start_with(|options| {
        options.set("/listener/allowed_tools", json!(["se*"]));
        options.set("/listener/error_status", json!("jsonrpc"));
    })
    .await;
    let names = |list: &Value| {
        let tools = list["tools"].as_array().cloned().unwrap_or_default();
        tools.iter().map(|tool| tool["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    for mcp_is_up in [true, false] {
        if !mcp_is_up {
            world.stop_mcp().await;
        }
        let list = world.client.request("7", "tools/list", &json!({})).await.expect("an answer");
        assert_eq!(names(&list.result()), ["search"], "MCP up: {mcp_is_up}");
        assert_eq!(world.client.search("q").await.status(), 200);
        let before = world.calls();
        let refused = world.client.call("complete", json!({"prompt": "p"})).await;
        assert_eq!((refused.status(), refused.error()["code"].as_i64()), (200, Some(-32602)));
        assert_eq!(refused.error()["message"], "Unknown tool: complete");
        assert_eq!(world.calls(), before, "no server has seen it");
    }
    let counted = |m: &dualpath_lab::metrics::Metrics| m.value("dualpath_tools_refused_total", &[]) == Some(2.0);
    assert!(world.envoy.metrics_until(counted).await.expect("metrics").1);
}

/// The shapes that Snowflake documents, from the stub, through the real Envoy.
#[tokio::test]
async fn analyst_agent_and_embeddings_are_answered_without_mcp() {
    let tool = |name: &str, with: Value| {
        json!({"name": name, "task": name, "replayable": true,
            "rest": {"server": "rest", "preset": format!("snowflake.{name}"), "with": with}})
    };
    let world = World::start_with(|options| {
        let place = json!({"database": "D", "schema": "S", "agent": "A"});
        let view = json!({"semantic_view": "D.S.V"});
        options.set("/tools", json!([tool("analyst", view), tool("agent", place), tool("embed", json!({}))]));
    })
    .await;
    world.stop_mcp().await;
    let text = |reply: &Value| reply["content"][0]["text"].as_str().unwrap_or_default().to_owned();
    let analyst = world.client.call("analyst", json!({"message": "how much?"})).await.result();
    assert_eq!(text(&analyst), "rest takes this for: how much?");
    assert_eq!(analyst["content"][1]["text"], "SELECT 1");
    let agent = world.client.call("agent", json!({"message": "why?"})).await.result();
    assert_eq!((text(&agent).as_str(), &agent["isError"]), ("rest says: why?", &json!(false)));
    assert_eq!(agent["_meta"]["usage"]["tokens_consumed"][0]["output_tokens"]["total"], 5);
    let failed = world.client.call("agent", json!({"message": "fail"})).await.result();
    assert_eq!(failed["isError"], true);
    assert!(text(&failed).contains("No tool result received"), "{failed}");
    let embed = world.client.call("embed", json!({"texts": ["a", "b"]})).await.result();
    assert_eq!(embed["structuredContent"]["data"].as_array().map(Vec::len), Some(2));
}
