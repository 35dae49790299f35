//! A server's limit in the whole filter: what is over it goes elsewhere at once, and every end of a call makes room.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::{World, call_body, exchange, first, healthy, json_answer, registry};
use crate::host::{Abort, Behaviour, Played, Response};

const OVER: &str = "dualpath_concurrency_over_total.server.mcp-a";
const LIMIT: &str = "dualpath_concurrency_limit.server.mcp-a";
const IN_FLIGHT: &str = "dualpath_concurrency_in_flight.server.mcp-a";

/// A world whose first server has a limit, and whose registry is changed besides.
fn world(concurrency: Value, change: impl FnOnce(&mut Value)) -> World {
    let mut registry = registry();
    registry["servers"][0]["concurrency"] = concurrency;
    change(&mut registry);
    World::under(&registry)
}

fn one_at_a_time() -> World {
    world(json!({"min": 1, "max": 1}), |_| {})
}

/// What `meanwhile` comes to while a call of the first server is under way.
fn while_one_is_under_way<T>(world: &World, mut meanwhile: impl FnMut() -> T) -> T {
    let mut seen = None;
    let mut slow = exchange(&call_body("search", "1"), healthy());
    slow.waiting = Some(Box::new(|number, _| {
        if number == 1 {
            seen = Some(meanwhile());
        }
    }));
    assert_eq!(world.play(slow).servers()[0], "mcp-a");
    seen.expect("an attempt")
}

fn story(played: &Played) -> Value {
    played.filter_state.get("wasm.story").map_or(Value::Null, |story| serde_json::from_slice(story).expect("JSON"))
}

#[test]
fn a_call_over_the_limit_goes_to_the_next_server_at_once() {
    let world = one_at_a_time();
    let played = while_one_is_under_way(&world, || {
        assert_eq!(world.metric(IN_FLIGHT), 1);
        world.call("write", healthy())
    });
    assert_eq!(played.servers(), ["mcp-b"]);
    assert_eq!(played.reply().status(), 200);
    let hops = story(&played)["hops"].clone();
    assert_eq!(hops[0], json!({"server": "mcp-a", "reason": "over_limit"}));
    assert_eq!(hops[1]["server"], "mcp-b");
    assert_eq!((world.metric(OVER), world.metric(LIMIT), world.metric(IN_FLIGHT)), (1, 1, 0));
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"]);
}

#[test]
fn it_comes_back_if_all_others_fail() {
    let world = one_at_a_time();
    let [well, _, _] = healthy();
    let servers = [well, Behaviour::ConnectFailure, Behaviour::ConnectFailure];
    let played = while_one_is_under_way(&world, || world.call("write", servers.clone()));
    let hops = story(&played)["hops"].clone();
    let hops: Vec<_> = hops.as_array().expect("hops").iter().map(|hop| [&hop["server"], &hop["reason"]]).collect();
    assert_eq!(hops, [["mcp-a", "over_limit"], ["mcp-b", "next"], ["mcp-a", "first"]]);
    assert_eq!(played.reply().status(), 200);
}

#[test]
fn every_end_of_a_call_makes_room() {
    let mut stalled = Response::events(&["data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[]}}\n\n"]);
    stalled.stall = true;
    let refused = json_answer(401, "{}");
    for behaviour in [
        healthy()[0].clone(),
        json_answer(500, "{}"),
        refused,
        Behaviour::Reset,
        Behaviour::ConnectFailure,
        Behaviour::RefusedStream,
        Behaviour::Overflow,
        Behaviour::Hang,
        Behaviour::Answer(stalled),
    ] {
        for abort in [None, Some(Abort::RequestHeaders), Some(Abort::Waiting(1)), Some(Abort::ResponseHeaders)] {
            let world = world(json!({"min": 1, "max": 1}), |registry| {
                registry["breaker"] = json!({"consecutive": 1000, "failure_rate": 0});
            });
            let mut call = exchange(&call_body("search", "1"), first(behaviour.clone()));
            call.abort = abort;
            world.play(call);
            assert_eq!(world.metric(IN_FLIGHT), 0, "{behaviour:?} {abort:?}");
            world.process.advance(Duration::from_secs(60));
            assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"], "{behaviour:?} {abort:?}");
        }
    }
}

#[test]
fn a_call_that_nobody_else_can_take_goes_all_the_same_unless_there_are_too_many_of_those() {
    for (most, answered) in [(100, true), (1, false)] {
        let world = world(json!({"min": 1, "max": 1}), |registry| {
            registry["breaker"] = json!({"last_resort_concurrency": most});
            registry["tools"][0]["servers"] = json!(["mcp-a"]);
            registry["tools"][0].as_object_mut().expect("a tool").remove("rest");
        });
        let played = while_one_is_under_way(&world, || {
            let mut inner = None;
            let mut over = exchange(&call_body("search", "2"), healthy());
            over.waiting = Some(Box::new(|_, _| inner = Some(world.call("search", healthy()))));
            assert_eq!(world.play(over).servers(), ["mcp-a"]);
            inner.expect("an attempt")
        });
        assert_eq!(played.attempts.len(), usize::from(answered));
        assert_eq!(played.reply().status(), if answered { 200 } else { 503 });
        assert_eq!(story(&played)["hops"][0]["reason"], if answered { Value::Null } else { json!("over_limit") });
        let event = |name: &str| world.metric(&format!("dualpath_breaker_events_total.server.mcp-a.event.{name}"));
        assert_eq!(event("last_resort"), if answered { 2 } else { 1 });
        assert_eq!(event("refused_crowded"), u64::from(!answered));
    }
}

#[test]
fn what_calls_no_tool_takes_no_place_and_finds_one() {
    let world = one_at_a_time();
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"resources/list"}"#;
    let played = while_one_is_under_way(&world, || world.play(exchange(list, healthy())));
    assert_eq!(played.servers(), ["mcp-a"]);
    let mut slow = exchange(list, healthy());
    slow.waiting = Some(Box::new(|_, _| assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"])));
    world.play(slow);
}

/// So many calls under way at once, each begun while the one before it waits; every first answer takes so long.
fn nested(world: &World, depth: usize, took: Duration) {
    let [well, second, third] = healthy();
    let mut call = exchange(&call_body("search", "1"), [Behaviour::After(took, Box::new(well)), second, third]);
    call.waiting = Some(Box::new(|number, _| {
        if number == 1 && depth > 1 {
            nested(world, depth - 1, took);
        }
    }));
    world.play(call);
}

#[test]
fn a_server_that_takes_longer_and_longer_gets_fewer_calls() {
    let world = world(json!({"min": 1, "max": 8}), |_| {});
    let limit_after = |took| {
        (0..40).for_each(|_| nested(&world, 6, Duration::from_millis(took)));
        world.metric(LIMIT)
    };
    assert_eq!(limit_after(30), 8);
    assert!(limit_after(2_000) < 8);
}
