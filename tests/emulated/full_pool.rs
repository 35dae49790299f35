//! A server with as many calls under way as its pool allows: the next call goes on at once, and none is refused.

use serde_json::json;

use crate::fixture::{World, all, call_body, exchange, first, healthy, registry};
use crate::host::{Behaviour, Played};

/// A world whose first server has room for so many calls.
fn world(calls: u32) -> World {
    let mut registry = registry();
    registry["servers"][0]["pool"] = json!({"calls": calls});
    World::under(&registry)
}

/// Plays `meanwhile` while a call is under way at its first server.
fn while_one_is_under_way<'a>(world: &World, mut meanwhile: impl FnMut() + 'a) -> Played {
    let mut slow = exchange(&call_body("search", "1"), healthy());
    let mut is_first = true;
    slow.waiting = Some(Box::new(move |_, _| {
        if std::mem::take(&mut is_first) {
            meanwhile();
        }
    }));
    world.play(slow)
}

#[test]
fn a_call_that_a_full_server_has_no_room_for_goes_to_the_next_at_once() {
    let world = world(1);
    let slow = while_one_is_under_way(&world, || {
        // Also one that must not run twice: it has not been sent anywhere.
        for tool in ["search", "write"] {
            let played = world.call(tool, healthy());
            assert_eq!(played.servers(), ["mcp-b"], "{tool}");
            assert_eq!(played.reply().status(), 200);
        }
        let story = world.call("search", healthy()).filter_state.get("wasm.story").cloned().expect("a story");
        let story: serde_json::Value = serde_json::from_slice(&story).expect("JSON");
        assert_eq!(story["hops"][0], json!({"server": "mcp-a", "reason": "full"}));
    });
    assert_eq!(slow.servers(), ["mcp-a"]);
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"], "there is room again");
}

#[test]
fn a_server_is_full_only_once_its_pool_is() {
    let world = world(2);
    while_one_is_under_way(&world, || {
        assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"]);
        let second = while_one_is_under_way(&world, || {
            assert_eq!(world.call("search", healthy()).servers(), ["mcp-b"]);
        });
        assert_eq!(second.servers(), ["mcp-a"]);
    });
}

#[test]
fn a_full_server_is_asked_where_nobody_else_answers() {
    let world = world(1);
    while_one_is_under_way(&world, || {
        let [well, ..] = healthy();
        let others_fail = [well, Behaviour::Reset, Behaviour::Reset];
        let played = world.call("search", others_fail);
        assert_eq!(played.servers(), ["mcp-b", "mcp-a"]);
        assert_eq!(played.reply().status(), 200);
    });
}

#[test]
fn a_call_that_has_left_a_server_takes_no_room_there() {
    let world = world(1);
    let mut seen = Vec::new();
    let mut slow = exchange(&call_body("search", "1"), first(Behaviour::Reset));
    slow.waiting = Some(Box::new(|_, _| seen.push(world.call("search", healthy()).servers()[0].to_owned())));
    assert_eq!(world.play(slow).servers(), ["mcp-a", "mcp-b"]);
    assert_eq!(seen, ["mcp-b", "mcp-a"], "while it is at the first server, and at the second");
    assert_eq!(world.call("search", all(&Behaviour::Reset)).servers().len(), 3);
}
