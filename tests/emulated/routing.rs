//! Who is asked first: shares, prices, and what that costs.

use serde_json::{Value, json};

use crate::fixture::{World, call_body, exchange, first, healthy, json_answer, registry};
use crate::host::tally;

fn world(routing: Value) -> World {
    let mut registry = registry();
    registry["tools"][0]["routing"] = routing;
    World::under(&registry)
}

fn asked(world: &World, headers: &[(&str, &str)]) -> String {
    let mut exchange = exchange(&call_body("search", "1"), healthy());
    headers.iter().for_each(|(name, value)| exchange.headers.set(name, value));
    let played = world.play(exchange);
    assert_eq!(played.reply().status(), 200);
    let [server] = played.servers()[..] else { panic!("{:?}", played.servers()) };
    server.to_owned()
}

#[test]
fn a_canary_gets_its_share_of_the_calls() {
    let world = world(json!({"by": "weight", "weights": {"mcp-a": 80, "mcp-b": 20}}));
    let on_canary = (0..500).filter(|_| asked(&world, &[]) == "mcp-b").count();
    // Five standard deviations of 500 fair draws.
    assert!((55..=145).contains(&on_canary), "{on_canary}");
}

#[test]
fn a_call_of_a_canary_that_fails_is_answered_by_the_others() {
    let world = world(json!({"by": "weight", "weights": {"mcp-b": 1}}));
    let played = world.call("search", [healthy()[0].clone(), json_answer(503, "{}"), json_answer(500, "{}")]);
    assert_eq!(played.servers(), ["mcp-b", "mcp-a"]);
    assert!(played.reply().text().contains("from mcp-a"));
}

#[test]
fn a_call_that_goes_where_it_was_drawn_for_is_no_story() {
    let mut registry = registry();
    registry["tools"][0]["routing"] = json!({"by": "weight", "weights": {"mcp-b": 1}});
    registry["failover"] = json!({"access_log": "/dev/stdout"});
    let world = World::under(&registry);
    let plain = world.call("search", healthy());
    assert_eq!((plain.servers(), plain.filter_state.get("wasm.story")), (vec!["mcp-b"], None));
    let failed = world.call("search", [healthy()[0].clone(), json_answer(503, "{}"), json_answer(500, "{}")]);
    assert!(failed.filter_state.contains_key("wasm.story"));
}

#[test]
fn whoever_sends_the_same_header_is_sent_to_the_same_server() {
    let world = world(json!({"by": "weight", "weights": {"mcp-a": 1, "mcp-b": 1}, "sticky": "x-user-id"}));
    let mut seen = std::collections::BTreeSet::new();
    for user in (0..20).map(|user| format!("user-{user}")) {
        let server = asked(&world, &[("x-user-id", &user)]);
        assert!((0..5).all(|_| asked(&world, &[("x-user-id", &user)]) == server));
        seen.insert(server);
    }
    assert_eq!(seen.len(), 2, "users share the servers");
}

#[test]
fn the_cheapest_server_is_asked_first() {
    let mut registry = registry();
    for (server, price) in [(0, 3.0), (1, 1.0), (2, 2.0)] {
        registry["servers"][server]["price"] = json!({"per_call": price, "as_of": "2026-11-28"});
    }
    registry["routing"] = json!({"tasks": {"search": {"by": "cost"}}});
    let world = World::under(&registry);
    let played = world.call("search", [healthy()[0].clone(), json_answer(503, "{}"), json_answer(503, "{}")]);
    assert_eq!(played.servers(), ["mcp-b", "api", "mcp-a"]);
    assert_eq!(world.call("write", first(json_answer(429, "{}"))).servers(), ["mcp-a", "mcp-b"], "another task");
}

#[test]
fn an_order_by_weight_costs_no_host_call() {
    let calls = |world: fn() -> World| {
        let count = move || {
            let world = world();
            assert_eq!(asked(&world, &[]), "mcp-a");
            world.worker.tick("gate");
            tally::of(|| drop(asked(&world, &[]))).host_calls()
        };
        // A thread has one VM.
        std::thread::spawn(count).join().expect("it counts")
    };
    assert_eq!(calls(|| world(json!({"by": "weight", "weights": {"mcp-a": 1}}))), calls(World::new));
}
