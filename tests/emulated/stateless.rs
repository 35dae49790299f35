//! Requests of the versions without handshake (MCP 2026-07-28): what their headers say is what their body says, or nobody
//! executes or answers them.

use serde_json::{Value, json};

use crate::fixture::{World, all, exchange, healthy, registry, rest_answer};
use crate::host::{Behaviour, Exchange, Played};

const V: &str = "2026-07-28";

/// A request of this version, with the headers that belong to it and then these, of which an empty one is left out.
fn request<'a>(method: &str, version: &str, headers: &[(&str, &str)], servers: [Behaviour; 3]) -> Exchange<'a> {
    let prefix = "io.modelcontextprotocol/";
    let meta = json!({format!("{prefix}protocolVersion"): version, format!("{prefix}clientCapabilities"): {}});
    let params = json!({"name": "search", "arguments": {"query": "q"}, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    with(
        exchange(&body.to_string(), servers),
        &[&[("mcp-protocol-version", version), ("mcp-method", method), ("mcp-name", "search")], headers].concat(),
    )
}

fn with<'a>(mut exchange: Exchange<'a>, headers: &[(&str, &str)]) -> Exchange<'a> {
    for (name, value) in headers {
        exchange.headers.remove(name);
        if !value.is_empty() {
            exchange.headers.add(name, value);
        }
    }
    exchange
}

fn call<'a>(headers: &[(&str, &str)], servers: [Behaviour; 3]) -> Exchange<'a> {
    request("tools/call", V, headers, servers)
}

fn only_rest() -> [Behaviour; 3] {
    [Behaviour::ConnectFailure, Behaviour::ConnectFailure, rest_answer()]
}

fn rest_first() -> World {
    let mut registry = registry();
    registry["tools"][0]["rest"]["first"] = json!(true);
    World::under(&registry)
}

/// The status, and the code of the error.
fn refusal(played: &Played) -> (u16, Value) {
    let answer: Value = serde_json::from_slice(&played.reply().body).expect("JSON");
    assert_eq!(answer["id"], 7, "{answer}");
    (played.reply().status(), answer["error"]["code"].clone())
}

#[test]
fn a_request_whose_headers_say_something_else_is_executed_by_nobody() {
    let others = [
        ("mcp-name", "harmless"),
        ("mcp-name", ""),
        ("mcp-method", "tools/list"),
        ("mcp-method", ""),
        ("mcp-protocol-version", "2025-11-25"),
        ("mcp-protocol-version", "2099-01-01"),
        ("mcp-protocol-version", ""),
    ];
    for other in others {
        let played = rest_first().play(call(&[other], healthy()));
        assert_eq!(refusal(&played), (400, json!(-32020)), "{other:?}");
        assert!(played.attempts.is_empty(), "{other:?}");
        let played = World::new().play(call(&[other], only_rest()));
        assert_eq!(refusal(&played), (400, json!(-32020)), "{other:?}");
        assert!(played.attempts.is_empty(), "{other:?}");
    }
    let mut twice = call(&[], healthy());
    twice.headers.add("mcp-name", "search");
    assert_eq!(refusal(&World::new().play(twice)), (400, json!(-32020)));
}

/// A proxy that forwards bodies without these headers has every request refused (railwayapp/cli#1172).
#[test]
fn every_mcp_server_that_a_request_comes_to_sees_the_headers_that_it_has_to_have() {
    for world in [World::new, rest_first] {
        let played = world().play(call(&[], [Behaviour::Reset, healthy()[1].clone(), Behaviour::Reset]));
        let mcp: Vec<_> = played.attempts.iter().filter(|attempt| attempt.server.starts_with("mcp-")).collect();
        assert_eq!(mcp.len(), 2, "{played:?}");
        for attempt in mcp {
            let shown = ["mcp-method", "mcp-name", "mcp-protocol-version"].map(|name| attempt.headers.get(name));
            assert_eq!(shown, ["tools/call", "search", V].map(|value| Some(value.to_owned())), "{}", attempt.server);
        }
    }
}

