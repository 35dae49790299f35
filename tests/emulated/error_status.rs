//! Under which HTTP status a client learns of a failure. What a registry says by default is tried here; the other tests have
//! `error_status: http`, so that the status tells failures apart.

use serde_json::{Value, json};

use crate::fixture::{World, all, call_body, exchange, first, healthy, json_answer, registry};
use crate::host::{Behaviour, Played, Response};

fn world() -> World {
    let mut registry = registry();
    registry["listener"].as_object_mut().expect("a mapping").remove("error_status");
    World::under(&registry)
}

fn error(played: &Played) -> Value {
    let answer: Value = serde_json::from_slice(&played.reply().body).expect("JSON");
    assert_eq!(answer["id"], json!(1), "{answer}");
    answer["error"].clone()
}

#[test]
fn every_failure_of_a_request_is_an_error_that_its_client_reads_and_no_http_error() {
    let garbage = json_answer(200, "{");
    for (tool, servers, code) in [
        ("search", all(&Behaviour::ConnectFailure), 50303),
        ("search", all(&json_answer(500, "{}")), 50303),
        ("search", all(&json_answer(429, "{}")), 50303),
        ("search", all(&json_answer(401, "{}")), 50302),
        ("write", first(Behaviour::Reset), 50304),
        ("write", first(Behaviour::Hang), 50304),
        ("write", first(garbage), 50305),
    ] {
        let played = world().call(tool, servers);
        assert_eq!(played.reply().status(), 200, "{code}: {}", played.reply().text());
        assert_eq!(played.reply().headers.get("content-type").as_deref(), Some("application/json"));
        assert_eq!(error(&played)["code"], json!(code));
    }
}

#[test]
fn a_call_that_nobody_admits_is_told_so_with_200_and_when_to_try_again() {
    let mut registry = registry();
    registry["listener"]["error_status"] = json!("jsonrpc");
    registry["breaker"]["mode"] = json!("forced_open");
    let played = World::under(&registry).call("search", healthy());
    assert_eq!((played.reply().status(), error(&played)["code"].clone()), (200, json!(50301)));
    assert!(played.reply().headers.get("retry-after").is_some());
}

#[test]
fn a_servers_own_json_rpc_error_with_503_passes_byte_for_byte_with_200() {
    let body = r#"{"jsonrpc":"2.0", "id":1, "error":{"code":-32603,"message":"the pool is empty"}}"#;
    let mut answer = Response::new(503, "application/json", body);
    answer.headers.add("retry-after", "3");
    let played = world().call("unlisted", all(&Behaviour::Answer(answer)));
    assert_eq!((played.reply().status(), played.reply().text().as_str()), (200, body));
    assert_eq!(played.reply().headers.get("retry-after").as_deref(), Some("3"));
}

#[test]
fn what_has_a_meaning_for_mcp_or_is_no_request_keeps_its_status() {
    let refusal = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"no"}}"#;
    for status in [400, 403, 404] {
        let played = world().call("unlisted", all(&json_answer(status, refusal)));
        assert_eq!(played.reply().status(), status);
    }
    let batch = format!("[{}]", call_body("search", "1"));
    let played = world().play(exchange(&batch, all(&Behaviour::ConnectFailure)));
    assert_eq!(played.reply().status(), 503);
    let mut foreign = exchange(&call_body("search", "1"), healthy());
    foreign.headers.add("origin", "https://elsewhere.example");
    assert_eq!(world().play(foreign).reply().status(), 403);
    let long = call_body("search", &format!("\"{}\"", "x".repeat(1 << 20)));
    assert_eq!(world().play(exchange(&long, healthy())).reply().status(), 413);
}
