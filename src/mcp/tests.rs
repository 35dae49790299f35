#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::failure::Replay;
use crate::json::Raw;
use crate::registry::Id;

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

fn call(params: &str) -> Result<Params<'_>, InvalidParams> {
    Params::of_tool_call(Some(Raw::of(params).unwrap()))
}

#[test]
fn a_tool_call_keeps_its_arguments_as_they_stand() {
    let found = call(r#"{"arguments":{"x": 1.0, "x": 2},"name":"se\u0061rch"}"#).unwrap();
    assert_eq!(found.name.as_deref(), Some("search"));
    assert_eq!(found.arguments.map(Raw::get), Some(r#"{"x": 1.0, "x": 2}"#));
    assert!(!found.is_bound && !found.starts_task);
    assert!(call(r#"{"name":"a","arguments":null}"#).unwrap().arguments.is_none());
}

#[test]
fn a_call_that_names_what_a_server_has_issued_is_bound_to_it() {
    let related = r#""_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}}"#;
    for member in [r#""requestState":"s""#, r#""inputResponses":{}"#, r#""taskId":"t""#, r#""cursor":"""#, related] {
        assert!(call(&format!(r#"{{"name":"a",{member}}}"#)).unwrap().is_bound, "{member}");
    }
    for member in [r#""requestState":null"#, r#""taskId":null"#, r#""arguments":{"taskId":"t","cursor":"c"}"#] {
        assert!(!call(&format!(r#"{{"name":"a",{member}}}"#)).unwrap().is_bound, "{member}");
    }
    let starts = call(r#"{"name":"a","task":{"ttl":1}}"#).unwrap();
    assert!(starts.starts_task && !starts.is_bound, "any server may begin it, but only one");
}

#[test]
fn parameters_that_two_readers_could_read_differently_are_refused() {
    for params in [
        "[]",
        r#"["search"]"#,
        r#"{"name":"a","name":"b"}"#,
        r#"{"name":1}"#,
        r#"{"name":"a","Name":"b"}"#,
        r#"{"name":"a","n\u0041me":"b"}"#,
        r#"{"name":"a","TASK":{}}"#,
        r#"{"name":"a","_META":{}}"#,
        r#"{"name":"a","_meta":{"io.modelcontextprotocol/ProtocolVersion":"2026-07-28"}}"#,
        r#"{"name":"a","_meta":[]}"#,
        r#"{"name":"a","_meta":{"io.modelcontextprotocol/protocolVersion":1}}"#,
    ] {
        assert_eq!(call(params).unwrap_err(), InvalidParams::Shape, "{params}");
    }
    assert_eq!(call("{}").unwrap_err(), InvalidParams::NoName);
    assert_eq!(call(r#"{"name":"a","arguments":[1]}"#).unwrap_err(), InvalidParams::Arguments);
    assert_eq!(Params::of_tool_call(None).unwrap_err(), InvalidParams::NoName);
}

#[test]
fn the_protocol_version_of_a_stateless_call_is_found() {
    let params = r#"{"name":"a","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#;
    assert_eq!(call(params).unwrap().meta_version.as_deref(), Some("2026-07-28"));
}

#[test]
fn a_wrapped_session_id_comes_apart_again() {
    let server = Id::new("snowflake-primary").unwrap();
    for original in ["a", "1868a90c-38", "~", "x~y~z", "dp1~other~inner", "dp1~~", "dp2~a~b~c"] {
        for introduction in ["", "e30", &"a".repeat(1024)] {
            let wrapped = SessionId::wrap(server.as_str(), introduction, original.as_bytes());
            let (server, introduction) = ("snowflake-primary", introduction.as_bytes());
            let whole = SessionId::Server { server, introduction, original: original.as_bytes() };
            assert_eq!(SessionId::parse(&wrapped), whole);
        }
    }
}

#[test]
fn a_session_id_of_the_gates_own_is_recognised_and_legal_in_a_header() {
    for introduction in ["", "e30"] {
        let id = SessionId::mint(introduction, [0xfb; 24]);
        assert_eq!(SessionId::parse(&id), SessionId::Gate { introduction: introduction.as_bytes() });
        assert!(id.iter().all(|byte| (0x21..=0x7e).contains(byte)));
    }
}

#[test]
fn a_session_id_of_before_there_were_introductions_is_read() {
    let old = SessionId::Server { server: "a", introduction: b"", original: b"s-1" };
    assert_eq!(SessionId::parse(b"dp1~a~s-1"), old);
    let old = SessionId::parse(b"dp1~~AAAAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(old, SessionId::Gate { introduction: b"" });
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
    let too_long = format!("dp2~server~{}~x", "a".repeat(1025));
    let cases =
        ["dp2~", "dp2~~", "dp2~~~", "dp2~a~e30", "dp2~a~e30~", "dp2~a~~x", "dp2~a~e3+~x", "dp2~~e30~short", &too_long];
    for value in cases {
        assert_eq!(SessionId::parse(value.as_bytes()), SessionId::Forged, "{value}");
    }
}
