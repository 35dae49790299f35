#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::{Value, json};

use super::*;

fn local(message: Value) -> Option<LocalAnswer> {
    let body = message.to_string();
    let incoming = jsonrpc::parse(body.as_bytes());
    let id = if let Incoming::Request(request) = &incoming { Some(request.id) } else { None };
    Question::of(&incoming).map(|question| question.answer(id, [r#"{"name":"search"}"#].into_iter()))
}

fn reply(method: &str, params: Value) -> Value {
    match local(json!({"jsonrpc": "2.0", "id": "a", "method": method, "params": params})) {
        Some(LocalAnswer::Reply { body, .. }) => serde_json::from_slice(&body).unwrap(),
        other => panic!("{method} was not answered: {other:?}"),
    }
}

fn stateless() -> Value {
    json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}})
}

#[test]
fn initialize_echoes_a_known_version_else_offers_the_newest_handshake() {
    for (asked, given) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let answer = reply("initialize", json!({"protocolVersion": asked, "capabilities": {}}));
        assert_eq!(answer["result"]["protocolVersion"], given);
        assert_eq!(answer["result"]["capabilities"], json!({"tools": {"listChanged": false}}));
        assert_eq!(answer["result"]["serverInfo"]["name"], "dualpath");
    }
}

#[test]
fn only_initialize_opens_a_session() {
    for (method, opens) in [("initialize", true), ("ping", false), ("tools/list", false), ("server/discover", false)] {
        let found = local(json!({"jsonrpc": "2.0", "id": 1, "method": method}));
        assert!(matches!(found, Some(LocalAnswer::Reply { opens_session, .. }) if opens_session == opens), "{method}");
    }
}

#[test]
fn a_stateless_version_has_neither_handshake_nor_ping() {
    for method in ["initialize", "ping"] {
        assert_eq!(reply(method, stateless())["error"]["code"], -32601, "{method}");
        let message = json!({"jsonrpc": "2.0", "id": "a", "method": method, "params": stateless()});
        assert!(matches!(local(message), Some(LocalAnswer::Reply { status: 404, opens_session: false, .. })));
    }
}

#[test]
fn ping_is_answered_with_an_empty_result() {
    assert_eq!(reply("ping", json!({})), json!({"jsonrpc": "2.0", "id": "a", "result": {}}));
}

#[test]
fn tools_are_listed_as_the_clients_version_wants_them() {
    assert_eq!(reply("tools/list", json!({}))["result"], json!({"tools": [{"name": "search"}]}));
    assert_eq!(
        reply("tools/list", stateless())["result"],
        json!({"tools": [{"name": "search"}], "resultType": "complete", "ttlMs": 0, "cacheScope": "private"})
    );
}

#[test]
fn a_cursor_of_another_server_is_refused_even_when_empty() {
    for cursor in ["", "eyJhIjoxfQ"] {
        assert_eq!(reply("tools/list", json!({"cursor": cursor}))["error"]["code"], -32602);
    }
}

/// The gate named 2026-07-28 too. A client of the Python SDK that came while a server of 2025-11-25 was down held to that
/// version ever after, and could read none of the server's answers once it was back.
#[test]
fn discover_names_no_version_that_a_returning_server_may_not_speak() {
    let found = &reply("server/discover", stateless())["result"];
    assert_eq!(found["supportedVersions"], json!(["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]));
    assert_eq!(found["resultType"], "complete");
    assert_eq!(found["ttlMs"], 0);
    assert_eq!(found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "dualpath");
}

#[test]
fn what_wants_no_answer_is_accepted_and_what_needs_a_server_is_left_alone() {
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(local(notification), Some(LocalAnswer::Accepted));
    assert_eq!(local(json!({"jsonrpc": "2.0", "id": 1, "result": {}})), None, "an answer is for the server that asked");
    for method in ["tools/call", "resources/list", "prompts/get", "subscriptions/listen", "x"] {
        assert_eq!(local(json!({"jsonrpc": "2.0", "id": 1, "method": method})), None, "{method}");
    }
    assert_eq!(local(json!([{}])), None);
    assert_eq!(local(json!(1)), None);
}

#[test]
fn the_gate_accepts_a_notification_only_where_it_is_not_lost_by_that() {
    let server = Session::Server { owner: crate::registry::Id::new("a").unwrap(), id: b"s".to_vec() };
    for (method, in_none, in_gates) in [("initialized", true, true), ("cancelled", false, true)] {
        let body = json!({"jsonrpc": "2.0", "method": format!("notifications/{method}")}).to_string();
        let question = Question::of(&jsonrpc::parse(body.as_bytes())).unwrap();
        assert_eq!(question.is_for_gate(&Session::None), in_none, "{method}");
        assert_eq!(question.is_for_gate(&Session::Gate), in_gates, "{method}");
        assert!(!question.is_for_gate(&server), "{method}");
    }
}
