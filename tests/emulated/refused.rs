//! Calls that a server, or what stands before it, refuses unread: the next path answers them, also those that must not run twice.

use serde_json::{Value, json};

use crate::fixture::{World, all, exchange, first, healthy, json_answer, registry};
use crate::host::{Behaviour, Response};

/// What an SDK's server in its default, stateful mode says to a client without a session.
const NO_SESSION: &str =
    r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Bad Request: Missing session ID"}}"#;
const NOTIFICATION: &str = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;

fn plain(status: u16, body: &str) -> Behaviour {
    Behaviour::Answer(Response::new(status, "text/plain", body))
}

fn refusals() -> Vec<Behaviour> {
    let version = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: Unsupported protocol version: 1"}}"#;
    let mut redirect = Response::new(307, "text/plain", "");
    redirect.headers.set("location", "/mcp/");
    vec![
        plain(404, "404 page not found"),
        plain(405, ""),
        plain(406, ""),
        plain(421, "Invalid Host header"),
        Behaviour::Answer(redirect),
        json_answer(404, NO_SESSION),
        json_answer(400, NO_SESSION),
        json_answer(400, version),
    ]
}

fn attempts(world: &World, outcome: &str) -> u64 {
    world.metric(&format!("dualpath_attempts_total.server.mcp-a.outcome.{outcome}"))
}

fn opened(world: &World) -> u64 {
    world.metric("cortex_circuit_breaker_state.server.mcp-a")
}

#[test]
fn a_refused_call_is_answered_by_the_next_server_whatever_the_tool() {
    for refusal in refusals() {
        for tool in ["search", "write"] {
            let world = World::new();
            let played = world.call(tool, first(refusal.clone()));
            assert_eq!((played.servers(), played.reply().status()), (vec!["mcp-a", "mcp-b"], 200), "{refusal:?}");
            assert_eq!(attempts(&world, "refused"), 1, "{refusal:?}");
            drop(world);
        }
    }
}

/// agentgateway#2982: a stateless primary is overloaded, the secondary wants a session, and the direct path is well.
#[test]
fn the_direct_path_answers_where_one_server_is_overloaded_and_the_other_wants_a_session() {
    let mut busy = Response::new(503, "text/plain", "busy");
    busy.headers.set("retry-after", "1");
    let [_, _, rest] = healthy();
    for tool in ["search", "write"] {
        let played =
            World::new().call(tool, [Behaviour::Answer(busy.clone()), json_answer(400, NO_SESSION), rest.clone()]);
        assert_eq!((played.servers(), played.reply().status()), (vec!["mcp-a", "mcp-b", "api"], 200), "{tool}");
    }
}

#[test]
fn a_refusal_passes_on_only_if_nobody_else_answers() {
    let unlisted = |servers| World::new().call("unlisted", servers);
    for (status, body) in [(400, NO_SESSION), (404, NO_SESSION)] {
        let played = unlisted(all(&json_answer(status, body)));
        assert_eq!((played.servers(), played.reply().status()), (vec!["mcp-a", "mcp-b"], status));
        assert_eq!(played.reply().text(), body);
    }
    let played = unlisted(all(&plain(404, "404 page not found")));
    assert_eq!((played.reply().status(), played.reply().text().as_str()), (404, "404 page not found"));
    // How the call failed where it was read says more than that somebody did not read it.
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"prompts/list"}"#;
    let played =
        World::new().play(exchange(list, [json_answer(500, "{}"), json_answer(400, NO_SESSION), Behaviour::Hang]));
    assert_eq!(played.servers(), ["mcp-a", "mcp-b"]);
    let answer: Value = serde_json::from_slice(&played.reply().body).expect("JSON");
    assert_eq!(answer["error"]["data"]["server"], "mcp-a", "{answer}");
}

#[test]
fn a_redirect_reaches_no_client() {
    let mut redirect = Response::new(302, "text/html", "<html>");
    redirect.headers.set("location", "https://login.example");
    let redirect = Behaviour::Answer(redirect);
    let played = World::new().call("unlisted", all(&redirect));
    let answer: Value = serde_json::from_slice(&played.reply().body).expect("JSON");
    assert_eq!((played.reply().status(), &answer["error"]["data"]["reason"]), (503, &json!("UPSTREAM_FAILED")));

    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#;
    for (method, body) in [("POST", NOTIFICATION), ("POST", batch), ("GET", ""), ("DELETE", "")] {
        let mut exchange = exchange(body, all(&redirect));
        if body.is_empty() {
            exchange = exchange.without_body();
        }
        exchange.headers.set(":method", method);
        exchange.headers.set("accept", "application/json, text/event-stream");
        exchange.headers.set("mcp-session-id", "dp1~mcp-a~s-1");
        let played = World::new().play(exchange);
        assert_eq!(played.reply().status(), 503, "{method} {body}: {}", played.reply().text());
        assert_eq!(played.reply().headers.get("location"), None, "{method} {body}");
    }
}

#[test]
fn while_an_ingress_has_no_server_the_gate_answers_what_it_can() {
    let played = World::new().play(exchange(INITIALIZE, all(&plain(404, "404 page not found"))));
    assert_eq!(played.reply().status(), 200, "{}", played.reply().text());
    assert!(played.reply().headers.get("mcp-session-id").is_some_and(|id| id.starts_with("dp1~~")));
}

#[test]
fn an_ingress_without_a_server_opens_its_breaker_and_a_server_that_wants_a_session_does_not() {
    for (refusal, open) in [
        (plain(404, "404 page not found"), 1),
        (plain(421, "Invalid Host header"), 1),
        (plain(307, ""), 1),
        (json_answer(404, NO_SESSION), 0),
        (json_answer(400, NO_SESSION), 0),
        (plain(406, ""), 0),
    ] {
        let world = World::new();
        for _ in 0..6 {
            world.call("write", first(refusal.clone()));
        }
        assert_eq!(opened(&world), open, "{refusal:?}");
    }
}

#[test]
fn a_rule_makes_an_answer_a_refusal_and_a_policy_keeps_refusals_where_they_are() {
    let mut registry = registry();
    registry["servers"][0]["rules"] = json!([{"status": 409, "class": "refused"}]);
    let world = World::under(&registry);
    assert_eq!(world.call("write", first(json_answer(409, "{}"))).servers(), ["mcp-a", "mcp-b"]);
    drop(world);
    registry["servers"][0]["outcomes"] = json!({"refused": {"failover": "never", "breaker": "neutral"}});
    let world = World::under(&registry);
    for _ in 0..6 {
        assert_eq!(world.call("write", first(plain(404, "x"))).servers(), ["mcp-a"]);
    }
    assert_eq!(opened(&world), 0);
}
