//! What the client is told when a call fails, and how often the servers were asked for it.

use serde_json::Value;

use crate::fixture::{SERVERS, World, all, call_body, exchange, first, healthy, json_answer};
use crate::host::{Behaviour, Played, Response};

fn data(played: &Played) -> Value {
    let answer: Value = serde_json::from_slice(&played.reply().body).expect("JSON");
    assert_eq!(answer["error"]["data"]["source"], "dualpath", "{answer}");
    answer["error"]["data"].clone()
}

#[test]
fn a_lost_call_is_told_from_one_that_was_never_sent() {
    let broken = Behaviour::Answer(Response { reset: true, ..Response::new(200, "application/json", "{") });
    for (behaviour, status, class) in [
        (Behaviour::Hang, 504, "lost"),
        (Behaviour::Reset, 503, "lost"),
        (broken, 503, "lost"),
        (Behaviour::ConnectFailure, 503, "not_sent"),
    ] {
        let servers = if class == "lost" { first(behaviour.clone()) } else { all(&behaviour) };
        let played = World::new().call("write", servers);
        assert_eq!((played.reply().status(), &data(&played)["class"]), (status, &class.into()), "{behaviour:?}");
    }
}

#[test]
fn every_server_is_asked_once_even_if_retries_for_other_slots_are_left() {
    for behaviour in [Behaviour::Hang, Behaviour::Reset, Behaviour::ConnectFailure] {
        let played = World::new().call("search", all(&behaviour));
        assert!(played.servers().len() <= SERVERS.len(), "{behaviour:?}: {:?}", played.servers());
        data(&played);
    }
    assert_eq!(World::new().call("search", all(&Behaviour::Reset)).servers(), SERVERS);
}

#[test]
fn both_slots_of_every_server_are_tried_while_they_are_refused() {
    let played = World::new().call("search", all(&json_answer(401, "{}")));
    assert_eq!(played.servers(), ["mcp-a", "mcp-a", "mcp-b", "mcp-b", "api", "api"]);
    assert_eq!((played.reply().status(), &data(&played)["class"]), (503, &"credential".into()));
}

#[test]
fn an_answer_to_another_request_never_reaches_the_client() {
    let stray = r#"{"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"stray"}]}}"#;
    let played = World::new().call("write", first(json_answer(200, stray)));
    assert!(!played.reply().text().contains("stray"), "{}", played.reply().text());
    assert_eq!(played.reply().status(), 502);
    data(&played);
}

#[test]
fn a_probe_whose_client_leaves_gives_its_lease_back() {
    let world = World::new();
    for _ in 0..5 {
        world.call("search", first(Behaviour::Reset));
    }
    world.process.advance(std::time::Duration::from_secs(11));
    let mut leaving = exchange(&call_body("search", "1"), healthy());
    leaving.abort = Some(crate::host::Abort::Waiting(1));
    assert_eq!(world.play(leaving).servers(), ["mcp-a"], "the probe");
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"], "the next probe");
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"]);
}

#[test]
fn a_fallback_is_counted_for_every_call_that_another_server_answered() {
    let world = World::new();
    world.call("search", healthy());
    world.call("search", first(Behaviour::Reset));
    world.call("search", first(json_answer(429, "{}")));
    world.call("search", all(&Behaviour::Reset));
    assert_eq!(world.metric_sum("cortex_fallback_total."), 2);
    let calls = |status: &str| world.metric(&format!("cortex_calls_total.mode.mcp.task.search.status.{status}"));
    assert_eq!((calls("success"), calls("fallback")), (1, 2));
    assert_eq!(world.metric("cortex_calls_total.mode.direct.task.search.status.failed"), 1);
}
