//! The door: which requests come in, and what web pages are told.

use serde_json::{Value, json};

use crate::fixture::{World, all, call_body, exchange, first, healthy, json_answer, registry, rest_answer};
use crate::host::{Behaviour, Exchange, Played, Response};

const PAGE: &str = "https://tools.example.com";

/// A world with one page that may call, which clients may see the way of.
fn world() -> World {
    let mut registry = registry();
    registry["listener"]["allowed_origins"] = json!([PAGE]);
    registry["listener"]["expose_headers"] = json!(true);
    World::under(&registry)
}

fn search(servers: [Behaviour; 3]) -> Exchange<'static> {
    exchange(&call_body("search", "1"), servers)
}

/// A request without a body that accepts events.
fn bare(method: &str) -> Exchange<'static> {
    let mut exchange = exchange("", healthy()).without_body();
    exchange.headers.set(":method", method);
    exchange.headers.set("accept", "text/event-stream");
    exchange
}

fn with<'a>(mut exchange: Exchange<'a>, headers: &[(&str, &str)]) -> Exchange<'a> {
    for (name, value) in headers {
        exchange.headers.set(name, value);
    }
    exchange
}

/// The header of the client's answer; empty where there is none.
fn told(played: &Played, name: &str) -> String {
    played.reply().headers.get(name).unwrap_or_default()
}

#[test]
fn a_preflight_of_an_allowed_page_is_answered_at_the_gate() {
    let asked = "content-type, mcp-param-region";
    let preflight = [("origin", PAGE), ("access-control-request-method", "POST")];
    let played = world().play(with(bare("OPTIONS"), &[preflight[0], ("access-control-request-headers", asked)]));
    assert_eq!((played.reply().status(), played.reply().body.len()), (204, 0));
    assert!(played.attempts.is_empty(), "{played:?}");
    assert_eq!(told(&played, "access-control-allow-origin"), PAGE);
    assert_eq!(told(&played, "access-control-allow-methods"), "POST, GET, DELETE");
    assert_eq!(told(&played, "access-control-allow-headers"), asked);
    assert_eq!(told(&played, "access-control-max-age"), "7200");
    assert_eq!(told(&played, "vary"), "Origin");
    let unnamed = world().play(with(bare("OPTIONS"), &preflight));
    assert!(told(&unnamed, "access-control-allow-headers").contains("mcp-session-id"), "{unnamed:?}");
}

#[test]
fn a_preflight_of_any_other_page_is_refused_and_tells_it_nothing() {
    for origin in ["https://evil.example", "null", ""] {
        let played = world().play(with(bare("OPTIONS"), &[("origin", origin)]));
        assert_eq!(played.reply().status(), 403, "{origin}");
        assert!(!played.reply().headers.contain("access-control-"), "{played:?}");
        assert!(played.attempts.is_empty());
    }
}

