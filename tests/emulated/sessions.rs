//! Sessions of servers: whose ids a client gets to see, and what it learns of a call that its session's owner failed.

use serde_json::Value;

use crate::fixture::{World, exchange, json_answer, rest_answer};
use crate::host::{Behaviour, Played, Response};

/// A request that any MCP server may answer, no REST server and not the gate.
const PROMPTS: &str = r#"{"jsonrpc":"2.0","id":1,"method":"prompts/list"}"#;

const INTERNAL_ERROR: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"the database is away"}}"#;

/// What a server says to a client without a session: it refuses, and some give out a new session with that.
fn wants_a_session(status: u16) -> Behaviour {
    let refusal =
        r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Bad Request: Missing session ID"}}"#;
    let mut response = Response::new(status, "application/json", refusal);
    response.headers.set("mcp-session-id", "fresh");
    Behaviour::Answer(response)
}

/// A request of a client in a session of the first server, which behaves like this; the second knows no session of it.
fn in_session(world: &World, body: &str, owner: Behaviour, other: u16) -> Played {
    let mut exchange = exchange(body, [owner, wants_a_session(other), rest_answer()]);
    exchange.headers.set("mcp-session-id", "dp1~mcp-a~s-1");
    world.play(exchange)
}

fn json(played: &Played) -> Value {
    serde_json::from_slice(&played.reply().body).unwrap_or_else(|_| panic!("no JSON: {}", played.reply().text()))
}

#[test]
fn a_session_id_that_comes_with_anything_but_the_answer_to_initialize_reaches_no_client() {
    let failures =
        [json_answer(500, "{}"), json_answer(200, INTERNAL_ERROR), Behaviour::Reset, Behaviour::ConnectFailure];
    for (failure, other) in failures.into_iter().flat_map(|failure| [400, 404].map(|other| (failure.clone(), other))) {
        let played = in_session(&World::new(), PROMPTS, failure.clone(), other);
        assert_eq!(played.attempts.len(), 2, "{failure:?}");
        assert_eq!(played.reply().headers.get("mcp-session-id"), None, "{failure:?} {other}");
    }
    // Nor with an answer that passes.
    let mut answer = Response::new(200, "application/json", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    answer.headers.set("mcp-session-id", "another");
    let played = in_session(&World::new(), PROMPTS, Behaviour::Answer(answer), 400);
    assert_eq!(played.reply().status(), 200);
    assert_eq!(played.reply().headers.get("mcp-session-id"), None);
}

#[test]
fn the_answer_to_initialize_brings_its_session_and_the_one_in_its_place_does_not() {
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
    let mut answer =
        Response::new(200, "application/json", r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"}}"#);
    answer.headers.set("mcp-session-id", "s-1");
    let played = World::new().play(exchange(initialize, [Behaviour::Answer(answer), Behaviour::Hang, Behaviour::Hang]));
    let session = played.reply().headers.get("mcp-session-id").unwrap_or_default();
    assert!(session.starts_with("dp2~mcp-a~") && session.ends_with("~s-1"), "{session}");
    // Both servers fail, with a session id each; the gate answers and opens a session of its own.
    let mut failure = Response::new(503, "text/plain", "down");
    failure.headers.set("mcp-session-id", "s-1");
    let failure = Behaviour::Answer(failure);
    let played = World::new().play(exchange(initialize, [failure.clone(), failure, Behaviour::Hang]));
    assert_eq!(played.reply().status(), 200);
    let session = played.reply().headers.get("mcp-session-id").unwrap_or_default();
    assert!(session.starts_with("dp2~~"), "{session}");
}

#[test]
fn a_failure_of_a_sessions_living_owner_is_told_as_it_is_and_ends_no_session() {
    for other in [400, 404] {
        let failed = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"out of order"}}"#;
        for (status, body) in [(500, failed), (200, INTERNAL_ERROR)] {
            let played = in_session(&World::new(), PROMPTS, json_answer(status, body), other);
            assert_eq!(played.servers(), ["mcp-a", "mcp-b"]);
            assert_eq!((played.reply().status(), played.reply().text()), (status, body.to_owned()), "{other}");
        }
        for (failure, reason) in [
            (Behaviour::Reset, "OUTCOME_UNKNOWN"),
            (Behaviour::Hang, "OUTCOME_UNKNOWN"),
            (json_answer(500, "{}"), "UPSTREAM_FAILED"),
            (json_answer(429, "{}"), "UPSTREAM_FAILED"),
            (json_answer(401, "{}"), "CREDENTIAL_UNAVAILABLE"),
        ] {
            let played = in_session(&World::new(), PROMPTS, failure.clone(), other);
            assert_eq!(played.servers().last(), Some(&"mcp-b"), "{failure:?}");
            assert_ne!(played.reply().status(), 404, "{failure:?}");
            let data = &json(&played)["error"]["data"];
            assert_eq!((&data["reason"], &data["server"]), (&reason.into(), &"mcp-a".into()), "{failure:?}: {data}");
        }
    }
}

#[test]
fn a_session_ends_when_its_owner_cannot_be_reached_and_when_its_breaker_is_open() {
    let world = World::new();
    for _ in 0..8 {
        let played = in_session(&world, PROMPTS, Behaviour::ConnectFailure, 400);
        assert_eq!(played.reply().status(), 404, "{}", played.reply().text());
        assert_eq!(json(&played)["error"]["data"]["reason"], "SESSION_ENDED");
    }
    assert_eq!(in_session(&world, PROMPTS, Behaviour::ConnectFailure, 400).servers(), ["mcp-b"], "the breaker is open");
}
