//! Which headers pass: from a client to the servers, and from a server to the client.

use std::collections::BTreeSet;

use serde_json::json;

use crate::fixture::{World, all, call_body, exchange, first, registry, rest_answer};
use crate::host::{Behaviour, Exchange, Response};

/// What a client may send to be taken for somebody else, or its call for another.
const DECEIVING: [&str; 16] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-user",
    "x-forwarded-prefix",
    "x-real-ip",
    "true-client-ip",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-original-host",
    "x-rewrite-url",
    "x-envoy-original-path",
];

/// A call with all of them, and with some of those that any client sends.
fn call(servers: [Behaviour; 3]) -> Exchange<'static> {
    let mut exchange = exchange(&call_body("search", "1"), servers);
    for name in DECEIVING {
        exchange.headers.set(name, "deceives");
    }
    let others =
        ["user-agent", "traceparent", "tracestate", "x-request-id", "sudo", "impersonate-user", "prefer", "range"];
    for name in others {
        exchange.headers.set(name, "of-the-client");
    }
    exchange.headers.set("accept-encoding", "gzip, br");
    exchange
}

/// Every server is asked, the API last.
fn tour() -> [Behaviour; 3] {
    [Behaviour::Reset, Behaviour::Reset, rest_answer()]
}

#[test]
fn no_server_is_told_of_another_client_or_another_request() {
    let [mcp, mcp_too, _] = tour();
    for (rest_first, servers) in [(false, tour()), (true, [mcp, mcp_too, Behaviour::Reset])] {
        let mut registry = registry();
        registry["tools"][0]["rest"]["first"] = json!(rest_first);
        let played = World::under(&registry).play(call(servers));
        assert!(played.attempts.len() >= 3, "every server is asked");
        for attempt in &played.attempts {
            assert!(!attempt.headers.contain("deceives"), "{attempt:?}");
        }
    }
}

#[test]
fn a_plain_api_gets_what_the_mapping_sets_and_few_headers_of_the_clients() {
    let played = World::new().play(call(tour()));
    let names: BTreeSet<_> = played.attempts[2].headers.0.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        ":authority",
        ":method",
        ":path",
        ":scheme",
        "accept",
        "accept-encoding",
        "authorization",
        "content-length",
        "content-type",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-request-id",
    ];
    assert_eq!(names, BTreeSet::from(expected), "x-envoy-attempt-count is not rendered");
    assert!(played.attempts[0].headers.contain("sudo"), "what it means to an MCP server is between the two");
}

#[test]
fn every_server_is_asked_not_to_compress() {
    for attempt in &World::new().play(call(tour())).attempts {
        assert_eq!(attempt.headers.get("accept-encoding").as_deref(), Some("identity"), "{}", attempt.server);
        assert_eq!(attempt.headers.count("accept-encoding"), 1);
    }
}

fn with_headers(mut answer: Response, names: &[&str]) -> Behaviour {
    for name in names {
        answer.headers.set(name, "of-the-server");
    }
    Behaviour::Answer(answer)
}

#[test]
fn of_an_apis_answer_the_client_gets_few_headers() {
    let names = [
        "location",
        "x-internal",
        "x-snowflake-token",
        "content-disposition",
        "cache-control",
        "etag",
        "set-cookie",
        "mcp-session-id",
        "x-envoy-overloaded",
        "access-control-allow-origin",
        "x-dualpath-wait",
    ];
    for (status, body) in
        [(200, r#"{"results":[],"request_id":"r"}"#), (400, r#"{"message":"m"}"#), (403, "{}"), (500, "{}")]
    {
        let answer = with_headers(Response::new(status, "application/json", body), &names);
        let [dead, dead_too, _] = all(&Behaviour::ConnectFailure);
        let played = World::new().play(call([dead, dead_too, answer]));
        assert!(!played.reply().headers.contain("of-the-server"), "{status}: {:?}", played.reply());
    }
    let passes = ["retry-after", "x-request-id"];
    let answer = with_headers(Response::new(400, "application/json", r#"{"message":"m"}"#), &passes);
    let [dead, dead_too, _] = all(&Behaviour::ConnectFailure);
    let played = World::new().play(call([dead, dead_too, answer]));
    assert!(passes.iter().all(|name| played.reply().headers.count(name) == 1), "{:?}", played.reply());
}

#[test]
fn no_server_speaks_to_an_envoy_before_this_one() {
    let names = ["x-envoy-ratelimited", "x-envoy-overloaded", "x-envoy-max-retries", "x-envoy-degraded"];
    let bodies = [
        (200, r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#),
        (400, r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"m"}}"#),
    ];
    for (status, body) in bodies {
        let answer = with_headers(Response::new(status, "application/json", body), &names);
        let played = World::new().play(call(first(answer)));
        assert_eq!(played.reply().status(), status);
        assert!(!played.reply().headers.contain("x-envoy-"), "{:?}", played.reply());
    }
}