/// A client whose `server/discover` says another method in its headers is refused, and got nothing any more
/// (agentgateway#3439). Clients of older versions send no such headers at all.
#[test]
fn a_request_that_is_refused_for_its_headers_stands_in_nobodys_way() {
    let world = World::new();
    for _ in 0..10 {
        let discovers = request("server/discover", V, &[("mcp-method", "initialize")], healthy());
        assert_eq!(refusal(&world.play(discovers)), (400, json!(-32020)));
    }
    assert_eq!(world.play(call(&[], healthy())).servers(), ["mcp-a"], "the same client's next request");
    for version in ["", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let older = || exchange(&crate::fixture::call_body("search", "7"), healthy());
        let played = world.play(with(older(), &[("mcp-protocol-version", version)]));
        assert_eq!((played.servers(), played.reply().status()), (vec!["mcp-a"], 200), "{version}");
        let headers = &played.attempts[0].headers;
        assert_eq!(headers.count("mcp-method") + headers.count("mcp-name"), 0, "nothing is made up for it");
    }
}

#[test]
fn a_request_whose_headers_say_what_its_body_says_goes_everywhere() {
    for headers in [&[][..], &[("mcp-name", "=?base64?c2VhcmNo?=")]] {
        assert_eq!(World::new().play(call(headers, healthy())).servers(), ["mcp-a"]);
        let played = World::new().play(call(headers, only_rest()));
        assert!(played.reply().text().contains("from api"), "{played:?}");
    }
}

#[test]
fn headers_of_a_version_with_handshake_are_nobodys_to_compare() {
    let body = crate::fixture::call_body("search", "7");
    let played = World::new().play(with(exchange(&body, only_rest()), &[("mcp-method", "x"), ("mcp-name", "y")]));
    assert!(played.reply().text().contains("from api"));
}

#[test]
fn a_version_that_is_not_known_is_for_mcp_servers_to_judge() {
    let unknown = || request("tools/call", "2099-01-01", &[], only_rest());
    let played = rest_first().play(request("tools/call", "2099-01-01", &[], healthy()));
    assert_eq!(played.servers(), ["mcp-a"], "a server may know it");
    let played = World::new().play(unknown());
    assert_eq!(refusal(&played), (400, json!(-32022)));
    assert!(played.servers().is_empty(), "the API executes nothing: {played:?}");
    let answer: Value = serde_json::from_slice(&played.reply().body).expect("JSON");
    assert_eq!(answer["error"]["data"]["requested"], "2099-01-01");
    assert_eq!(answer["error"]["data"]["supported"][0], "2025-11-25");
}

#[test]
fn of_a_call_that_may_have_been_executed_nobody_says_that_its_version_was_wrong() {
    let played = World::new().play(request("tools/call", "2099-01-01", &[], all(&Behaviour::Reset)));
    assert_eq!(refusal(&played), (503, json!(50304)));
}

#[test]
fn what_the_gate_says_alone_is_what_a_server_would_say() {
    let dead = || all(&Behaviour::ConnectFailure);
    let bare = |method: &str, params: &str| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}"{params}}}"#);
        let headers = [("mcp-protocol-version", V), ("mcp-method", method)];
        refusal(&World::new().play(with(exchange(&body, dead()), &headers)))
    };
    for method in ["server/discover", "tools/list"] {
        for params in ["", r#","params":{}"#, r#","params":{"_meta":{}}"#] {
            assert_eq!(bare(method, params), (400, json!(-32602)), "{method} {params}");
        }
        let unknown = World::new().play(request(method, "2099-01-01", &[], dead()));
        assert_eq!(refusal(&unknown), (400, json!(-32022)), "{method}");
        let known = World::new().play(request(method, V, &[], dead()));
        assert_eq!(known.reply().status(), 200, "{method}");
    }
    for method in ["initialize", "ping"] {
        let played = World::new().play(request(method, V, &[], dead()));
        assert_eq!(refusal(&played), (404, json!(-32601)), "{method}");
        assert_eq!(played.reply().headers.count("mcp-session-id"), 0);
    }
}
