//! Queries: what a server's URL has, and what becomes of a client's.

use serde_json::{Value, json};

use crate::fixture::{World, call_body, exchange, first, healthy, json_answer, mcp_answer, registry, rest_answer};
use crate::host::{Attempt, Behaviour, Exchange, Played, Response};

const DOWN: Behaviour = Behaviour::ConnectFailure;

/// Servers whose URLs have queries, under this word for clients' queries.
fn world(word: &str) -> World {
    World::under(&with_queries(word))
}

fn with_queries(word: &str) -> Value {
    let mut registry = registry();
    registry["listener"]["query"] = json!(word);
    for (at, url) in
        ["https://a.example/a/mcp?tenant=a", "https://b.example/b/mcp?tenant=b", "https://api.example/v1?tenant=c"]
            .into_iter()
            .enumerate()
    {
        registry["servers"][at]["url"] = json!(url);
    }
    registry
}

fn search(path: &str, servers: [Behaviour; 3]) -> Exchange<'static> {
    let mut exchange = exchange(&call_body("search", "1"), servers);
    exchange.headers.set(":path", path);
    exchange
}

/// What was asked for, attempt by attempt.
fn targets(played: &Played) -> Vec<String> {
    played.attempts.iter().filter_map(|attempt| attempt.headers.get(":path")).collect()
}

const REST: &str = "/v1/api/v2/databases/D/schemas/S/cortex-search-services/V:query?tenant=c";

#[test]
fn every_server_gets_the_query_of_its_own_url() {
    let busy = || json_answer(503, "{}");
    for word in ["refuse", "drop", "forward"] {
        let played = world(word).play(search("/mcp", [busy(), busy(), rest_answer()]));
        assert_eq!(targets(&played), ["/a/mcp?tenant=a", "/b/mcp?tenant=b", REST], "{word}");
        assert_eq!(played.reply().status(), 200);
    }
}

#[test]
fn a_clients_query_goes_behind_the_servers_to_every_mcp_server_and_to_no_other() {
    let busy = || json_answer(503, "{}");
    let played = world("forward").play(search("/mcp?toolsets=core&x", [busy(), busy(), rest_answer()]));
    assert_eq!(targets(&played), ["/a/mcp?tenant=a&toolsets=core&x", "/b/mcp?tenant=b&toolsets=core&x", REST]);
    // A server without a query of its own.
    let mut registry = registry();
    registry["listener"]["query"] = json!("forward");
    let played = World::under(&registry).play(search("/mcp/?toolsets=core", healthy()));
    assert_eq!(targets(&played), ["/a/mcp?toolsets=core"]);
    assert_eq!(targets(&World::under(&registry).play(search("/mcp?", healthy()))), ["/a/mcp"]);
}

#[test]
fn an_mcp_server_behind_rest_gets_the_clients_query_as_well() {
    let mut registry = with_queries("forward");
    registry["tools"][0]["rest"]["first"] = json!(true);
    let [a, b, _] = healthy();
    let played = World::under(&registry).play(search("/mcp?x=1", [a, b, DOWN]));
    assert_eq!(targets(&played), [REST, "/a/mcp?tenant=a&x=1"]);
}

#[test]
fn streams_and_their_ends_have_the_clients_query_too() {
    for method in ["GET", "DELETE"] {
        let mut exchange = exchange("", healthy()).without_body();
        for (name, value) in [(":method", method), (":path", "/mcp?x=1"), ("accept", "text/event-stream")] {
            exchange.headers.set(name, value);
        }
        assert_eq!(targets(&world("forward").play(exchange)), ["/a/mcp?tenant=a&x=1"], "{method}");
    }
}

#[test]
fn a_clients_query_that_is_dropped_reaches_nobody() {
    let played = world("drop").play(search("/mcp?toolsets=core&tenant=z", first(DOWN)));
    assert_eq!(targets(&played), ["/a/mcp?tenant=a", "/b/mcp?tenant=b"]);
}

#[test]
fn a_query_that_is_none_holds_a_token_or_sets_what_a_servers_url_sets_is_refused() {
    let long = format!("/mcp?{}", "x".repeat(2049));
    for path in [
        "/mcp?a b",
        "/mcp?a\"b",
        "/mcp?a%0d%0ahost:x",
        "/mcp?a%",
        "/mcp?a\u{e9}",
        "/mcp?access_token=hunter2",
        "/mcp?t=eyJhbGciOiJIUzI1NiJ9.hunter2hunter2.sig",
        "/mcp?tenant=z",
        "/mcp?x=1;%54enant[]=z",
        "/mcp?%54enant%5B%5D=z",
        &long,
    ] {
        let played = world("forward").play(search(path, healthy()));
        assert_eq!((played.reply().status(), played.attempts.len()), (422, 0), "{path}");
        let error: Value = serde_json::from_slice(&played.reply().body).expect("JSON");
        assert_eq!(error["error"]["data"]["reason"], "QUERY_NOT_ALLOWED");
        assert!(!played.reply().text().contains("hunter2"), "{}", played.reply().text());
    }
}

#[test]
fn a_session_is_opened_with_the_query_that_its_client_asks_with() {
    fn with_sessions(attempt: &Attempt) -> Response {
        let request: Value = serde_json::from_slice(&attempt.body).unwrap_or_default();
        if request["method"] != "initialize" {
            return mcp_answer(attempt);
        }
        let result = json!({"protocolVersion": request["params"]["protocolVersion"], "capabilities": {}});
        let answer = json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string();
        let mut answer = Response::new(200, "application/json", answer);
        answer.headers.set("mcp-session-id", "s-1");
        answer
    }
    let up = || Behaviour::Reply(with_sessions);
    let world = world("forward");
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}});
    let played = world.play(exchange(&initialize.to_string(), [up(), up(), rest_answer()]));
    let session = played.reply().headers.get("mcp-session-id").expect("a session");
    let mut call = search("/mcp?x=1", [DOWN, up(), rest_answer()]);
    call.headers.set("mcp-session-id", &session);
    let played = world.play(call);
    assert_eq!(targets(&played), ["/a/mcp?tenant=a&x=1", "/b/mcp?tenant=b&x=1"]);
    let inside: Vec<_> = played.inside.iter().filter_map(|attempt| attempt.headers.get(":path")).collect();
    assert_eq!(inside, ["/b/mcp?tenant=b&x=1", "/b/mcp?tenant=b&x=1"]);
}
