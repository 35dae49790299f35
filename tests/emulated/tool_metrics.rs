//! What is counted by tool, by model, and of failovers; and whose fault a call counts as.

use serde_json::{Value, json};

use crate::fixture::{World, all, call_body, exchange, first, healthy, json_answer, registry};
use crate::host::{Behaviour, Response};

const USAGE: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"t"}],"structuredContent":{"model":"claude-4.5","usage":{"prompt_tokens":1000,"completion_tokens":100}}}}"#;

fn priced() -> Value {
    let mut registry = registry();
    registry["log"] = json!({"calls": "/dev/stdout"});
    registry["prices"] =
        json!({"as_of": "2026-11-01", "models": [{"model": "claude-4.5", "input": 3.3, "output": 16.5}]});
    registry
}

#[test]
fn a_call_of_a_tool_is_counted_by_its_server_and_what_came_of_it() {
    let world = World::new();
    let tool_error = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}"#;
    for (tool, servers, series) in [
        ("search", healthy(), "tool.search.server.mcp-a.class.success.mode.mcp"),
        ("search", first(json_answer(200, tool_error)), "tool.search.server.mcp-a.class.tool_error.mode.mcp"),
        ("search", first(Behaviour::ConnectFailure), "tool.search.server.mcp-b.class.success.mode.mcp"),
        ("unlisted", healthy(), "tool.other.server.mcp-a.class.success.mode.mcp"),
    ] {
        let series = format!("mcp_tool_calls_total.{series}");
        let before = world.metric(&series);
        world.call(tool, servers);
        assert_eq!(world.metric(&series), before + 1, "{series}");
    }
    assert_eq!(world.metric_sum("mcp_tool_calls_total."), 4);
}

#[test]
fn the_protocols_own_methods_are_no_calls_of_tools() {
    let world = World::new();
    world.play(exchange(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, healthy()));
    world.play(exchange(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, healthy()));
    assert_eq!(world.metric_sum("mcp_tool_calls_total."), 0);
}

#[test]
fn a_failover_is_counted_by_where_from_where_to_and_why() {
    let world = World::new();
    let count = |series: &str| world.metric(&format!("cortex_fallback_total.{series}"));
    world.call("search", first(Behaviour::Reset));
    assert_eq!(count("from.mcp-a.to.mcp-b.reason.lost"), 1);
    for _ in 0..5 {
        world.call("search", first(Behaviour::ConnectFailure));
    }
    world.call("search", healthy());
    assert!(count("from.mcp-a.to.mcp-b.reason.open") >= 1);
}

#[test]
fn tokens_and_what_they_cost_are_counted_by_task_and_model() {
    for answer in [
        json_answer(200, USAGE),
        Behaviour::Answer(Response::new(200, "text/event-stream", format!("data: {USAGE}\n\n"))),
    ] {
        std::thread::spawn(move || {
            let world = World::under(&priced());
            let played = world.call("search", first(answer));
            let count = |series: &str| world.metric(series);
            assert_eq!(count("dualpath_tokens_total.task.search.model.claude-4_5.direction.input"), 1000);
            assert_eq!(count("dualpath_tokens_total.task.search.model.claude-4_5.direction.output"), 100);
            assert_eq!(count("dualpath_credits_micro_total.task.search.model.claude-4_5"), 4950);
            let line = String::from_utf8_lossy(&played.filter_state["wasm.call"]).into_owned();
            let line: Value = serde_json::from_str(&format!("{{{line}}}")).expect("JSON");
            assert_eq!([&line["model"], &line["input_tokens"]], [&json!("claude-4.5"), &json!(1000)]);
            assert_eq!([&line["output_tokens"], &line["credits"]], [&json!(100), &json!(0.00495)]);
        })
        .join()
        .expect("it is so");
    }
}

#[test]
fn a_model_that_is_not_priced_is_no_label() {
    let world = World::new();
    world.call("search", first(json_answer(200, &USAGE.replace("claude-4.5", "whatever an API says"))));
    assert_eq!(world.metric("dualpath_tokens_total.task.search.model.other.direction.input"), 1000);
    assert_eq!(world.metric_sum("dualpath_credits_micro_total."), 0);
}

#[test]
fn an_api_without_usage_costs_what_the_registry_says_of_a_call() {
    let mut registry = priced();
    registry["servers"][2]["price"] = json!({"per_call": 0.067, "as_of": "2026-11-01"});
    let world = World::under(&registry);
    let played = world.call("search", [Behaviour::ConnectFailure, Behaviour::ConnectFailure, healthy()[2].clone()]);
    assert_eq!(world.metric("dualpath_credits_micro_total.task.search.model.other"), 67_000);
    let line = String::from_utf8_lossy(&played.filter_state["wasm.call"]).into_owned();
    assert!(line.contains(r#""credits":0.067000"#) && !line.contains("input_tokens"), "{line}");
}

#[test]
fn an_apis_usage_is_read_from_its_json() {
    let world = World::under(&priced());
    let answer = r#"{"results":[],"model":"claude-4.5","usage":{"prompt_tokens":10,"completion_tokens":2}}"#;
    world.call("search", [Behaviour::ConnectFailure, Behaviour::ConnectFailure, json_answer(200, answer)]);
    assert_eq!(world.metric("dualpath_tokens_total.task.search.model.claude-4_5.direction.input"), 10);
}

#[test]
fn a_clients_mistake_does_not_count_against_the_service_and_a_refusal_of_our_own_does() {
    let world = World::new();
    let mut foreign = exchange(&call_body("search", "1"), healthy());
    foreign.headers.set("origin", "https://evil.example");
    world.play(foreign);
    assert_eq!(world.metric("cortex_calls_total.mode.gate.task.other.status.refused"), 1);
    assert_eq!(world.metric_sum("cortex_calls_total.mode.gate.task.other.status.failed"), 0);
}

#[test]
fn a_call_for_which_there_is_no_path_has_failed() {
    let mut registry = registry();
    registry["breaker"]["mode"] = json!("forced_open");
    let world = World::under(&registry);
    world.call("search", all(&Behaviour::Hang));
    assert_eq!(world.metric("cortex_calls_total.mode.gate.task.search.status.failed"), 1);
    assert_eq!(world.metric("mcp_tool_calls_total.tool.search.server.other.class.not_sent.mode.gate"), 1);
}
