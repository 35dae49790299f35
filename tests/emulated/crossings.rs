//! What a call costs in crossings between Envoy and the module, which is what it costs at all. A change that raises a number
//! here fails until the number is raised on purpose, with the reason in the commit.

use std::path::Path;

use serde_json::json;

use crate::fixture::{World, call_body, exchange, first, healthy, json_answer};
use crate::host::tally::{self, Tally};
use crate::host::{Behaviour, Exchange, Response};

/// The most that a kind of call may cost.
struct Budget {
    entries: usize,
    host_calls: usize,
    allocations: usize,
}

impl Budget {
    fn holds(&self, what: &str, tally: &Tally) {
        let spent = (tally.entries, tally.host_calls(), tally.allocations);
        let allowed = (self.entries, self.host_calls, self.allocations);
        assert_eq!(spent, allowed, "{what}: entries, host calls, allocations: {tally:#?}");
    }
}

/// What the second of two calls costs that follow each other closely: the worker has just seen the breakers and tokens.
fn second(world: &World, exchange: impl Fn() -> Exchange<'static>) -> Tally {
    assert_eq!(world.play(exchange()).reply().status(), 200);
    // Envoy's clock ticks all the time.
    world.worker.tick("gate");
    tally::of(|| assert_eq!(world.play(exchange()).reply().status(), 200))
}

fn search(servers: [Behaviour; 3]) -> Exchange<'static> {
    exchange(&call_body("search", "1"), servers)
}

#[test]
fn a_plain_call() {
    let tally = second(&World::new(), || search(healthy()));
    Budget { entries: 13, host_calls: 17, allocations: 5 }.holds("a plain call", &tally);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("build/host-calls.json");
    let told = json!({"host_calls": tally.host_calls(), "allocations": tally.allocations, "by_kind": tally.calls});
    // For the benchmark's report; where there is no folder for it, nobody has asked.
    let _ = std::fs::write(file, format!("{told:#}\n"));
}

#[test]
fn a_plain_call_with_the_call_log_on() {
    let mut registry = crate::fixture::registry();
    registry["log"] = json!({"calls": "/dev/stdout"});
    let tally = second(&World::under(&registry), || search(healthy()));
    // Two more host calls than a plain call: who calls, and the line. The rest is memory.
    assert_eq!(tally.host_calls(), 19, "{tally:#?}");
}

#[test]
fn a_call_that_fails_over() {
    let refused = || search(first(json_answer(503, "{}")));
    let tally = second(&World::new(), refused);
    // Three of them keep the next server from learning what the router tells of itself, two leave its story.
    Budget { entries: 18, host_calls: 36, allocations: 9 }.holds("a call that fails over", &tally);
}

#[test]
fn a_call_on_the_direct_path() {
    let mut registry = crate::fixture::registry();
    registry["tools"][0]["servers"] = json!([]);
    let tally = second(&World::under(&registry), || search(healthy()));
    Budget { entries: 13, host_calls: 38, allocations: 8 }.holds("a call on the direct path", &tally);
}

#[test]
fn a_call_that_is_answered_with_events() {
    let event = "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[]}}\n\n";
    let events = Behaviour::Answer(Response::new(200, "text/event-stream", event));
    let tally = second(&World::new(), || search(first(events.clone())));
    Budget { entries: 13, host_calls: 18, allocations: 5 }.holds("a call that is answered with events", &tally);
}

#[test]
fn a_call_that_is_answered_with_what_is_kept() {
    let mut registry = crate::fixture::registry();
    registry["tools"][0]["cache"] = json!({"ttl": "60s", "scope": "shared"});
    let world = World::under(&registry);
    world.play(search(healthy()));
    let tally = second(&world, || search(healthy()));
    Budget { entries: 5, host_calls: 10, allocations: 4 }.holds("a call that is answered with what is kept", &tally);
}

#[test]
fn a_tool_without_a_cache_pays_nothing_for_those_of_others() {
    let mut registry = crate::fixture::registry();
    registry["tools"][1]["replayable"] = json!(true);
    registry["tools"][1]["cache"] = json!({"ttl": "60s", "stale_if_error": "1h"});
    let tally = second(&World::under(&registry), || search(healthy()));
    Budget { entries: 13, host_calls: 17, allocations: 5 }.holds("a plain call beside a cache", &tally);
}
