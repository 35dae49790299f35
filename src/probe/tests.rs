#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

mod duty;
mod schedule;

use serde_json::{Value, json};

use super::*;
use crate::failure::{BreakerEffect, Class, Head, Verdict, decide_on};
use crate::mcp::ProtocolVersion;
use crate::registry::{HttpProbe, ProbeRequest, Registry, Server, ServerKind};

fn server(url: &str) -> Server {
    let wire = json!({"version": 1, "servers": [{"id": "s", "kind": "mcp", "url": url}], "tools": []});
    Registry::from_wire(&wire).unwrap().servers[0].clone()
}

fn http() -> ProbeRequest {
    let path = "/health".to_owned();
    ProbeRequest::Http(HttpProbe { method: "GET", path, body: None, expect_status: vec![200, 204] })
}

const HANDSHAKE: ProbeRequest = ProbeRequest::Initialize(ProtocolVersion::V2025_06_18);

fn header<'m>(message: &'m Message, name: &str) -> Option<&'m str> {
    message.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
}

#[test]
fn a_handshake_names_its_version_and_says_who_asks() {
    let message = request(&server("https://host.example:8443/a/mcp"), &HANDSHAKE);
    let body: Value = serde_json::from_str(&message.body).unwrap();
    assert_eq!((&body["method"], &body["id"]), (&json!("initialize"), &json!("dualpath-probe")));
    assert_eq!(body["params"]["protocolVersion"], "2025-06-18");
    assert_eq!(body["params"]["clientInfo"]["name"], "dualpath-prober");
    assert_eq!(body["params"]["capabilities"], json!({}));
    let expected = [
        (":method", "POST"),
        (":path", "/a/mcp"),
        (":authority", "host.example:8443"),
        (":scheme", "https"),
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
        ("accept-encoding", "identity"),
    ];
    for (name, value) in expected {
        assert_eq!(header(&message, name), Some(value), "{name}");
    }
    assert!(header(&message, "user-agent").is_some_and(|agent| agent.starts_with("dualpath-prober/")));
}

#[test]
fn a_stateless_server_is_asked_with_the_metadata_that_it_demands() {
    let message = request(&server("http://127.0.0.1:1/mcp"), &ProbeRequest::Discover);
    let body: Value = serde_json::from_str(&message.body).unwrap();
    assert_eq!(body["method"], "server/discover");
    let meta = &body["params"]["_meta"];
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({}));
    assert_eq!(header(&message, "mcp-protocol-version"), Some("2026-07-28"), "the same as in the body");
    assert_eq!(header(&message, "mcp-method"), Some("server/discover"));
}

