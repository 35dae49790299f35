//! What sending calls again may cost: tokens, the client's time, waiting.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::{World, all, call_body, exchange, first, healthy, json_answer, registry, rest_answer};
use crate::host::{Behaviour, Exchange, Played, Response};

fn world(change: impl FnOnce(&mut Value)) -> World {
    let mut registry = registry();
    change(&mut registry);
    World::under(&registry)
}

/// A world that may fail three calls over and then no more, and whose breakers stay closed.
fn poor_world() -> World {
    world(|registry| {
        registry["failover"] = json!({"budget": {"ratio": 0.001, "min_per_second": 1, "reserve": 3}});
        registry["breaker"] = json!({"consecutive": 1000, "failure_rate": 0});
    })
}

/// A world in which every tool has the direct path only, which may be asked three times.
fn direct_only() -> World {
    world(|registry| {
        for tool in registry["tools"].as_array_mut().expect("tools") {
            tool["servers"] = json!([]);
        }
        registry["servers"][2]["attempts"] = json!(3);
    })
}

fn asked(played: &Played) -> Vec<&str> {
    played.attempts.iter().map(|attempt| attempt.server.as_str()).collect()
}

fn busy(retry_after: Option<&str>) -> Behaviour {
    let mut response = Response::new(429, "application/json", "{}");
    if let Some(seconds) = retry_after {
        response.headers.set("retry-after", seconds);
    }
    Behaviour::Answer(response)
}

fn hurried<'a>(tool: &str, ms: &str, servers: [Behaviour; 3]) -> Exchange<'a> {
    let mut exchange = exchange(&call_body(tool, "1"), servers);
    exchange.headers.set("x-envoy-expected-rq-timeout-ms", ms);
    exchange
}

#[test]
fn what_may_have_been_executed_is_sent_on_until_the_budget_is_used_up() {
    for failure in [json_answer(500, "{}"), Behaviour::Reset, json_answer(200, "garbage")] {
        let world = poor_world();
        for call in 0..5 {
            let played = world.call("search", first(failure.clone()));
            let expected: &[&str] = if call < 3 { &["mcp-a", "mcp-b"] } else { &["mcp-a"] };
            assert_eq!(played.servers(), expected, "{failure:?} call {call}");
        }
        assert_eq!(world.metric("dualpath_replay_refused_total.task.search.reason.budget"), 2, "{failure:?}");
        world.process.advance(Duration::from_secs(1));
        assert_eq!(world.call("search", first(failure.clone())).servers(), ["mcp-a", "mcp-b"], "{failure:?}");
    }
}

#[test]
fn a_client_whose_call_is_not_sent_on_is_told_of_the_server_that_had_it() {
    for (failure, reason) in [(Behaviour::Reset, "OUTCOME_UNKNOWN"), (json_answer(500, "{}"), "UPSTREAM_FAILED")] {
        let world = poor_world();
        let replies: Vec<_> = (0..4).map(|_| world.call("search", first(failure.clone()))).collect();
        let reply = replies.last().expect("four").reply();
        let error = &serde_json::from_slice::<Value>(&reply.body).expect("JSON")["error"];
        assert_eq!((&error["data"]["reason"], &error["data"]["server"]), (&json!(reason), &json!("mcp-a")), "{error}");
        assert!(error["message"].as_str().expect("text").contains("(asked: mcp-a;"), "{error}");
    }
}

#[test]
fn what_was_not_executed_is_sent_on_for_nothing() {
    let world = poor_world();
    for failure in [Behaviour::ConnectFailure, Behaviour::RefusedStream, busy(None), json_answer(401, "{}")] {
        for _ in 0..10 {
            let played = world.call("write", first(failure.clone()));
            assert_eq!(played.servers().last(), Some(&"mcp-b"), "{failure:?}");
        }
    }
}

#[test]
fn servers_that_hang_share_the_clients_time() {
    let world = world(|registry| registry["listener"]["client_timeout"] = json!("9s"));
    let began = world.process.now();
    let played = world.call("search", [Behaviour::Hang, Behaviour::Hang, rest_answer()]);
    assert_eq!(played.servers(), ["mcp-a", "mcp-b", "api"]);
    assert_eq!(played.reply().status(), 200);
    let played = world.call("search", all(&Behaviour::Hang));
    assert_eq!(played.servers(), ["mcp-a", "mcp-b", "api"]);
    assert_eq!(played.reply().status(), 504);
    assert!(world.process.now() - began < Duration::from_secs(15), "two calls, of which one takes all its time");
    // What can't be sent again has all of it.
    let began = world.process.now();
    assert_eq!(world.call("write", first(Behaviour::Hang)).servers(), ["mcp-a"]);
    let took = world.process.now() - began;
    assert!((Duration::from_secs(8)..Duration::from_secs(9)).contains(&took), "{took:?}");
}

#[test]
fn a_tool_may_have_a_time_of_its_own() {
    let world = world(|registry| {
        registry["listener"]["client_timeout"] = json!("9s");
        registry["tools"][1]["client_timeout"] = json!("2s");
    });
    let began = world.process.now();
    world.call("write", first(Behaviour::Hang));
    assert!(world.process.now() - began < Duration::from_secs(2));
}

