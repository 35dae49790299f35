//! The client's own `Authorization`: who gets it under which policy, and what a refusal of it comes to.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::fixture::{SECRETS, World, call_body, exchange, first, healthy, json_answer, registry, rest_answer};
use crate::host::{Behaviour, Exchange, Headers, Played, Response};

const OWN: &str = "Bearer token-of-the-client";

/// A world under this policy in which only the second of the three servers has a credential.
fn world(policy: &str) -> World {
    world_with(policy, |_| {})
}

fn world_with(policy: &str, change: impl FnOnce(&mut Value)) -> World {
    let mut registry = registry();
    registry["listener"]["client_authorization"] = json!(policy);
    for server in [0, 2] {
        registry["servers"][server].as_object_mut().expect("a server").remove("credential");
    }
    change(&mut registry);
    let mut world = World::under(&registry);
    world.route.slots.retain(|server, _| server == "mcp-b");
    world
}

fn call<'a>(servers: [Behaviour; 3]) -> Exchange<'a> {
    let mut exchange = exchange(&call_body("search", "1"), servers);
    exchange.headers.add("authorization", OWN);
    exchange
}

/// What each server that was asked got in `authorization`.
fn shown(played: &Played) -> BTreeMap<String, Option<String>> {
    let of = |attempt: &crate::host::Attempt| (attempt.server.clone(), attempt.headers.get("authorization"));
    played.attempts.iter().map(of).collect()
}

fn expected(first: Option<&str>, last: Option<&str>) -> BTreeMap<String, Option<String>> {
    let credential = format!("Bearer {}", SECRETS[1][0]);
    let shown = [("mcp-a", first), ("mcp-b", Some(credential.as_str())), ("api", last)];
    shown.into_iter().map(|(server, value)| (server.to_owned(), value.map(str::to_owned))).collect()
}

