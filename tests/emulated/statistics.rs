//! When what has been counted becomes visible in Envoy's statistics.

use std::time::Duration;

use crate::fixture::{World, first, healthy};
use crate::host::Behaviour;

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
