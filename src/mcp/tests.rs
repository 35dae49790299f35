#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::local::{LocalAnswer, answer};
use super::*;
use crate::failure::Replay;
use crate::jsonrpc;
use crate::registry::Id;

fn local(message: Value) -> LocalAnswer {
    let body = message.to_string();
    answer(&jsonrpc::parse(body.as_bytes()), [json!({"name": "search"})].iter())
}

fn reply(method: &str, params: Value) -> Value {
    match local(json!({"jsonrpc": "2.0", "id": "a", "method": method, "params": params})) {
        LocalAnswer::Reply { body, .. } => serde_json::from_slice(&body).unwrap(),
        other => panic!("{method} was not answered: {other:?}"),
    }
}

fn stateless() -> Value {
    json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}})
}

#[test]
fn protocol_methods_are_replayable_tool_calls_only_if_the_operator_says() {
    let of = |name: &str, tool| replay(Method::of(name), false, || tool);
    for name in ["initialize", "ping", "server/discover", "tools/list", "resources/templates/list", "prompts/get"] {
        assert_eq!(of(name, Replay::NotReplayable), Replay::Allowed, "{name}");
    }
    assert_eq!(of("resources/read", Replay::NotReplayable), Replay::Allowed);
    for word in [Replay::NotReplayable, Replay::UnknownAnnotation, Replay::Allowed] {
        assert_eq!(of("tools/call", word), word);
    }
    for name in ["", "tools/call/", "Tools/List", "list", "logging/setLevel", "completion/complete", "tasks/cancel"] {
        assert_eq!(of(name, Replay::Allowed), Replay::NotReplayable, "{name}");
    }
}

#[test]
fn a_pinned_request_is_never_replayable() {
    for method in [Method::ToolsCall, Method::Read] {
        assert_eq!(replay(method, true, || Replay::Allowed), Replay::Pinned);
    }
}

fn call(params: &str) -> Result<ToolCall<'_>, InvalidParams> {
    ToolCall::parse(Some(serde_json::from_str::<&RawValue>(params).unwrap()))
}

#[test]
fn a_tool_call_keeps_its_arguments_as_they_stand() {
    let found = call(r#"{"arguments":{"x": 1.0, "x": 2},"name":"se\u0061rch"}"#).unwrap();
    assert_eq!(found.name, "search");
    assert_eq!(found.arguments.map(RawValue::get), Some(r#"{"x": 1.0, "x": 2}"#));
    assert!(!found.pinned);
    assert!(call(r#"{"name":"a","arguments":null}"#).unwrap().arguments.is_none());
}

#[test]
fn a_call_that_continues_an_exchange_or_starts_a_task_is_pinned() {
    for member in [r#""requestState":"s""#, r#""inputResponses":{}"#, r#""task":{"ttl":1}"#] {
        assert!(call(&format!(r#"{{"name":"a",{member}}}"#)).unwrap().pinned, "{member}");
    }
}

#[test]
fn parameters_that_two_readers_could_read_differently_are_refused() {
    for params in [
        "[]",
        r#"["search"]"#,
        r#"{"name":"a","name":"b"}"#,
        r#"{"name":1}"#,
        r#"{"name":"a","_meta":[]}"#,
        r#"{"name":"a","_meta":{"io.modelcontextprotocol/protocolVersion":1}}"#,
    ] {
        assert_eq!(call(params).unwrap_err(), InvalidParams::Shape, "{params}");
    }
    assert_eq!(call("{}").unwrap_err(), InvalidParams::NoName);
    assert_eq!(call(r#"{"name":"a","arguments":[1]}"#).unwrap_err(), InvalidParams::Arguments);
    assert_eq!(ToolCall::parse(None).unwrap_err(), InvalidParams::NoName);
}

#[test]
fn the_protocol_version_of_a_stateless_call_is_found() {
    let params = format!(r#"{{"name":"a","_meta":{}}}"#, stateless()["_meta"]);
    assert_eq!(call(&params).unwrap().meta_version.as_deref(), Some("2026-07-28"));
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
        assert!(matches!(found, LocalAnswer::Reply { opens_session, .. } if opens_session == opens), "{method}");
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
    assert_eq!(local(notification), LocalAnswer::Accepted);
    assert_eq!(local(json!({"jsonrpc": "2.0", "id": 1, "result": {}})), LocalAnswer::Accepted);
    for method in ["tools/call", "resources/list", "prompts/get", "subscriptions/listen", "x"] {
        assert_eq!(local(json!({"jsonrpc": "2.0", "id": 1, "method": method})), LocalAnswer::NotLocal, "{method}");
    }
    assert_eq!(local(json!([{}])), LocalAnswer::NotLocal);
    assert_eq!(local(json!(1)), LocalAnswer::NotLocal);
}

#[test]
fn a_wrapped_session_id_comes_apart_again() {
    let server = Id::new("snowflake-primary").unwrap();
    for original in ["a", "1868a90c-38", "~", "x~y~z", "dp1~other~inner", "dp1~~"] {
        let wrapped = SessionId::wrap(server.as_str(), original.as_bytes());
        assert_eq!(
            SessionId::parse(&wrapped),
            SessionId::Server { server: "snowflake-primary", original: original.as_bytes() }
        );
    }
}

#[test]
fn a_session_id_of_the_gates_own_is_recognised_and_legal_in_a_header() {
    let id = SessionId::mint([0xfb; 24]);
    assert_eq!(SessionId::parse(&id), SessionId::Gate);
    assert!(id.iter().all(|byte| (0x21..=0x7e).contains(byte)));
}

#[test]
fn a_session_id_that_is_not_ours_passes_unchanged() {
    let cases: [&[u8]; 3] = [b"", b"1868a90c", b"dp1"];
    for value in cases {
        assert_eq!(SessionId::parse(value), SessionId::Unknown(value));
    }
}

#[test]
fn a_session_id_that_only_looks_like_ours_is_told_apart() {
    let cases: [&[u8]; 7] =
        [b"dp1~", b"dp1~~", b"dp1~~short", b"dp1~server", b"dp1~server~", b"dp1~Not An Id~x", b"dp1~\xff~x"];
    for value in cases {
        assert_eq!(SessionId::parse(value), SessionId::Forged);
    }
}