fn refusal(challenge: &str) -> Behaviour {
    let mut response = Response::new(401, "application/json", r#"{"error":"invalid_token"}"#);
    response.headers.set("www-authenticate", challenge);
    Behaviour::Answer(response)
}

#[test]
fn on_every_way_a_server_sees_its_own_credential_or_the_clients_only() {
    let cases = [("drop", None, None), ("pass", Some(OWN), Some(OWN)), ("rest_only", None, Some(OWN))];
    for (policy, mcp, rest) in cases {
        // There, to a server with a credential, and back to one without.
        let played = world(policy).play(call([Behaviour::Reset, Behaviour::Reset, rest_answer()]));
        assert_eq!(shown(&played), expected(mcp, rest), "{policy}");
        assert!(played.attempts.iter().all(|attempt| attempt.headers.count("authorization") <= 1), "{policy}");

        let first = world_with(policy, |registry| registry["tools"][0]["rest"]["first"] = json!(true));
        let played = first.play(call([Behaviour::Reset, healthy()[1].clone(), Behaviour::Reset]));
        assert_eq!(played.attempts[0].server, "api");
        assert_eq!(shown(&played), expected(mcp, rest), "{policy}, the direct path first");
    }
}

#[test]
fn a_credential_of_another_header_does_not_stand_in_the_way() {
    let world = world_with("pass", |registry| {
        registry["servers"][0]["credential"] = json!("pat-mcp-a");
        registry["credentials"][0]["header"] = json!("x-api-key");
        registry["credentials"][0]["prefix"] = json!("");
        registry["credentials"][0]["slots"] = json!({"a": {"inline": "key-a"}});
        registry["servers"][0]["url"] = json!("http://127.0.0.1:1/mcp");
    });
    let played = world.play(call(first(Behaviour::Reset)));
    assert_eq!(played.attempts[0].headers.get("x-api-key").as_deref(), Some("key-a"));
    assert_eq!(played.attempts[0].headers.get("authorization").as_deref(), Some(OWN));
    assert!(!played.attempts[1].headers.contain("key-a") && !played.attempts[1].headers.contain(OWN));
    // Which of the two such a server refuses nobody can tell.
    let played = world.play(call([refusal("Bearer"), refusal("Bearer"), refusal("Bearer")]));
    assert_eq!(played.servers().first().copied(), Some("mcp-a"));
    assert!(played.servers().len() > 1, "it is treated as ours");
}

#[test]
fn a_refusal_of_a_clients_own_token_reaches_it_and_bothers_nobody_else() {
    let world = world("pass");
    for with in [true, false] {
        let challenge = r#"Bearer resource_metadata="https://a.example/.well-known/oauth-protected-resource""#;
        let mut call = call(first(refusal(challenge)));
        if !with {
            // A client that has no token yet learns that it needs one.
            call.headers = Headers(call.headers.0.into_iter().filter(|(name, _)| name != "authorization").collect());
        }
        let played = world.play(call);
        assert_eq!(played.servers(), ["mcp-a"], "its word counts, so no other server is asked instead");
        assert_eq!(played.reply().status(), 401);
        assert_eq!(played.reply().headers.get("www-authenticate").as_deref(), Some(challenge));
        assert_eq!(played.reply().text(), r#"{"error":"invalid_token"}"#);
    }
    assert_eq!(world.metric("dualpath_attempts_total.server.mcp-a.outcome.authorization"), 2);
    assert!(!world.metric_names().iter().any(|name| name.starts_with("dualpath_alerts_total")));
    let played = world.play(call(healthy()));
    assert_eq!(shown(&played)["mcp-a"].as_deref(), Some(OWN), "nothing rests");
}

#[test]
fn a_refusal_of_our_own_token_still_does_not_reach_the_client() {
    let played = world("pass").play(call([Behaviour::ConnectFailure, refusal("Bearer"), Behaviour::ConnectFailure]));
    assert_eq!(played.reply().status(), 503);
    assert!(played.reply().headers.first("www-authenticate").is_none());
    let dropped = world("drop").play(call([refusal("Bearer"), refusal("Bearer"), refusal("Bearer")]));
    assert_eq!(dropped.servers().first().copied(), Some("mcp-a"));
    assert_eq!(dropped.reply().status(), 503, "a client whose token is dropped must not be sent to log in");
}

#[test]
fn of_two_tokens_none_is_passed_on() {
    let mut call = call(healthy());
    call.headers.add("authorization", "Bearer second");
    assert_eq!(world("pass").play(call).attempts[0].headers.count("authorization"), 0);
}

#[test]
fn a_token_that_no_planned_server_gets_is_not_kept() {
    let mut call = call([Behaviour::Reset, Behaviour::Reset, rest_answer()]);
    call.headers.set("proxy-authorization", "Basic token-of-the-client");
    let mut world = world_with("pass", |registry| {
        registry["servers"][0]["credential"] = json!("pat-mcp-a");
        registry["servers"][2]["credential"] = json!("pat-api");
    });
    world.route = crate::fixture::route();
    let played = world.play(call);
    for value in played.filter_state.values() {
        assert!(!String::from_utf8_lossy(value).contains("token-of-the-client"));
    }
    assert!(played.attempts.iter().all(|attempt| !attempt.headers.contain("token-of-the-client")));
}

#[test]
fn no_token_is_left_in_logs_metrics_shared_data_or_answers() {
    // In the shape of a JWT, so that it is taken apart.
    let payload = "eyJzdWIiOiJzdWJqZWN0LW9mLWIiLCJpYXQiOjE3ODAwMDAwMDAsImV4cCI6NDAwMDAwMDAwMH0";
    let token = format!("eyJhbGciOiJFUzI1NiJ9.{payload}.signature-of-b");
    let mut world = world("pass");
    world.route.slots.insert("mcp-b".into(), [Some("revoked-of-b".into()), Some(token)]);
    let failures = [
        Behaviour::ConnectFailure,
        Behaviour::Reset,
        json_answer(401, "{}"),
        json_answer(500, "{}"),
        json_answer(200, "garbage"),
        healthy()[1].clone(),
    ];
    let mut answers = Vec::new();
    for failure in failures {
        let played = world.play(call([Behaviour::Reset, failure, Behaviour::Reset]));
        // In the end the first server's breaker opens, of which the log tells.
        assert!(shown(&played).get("mcp-a").is_none_or(|shown| shown.as_deref() == Some(OWN)));
        answers.push(format!("{:?} {}", played.reply().headers, played.reply().text()));
    }
    let mut traces: Vec<String> = world.process.log().into_iter().map(|(_, line)| line).collect();
    traces.extend(world.metric_names());
    let shared = world.process.shared_data().all();
    traces.extend(shared.iter().map(|(key, value)| format!("{key} {}", String::from_utf8_lossy(value))));
    for trace in traces.iter().chain(&answers) {
        for part in ["token-of-the-client", "revoked-of-b", payload, "signature-of-b", "subject-of-b"] {
            assert!(!trace.contains(part), "{part} shows in {trace}");
        }
    }
    assert!(!shared.is_empty() && !world.process.log().is_empty());
}
