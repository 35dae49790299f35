//! Failure classes: who gets the call next, and what the client sees.

use serde_json::Value;

use dualpath::failure::Class;

use crate::fixture::{World, exchange, first, json_answer};
use crate::host::{Abort, Behaviour, Response};

const INTERNAL_ERROR: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"internal"}}"#;

/// The servers that got a call of `tool` when the first one behaves like this.
fn way(tool: &str, behaviour: Behaviour) -> Vec<String> {
    let played = World::new().call(tool, first(behaviour));
    played.servers().into_iter().map(Into::into).collect()
}

fn retry_later(status: u16) -> Behaviour {
    let mut response = Response::new(status, "text/plain", "busy");
    response.headers.set("retry-after", "1");
    Behaviour::Answer(response)
}

#[test]
fn a_healthy_primary_answers_alone() {
    let played = World::new().call("search", crate::fixture::healthy());
    assert_eq!(played.servers(), ["mcp-a"]);
    assert_eq!(played.reply().status(), 200);
    assert!(played.reply().text().contains("from mcp-a"));
}

#[test]
fn a_call_that_was_never_sent_goes_on_whatever_the_tool() {
    for behaviour in [Behaviour::ConnectFailure, Behaviour::RefusedStream] {
        assert_eq!(way("write", behaviour.clone()), ["mcp-b"], "{behaviour:?}");
    }
}

#[test]
fn an_overloaded_server_is_passed_over_whatever_the_tool() {
    for behaviour in [json_answer(429, "{}"), retry_later(503), retry_later(429)] {
        assert_eq!(way("write", behaviour.clone()), ["mcp-a", "mcp-b"], "{behaviour:?}");
    }
}

#[test]
fn only_a_replayable_call_is_sent_again_after_a_server_error() {
    let stalled = Behaviour::Answer(Response { stall: true, ..Response::new(200, "application/json", "{") });
    let broken = Behaviour::Answer(Response { reset: true, ..Response::new(200, "application/json", "{\"json") });
    let failures = [
        json_answer(500, "{}"),
        json_answer(502, "{}"),
        json_answer(503, "{}"),
        json_answer(504, "{}"),
        json_answer(200, INTERNAL_ERROR),
        json_answer(200, "garbage"),
        Behaviour::Reset,
        Behaviour::Hang,
        broken,
        stalled,
    ];
    for failure in failures {
        assert_eq!(way("search", failure.clone()), ["mcp-a", "mcp-b"], "{failure:?}");
        assert_eq!(way("write", failure.clone()), ["mcp-a"], "{failure:?}");
    }
}

#[test]
fn a_refused_credential_tries_the_other_slot_and_never_shows_a_401() {
    let played = World::new().call("write", first(json_answer(401, "{}")));
    assert_eq!(played.servers(), ["mcp-a", "mcp-a", "mcp-b"]);
    let sent: Vec<_> = played.attempts.iter().filter_map(|attempt| attempt.headers.get("authorization")).collect();
    assert_eq!(sent, ["Bearer secret-mcp-a-1", "Bearer secret-mcp-a-2", "Bearer secret-mcp-b-1"]);
    let all = [json_answer(401, "{}"), json_answer(401, "{}"), json_answer(401, "{}")];
    let played = World::new().call("search", all);
    assert_eq!(played.reply().status(), 503);
    assert!(played.reply().headers.first("www-authenticate").is_none());
}

#[test]
fn what_the_caller_got_wrong_is_not_sent_to_anybody_else() {
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Unknown tool"}}"#;
    let is_error = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"no"}],"isError":true}}"#;
    for answer in [error, is_error] {
        let played = World::new().call("search", first(json_answer(200, answer)));
        assert_eq!(played.servers(), ["mcp-a"]);
        assert_eq!(played.reply().text(), answer);
    }
    for status in [400, 403, 422] {
        assert_eq!(way("search", json_answer(status, "{}")), ["mcp-a"], "{status}");
    }
}

#[test]
fn an_early_error_event_is_failed_over_and_later_events_stream() {
    let error = format!("event: message\ndata: {INTERNAL_ERROR}\n\n");
    let events = |pieces: &[&str]| Behaviour::Answer(Response::events(pieces));
    assert_eq!(way("search", events(&[&error])), ["mcp-a", "mcp-b"]);
    let progress = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n\n";
    let played = World::new().call("search", first(events(&[progress, &error])));
    assert_eq!(played.servers(), ["mcp-a"], "after the first byte there is no failover");
    assert!(played.reply().pieces.len() >= 2, "an event is not held for the next one");
    assert_eq!(played.reply().text(), format!("{progress}{error}"));
}

