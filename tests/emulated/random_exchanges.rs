//! Random exchanges: whatever clients and servers do, some things never happen.
//!
//! A trap aborts the test binary, and a broken rule of the host fails the process at its end, so neither is asserted here.

mod reachable;
mod strategy;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::fixture::{SECRETS, SERVERS, World};
use crate::host::{Abort, Attempt, Behaviour, Exchange, Played, Response};
use reachable::outage;
use strategy::{MARK, Step, history};

/// Whether the server has certainly not executed what it was sent: it refused the caller, does not know the session, or is not
/// there behind its ingress.
fn refused(attempt: &Attempt, in_session: bool) -> bool {
    match attempt.answer.get(":status").as_deref() {
        Some("401" | "429") => true,
        Some("503") => attempt.answer.first("retry-after").is_some(),
        Some("400") => in_session,
        Some("404" | "405" | "406" | "421") => attempt.server != "api",
        Some(status) if status.starts_with('3') => attempt.server != "api",
        _ => false,
    }
}

fn executed_at_most_once(step: &Step, played: &Played) {
    let sent: Vec<_> = played.attempts.iter().filter(|attempt| attempt.sent).collect();
    let in_session = step.headers.iter().any(|(name, _)| *name == "mcp-session-id");
    let first = sent.iter().position(|attempt| !refused(attempt, in_session));
    assert!(first.is_none_or(|first| first + 1 == sent.len()), "sent again after it may have been executed: {sent:#?}");
}

fn no_secret_leaks(world: &World, played: &Played) {
    for attempt in &played.attempts {
        let own = SERVERS.iter().zip(SECRETS).find(|(server, _)| **server == attempt.server).expect("a server").1;
        for secret in SECRETS.iter().flatten().filter(|secret| !own.contains(secret)) {
            assert!(!attempt.headers.contain(secret), "{} got {secret}", attempt.server);
        }
        assert!(!attempt.sent || !attempt.headers.contain(MARK), "a reserved header of the client: {attempt:?}");
    }
    assert!(!played.logged_request.contain("x-dualpath-slot-"), "for the access log: {:?}", played.logged_request);
    let mut traces: Vec<Vec<u8>> = world.process.log().into_iter().map(|(_, line)| line.into_bytes()).collect();
    traces.extend(world.metric_names().into_iter().map(String::into_bytes));
    traces.extend(world.process.shared_data().all().into_iter().flat_map(|(key, value)| [key.into_bytes(), value]));
    traces.extend(played.filter_state.values().cloned());
    if let Some(reply) = &played.reply {
        traces.push(reply.body.clone());
        assert!(!reply.headers.contain("secret-"), "{reply:?}");
    }
    for trace in traces {
        assert!(!String::from_utf8_lossy(&trace).contains("secret-"), "{}", String::from_utf8_lossy(&trace));
    }
}

fn one_answer(step: &Step, played: &Played) {
    let Some(reply) = &played.reply else {
        assert!(step.abort.is_some() || step.breaks_off(), "no answer: {step:?}");
        return;
    };
    assert!(!reply.headers.contain("x-dualpath-"), "{reply:?}");
    assert_eq!(reply.headers.count(":status"), 1);
    if !reply.complete {
        assert!(step.abort.is_some() || step.breaks_off(), "half an answer: {step:?}");
        return;
    }
    if let Some(length) = reply.headers.get("content-length").filter(|_| !step.lies_about_length()) {
        assert_eq!(length, reply.body.len().to_string(), "{reply:?}");
    }
    if step.is_call && reply.headers.get("content-type").as_deref() == Some("application/json") && reply.status() == 200
    {
        let answer: serde_json::Value = serde_json::from_slice(&reply.body).expect("one JSON value");
        assert!(answer["id"] == step.id || answer["id"].is_null(), "{answer}");
    }
    if step.is_call {
        assert_ne!(reply.status(), 401, "a client would start an OAuth flow");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_promises_hold(history in history(), bare in option::weighted(0.2, select(SERVERS.to_vec()))) {
        let mut world = World::new();
        if let Some(server) = bare {
            world.route.slots.remove(server);
        }
        let mut attempts = Vec::new();
        for step in &history {
            world.process.advance(step.pause);
            let played = world.play(step.exchange());
            if !step.replayable {
                executed_at_most_once(step, &played);
            }
            no_secret_leaks(&world, &played);
            prop_assert!(played.servers().iter().all(|server| Some(*server) != bare), "sent without a credential");
            one_answer(step, &played);
            world.worker.tick("gate");
            attempts.extend(played.attempts);
        }
        // A client that leaves before its message is whole has called nothing.
        let whole = history.iter().filter(|step| step.abort != Some(Abort::RequestHeaders)).count() as u64;
        let counted = world.metric_sum("cortex_calls_total.");
        prop_assert!((whole..=history.len() as u64).contains(&counted), "{counted} calls counted");
        let sent = attempts.iter().filter(|attempt| attempt.sent).count() as u64;
        let settled = world.metric_sum("dualpath_attempts_total.");
        prop_assert!((sent..=attempts.len() as u64).contains(&settled), "{settled} attempts settled: {attempts:?}");
    }
}

proptest! {
    // A case is up to forty calls.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_call_that_may_be_repeated_is_answered_while_any_path_is_up(outage in outage()) {
        let world = World::under(&outage.registry());
        for (number, (pause, servers)) in outage.calls.iter().enumerate() {
            world.process.advance(*pause);
            let played = world.call("search", servers.clone());
            let reply = played.reply();
            prop_assert!(
                reply.status() == 200 && reply.text().contains("from "),
                "call {number}, {} is up: {} {} by {:?}", SERVERS[outage.up], reply.status(), reply.text(), played.servers()
            );
            world.worker.tick("gate");
        }
    }
}
