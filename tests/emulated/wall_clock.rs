//! The wall clock is for logs and dates. Somebody may set it at any time, and nothing that waits may notice.

use std::time::Duration;

use crate::fixture::{World, call_body, exchange, first, healthy, start};
use crate::host::{Behaviour, Response, play};

const HOUR: i64 = 3_600;
const EVENTS: &str = "dualpath_breaker_events_total.server.mcp-a.event.";

/// A world in which the first server's breaker has just opened, for 5 to 6.25 s.
fn opened() -> World {
    let world = World::new();
    for _ in 0..5 {
        world.call("search", first(Behaviour::Reset));
    }
    world
}

#[test]
fn an_open_period_is_as_long_whatever_the_wall_clock_says() {
    for jump in [HOUR, -HOUR, 24 * HOUR, -24 * HOUR] {
        let first_server = || {
            let world = opened();
            world.process.set_wall_clock(jump);
            let at_once = world.call("search", healthy()).servers()[0].to_owned();
            world.process.advance(Duration::from_millis(4_900));
            let before = world.call("search", healthy()).servers()[0].to_owned();
            world.process.set_wall_clock(-2 * jump);
            world.process.advance(Duration::from_millis(1_400));
            let after = world.call("search", healthy()).servers()[0].to_owned();
            world.worker.tick("gate");
            assert_eq!(world.metric(&format!("{EVENTS}clock_backward")), 0);
            [at_once, before, after]
        };
        let seen = std::thread::scope(|scope| scope.spawn(first_server).join().expect("a worker"));
        assert_eq!(seen, ["mcp-b", "mcp-b", "mcp-a"], "set by {jump} s");
    }
}

#[test]
fn a_probes_lease_is_as_long_whatever_the_wall_clock_says() {
    let world = opened();
    world.process.advance(Duration::from_secs(7));
    // Another worker's call, while this one's probe is under way.
    let another = || {
        let call = || {
            let worker = start(&world.process);
            play(&worker, "gate", &world.route, exchange(&call_body("search", "2"), healthy())).servers()[0].to_owned()
        };
        std::thread::scope(|scope| scope.spawn(call).join().expect("a worker"))
    };
    let mut probing = exchange(&call_body("search", "1"), healthy());
    probing.waiting = Some(Box::new(|_, _| {
        for jump in [-HOUR, 2 * HOUR] {
            world.process.set_wall_clock(jump);
            assert_eq!(another(), "mcp-b", "the lease holds");
        }
    }));
    assert_eq!(world.play(probing).servers(), ["mcp-a"]);
    assert_eq!(another(), "mcp-a", "the probe's success counts");
}

#[test]
fn a_retry_after_that_is_a_date_is_compared_with_the_wall_clock_once() {
    let world = World::new();
    let mut answer = Response::new(429, "application/json", "{}");
    // Envoy's clock says 28 May 2026, 20:26:40 GMT at first.
    answer.headers.set("retry-after", "Thu, 28 May 2026 20:27:40 GMT");
    for _ in 0..10 {
        world.call("search", first(Behaviour::Answer(answer.clone())));
    }
    world.process.set_wall_clock(HOUR);
    world.process.advance(Duration::from_secs(58));
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-b"], "a minute is a minute");
    world.process.advance(Duration::from_secs(3));
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"]);
}