#[test]
fn no_attempt_is_begun_that_cannot_end_in_time() {
    let late = |then: Behaviour| Behaviour::After(Duration::from_secs(2), Box::new(then));
    for failure in [busy(None), json_answer(401, "{}"), Behaviour::ConnectFailure] {
        let world = world(|registry| registry["tools"][1]["client_timeout"] = json!("3s"));
        let played = world.call("write", first(late(failure.clone())));
        let attempts = asked(&played);
        assert!(
            attempts.iter().all(|server| *server == "mcp-a") || !played.attempts[1].sent,
            "{failure:?}: {attempts:?}"
        );
        assert_eq!(world.metric("dualpath_replay_refused_total.task.write.reason.no_time"), 1, "{failure:?}");
        assert_ne!(played.reply().status(), 200, "{failure:?}");
    }
}

#[test]
fn what_an_envoy_before_this_one_tells_of_the_clients_time_lowers_it() {
    let world = World::new();
    let began = world.process.now();
    let played = world.play(hurried("search", "900", all(&Behaviour::Hang)));
    assert_eq!(played.servers(), ["mcp-a", "mcp-b", "api"]);
    assert!(world.process.now() - began <= Duration::from_millis(900));
    assert!(played.attempts.iter().all(|attempt| attempt.headers.count("x-envoy-expected-rq-timeout-ms") == 0));
    for text in ["", "soon", "-1", "99999999999999999999999"] {
        assert_eq!(world.play(hurried("search", text, healthy())).reply().status(), 200, "{text:?}");
    }
}

#[test]
fn a_client_in_a_hurry_opens_no_breaker() {
    let world = World::new();
    for _ in 0..20 {
        world.play(hurried("write", "50", first(Behaviour::Hang)));
    }
    assert_eq!(world.call("write", healthy()).servers(), ["mcp-a"]);
    for _ in 0..5 {
        world.play(hurried("write", "50", first(Behaviour::Reset)));
    }
    assert_eq!(
        world.call("write", healthy()).servers(),
        ["mcp-b"],
        "but a connection that breaks is the server's fault"
    );
}

#[test]
fn a_call_whose_client_waits_no_longer_goes_nowhere() {
    let played = World::new().play(hurried("search", "0", healthy()));
    assert!(played.attempts.is_empty());
    assert_eq!(played.reply().status(), 504);
    assert!(played.reply().text().contains("TIME_OVER"), "{}", played.reply().text());
}

#[test]
fn the_only_server_is_asked_again_if_it_has_not_executed_the_call() {
    for failure in [Behaviour::ConnectFailure, busy(None), busy(Some("2"))] {
        let played = direct_only().call("write", all(&failure));
        assert_eq!(asked(&played), ["api"; 3], "{failure:?}");
        assert_eq!(played.filter_state.get("wasm.pace").map(Vec::as_slice), Some(&b"patient"[..]));
        let error: Value = serde_json::from_slice(&played.reply().body).expect("JSON");
        assert!(error["error"]["message"].as_str().expect("text").contains("(asked: api;"), "{error}");
    }
    for failure in [json_answer(500, "{}"), Behaviour::Reset, Behaviour::Hang, json_answer(401, "{}"), busy(Some("60"))]
    {
        let played = direct_only().call("search", all(&failure));
        assert!(played.attempts.len() <= 2, "{failure:?}: {:?}", asked(&played));
        let slots = usize::from(
            matches!(&failure, Behaviour::Answer(response) if response.headers.get(":status").as_deref() == Some("401")),
        );
        assert_eq!(played.attempts.len(), 1 + slots, "{failure:?}");
    }
}

#[test]
fn failing_over_beats_waiting() {
    let world = world(|registry| {
        for server in registry["servers"].as_array_mut().expect("servers") {
            server["attempts"] = json!(3);
        }
    });
    let played = world.call("write", [busy(None), Behaviour::ConnectFailure, rest_answer()]);
    assert_eq!(asked(&played), ["mcp-a", "mcp-b", "api"]);
    assert!(!played.filter_state.contains_key("wasm.pace"));
    let began = world.process.now();
    let played = world.call("write", [busy(None), Behaviour::ConnectFailure, busy(Some("2"))]);
    assert_eq!(asked(&played), ["mcp-a", "mcp-b", "api", "api", "api"]);
    assert!(world.process.now() - began >= Duration::from_secs(4));
    // Whom nobody can reach there is no sense in asking at once.
    let played = world.call("write", all(&Behaviour::ConnectFailure));
    assert_eq!(played.attempts.iter().filter(|attempt| attempt.server == "api").count(), 1 + 1, "one is stopped");
}

#[test]
fn a_probe_that_fails_is_not_repeated_as_a_probe() {
    let mut registry = registry();
    registry["tools"][1]["servers"] = json!([]);
    registry["servers"][2]["attempts"] = json!(3);
    registry["breaker"] = json!({"consecutive": 3, "base_open": "5s"});
    let world = World::under(&registry);
    let transitions = |from: &str, to: &str| {
        world.metric(&format!("dualpath_breaker_transitions_total.server.api.from.{from}.to.{to}"))
    };
    world.call("write", all(&Behaviour::ConnectFailure));
    assert_eq!((transitions("closed", "open"), transitions("open", "half_open")), (1, 0));
    world.process.advance(Duration::from_secs(8));
    world.call("write", all(&Behaviour::ConnectFailure));
    assert_eq!((transitions("open", "half_open"), transitions("half_open", "open")), (1, 1));
    world.process.advance(Duration::from_secs(16));
    assert_eq!(world.call("write", healthy()).reply().status(), 200);
    assert_eq!(transitions("half_open", "closed"), 1);
}
