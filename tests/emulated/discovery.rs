//! What servers list without a call, and what calls make of it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::{World, call_body, exchange, first, healthy, prober_with, registry, start_with};
use crate::host::{Behaviour, Headers, HttpCall, Process, Worker};

const SECOND: Duration = Duration::from_secs(1);

fn discovering() -> Value {
    let mut registry = registry();
    registry["discovery"] = json!({"every": "60s"});
    registry["tools"][1].as_object_mut().expect("a tool").remove("rest");
    registry
}

fn tools(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"name": name, "inputSchema": {"type": "object"}})).collect()
}

/// Answers what servers are asked until they are asked nothing more; what each lists.
fn answer_all(prober: &Worker, lists: &[(&str, Value)]) -> Vec<HttpCall> {
    let mut all = Vec::new();
    loop {
        let calls = prober.take_calls();
        if calls.is_empty() {
            return all;
        }
        for call in calls {
            let request: Value = serde_json::from_slice(&call.body).unwrap_or_default();
            let result = match request["method"].as_str() {
                Some("initialize") => json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}}),
                Some("tools/list") => match lists.iter().find(|(server, _)| *server == call.cluster) {
                    Some((_, tools)) => json!({"tools": tools}),
                    None => Value::Null,
                },
                _ => Value::Null,
            };
            let mut headers = Headers::new(&[(":status", "200"), ("content-type", "application/json")]);
            headers.add("mcp-session-id", "s-1");
            let body = json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string();
            prober.answer(&call, headers, body.as_bytes());
            all.push(call);
        }
    }
}

/// A world in which the servers have listed these tools before any call.
fn world(registry: &Value, lists: &[(&str, Value)]) -> (World, Vec<HttpCall>) {
    let process = Process::new();
    let asked = discover(&process, registry, lists);
    let world = World { worker: start_with(&process, registry), process, route: crate::fixture::route() };
    world.worker.tick("gate");
    (world, asked)
}

fn discover(process: &Arc<Process>, registry: &Value, lists: &[(&str, Value)]) -> Vec<HttpCall> {
    let prober = prober_with(process, registry);
    prober.tick("prober");
    answer_all(&prober, lists)
}

fn way(world: &World, tool: &str, servers: [Behaviour; 3]) -> Vec<String> {
    world.play(exchange(&call_body(tool, "1"), servers)).servers().into_iter().map(Into::into).collect()
}

#[test]
fn a_call_goes_at_once_to_the_server_that_lists_its_tool() {
    let both = [("mcp-a", tools(&["search", "own-a"])), ("mcp-b", tools(&["search", "write", "own-b"]))];
    let (world, _) = world(&discovering(), &both);
    assert_eq!(way(&world, "search", healthy()), ["mcp-a"], "both list it");
    assert_eq!(way(&world, "write", healthy()), ["mcp-b"], "known to the registry");
    assert_eq!(way(&world, "own-b", healthy()), ["mcp-b"], "known to servers only");
    assert_eq!(way(&world, "nobodys", healthy()), ["mcp-a"], "the first says so itself");
    assert_eq!(world.metric_sum("cortex_fallback_total."), 0, "nobody has failed");
}

#[test]
fn a_call_is_not_sent_on_to_a_server_that_does_not_list_its_tool() {
    let both = [("mcp-a", tools(&["search"])), ("mcp-b", tools(&["write"]))];
    let (world, _) = world(&discovering(), &both);
    assert_eq!(way(&world, "search", first(Behaviour::Reset)), ["mcp-a", "api"]);
}

#[test]
fn a_list_that_failed_or_is_too_old_keeps_no_call_from_anybody() {
    {
        let (failed, asked) = world(&discovering(), &[("mcp-b", tools(&["write"]))]);
        assert_eq!(way(&failed, "write", healthy()), ["mcp-a"], "the list of mcp-a could not be read");
        assert!(asked.iter().filter(|call| call.cluster == "mcp-a").count() >= 3);
    }
    let (old, _) = world(&discovering(), &[("mcp-a", tools(&["search"])), ("mcp-b", tools(&["write"]))]);
    assert_eq!(way(&old, "write", healthy()), ["mcp-b"]);
    old.process.advance(90 * SECOND);
    assert_eq!(way(&old, "write", healthy()), ["mcp-a"]);
}

#[test]
fn sessions_opened_to_list_are_closed_and_nothing_of_a_clients_is_in_them() {
    let (_, asked) = world(&discovering(), &[("mcp-a", tools(&[])), ("mcp-b", tools(&[]))]);
    let methods = |server: &str| {
        let of = asked.iter().filter(|call| call.cluster == server);
        of.map(|call| {
            let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
            let method = body["method"].as_str().map(str::to_owned);
            method.or_else(|| call.headers.get(":method")).expect("a method")
        })
        .collect::<Vec<_>>()
    };
    for server in ["mcp-a", "mcp-b"] {
        assert_eq!(methods(server), ["initialize", "notifications/initialized", "tools/list", "DELETE"]);
    }
    assert!(methods("api").is_empty(), "a REST server lists nothing");
}

#[test]
fn differences_are_a_metric_and_a_line_once_per_change() {
    let process = Process::new();
    let registry = discovering();
    let prober = prober_with(&process, &registry);
    let list = |b: &[&str]| {
        prober.tick("prober");
        answer_all(&prober, &[("mcp-a", tools(&["search", "write"])), ("mcp-b", tools(b))]);
        process.advance(60 * SECOND);
    };
    let drift = |kind: &str| process.metric(&format!("dualpath_tool_drift.server.mcp-b.reason.{kind}"));
    for _ in 0..2 {
        list(&["search", "forged\nline"]);
        assert_eq!((drift("missing"), drift("extra"), drift("schema")), (1, 1, 0));
    }
    list(&["search", "write"]);
    assert_eq!((drift("missing"), drift("extra")), (0, 0));
    assert_eq!(process.metric("dualpath_tool_lists_total.server.mcp-b.reason.whole"), 3);
    assert_eq!(process.metric("dualpath_tools_listed.server.mcp-b"), 2);
    let logged: Vec<_> =
        process.log().into_iter().map(|(_, line)| line).filter(|line| line.contains("tools of")).collect();
    assert_eq!(logged.len(), 2, "{logged:?}");
    assert!(
        logged[0].contains("mcp-b that are not as those of mcp-a: missing write, extra forged?line, 2 in all"),
        "{logged:?}"
    );
}

/// The annotations of a trusted server are known before any client has asked for its list.
#[test]
fn what_a_server_lists_for_the_prober_teaches_as_what_it_lists_for_clients() {
    let mut registry = discovering();
    for at in 0..2 {
        registry["servers"][at]["trust_annotations"] = json!(true);
    }
    registry["tools"][1].as_object_mut().expect("a tool").remove("replayable");
    let listed = json!([{"name": "write", "annotations": {"readOnlyHint": true}}]);
    let (world, _) = world(&registry, &[("mcp-a", listed.clone()), ("mcp-b", listed)]);
    assert_eq!(way(&world, "write", first(Behaviour::Reset)), ["mcp-a", "mcp-b"]);
}
