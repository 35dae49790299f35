//! What a call leaves for the access log that did not simply go to the first server of the order.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::{World, all, call_body, exchange, first, healthy, json_answer, registry};
use crate::host::{Behaviour, Played};

fn story(played: &Played) -> Value {
    let found = played.filter_state.get("wasm.story").unwrap_or_else(|| panic!("no story of {:?}", played.servers()));
    serde_json::from_slice(found).expect("JSON")
}

/// Each hop's server, reason and class.
fn hops(played: &Played) -> Vec<[String; 3]> {
    let story = story(played);
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let hops = story["hops"].as_array().expect("hops");
    hops.iter().map(|hop| ["server", "reason", "class"].map(|key| text(&hop[key]))).collect()
}

fn known_to_be_down(world: &World) {
    for _ in 0..5 {
        world.call("search", first(Behaviour::Reset));
    }
}

#[test]
fn a_plain_call_leaves_nothing() {
    let played = World::new().call("search", healthy());
    assert_eq!(played.filter_state.get("wasm.story"), None);
    // Nor one that its server says something about.
    let refusal = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Unknown tool"}}"#;
    let played = World::new().call("search", first(json_answer(200, refusal)));
    assert_eq!(played.filter_state.get("wasm.story"), None);
}

#[test]
fn a_call_that_failed_over_says_who_was_asked_and_what_came_of_it() {
    let [_, _, rest] = healthy();
    let played = World::new().call("search", [Behaviour::Reset, json_answer(429, "{}"), rest]);
    assert_eq!(hops(&played), [["mcp-a", "first", "lost"], ["mcp-b", "next", "overload"], ["api", "next", "success"]]);
    let story = story(&played);
    assert_eq!([&story["tool"], &story["mode"], &story["attempts"]], [&json!("search"), &json!("direct"), &json!(3)]);
    assert_eq!(story.get("session"), None);
}

#[test]
fn a_call_that_went_past_an_open_breaker_says_so() {
    let world = World::new();
    known_to_be_down(&world);
    let played = world.call("search", healthy());
    assert_eq!(hops(&played), [["mcp-a", "open", "-"], ["mcp-b", "next", "success"]]);
    assert_eq!(story(&played)["mode"], "mcp");
}

#[test]
fn a_call_that_went_past_a_returning_server_says_so() {
    let mut registry = registry();
    registry["breaker"]["ramp"] = json!("60s");
    registry["breaker"]["ramp_min_share"] = json!(0.1);
    let world = World::under(&registry);
    known_to_be_down(&world);
    world.process.advance(Duration::from_secs(11));
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"], "the probe");
    let mut calls = (0..100).map(|_| world.call("search", healthy()));
    let diverted = calls.find(|played| played.servers() == ["mcp-b"]).expect("a share of the calls");
    assert_eq!(hops(&diverted), [["mcp-a", "ramp", "-"], ["mcp-b", "next", "success"]]);
}

#[test]
fn a_call_of_a_session_names_its_owner() {
    let mut exchange = exchange(&call_body("search", "1"), healthy());
    exchange.headers.set("mcp-session-id", "dp1~mcp-b~s-1");
    let played = World::new().play(exchange);
    assert_eq!(hops(&played), [["mcp-b", "session", "success"]]);
    assert_eq!(story(&played)["session"], "mcp-b");
}

#[test]
fn a_call_that_was_not_sent_on_says_why() {
    let played = World::new().call("write", first(Behaviour::Reset));
    assert_eq!(hops(&played), [["mcp-a", "first", "lost"]]);
    assert_eq!(story(&played)["stopped"], "not_replayable");
}

#[test]
fn a_call_that_nobody_may_answer_says_why_for_each_server() {
    let mut registry = registry();
    registry["breaker"]["mode"] = json!("forced_open");
    let played = World::under(&registry).call("search", healthy());
    let forced = |server: &str| [server, "forced_open", "-"].map(str::to_owned);
    assert_eq!(hops(&played), ["mcp-a", "mcp-b", "api"].map(forced));
    assert_eq!(story(&played)["mode"], "gate");
}

#[test]
fn another_slot_and_a_last_resort_are_told() {
    let played = World::new().call("search", first(json_answer(401, "{}")));
    assert_eq!(
        hops(&played),
        [["mcp-a", "first", "credential"], ["mcp-a", "other_slot", "credential"], ["mcp-b", "next", "success"]]
    );
    let mut registry = registry();
    registry["breaker"]["last_resort_max_rejection"] = json!(0);
    let world = World::under(&registry);
    for _ in 0..6 {
        world.call("search", all(&Behaviour::Reset));
    }
    let played = world.call("search", healthy());
    assert_eq!(hops(&played), [["mcp-a", "open", "-"], ["mcp-b", "open", "-"], ["api", "last_resort", "success"]]);
}
