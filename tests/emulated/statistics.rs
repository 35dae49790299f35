//! When what has been counted becomes visible in Envoy's statistics.

use std::time::Duration;

use crate::fixture::{World, call_body, exchange, first, healthy, prober};
use crate::host::{Behaviour, Response};

const CALLS: &str = "cortex_calls_total.mode.mcp.task.search.status.success";

#[test]
fn calls_are_told_by_the_tick_that_follows_them() {
    let world = World::new();
    world.worker.tick("gate");
    for _ in 0..3 {
        world.call("search", healthy());
    }
    assert_eq!(world.process.metric(CALLS), 0, "counted, but not told yet");
    world.process.advance(Duration::from_millis(200));
    world.worker.tick("gate");
    assert_eq!(world.process.metric(CALLS), 3);
    world.worker.tick("gate");
    assert_eq!(world.process.metric(CALLS), 3, "told once");
}

#[test]
fn calls_of_a_worker_that_does_not_tick_are_told_at_once() {
    let world = World::new();
    world.call("search", healthy());
    assert_eq!(world.process.metric(CALLS), 1, "it never has");
    world.worker.tick("gate");
    world.process.advance(Duration::from_secs(2));
    world.call("search", healthy());
    assert_eq!(world.process.metric(CALLS), 2, "it has stopped");
}

/// A stream of three hours is no slow call.
#[test]
fn the_latency_of_calls_is_recorded_and_streams_that_a_client_listens_to_are_not_calls() {
    let events = || first(Behaviour::Answer(Response::events(&[": hello\n\n"])));
    let mut get = exchange("", events()).without_body();
    get.headers.set(":method", "GET");
    get.headers.set("accept", "text/event-stream");
    get.headers.set("mcp-session-id", "dp1~mcp-a~s-1");
    let listen = exchange(r#"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}"#, events());
    let call = exchange(&call_body("search", "1"), healthy());
    for (exchange, recorded) in [(get, false), (listen, false), (call, true)] {
        let world = World::new();
        assert_eq!(world.play(exchange).servers().first(), Some(&"mcp-a"));
        let names = world.metric_names();
        let has = |family: &str| names.iter().any(|name| name.starts_with(family));
        assert!(has("cortex_calls_total"), "it is counted");
        assert_eq!(has("cortex_latency_ms"), recorded, "{names:?}");
    }
}

#[test]
fn the_end_of_a_worker_loses_nothing_that_was_counted() {
    let world = World::new();
    let process = world.process.clone();
    world.worker.tick("gate");
    world.call("search", healthy());
    drop(world);
    assert_eq!(process.metric(CALLS), 1);
}

#[test]
fn a_breaker_that_opens_is_told_at_once() {
    let world = World::new();
    world.worker.tick("gate");
    for _ in 0..5 {
        world.call("search", first(Behaviour::Reset));
    }
    assert_eq!(world.process.metric("dualpath_breaker_transitions_total.server.mcp-a.from.closed.to.open"), 1);
}

#[test]
fn counters_are_there_before_they_count_anything() {
    let world = World::new();
    let ticks = || {
        let prober = prober(&world.process);
        (0..4).for_each(|_| prober.tick("prober"));
    };
    // A thread of its own, as in Envoy.
    std::thread::scope(|scope| scope.spawn(ticks).join().expect("a prober that does not trap"));
    (0..4).for_each(|_| world.worker.tick("gate"));
    let names = world.metric_names();
    for name in [
        CALLS,
        "dualpath_attempts_total.server.mcp-a.outcome.credential",
        "dualpath_breaker_transitions_total.server.mcp-a.from.closed.to.open",
        "dualpath_replay_refused_total.task.search.reason.budget",
        "dualpath_held_refused_total.reason.request",
    ] {
        assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
    }
    assert_eq!(world.metric_sum("cortex_calls_total."), 0);
    world.call("search", healthy());
    let counted: Vec<_> = world
        .metric_names()
        .into_iter()
        .filter(|name| name.starts_with("cortex_calls") && world.metric(name) > 0)
        .collect();
    assert_eq!(counted, [CALLS]);
}