#[test]
fn an_allowed_page_may_read_every_answer_and_its_origin_reaches_no_server() {
    let mut of_server = Response::new(200, "application/json", r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#);
    for (name, value) in [("access-control-allow-origin", "*"), ("access-control-allow-credentials", "true")] {
        of_server.headers.set(name, value);
    }
    of_server.headers.set("vary", "accept-encoding");
    let [dead, dead_too, _] = all(&Behaviour::ConnectFailure);
    let too_long = || {
        let mut long = search(healthy());
        long.pieces = vec![vec![b' '; 2 << 20]];
        long.headers.remove("content-length");
        long
    };
    let listing = |servers| exchange(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, servers);
    let cases = [
        ("a server's", 200, search(first(Behaviour::Answer(of_server)))),
        ("the direct path's", 200, search([dead, dead_too, rest_answer()])),
        ("the gate's in a server's place", 200, listing(all(&Behaviour::ConnectFailure))),
        ("an error in a server's place", 503, search(all(&json_answer(500, "{}")))),
        ("an error where no server was reached", 503, search(all(&Behaviour::ConnectFailure))),
        ("a method that is not served", 405, bare("PUT")),
        ("too long", 413, too_long()),
        ("a stream", 405, with(bare("GET"), &[("mcp-session-id", "dp1~~AAAAAAAAAAAAAAAAAAAAAAAA")])),
    ];
    for (what, status, exchange) in cases {
        let played = world().play(with(exchange, &[("origin", PAGE), ("sec-fetch-site", "cross-site")]));
        assert_eq!(played.reply().status(), status, "{what}");
        let headers = &played.reply().headers;
        assert_eq!(headers.count("access-control-allow-origin"), 1, "{what}: {headers:?}");
        assert_eq!(told(&played, "access-control-allow-origin"), PAGE, "{what}");
        assert_eq!(headers.get("access-control-allow-credentials"), None, "{what}: a server's own word");
        let exposed = told(&played, "access-control-expose-headers");
        assert!(exposed.contains("mcp-session-id") && exposed.contains("x-dualpath-server"), "{what}: {exposed}");
        assert!(told(&played, "vary").contains("Origin"), "{what}: {headers:?}");
        assert!(played.attempts.iter().all(|attempt| attempt.headers.count("origin") == 0), "{what}");
    }
}

#[test]
fn what_a_server_varies_by_is_still_told_to_a_page() {
    let mut answer = Response::new(200, "application/json", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    answer.headers.set("vary", "accept-encoding");
    let played = world().play(with(search(first(Behaviour::Answer(answer))), &[("origin", PAGE)]));
    assert_eq!(told(&played, "vary"), "accept-encoding, Origin");
}

#[test]
fn an_answer_to_no_page_carries_nothing_for_pages() {
    let mut answer = Response::new(200, "application/json", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    answer.headers.set("access-control-allow-origin", "*");
    let played = world().play(search(first(Behaviour::Answer(answer))));
    assert!(!played.reply().headers.contain("access-control-"), "{played:?}");
}

#[test]
fn what_a_foreign_page_sends_without_its_origin_reaches_no_server() {
    for site in ["cross-site", "same-site"] {
        for exchange in [bare("GET"), bare("DELETE"), search(healthy())] {
            let played = world().play(with(exchange, &[("sec-fetch-site", site)]));
            assert_eq!(played.reply().status(), 403, "{site}");
            assert!(played.attempts.is_empty(), "{site}");
        }
    }
    let own = world().play(with(search(healthy()), &[("sec-fetch-site", "none")]));
    assert_eq!(own.servers(), ["mcp-a"]);
}

#[test]
fn a_listener_on_loopback_lets_its_own_pages_in_and_no_other_listener_does() {
    for (address, status) in [("127.0.0.1", 200), ("::1", 200), ("0.0.0.0", 403), ("192.0.2.1", 403)] {
        let mut registry = registry();
        registry["listener"]["address"] = json!(address);
        let world = World::under(&registry);
        for origin in ["http://127.0.0.1:10000", "http://localhost:10000", "http://[::1]:10000"] {
            let played = world.play(with(search(healthy()), &[("origin", origin)]));
            assert_eq!(played.reply().status(), status, "{origin} at {address}");
        }
        for other in ["http://127.0.0.1:10001", "https://localhost:10000", "http://localhost"] {
            let played = world.play(with(search(healthy()), &[("origin", other)]));
            assert_eq!(played.reply().status(), 403, "{other} at {address}");
        }
    }
}

#[test]
fn get_needs_to_accept_events() {
    for accept in ["*/*", "application/json", "text/html, */*;q=0.8", ""] {
        let played = world().play(with(bare("GET"), &[("accept", accept)]));
        assert_eq!(played.reply().status(), 406, "{accept}");
        assert!(played.attempts.is_empty(), "{accept}");
    }
    for accept in ["text/event-stream", "application/json, Text/Event-Stream;q=0.5"] {
        let played = world().play(with(bare("GET"), &[("accept", accept)]));
        assert_eq!(played.servers(), ["mcp-a"], "{accept}");
    }
}

#[test]
fn no_server_gets_a_body_of_get_or_delete() {
    for method in ["GET", "DELETE"] {
        for declared in [true, false] {
            let mut with_body = with(search(healthy()), &[(":method", method)]);
            if !declared {
                with_body.headers.remove("content-length");
            }
            let played = world().play(with_body);
            assert_eq!(played.reply().status(), 400, "{method}");
            let error: Value = serde_json::from_slice(&played.reply().body).expect("JSON");
            assert_eq!(error["error"]["data"]["reason"], "BODY_NOT_ALLOWED");
            assert!(played.attempts.is_empty(), "{method}");
        }
        // The end may come in a piece of its own, as in HTTP/2.
        let mut late = bare(method);
        late.late_end = true;
        let played = world().play(late);
        assert_eq!(played.servers(), ["mcp-a"], "{method}");
        assert!(played.attempts[0].body.is_empty());
    }
}

#[test]
fn a_clients_query_is_lost_to_nobody_unnoticed_and_no_server_gets_it() {
    for (word, status) in [(None, 422), (Some("refuse"), 422), (Some("drop"), 200)] {
        let mut registry = registry();
        if let Some(word) = word {
            registry["listener"]["query"] = json!(word);
        }
        let world = World::under(&registry);
        for (path, status) in [("/mcp?readonly=true", status), ("/mcp/?x", status), ("/mcp?", 200)] {
            let played = world.play(with(search(healthy()), &[(":path", path)]));
            assert_eq!(played.reply().status(), status, "{path} {word:?}");
            assert_eq!(played.attempts.len(), usize::from(status == 200), "{path} {word:?}");
            assert!(played.attempts.iter().all(|attempt| attempt.headers.get(":path").as_deref() == Some("/a/mcp")));
        }
    }
}

#[test]
fn a_slash_behind_the_path_means_nothing() {
    for path in ["/mcp", "/mcp/"] {
        let played = world().play(with(search(healthy()), &[(":path", path)]));
        assert_eq!(played.attempts[0].headers.get(":path").as_deref(), Some("/a/mcp"), "{path}");
        assert!(played.reply().text().contains("from mcp-a"), "{path}");
    }
}
