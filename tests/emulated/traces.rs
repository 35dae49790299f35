//! The trace context of calls: from the client's headers or message to every attempt, as the operator wants it.

use serde_json::{Value, json};

use crate::fixture::{World, exchange, first, healthy, json_answer, registry};
use crate::host::{Behaviour, Exchange, Played};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn world(tracing: Value) -> World {
    let mut registry = registry();
    if !tracing.is_null() {
        registry["tracing"] = tracing;
    }
    World::under(&registry)
}

/// A call whose message has this `_meta`, with more headers.
fn call<'a>(meta: &Value, headers: &[(&str, &str)], servers: [Behaviour; 3]) -> Exchange<'a> {
    let params = json!({"name": "search", "arguments": {"query": "q"}, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let mut asked = exchange(&body, servers);
    headers.iter().for_each(|(name, value)| asked.headers.set(name, value));
    asked
}

fn each(played: &Played, name: &str) -> Vec<Option<String>> {
    played.attempts.iter().map(|attempt| attempt.headers.get(name)).collect()
}

fn everywhere() -> [Behaviour; 3] {
    [Behaviour::Reset, json_answer(503, "{}"), json_answer(200, "{\"results\":[]}")]
}

fn tag(played: &Played, name: &str) -> Option<String> {
    let value = played.filter_state.get(&format!("wasm.tag_{name}"))?;
    Some(String::from_utf8(value.clone()).expect("text"))
}

#[test]
fn the_client_s_trace_reaches_every_attempt_whatever_the_operator_says_of_those_without() {
    for tracing in [Value::Null, json!({"start": true})] {
        let world = world(tracing);
        let meta = json!({"traceparent": OTHER});
        let headers = [("traceparent", PARENT), ("tracestate", "a=1")];
        let played = world.play(call(&meta, &headers, everywhere()));
        assert_eq!(each(&played, "traceparent"), vec![Some(PARENT.to_owned()); 3]);
        assert_eq!(each(&played, "tracestate"), vec![Some("a=1".to_owned()); 3]);
        let body = String::from_utf8(played.attempts[0].body.clone()).expect("text");
        assert!(body.contains(OTHER), "an MCP server gets the message as it is");
    }
}

#[test]
fn a_trace_of_the_message_is_told_to_apis_too_where_traces_are_started() {
    let played = world(json!({"start": true})).play(call(
        &json!({"traceparent": OTHER, "tracestate": "b=2"}),
        &[("tracestate", "of-no-trace")],
        everywhere(),
    ));
    assert_eq!(each(&played, "traceparent"), vec![Some(OTHER.to_owned()); 3]);
    assert_eq!(each(&played, "tracestate"), vec![Some("b=2".to_owned()); 3]);
}

#[test]
fn a_call_without_a_trace_gets_one_for_all_its_attempts_only_where_the_operator_wants_that() {
    let plain = world(Value::Null).play(call(&json!({"traceparent": OTHER}), &[], everywhere()));
    assert_eq!(each(&plain, "traceparent"), [None, None, None]);
    let world = world(json!({"start": true}));
    let mut seen = Vec::new();
    for meta in [json!({}), json!({"traceparent": "00-x"})] {
        let given = each(&world.play(call(&meta, &[], everywhere())), "traceparent");
        let parent = given[0].clone().expect("a trace");
        assert_eq!(given, vec![Some(parent.clone()); 3], "the attempts are of one call");
        assert_eq!((parent.len(), &parent[..3], &parent[52..]), (55, "00-", "-01"), "{parent}");
        seen.push(parent);
    }
    assert_ne!(seen[0], seen[1]);
}

#[test]
fn envoy_s_tracer_is_told_what_came_of_a_call_and_of_the_tools_of_the_registry_alone() {
    let world = world(json!({"otlp": "http://127.0.0.1:4317"}));
    let played = world.play(call(&json!({"traceparent": OTHER}), &[], first(Behaviour::Reset)));
    let told = |name| tag(&played, name).unwrap_or_default();
    assert_eq!((told("tool"), told("mode"), told("server")), ("search".into(), "mcp".into(), "mcp-b".into()));
    assert_eq!((told("attempts"), told("breaker"), told("client")), ("2".into(), "closed".into(), OTHER.into()));
    assert_eq!(tag(&played, "error"), None, "it was answered");
    assert_eq!(each(&played, "traceparent"), [None, None], "that is the tracer's to set");
    let failed = world.play(call(&json!({}), &[], [(); 3].map(|()| json_answer(503, "{}"))));
    assert_eq!(tag(&failed, "error").as_deref(), Some("server"));
    let mut unknown = call(&json!({}), &[], healthy());
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "secret-name"}});
    unknown.pieces = vec![body.to_string().into_bytes()];
    let unknown = world.play(unknown);
    assert_eq!((tag(&unknown, "tool"), tag(&unknown, "mode").as_deref()), (None, Some("mcp")));
}

#[test]
fn a_client_can_tell_the_tracer_nothing_under_the_names_of_the_filter_state() {
    let world = world(json!({"otlp": "http://127.0.0.1:4317"}));
    let played = world.play(call(&json!({"traceparent": "tag_tool"}), &[("tag_tool", "x")], healthy()));
    assert_eq!(tag(&played, "client"), None);
}
