//! The prober: what it sends, and what it makes of the answers.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::{
    World, call_body, exchange, first, healthy, json_answer, prober, prober_with, registry, route, start,
};
use crate::host::{Behaviour, Headers, HttpCall, Process, Worker, play};

const STATE: &str = "cortex_circuit_breaker_state.server.mcp-a";

/// A process in which the first server's breaker is open and its open period over.
fn due() -> Arc<Process> {
    let process = Process::new();
    let worker = start(&process);
    for _ in 0..5 {
        play(&worker, "gate", &route(), exchange(&call_body("search", "1"), first(Behaviour::Reset)));
    }
    drop(worker);
    assert_eq!(process.metric(STATE), 1, "open");
    process.advance(Duration::from_secs(7));
    process
}

fn calls_of_a_tick(prober: &Worker) -> Vec<HttpCall> {
    prober.tick("prober");
    prober.take_calls()
}

fn the_probe(prober: &Worker) -> HttpCall {
    let mut calls = calls_of_a_tick(prober);
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.remove(0)
}

fn json_headers(more: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new(&[(":status", "200"), ("content-type", "application/json")]);
    more.iter().for_each(|(name, value)| headers.add(name, *value));
    headers
}

fn result_for(probe: &HttpCall) -> Vec<u8> {
    let request: Value = serde_json::from_slice(&probe.body).expect("a JSON-RPC request");
    json!({"jsonrpc": "2.0", "id": request["id"], "result": {"protocolVersion": "2025-11-25"}}).to_string().into_bytes()
}

#[test]
fn a_good_answer_closes_the_breaker_and_the_session_that_it_opened() {
    let process = due();
    let prober = prober(&process);
    let probe = the_probe(&prober);
    assert_eq!((probe.cluster.as_str(), probe.timeout_ms), ("mcp-a", 3_000));
    assert_eq!(probe.headers.get(":authority").as_deref(), Some("a.example"));
    assert_eq!(probe.headers.get("authorization"), None, "the attempt filter adds it");
    assert_eq!(process.metric(STATE), 2);
    assert!(calls_of_a_tick(&prober).is_empty(), "one at a time");

    prober.answer(&probe, json_headers(&[("mcp-session-id", "s-1")]), &result_for(&probe));
    assert_eq!(process.metric(STATE), 0);
    assert_eq!(process.metric("dualpath_probes_total.server.mcp-a.outcome.success"), 1);
    let farewell = prober.take_calls();
    assert_eq!(farewell.len(), 1);
    assert_eq!(farewell[0].headers.get(":method").as_deref(), Some("DELETE"));
    assert_eq!(farewell[0].headers.get("mcp-session-id").as_deref(), Some("s-1"));
    prober.answer(&farewell[0], json_headers(&[]), b"");
    assert!(calls_of_a_tick(&prober).is_empty(), "nobody is in doubt");
}

#[test]
fn a_lost_connection_opens_the_breaker_again() {
    let process = due();
    let prober = prober(&process);
    let probe = the_probe(&prober);
    prober.answer(&probe, Headers::new::<&str>(&[]), b"");
    assert_eq!(process.metric(STATE), 1);
    assert!(calls_of_a_tick(&prober).is_empty(), "the next open period has begun");
}

#[test]
fn a_probe_without_a_credential_says_nothing_and_is_not_repeated_at_once() {
    let process = due();
    let prober = prober(&process);
    for _ in 0..4 {
        let probe = the_probe(&prober);
        let mut refusal = Headers::new(&[(":status", "503"), ("content-type", "text/plain")]);
        refusal.add("x-dualpath-answer", "mcp-a;credential;unreadable;1");
        prober.answer(&probe, refusal, b"no credential");
        assert_eq!(process.metric(STATE), 2, "neither well nor dead");
        process.advance(Duration::from_secs(9));
        assert!(calls_of_a_tick(&prober).is_empty());
        process.advance(Duration::from_secs(1));
    }
    assert_eq!(process.metric("dualpath_probes_total.server.mcp-a.outcome.credential"), 4);
}

/// A process in which a call was refused by the first server, whose only token is in slot a; and the mark of that token.
fn refused_once() -> (Arc<Process>, String) {
    let process = Process::new();
    let worker = start(&process);
    assert_eq!(asked(&worker), 1);
    drop(worker);
    let shared = process.shared_data();
    let word = &shared.get("dualpath", "ct1:mcp-a").expect("what is known of its tokens").0[..8];
    let token = u64::from_le_bytes(word.try_into().expect("eight bytes"));
    drop(shared);
    (process, format!("{token:016x}"))
}

