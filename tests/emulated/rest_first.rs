//! MCP servers behind the direct path: whatever REST does to a request is undone.

use std::collections::BTreeSet;

use serde_json::json;

use crate::fixture::{SECRETS, SERVERS, World, call_body, exchange, healthy, json_answer, registry, rest_answer};
use crate::host::{Behaviour, Exchange, Played};

/// A world whose tools ask the REST API first.
fn rest_first() -> World {
    let mut registry = registry();
    for tool in registry["tools"].as_array_mut().expect("tools") {
        tool["rest"]["first"] = json!(true);
    }
    World::under(&registry)
}

fn call<'a>(tool: &str, servers: [Behaviour; 3]) -> Exchange<'a> {
    let mut exchange = exchange(&call_body(tool, "1"), servers);
    for (name, value) in [
        ("mcp-method", "tools/call"),
        ("mcp-session-id", "of-unknown-origin"),
        ("last-event-id", "3"),
        ("user-agent", "the client"),
        ("x-any", "1"),
    ] {
        exchange.headers.set(name, value);
    }
    exchange
}

/// The servers when REST behaves like this, and the first MCP server like that.
fn servers(rest: Behaviour, first: Behaviour) -> [Behaviour; 3] {
    let [_, second, _] = healthy();
    [first, second, rest]
}

/// Every header of an attempt.
fn headers(played: &Played, attempt: usize) -> BTreeSet<(String, Vec<u8>)> {
    played.attempts[attempt].headers.0.iter().cloned().collect()
}

#[test]
fn rest_is_asked_first_where_the_tool_says_so() {
    let played = rest_first().call("search", healthy());
    assert_eq!(played.servers(), ["api"]);
    assert!(played.reply().text().contains("from api"));
}

#[test]
fn an_mcp_server_gets_the_same_request_after_rest_as_without_it() {
    let [alone, ..] = healthy();
    for rest in [Behaviour::ConnectFailure, json_answer(500, "{}"), json_answer(401, "{}"), Behaviour::Reset] {
        let direct = World::new().play(call("search", servers(rest_answer(), alone.clone())));
        let behind = rest_first().play(call("search", servers(rest.clone(), alone.clone())));
        let last = behind.attempts.len() - 1;
        assert_eq!(behind.attempts[0].server, "api");
        assert_eq!(behind.attempts[last].server, "mcp-a", "{rest:?}");
        assert_eq!(headers(&behind, last), headers(&direct, 0), "{rest:?}");
        assert_eq!(behind.attempts[last].body, direct.attempts[0].body, "{rest:?}");
        assert_eq!(behind.reply().text(), direct.reply().text(), "{rest:?}");
    }
}

#[test]
fn every_mcp_server_behind_rest_gets_its_credential_and_the_whole_request() {
    let direct = World::new().play(call("search", servers(rest_answer(), Behaviour::Reset)));
    let behind = rest_first().play(call("search", servers(Behaviour::Reset, Behaviour::Reset)));
    let asked: Vec<_> = behind.attempts.iter().map(|attempt| attempt.server.as_str()).collect();
    assert_eq!(asked, ["api", "mcp-a", "mcp-b"]);
    for (at, attempt) in behind.attempts.iter().enumerate() {
        let own = SERVERS.iter().zip(SECRETS).find(|(server, _)| **server == attempt.server).expect("a server").1[0];
        assert_eq!(attempt.headers.get("authorization"), Some(format!("Bearer {own}")), "{at}");
        assert!(SECRETS.iter().flatten().all(|secret| *secret == own || !attempt.headers.contain(secret)), "{at}");
    }
    assert_eq!(headers(&behind, 2), headers(&direct, 1));
    assert!(behind.attempts[0].headers.0.iter().all(|(name, _)| !name.starts_with("mcp-")));
    assert!(behind.reply().text().contains("from mcp-b"));
}

#[test]
fn an_unreplayable_call_goes_from_rest_to_mcp_only_if_not_executed() {
    let [alone, ..] = healthy();
    let way = |rest: Behaviour| {
        let played = rest_first().play(call("write", servers(rest, alone.clone())));
        played.attempts.into_iter().map(|attempt| attempt.server).collect::<Vec<_>>()
    };
    assert_eq!(way(Behaviour::ConnectFailure), ["api", "mcp-a"]);
    assert_eq!(way(json_answer(429, "{}")), ["api", "mcp-a"]);
    assert_eq!(way(json_answer(500, "{}")), ["api"]);
    assert_eq!(way(Behaviour::Reset), ["api"]);
}
