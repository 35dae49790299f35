//! What one caller sends takes nothing from the others: no breaker opens for it, and no token rests.

use std::cell::Cell;

use serde_json::{Value, json};

use crate::fixture::{World, all, call_body, exchange, first, healthy, json_answer, registry};
use crate::host::{Behaviour, Exchange};

/// The registry with servers that speak as Snowflake's do.
fn snowflake() -> Value {
    let mut registry = registry();
    for server in registry["servers"].as_array_mut().expect("servers") {
        server["dialect"] = json!("snowflake");
    }
    registry
}

fn states(world: &World) -> [u64; 3] {
    ["mcp-a", "mcp-b", "api"].map(|server| world.metric(&format!("cortex_circuit_breaker_state.server.{server}")))
}

#[test]
fn words_of_a_caller_in_a_400_open_no_breaker_and_send_no_call_on() {
    let world = World::under(&snowflake());
    for words in ["all requests were throttled by remote service", "session not found"] {
        let body = json!({"message": format!("SQL compilation error: unknown column '{words}'")}).to_string();
        for _ in 0..12 {
            let played = world.call("write", all(&json_answer(400, &body)));
            assert_eq!((played.servers(), played.reply().status()), (vec!["mcp-a"], 400), "{words}");
        }
    }
    assert_eq!(states(&world), [0; 3]);
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"]);
}

#[test]
fn no_400_and_no_code_about_a_role_lets_a_token_rest() {
    let world = World::under(&snowflake());
    for (status, code) in [(400, "394400"), (400, "390317"), (403, "390317")] {
        let refusal: Behaviour = json_answer(status, &format!(r#"{{"code":"{code}","message":"x"}}"#));
        world.call("write", all(&refusal));
        let played = world.call("search", healthy());
        let sent = played.attempts[0].headers.get("authorization");
        assert_eq!(sent.as_deref(), Some("Bearer secret-mcp-a-1"), "{status} {code}");
    }
    assert_eq!(world.metric_sum("dualpath_pat_rejected_total"), 0);
}

fn stream() -> Exchange<'static> {
    let mut exchange = exchange("", first(json_answer(503, "{}"))).without_body();
    exchange.headers.set(":method", "GET");
    exchange.headers.set("accept", "text/event-stream");
    exchange
}

#[test]
fn a_stream_that_a_server_does_not_have_opens_no_breaker() {
    let world = World::new();
    for _ in 0..8 {
        assert_eq!(world.play(stream()).servers(), ["mcp-a"]);
    }
    assert_eq!(states(&world), [0; 3]);
}

#[test]
fn a_method_or_a_version_of_http_that_a_server_lacks_opens_no_breaker() {
    for status in [501, 505] {
        let world = World::new();
        for _ in 0..8 {
            world.call("write", first(json_answer(status, "{}")));
        }
        assert_eq!(states(&world), [0; 3], "{status}");
    }
}

/// mcp-go's servers and others say "internal error" of a bad argument.
#[test]
fn internal_errors_in_a_row_open_no_breaker() {
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"workspace name cannot be empty"}}"#;
    let world = World::new();
    for _ in 0..8 {
        world.call("write", first(json_answer(200, error)));
    }
    assert_eq!(states(&world), [0; 3]);
    // But where that is most of what there is to hear of a server, it is.
    for _ in 0..2 {
        world.call("write", first(json_answer(200, error)));
    }
    assert_eq!(states(&world), [1, 0, 0]);
}

/// Calls that hang at the first server, each begun while the one before it waits; the last one waits while `meanwhile` runs.
fn slow(world: &World, calls: u32, meanwhile: &dyn Fn()) {
    let mut slow = exchange(&call_body("write", "1"), first(Behaviour::Hang));
    slow.waiting = Some(Box::new(|_, _| if calls > 1 { self::slow(world, calls - 1, meanwhile) } else { meanwhile() }));
    world.play(slow);
}

#[test]
fn slow_calls_of_one_caller_open_no_breaker_while_others_are_answered() {
    let world = World::new();
    let answered = Cell::new(false);
    slow(&world, 6, &|| {
        world.process.advance(std::time::Duration::from_secs(1));
        answered.set(world.call("search", healthy()).servers() == ["mcp-a"]);
    });
    assert!(answered.get());
    assert_eq!(states(&world), [0; 3]);
    drop(world);
    let world = World::new();
    slow(&world, 6, &|| {});
    assert_eq!(states(&world), [1, 0, 0], "a server that answers nobody");
}

/// A client takes back a call that hangs: how that ends is no failure of its server's, and nobody else gets the call.
#[test]
fn a_call_that_its_client_has_taken_back_counts_as_that_and_goes_nowhere_else() {
    // The id that is taken back, and whether it is in the call's session.
    for (id, session, outcome) in [(7, true, "cancelled"), (8, true, "lost"), (7, false, "lost")] {
        for tool in ["search", "write"] {
            let mut registry = registry();
            registry["listener"]["error_status"] = json!("jsonrpc");
            let world = World::under(&registry);
            let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
            let mut call = exchange(&call_body(tool, "7"), first(Behaviour::Hang));
            call.headers.set("mcp-session-id", "dp1~mcp-a~s-1");
            call.waiting = Some(Box::new(|_, _| {
                let mut cancel = exchange(&cancel.to_string(), all(&json_answer(202, "")));
                cancel.headers.set("mcp-session-id", if session { "dp1~mcp-a~s-1" } else { "dp1~mcp-a~s-2" });
                assert_eq!(world.play(cancel).reply().status(), 202);
            }));
            let played = world.play(call);
            let sent = if outcome == "lost" && tool == "search" { vec!["mcp-a", "mcp-b"] } else { vec!["mcp-a"] };
            assert_eq!((played.servers(), played.reply().status()), (sent, 200), "{outcome} {tool}");
            let counted = world.metric(&format!("dualpath_attempts_total.server.mcp-a.outcome.{outcome}"));
            assert_eq!(counted, 1, "{tool}");
            drop(played);
            drop(world);
        }
    }
}