/// How often the first server is asked by a call that it refuses.
fn asked(worker: &Worker) -> usize {
    let mut route = route();
    route.slots.insert("mcp-a".into(), [Some("secret-mcp-a-1".into()), None]);
    let servers = first(json_answer(401, "{}"));
    let played = play(worker, "gate", &route, exchange(&call_body("search", "1"), servers));
    played.servers().iter().filter(|server| **server == "mcp-a").count()
}

#[test]
fn a_token_that_the_prober_is_refused_with_rests_after_one_call_that_is() {
    let (process, token) = refused_once();
    let prober = prober(&process);
    let probe = the_probe(&prober);
    assert_eq!(probe.cluster, "mcp-a");
    process.advance(Duration::from_millis(1));
    prober.answer(&probe, Headers::new(&[(":status", "401"), ("x-dualpath-token", &token)]), b"");
    assert!(calls_of_a_tick(&prober).is_empty(), "a server that refuses is not asked all the time");
    drop(prober);
    let worker = start(&process);
    assert_eq!((asked(&worker), asked(&worker)), (1, 0));
}

#[test]
fn a_token_that_the_prober_is_answered_with_is_not_taken_from_others_by_calls_that_are_refused() {
    let (process, token) = refused_once();
    let prober = prober(&process);
    let probe = the_probe(&prober);
    process.advance(Duration::from_millis(1));
    prober.answer(&probe, json_headers(&[("x-dualpath-token", &token)]), &result_for(&probe));
    assert!(calls_of_a_tick(&prober).is_empty(), "nobody is in doubt");
    drop(prober);
    let worker = start(&process);
    assert!((0..20).all(|_| asked(&worker) == 1));
}

#[test]
fn a_server_that_answers_every_probe_without_a_verdict_is_there() {
    let process = due();
    let prober = prober(&process);
    for state in [2, 2, 0] {
        let probe = the_probe(&prober);
        prober.answer(&probe, Headers::new(&[(":status", "401")]), b"");
        assert_eq!(process.metric(STATE), state);
        process.advance(Duration::from_secs(10));
    }
}

/// Field case: a healthy server whose answers are compressed was kept out, as its probes were read as garbage.
#[test]
fn a_compressed_answer_closes_the_breaker() {
    let process = due();
    let prober = prober(&process);
    let probe = the_probe(&prober);
    prober.answer(&probe, json_headers(&[("content-encoding", "gzip")]), b"\x1f\x8b\x08");
    assert_eq!(process.metric(STATE), 0);
}

#[test]
fn a_probe_that_never_reports_gives_way_once_its_lease_is_over() {
    let process = due();
    let prober = prober(&process);
    let lost = the_probe(&prober);
    process.advance(Duration::from_secs(30));
    assert!(calls_of_a_tick(&prober).is_empty(), "its lease runs");
    process.advance(Duration::from_secs(1));
    let next = the_probe(&prober);
    prober.answer(&lost, json_headers(&[]), &result_for(&lost));
    assert_eq!(process.metric(STATE), 2, "too late to decide anything");
    prober.answer(&next, json_headers(&[]), &result_for(&next));
    assert_eq!(process.metric(STATE), 0);
}

/// Probed by several gateways at once, a server said 429 to a list, and every one of them took it out (toolhive#6347).
#[test]
fn a_429_to_a_list_or_to_a_probe_takes_no_server_that_is_well_from_anybody() {
    let mut watched = registry();
    watched["servers"][0]["probe"] = json!({"idle": true});
    let process = Process::new();
    let prober = prober_with(&process, &watched);
    for _ in 0..12 {
        process.advance(Duration::from_secs(30));
        let probe = the_probe(&prober);
        assert_eq!(probe.cluster, "mcp-a");
        prober.answer(&probe, Headers::new(&[(":status", "429"), ("content-type", "application/json")]), b"{}");
        assert_eq!(process.metric(STATE), 0, "busy, and well");
    }
    drop(prober);
    let world = World::new();
    for method in ["tools/list", "resources/templates/list"] {
        let list = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
        let played = world.play(exchange(&list, first(json_answer(429, "{}"))));
        assert_eq!((played.servers(), played.reply().status()), (vec!["mcp-a", "mcp-b"], 200), "{method}");
    }
    assert_eq!(world.metric(STATE), 0);
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"], "the next call");
}
