//! An API that accepts a call and is at work on it: its result is fetched while the client waits, and nothing runs twice.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::fixture::{World, call_body, exchange, healthy, json_answer, registry, rest_answer};
use crate::host::{Behaviour, Played};

const STATUS: &str = "/api/v2/statements/h-1?requestId=r-1";

fn accepted() -> Behaviour {
    let body = json!({"code": "333334", "message": "in progress", "request_id": "h-1", "statementStatusUrl": STATUS});
    json_answer(202, &body.to_string())
}

/// A world whose tools ask the REST API first.
fn rest_first(change: impl FnOnce(&mut Value)) -> World {
    let mut registry = registry();
    for tool in registry["tools"].as_array_mut().expect("tools") {
        tool["rest"]["first"] = json!(true);
    }
    change(&mut registry);
    let mut world = World::under(&registry);
    world.route.num_retries = 20;
    world
}

/// A call of `tool` while the API answers so, one after the other.
fn call(world: &World, tool: &str, api: &[Behaviour]) -> Played {
    let mut exchange = exchange(&call_body(tool, "1"), healthy());
    exchange.servers.insert("api".to_owned(), api.iter().cloned().collect::<VecDeque<_>>());
    world.play(exchange)
}

fn asked(played: &Played) -> Vec<[String; 3]> {
    let of = |name, attempt: &crate::host::Attempt| attempt.headers.get(name).unwrap_or_default();
    played
        .attempts
        .iter()
        .map(|attempt| [attempt.server.clone(), of(":method", attempt), of(":path", attempt)])
        .collect()
}

#[test]
fn the_result_of_an_accepted_call_is_fetched_where_the_api_says() {
    for tool in ["search", "write"] {
        let world = rest_first(|_| {});
        let played = call(&world, tool, &[accepted(), accepted(), accepted(), rest_answer()]);
        let asked = asked(&played);
        assert_eq!((asked.len(), asked[0][1].as_str()), (4, "POST"), "{asked:?}");
        for (attempt, asked) in played.attempts.iter().zip(&asked).skip(1) {
            assert_eq!(*asked, ["api", "GET", STATUS]);
            assert!(attempt.body.is_empty());
            assert_eq!(attempt.headers.get("authorization").as_deref(), Some("Bearer secret-api-1"));
            assert_eq!(attempt.headers.get("accept").as_deref(), Some("application/json"));
            assert_eq!(attempt.headers.get("content-length").as_deref(), Some("0"));
            assert_eq!(attempt.headers.get("content-type"), None);
        }
        let text = played.reply().text();
        assert!(played.reply().status() == 200 && text.contains("from api"), "{text}");
        assert!(!played.reply().headers.contain("x-dualpath"), "{:?}", played.reply().headers);
        assert_eq!(
            world.metric("cortex_calls_total.mode.direct.task.search.status.success"),
            u64::from(tool == "search")
        );
    }
}

#[test]
fn what_is_not_done_in_time_is_told_with_its_handle() {
    let played = call(&rest_first(|_| {}), "write", &[accepted()]);
    assert_eq!(played.attempts.len(), 9, "asked for eight times");
    assert!(played.reply().text().contains("request-id: h-1") && played.reply().text().contains(r#""isError":true"#));
    let hurried = rest_first(|registry| registry["listener"]["client_timeout"] = json!("900ms"));
    let played = call(&hurried, "write", &[accepted()]);
    assert_eq!(played.attempts.len(), 1, "a second is more than there is left");
    assert!(played.reply().text().contains("request-id: h-1"), "{}", played.reply().text());
}

#[test]
fn an_accepted_call_that_envoy_asks_for_no_more_ends_as_unknown() {
    let mut world = rest_first(|_| {});
    world.route.num_retries = 1;
    let played = call(&world, "write", &[accepted()]);
    assert_eq!(played.attempts.len(), 2);
    assert!(played.reply().text().contains("OUTCOME_UNKNOWN"), "{}", played.reply().text());
}

/// A question that fails says nothing of the call, which somebody is at work on.
#[test]
fn a_question_that_fails_is_asked_again_and_the_call_never_runs_anywhere_else() {
    for failure in [
        json_answer(503, "{}"),
        json_answer(429, "{}"),
        json_answer(308, ""),
        Behaviour::ConnectFailure,
        Behaviour::RefusedStream,
    ] {
        let passing = [accepted(), failure.clone(), failure.clone(), rest_answer()];
        let played = call(&rest_first(|_| {}), "write", &passing);
        assert!(played.reply().text().contains("from api"), "{failure:?}: {}", played.reply().text());
        let lasting = [accepted(), failure.clone()];
        let played = call(
            &rest_first(|registry| registry["breaker"] = json!({"consecutive": 1000, "failure_rate": 0})),
            "write",
            &lasting,
        );
        let asked = asked(&played);
        assert!(asked.iter().skip(1).all(|asked| *asked == ["api", "GET", STATUS]), "{failure:?}: {asked:?}");
        assert!(played.reply().text().contains("OUTCOME_UNKNOWN"), "{failure:?}: {}", played.reply().text());
    }
    let refused = json_answer(404, r#"{"message":"no such statement"}"#);
    let played = call(&rest_first(|_| {}), "search", &[accepted(), refused]);
    assert_eq!(played.attempts.len(), 2);
    assert!(played.reply().text().contains("no such statement"));
}

#[test]
fn a_call_that_may_run_twice_goes_on_once_the_api_is_lost() {
    let played = call(&rest_first(|_| {}), "search", &[accepted(), json_answer(500, "{}")]);
    let asked = asked(&played);
    assert_eq!(asked.last().map(|asked| [asked[0].as_str(), asked[1].as_str()]), Some(["mcp-a", "POST"]), "{asked:?}");
    assert!(played.reply().text().contains("from mcp-a"));
}

#[test]
fn an_address_that_is_no_path_of_the_same_server_is_not_followed() {
    for url in ["https://evil.example/x", "//evil.example/x", "api", "", "/a b", "/a\u{e9}", "/a#b"] {
        let body = json!({"statementHandle": "h-1", "statementStatusUrl": url}).to_string();
        let played = call(&rest_first(|_| {}), "search", &[json_answer(202, &body), rest_answer()]);
        assert_eq!(played.attempts.len(), 1, "{url}");
        assert!(played.reply().text().contains(r#""isError":true"#), "{url}");
    }
}