#[test]
fn the_direct_path_answers_in_the_mcp_shape() {
    let world = World::new();
    let servers = [Behaviour::ConnectFailure, Behaviour::ConnectFailure, crate::fixture::rest_answer()];
    let played = world.call("write", servers);
    assert_eq!(played.servers(), ["api"]);
    let answer: Value = serde_json::from_slice(&played.reply().body).expect("JSON");
    assert_eq!((&answer["jsonrpc"], &answer["id"]), (&Value::from("2.0"), &Value::from(1)));
    assert!(answer["result"]["content"].is_array(), "{answer}");
    let length = played.reply().headers.get("content-length");
    assert!(length.is_none_or(|length| length == played.reply().body.len().to_string()));
    assert_eq!(world.metric_sum("cortex_fallback_total."), 1);
}

#[test]
fn when_every_server_fails_the_client_gets_one_json_rpc_error() {
    let played = World::new().call("search", [Behaviour::ConnectFailure, Behaviour::Reset, json_answer(500, "{}")]);
    assert_eq!(played.reply().status(), 503);
    let answer: Value = serde_json::from_slice(&played.reply().body).expect("JSON");
    assert_eq!((&answer["id"], &answer["error"]["data"]["source"]), (&Value::from(1), &Value::from("dualpath")));
    let code = answer["error"]["code"].as_i64().expect("a code");
    assert!(!(-32768..=-32000).contains(&code), "{code}");
    assert!(played.reply().headers.first("x-dualpath-failover").is_none());
}

/// What a server does, and the class that the failure table gives to that: the label it is counted under, and nothing else.
#[test]
fn every_outcome_is_counted_under_the_class_that_the_failure_table_names() {
    let error = |code: i64| format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":{code},"message":"x"}}}}"#);
    let result = |more: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[]{more}}}}}"#);
    let answered = |status, body: &str| (json_answer(status, body), None, "");
    let cases = [
        (Class::NotSent, vec![(Behaviour::ConnectFailure, None, "")]),
        (Class::Refused, vec![answered(307, ""), answered(404, "x"), answered(405, ""), answered(421, "")]),
        (Class::Overload, vec![answered(429, "{}"), (retry_later(503), None, "")]),
        (Class::Credential, vec![answered(401, "{}")]),
        (Class::Authorization, vec![answered(403, "{}")]),
        (
            Class::Server,
            vec![answered(500, "{}"), answered(200, &error(-32603)), answered(200, "<html>"), answered(200, "")],
        ),
        (Class::Lost, vec![(Behaviour::Reset, None, ""), (Behaviour::Hang, None, "")]),
        (Class::Session, vec![(json_answer(404, "x"), None, "dp1~mcp-a~s-1")]),
        (
            Class::Caller,
            vec![answered(400, "x"), answered(422, "x"), answered(200, &error(-32602)), answered(200, &error(-32700))],
        ),
        (Class::ToolError, vec![answered(200, &result(r#","isError":true"#))]),
        (Class::Cancelled, vec![(Behaviour::Hang, Some(Abort::Waiting(1)), "")]),
        (Class::Success, vec![answered(200, &result(""))]),
    ];
    assert!(Class::ALL.iter().all(|class| cases.iter().any(|(named, _)| named == class)), "every class is played");
    for (class, ways) in cases {
        for (behaviour, abort, session) in ways {
            let world = World::new();
            let mut exchange = exchange(&crate::fixture::call_body("write", "1"), first(behaviour.clone()));
            exchange.abort = abort;
            if !session.is_empty() {
                exchange.headers.set("mcp-session-id", session);
            }
            world.play(exchange);
            let counted = world.metric(&format!("dualpath_attempts_total.server.mcp-a.outcome.{}", class.as_str()));
            let all = world.metric_sum("dualpath_attempts_total.server.mcp-a.outcome.");
            assert!(counted > 0 && counted == all, "{class:?}: {counted} of {all}: {behaviour:?}");
        }
    }
}

#[test]
fn an_open_breaker_spares_the_dead_server() {
    let world = World::new();
    for _ in 0..5 {
        assert_eq!(world.call("search", first(Behaviour::Reset)).servers(), ["mcp-a", "mcp-b"]);
    }
    assert_eq!(world.call("search", first(Behaviour::Reset)).servers(), ["mcp-b"]);
    assert_eq!(world.metric("cortex_circuit_breaker_state.server.mcp-a"), 1);
}

#[test]
fn a_client_that_leaves_is_no_failure_of_the_server() {
    let world = World::new();
    for http2 in [true, false].repeat(5) {
        let mut exchange = exchange(&crate::fixture::call_body("search", "1"), crate::fixture::healthy());
        exchange.abort = Some(crate::host::Abort::Waiting(1));
        exchange.http2 = http2;
        world.play(exchange);
    }
    assert_eq!(world.call("search", crate::fixture::healthy()).servers(), ["mcp-a"]);
}
