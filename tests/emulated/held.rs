//! What a worker holds of all its calls together is bounded, and only what is over the bound suffers.

use serde_json::{Value, json};

use crate::fixture::{World, exchange, healthy, json_answer, registry};
use crate::host::{Behaviour, Exchange, Played, Response};

/// A world that holds 1 MiB.
fn world() -> World {
    let mut registry = registry();
    registry["limits"] = json!({"request_body": "1MiB", "held": "1MiB"});
    World::under(&registry)
}

/// A call of a tool that may be executed twice, in so many KiB.
fn call<'a>(kib: usize, servers: [Behaviour; 3]) -> Exchange<'a> {
    let query = "q".repeat(kib << 10);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "search", "arguments": {"query": query}}});
    exchange(&body.to_string(), servers)
}

fn reason(played: &Played) -> String {
    let answer: Value = serde_json::from_slice(&played.reply().body).expect("JSON");
    answer["error"]["data"]["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_request_that_there_is_no_room_for_is_refused_and_the_calls_under_way_go_on() {
    let world = world();
    let mut slow = call(700, healthy());
    slow.waiting = Some(Box::new(|_, _| {
        let refused = world.play(call(700, healthy()));
        assert_eq!(refused.reply().status(), 503, "{}", refused.reply().text());
        assert_eq!(reason(&refused), "NO_ROOM");
        assert_eq!(refused.reply().headers.get("retry-after").as_deref(), Some("1"));
        assert!(refused.attempts.is_empty());
        assert_eq!(world.play(call(100, healthy())).reply().status(), 200, "a smaller one still fits");
    }));
    assert_eq!(world.play(slow).reply().status(), 200);
    assert_eq!(world.play(call(700, healthy())).reply().status(), 200, "the room was given back");
    assert_eq!(world.metric("dualpath_held_refused_total.reason.request"), 1);
}

#[test]
fn a_request_whose_length_is_not_declared_is_refused_as_soon_as_it_has_no_room() {
    let world = world();
    let mut slow = call(700, healthy());
    slow.waiting = Some(Box::new(|_, _| {
        let mut chunked = call(700, healthy());
        chunked.headers.remove("content-length");
        chunked.pieces = chunked.pieces.concat().chunks(64 << 10).map(<[u8]>::to_vec).collect();
        assert_eq!(world.play(chunked).reply().status(), 503);
    }));
    assert_eq!(world.play(slow).reply().status(), 200);
}

#[test]
fn an_answer_that_there_is_no_room_for_passes_unjudged() {
    let garbage = || {
        let mut answer = Response::new(200, "application/json", "");
        answer.headers.remove("content-length");
        answer.pieces = vec![vec![b'x'; 300 << 10]; 3];
        Behaviour::Answer(answer)
    };
    let mut events = Response::events(&["data: ", &"x".repeat(200 << 10), &"x".repeat(200 << 10)]);
    events.stall = true;
    for answer in [garbage(), Behaviour::Answer(events)] {
        let world = world();
        let mut slow = call(700, healthy());
        slow.waiting = Some(Box::new(|_, _| {
            let passed = world.play(call(1, [answer.clone(), json_answer(200, "{}"), json_answer(200, "{}")]));
            assert_eq!(passed.servers(), ["mcp-a"]);
            assert_eq!(passed.reply().status(), 200);
        }));
        assert_eq!(world.play(slow).reply().status(), 200);
        assert_eq!(world.metric("dualpath_held_refused_total.reason.answer"), 1);
        assert_eq!(world.metric_sum("dualpath_attempts_total.server.mcp-a.outcome.server"), 0, "nobody's fault");
    }
}

#[test]
fn an_answer_of_the_api_that_there_is_no_room_for_is_no_failure_of_the_api() {
    let world = world();
    let api = || {
        let mut answer = Response::new(200, "application/json", "");
        answer.headers.remove("content-length");
        answer.pieces = vec![vec![b' '; 300 << 10], vec![b' '; 300 << 10], b"{\"results\":[]}".to_vec()];
        [Behaviour::ConnectFailure, Behaviour::ConnectFailure, Behaviour::Answer(answer)]
    };
    let mut slow = call(700, healthy());
    slow.waiting = Some(Box::new(|_, _| {
        for _ in 0..20 {
            let given_up = world.play(call(1, api()));
            assert_eq!(given_up.servers().last().copied(), Some("api"), "{}", given_up.reply().text());
            assert_eq!(reason(&given_up), "ANSWER_UNUSABLE");
        }
    }));
    assert_eq!(world.play(slow).reply().status(), 200);
    assert_eq!(world.play(call(1, api())).reply().status(), 200);
}

#[test]
fn an_id_of_more_than_4096_bytes_is_not_kept() {
    let world = world();
    for (length, attempts) in [(4000, 2), (5000, 1)] {
        let body = json!({"jsonrpc": "2.0", "id": "i".repeat(length), "method": "tools/list"});
        let failing = [json_answer(500, "{}"), healthy()[1].clone(), healthy()[2].clone()];
        let played = world.play(exchange(&body.to_string(), failing));
        assert_eq!(played.attempts.len(), attempts, "a message that is not read is not repeated");
    }
}

#[test]
fn what_is_held_is_a_metric_of_all_workers() {
    let world = world();
    let mut slow = call(700, healthy());
    slow.waiting = Some(Box::new(|_, _| assert!(world.metric("dualpath_held_bytes") >= 700 << 10)));
    assert_eq!(world.play(slow).reply().status(), 200);
    assert_eq!(world.metric("dualpath_held_bytes"), 0);
}