#[test]
fn a_ping_has_no_parameters() {
    let body = request(&server("http://127.0.0.1:1/mcp"), &ProbeRequest::Ping).body;
    assert_eq!(body, r#"{"jsonrpc":"2.0","id":"dualpath-probe","method":"ping"}"#);
}

#[test]
fn a_rest_probe_goes_below_the_path_of_the_servers_url() {
    for (url, path) in [
        ("http://127.0.0.1:1", "/health"),
        ("http://127.0.0.1:1/v1", "/v1/health"),
        ("http://127.0.0.1:1/v1/?tenant=a", "/v1/health?tenant=a"),
    ] {
        let message = request(&server(url), &http());
        assert_eq!((header(&message, ":method"), header(&message, ":path")), (Some("GET"), Some(path)));
        assert!(message.body.is_empty() && header(&message, "content-type").is_none());
    }
}

#[test]
fn a_probe_asks_with_the_query_of_the_servers_url() {
    let server = server("http://127.0.0.1:1/mcp?tenant=a");
    for message in
        [request(&server, &HANDSHAKE), request(&server, &ProbeRequest::Ping), farewell(&server, "s".to_owned())]
    {
        assert_eq!(header(&message, ":path"), Some("/mcp?tenant=a"));
    }
}

#[test]
fn a_session_is_closed_under_its_own_id() {
    let message = farewell(&server("http://127.0.0.1:1/mcp"), "abc".to_owned());
    assert_eq!((header(&message, ":method"), header(&message, ":path")), (Some("DELETE"), Some("/mcp")));
    assert_eq!(header(&message, "mcp-session-id"), Some("abc"));
}

/// A server of Snowflake's that is asked so.
fn asked(request: &ProbeRequest) -> Server {
    let kind = if let ProbeRequest::Http(_) = request { ServerKind::Rest } else { ServerKind::Mcp };
    Server { kind, ..server("https://org-account.snowflakecomputing.com/mcp") }
}

fn verdict(request: &ProbeRequest, status: u16, of_events: bool, body: &str) -> Verdict {
    let head = Head { status, bodiless: body.is_empty(), ..Head::default() };
    judge(&asked(request), request, Some(Reply { head, of_events, body: body.as_bytes() }))
}

fn judged(request: &ProbeRequest, status: u16, of_events: bool, body: &str) -> Class {
    verdict(request, status, of_events, body).class
}

const RESULT: &str = r#"{"jsonrpc":"2.0","id":"dualpath-probe","result":{"protocolVersion":"2025-06-18"}}"#;

#[test]
fn the_answer_to_a_probe_is_a_success_in_either_framing() {
    assert_eq!(judged(&HANDSHAKE, 200, false, RESULT), Class::Success);
    let events = format!("id: 0\ndata:\n\n: hello\n\nevent: message\ndata: {RESULT}\n\n");
    assert_eq!(judged(&HANDSHAKE, 200, true, &events), Class::Success);
}

/// Field case: with a keep-alive event first the breaker of a healthy server opened again with every probe.
#[test]
fn a_probe_is_decided_by_the_first_answer_to_its_id() {
    let before = concat!(
        ": hello\n\n",
        "event: keepalive\ndata: {}\n\n",
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n",
        "data: {\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{}}\n\n",
        "data: [DONE]\n\n",
    );
    let answer = format!("data: {RESULT}\n\n");
    assert_eq!(judged(&HANDSHAKE, 200, true, &[before, &answer].concat()), Class::Success);
    let error =
        "data: {\"jsonrpc\":\"2.0\",\"id\":\"dualpath-probe\",\"error\":{\"code\":-32603,\"message\":\"x\"}}\n\n";
    assert_eq!(judged(&HANDSHAKE, 200, true, &[before, error, &answer].concat()), Class::Server);
    assert_eq!(judged(&HANDSHAKE, 200, true, before), Class::Server);

    let mut waiting = FirstAnswer::default();
    for piece in before.as_bytes().chunks(5) {
        assert_eq!(waiting.push(piece), None);
    }
    assert_eq!(waiting.push(answer.as_bytes()).map(|event| event.data), Some(RESULT.as_bytes().to_vec()));
}

#[test]
fn a_compressed_answer_to_a_probe_counts() {
    for of_events in [false, true] {
        let head = Head { status: 200, encoded: true, ..Head::default() };
        let reply = Reply { head, of_events, body: b"\x1f\x8b\x08" };
        assert_eq!(judge(&asked(&HANDSHAKE), &HANDSHAKE, Some(reply)).class, Class::Success);
    }
}

#[test]
fn what_is_no_answer_to_the_probe_is_a_failure() {
    let other = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let error = r#"{"jsonrpc":"2.0","id":"dualpath-probe","error":{"code":-32603,"message":"boom"}}"#;
    for (status, of_events, body) in [
        (200, false, ""),
        (200, false, other),
        (200, false, error),
        (200, false, "<html>"),
        (200, true, ""),
        (200, true, "data: {}\n\n"),
        (302, false, ""),
        (404, false, "404 page not found"),
        (405, false, ""),
        (500, false, "x"),
        // Envoy's own words where there is no server, and where it takes too long.
        (503, false, "upstream connect error or disconnect/reset before headers"),
        (504, false, "upstream request timeout"),
    ] {
        let class = judged(&HANDSHAKE, status, of_events, body);
        assert_eq!(class.decisions().breaker, BreakerEffect::Failure, "{status} {body}");
    }
    assert_eq!(judge(&asked(&HANDSHAKE), &HANDSHAKE, None).class, Class::Lost);
}

#[test]
fn a_lost_session_or_a_refused_credential_says_nothing_about_the_server() {
    let session = r#"{"jsonrpc":"2.0","id":"dualpath-probe","error":{"code":-32600,"message":"Missing session ID"}}"#;
    for (status, body, class) in [
        (401, r#"{"code":"394400"}"#, Class::Credential),
        (403, "", Class::Authorization),
        (404, session, Class::Refused),
        (400, session, Class::Refused),
        (405, session, Class::Refused),
        (422, "", Class::Caller),
    ] {
        let found = verdict(&ProbeRequest::Ping, status, false, body);
        assert_eq!(found.class, class, "{status}");
        assert_eq!(decide_on(&found, None, None).breaker, BreakerEffect::Neutral, "{status}");
    }
    assert_eq!(judged(&http(), 401, false, ""), Class::Credential);
}

#[test]
fn a_server_that_asks_to_be_left_alone_says_for_how_long() {
    let head = Head { status: 503, retry_after_ms: Some(7_000), bodiless: true, encoded: false };
    let verdict = judge(&asked(&HANDSHAKE), &HANDSHAKE, Some(Reply { head, of_events: false, body: b"" }));
    assert_eq!((verdict.class, verdict.retry_after_ms), (Class::Overload, Some(7_000)));
}

#[test]
fn a_rest_server_is_well_only_with_a_status_that_its_operator_expects() {
    assert_eq!(judged(&http(), 200, false, "anything"), Class::Success);
    assert_eq!(judged(&http(), 204, false, ""), Class::Success);
    for status in [201, 404, 410, 500, 503] {
        assert_eq!(judged(&http(), status, false, "x"), Class::Server, "{status}");
    }
}

#[cfg(not(target_family = "wasm"))]
proptest::proptest! {
    #[test]
    fn no_answer_makes_judging_a_probe_panic(
        status: u16,
        of_events: bool,
        body in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
    ) {
        let head = Head { status, bodiless: body.is_empty(), ..Head::default() };
        for request in [HANDSHAKE, ProbeRequest::Discover, http()] {
            judge(&asked(&request), &request, Some(Reply { head, of_events, body: &body }));
        }
    }
}
