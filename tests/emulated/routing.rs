//! Who is asked first: shares, prices, and what that costs.

use serde_json::{Value, json};

use crate::fixture::{World, call_body, exchange, first, healthy, json_answer, registry};
use crate::host::tally;
use crate::host::{Behaviour, Played};

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

/// Requests from the network of all clients may name a server, or those from another may.
fn naming(sources: &str) -> World {
    let mut registry = registry();
    registry["routing"] = json!({"override": {"enabled": true, "sources": [sources]}});
    registry["failover"] = json!({"access_log": "/dev/stdout"});
    registry["listener"]["expose_headers"] = json!(true);
    World::under(&registry)
}

const CLIENTS: &str = "192.0.2.0/24";
const SERVER: &str = "x-dualpath-server";

fn call(world: &World, named: &[&str], servers: [Behaviour; 3]) -> Played {
    let mut exchange = exchange(&call_body("search", "1"), servers);
    named.iter().for_each(|name| exchange.headers.0.push((SERVER.to_owned(), name.as_bytes().to_vec())));
    world.play(exchange)
}

#[test]
fn a_request_names_the_server_that_is_asked_first_and_no_server_sees_that() {
    let world = naming(CLIENTS);
    for server in ["mcp-b", "api", "mcp-a"] {
        let played = call(&world, &[server], healthy());
        assert_eq!(played.servers(), [server]);
        assert_eq!(played.attempts[0].headers.get(SERVER), None);
        assert_eq!(played.reply().headers.get(SERVER).as_deref(), Some(server), "what the answer says is the answer's");
        assert_eq!(played.filter_state.get("wasm.story"), None, "it went where it was to go");
    }
    assert_eq!(world.metric_sum("cortex_fallback_total."), 0);
    let [a, _, api] = healthy();
    let failed = call(&world, &["mcp-b"], [a, json_answer(503, "{}"), api]);
    assert_eq!(failed.servers(), ["mcp-b", "mcp-a"], "the others follow in their order");
    assert_eq!(world.metric_sum("cortex_fallback_total."), 1);
}

#[test]
fn a_name_from_elsewhere_is_taken_off_and_ignored_and_so_is_any_while_it_is_off() {
    for (world, counted) in [(|| naming("127.0.0.0/8")) as fn() -> World, World::new].into_iter().zip([5, 0]) {
        let world = world();
        for named in [["mcp-b"].as_slice(), &["nobody"], &["mcp-b", "api"], &["\u{e9}"], &[""]] {
            let played = call(&world, named, healthy());
            assert_eq!(played.servers(), ["mcp-a"], "{named:?}");
            assert_eq!(played.attempts[0].headers.get(SERVER), None);
        }
        assert_eq!(world.metric("dualpath_name_ignored_total"), counted);
    }
}

#[test]
fn a_name_that_nobody_has_is_refused_and_nobody_is_asked() {
    let world = naming(CLIENTS);
    for named in [["nobody"].as_slice(), &["mcp-a", "mcp-b"], &["MCP-A"], &["\u{e9}"], &[""], &["mcp-a,mcp-b"]] {
        let played = call(&world, named, healthy());
        assert!(played.attempts.is_empty(), "{named:?}");
        let error: Value = serde_json::from_slice(&played.reply().body).expect("JSON");
        assert_eq!((played.reply().status(), &error["error"]["code"]), (422, &json!(42203)), "{named:?}");
        assert_eq!(error["error"]["data"]["reason"], "SERVER_UNKNOWN");
    }
}

#[test]
fn naming_a_server_opens_no_way_that_was_closed() {
    let world = naming(CLIENTS);
    for _ in 0..5 {
        call(&world, &["mcp-b"], [healthy()[0].clone(), Behaviour::Reset, healthy()[2].clone()]);
    }
    assert_eq!(call(&world, &["mcp-b"], healthy()).servers(), ["mcp-a"], "its breaker is open");
    let mut exchange = exchange(&call_body("search", "1"), healthy());
    exchange.headers.set("mcp-session-id", "dp1~mcp-a~s-1");
    exchange.headers.set(SERVER, "mcp-b");
    assert_eq!(world.play(exchange).servers(), ["mcp-a"], "the client's session is there");
}

#[test]
fn a_plain_call_costs_no_more_where_requests_may_name_a_server() {
    let cost = |world: fn() -> World| {
        let cost = move || {
            let world = world();
            asked(&world, &[]);
            world.worker.tick("gate");
            let tally = tally::of(|| drop(asked(&world, &[])));
            (tally.host_calls(), tally.allocations)
        };
        // A thread has one VM.
        std::thread::spawn(cost).join().expect("it counts")
    };
    let without = || {
        let mut registry = registry();
        registry["failover"] = json!({"access_log": "/dev/stdout"});
        registry["listener"]["expose_headers"] = json!(true);
        World::under(&registry)
    };
    assert_eq!(cost(|| naming(CLIENTS)), cost(without));
}

#[test]
fn calls_follow_the_faster_server_and_come_back_and_some_try_the_other_out() {
    let mut registry = registry();
    registry["tools"][0]["routing"] = json!({"by": "latency"});
    // No REST server in the way.
    registry["tools"][0].as_object_mut().expect("a tool").remove("rest");
    let world = World::under(&registry);
    // What all workers have seen, as it is kept: of late, usually, and by which calls are routed, in ms.
    let seen = |server: &str, ms: f32| {
        let bytes = [ms; 3].map(f32::to_le_bytes).concat();
        world.process.shared_data().set("dualpath", &format!("hl2:{server}"), &bytes, 0).expect("it is written");
    };
    let most = || {
        world.worker.tick("gate");
        let on_b = (0..200).filter(|_| asked(&world, &[]) == "mcp-b").count();
        // 1 of 64 goes to the other server: of 200 calls hardly more than 15.
        match on_b {
            0..=15 => "mcp-a",
            185..=200 => "mcp-b",
            _ => panic!("{on_b} of 200"),
        }
    };
    assert_eq!(most(), "mcp-a", "nothing is known");
    seen("mcp-a", 300.0);
    seen("mcp-b", 100.0);
    assert_eq!(most(), "mcp-b");
    let [a, _, api] = healthy();
    for _ in 0..3 {
        let played = world.call("search", [a.clone(), json_answer(503, "{}"), api.clone()]);
        assert!(played.reply().text().contains("from mcp-a"), "the other follows");
    }
    seen("mcp-a", 100.0);
    seen("mcp-b", 100.0);
    assert_eq!(most(), "mcp-a");
}
