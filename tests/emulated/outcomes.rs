//! Each attempt is counted under the class that the failure table names, and its client told what that means.

use serde_json::{Value, json};

use crate::fixture::{World, all, first, healthy, json_answer};
use crate::host::{Behaviour, Response};

fn counted(world: &World, server: &str, outcome: &str) -> u64 {
    world.metric(&format!("dualpath_attempts_total.server.{server}.outcome.{outcome}"))
}

fn busy() -> Behaviour {
    let mut response = Response::new(503, "text/plain", "busy");
    response.headers.set("retry-after", "1");
    Behaviour::Answer(response)
}

#[test]
fn every_outcome_has_the_label_of_the_failure_table() {
    let rpc = |code: i64| json!({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "x"}}).to_string();
    let tool_error = json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [], "isError": true}}).to_string();
    let [well, ..] = healthy();
    for (behaviour, outcome, attempts) in [
        (Behaviour::ConnectFailure, "not_sent", 1),
        (Behaviour::RefusedStream, "not_sent", 1),
        (Behaviour::Overflow, "not_sent", 1),
        (json_answer(404, ""), "refused", 1),
        (json_answer(307, ""), "refused", 1),
        (json_answer(429, "{}"), "overload", 1),
        (busy(), "overload", 1),
        (json_answer(401, "{}"), "credential", 2),
        (json_answer(403, "{}"), "authorization", 1),
        (json_answer(500, "{}"), "server", 1),
        (json_answer(200, &rpc(-32603)), "server", 1),
        (json_answer(200, "garbage"), "server", 1),
        (Behaviour::Reset, "lost", 1),
        (Behaviour::Hang, "lost", 1),
        (json_answer(422, "{}"), "caller", 1),
        (json_answer(200, &rpc(-32602)), "caller", 1),
        (json_answer(200, &tool_error), "tool_error", 1),
        (well, "success", 1),
    ] {
        let world = World::new();
        world.call("write", first(behaviour.clone()));
        assert_eq!(counted(&world, "mcp-a", outcome), attempts, "{behaviour:?}");
        assert_eq!(world.metric_sum("dualpath_attempts_total.server.mcp-a."), attempts, "{behaviour:?}");
    }
}

#[test]
fn a_call_that_no_server_has_seen_may_be_made_again() {
    for behaviour in [Behaviour::ConnectFailure, Behaviour::RefusedStream, Behaviour::Overflow] {
        let world = World::new();
        let played = world.call("unlisted", all(&behaviour));
        let error = &serde_json::from_slice::<Value>(&played.reply().body).expect("JSON")["error"]["data"];
        assert_eq!(
            (&error["reason"], &error["class"]),
            (&json!("UPSTREAM_FAILED"), &json!("not_sent")),
            "{behaviour:?}"
        );
        let sent_on = counted(&world, "mcp-a", "not_sent") + counted(&world, "mcp-b", "not_sent");
        assert_eq!(sent_on, if matches!(behaviour, Behaviour::Overflow) { 1 } else { 2 }, "{behaviour:?}");
    }
}

#[test]
fn a_pool_that_is_full_opens_no_breaker() {
    let world = World::new();
    for _ in 0..8 {
        world.call("unlisted", all(&Behaviour::Overflow));
    }
    assert_eq!(world.metric("cortex_circuit_breaker_state.server.mcp-a"), 0);
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"]);
}
