//! The breaker in the whole filter: the way back after closing, the last resort, the operator's hand.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::{World, all, call_body, exchange, first, healthy, json_answer, registry, start_with};
use crate::host::{Behaviour, Played, play};

const EVENT: &str = "dualpath_breaker_events_total.server.";

fn world(breaker: Value) -> World {
    let mut registry = registry();
    registry["breaker"] = breaker;
    World::under(&registry)
}

/// Fails the first server until its breaker is open, and lets a probe close it.
fn open_and_close(world: &World) {
    for _ in 0..5 {
        world.call("search", first(Behaviour::Reset));
    }
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-b"]);
    world.process.advance(Duration::from_secs(11));
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"], "the probe");
}

fn event(world: &World, name: &str) -> u64 {
    world.metric(&format!("{EVENT}{name}"))
}

#[test]
fn a_returning_server_gets_few_calls_first_and_all_of_them_in_the_end() {
    let world = world(json!({"ramp": "10s", "ramp_min_share": 0}));
    open_and_close(&world);
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-b"], "at once nothing but the probe");
    assert!(event(&world, "mcp-a.event.ramp_diverted") > 0);
    world.process.advance(Duration::from_secs(10));
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"]);
}

#[test]
fn no_call_is_lost_because_its_first_choice_is_still_returning() {
    let world = world(json!({"ramp": "10s", "ramp_min_share": 0}));
    open_and_close(&world);
    let [well, _, _] = healthy();
    let only_first = [well, Behaviour::Reset, Behaviour::Reset];
    assert_eq!(world.call("search", only_first).servers(), ["mcp-b", "mcp-a"]);
}

#[test]
fn the_direct_path_relieves_a_returning_server_and_falls_back_on_it() {
    let mut registry = registry();
    registry["breaker"] = json!({"ramp": "10s", "ramp_min_share": 0});
    for tool in registry["tools"].as_array_mut().expect("tools") {
        tool["servers"] = json!(["mcp-a"]);
    }
    let world = World::under(&registry);
    for _ in 0..5 {
        world.call("search", first(Behaviour::Reset));
    }
    world.process.advance(Duration::from_secs(11));
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"], "the probe");
    assert_eq!(world.call("search", healthy()).servers(), ["api"]);
    let [well, _, _] = healthy();
    assert_eq!(world.call("search", [well, Behaviour::Reset, Behaviour::Reset]).servers(), ["api", "mcp-a"]);
}

#[test]
fn an_unreplayable_call_is_not_risked_where_the_prober_asks_anyway() {
    let probed = |probed: bool| {
        let mut registry = registry();
        registry["servers"][0]["probe"] = json!({"enabled": probed});
        let world = World::under(&registry);
        for _ in 0..5 {
            world.call("search", first(Behaviour::Reset));
        }
        world.process.advance(Duration::from_secs(11));
        world.call("write", healthy()).servers()[0].to_owned()
    };
    let on_a_worker = |wanted| std::thread::scope(|scope| scope.spawn(|| probed(wanted)).join().expect("a worker"));
    assert_eq!(on_a_worker(true), "mcp-b");
    assert_eq!(on_a_worker(false), "mcp-a", "without a prober somebody has to");
}

/// Lets every server fail until all breakers are open.
fn open_all(world: &World) -> Played {
    for _ in 0..6 {
        world.call("search", all(&Behaviour::Reset));
    }
    world.call("search", healthy())
}

#[test]
fn a_last_server_that_fails_is_asked_all_the_same_but_only_now_and_then() {
    let shedding = world(json!({"last_resort_max_rejection": 1}));
    open_all(&shedding);
    let outcomes: Vec<_> = (0..200).map(|_| shedding.call("search", all(&Behaviour::Reset)).attempts.len()).collect();
    let asked = outcomes.iter().filter(|attempts| **attempts > 0).count();
    assert!((1..150).contains(&asked), "{asked} of 200");
    assert!(event(&shedding, "api.event.refused_shed") > 0);
}

#[test]
fn a_last_server_that_is_not_to_be_spared_gets_every_call() {
    let spared = world(json!({"last_resort_max_rejection": 0}));
    open_all(&spared);
    for _ in 0..50 {
        assert_eq!(spared.call("search", healthy()).servers(), ["api"]);
    }
}

#[test]
fn whoever_is_refused_is_told_when_to_come_back_twice_the_same() {
    let world = world(json!({"mode": "forced_open", "base_open": "2500ms"}));
    let played = world.call("search", healthy());
    assert!(played.attempts.is_empty(), "not even the last server is asked");
    let reply = played.reply();
    assert_eq!(reply.headers.get("retry-after"), Some("3".to_owned()));
    let body: Value = serde_json::from_str(&reply.text()).expect("JSON");
    assert_eq!(body["error"]["data"]["retryAfterMs"], 3000);
}

#[test]
fn calls_of_last_resort_that_have_ended_take_no_place() {
    let world = world(json!({"last_resort_max_rejection": 0, "last_resort_concurrency": 1}));
    open_all(&world);
    for _ in 0..20 {
        assert_eq!(world.call("search", healthy()).servers(), ["api"]);
    }
    assert_eq!(event(&world, "api.event.refused_crowded"), 0);
}

#[test]
fn a_credential_refused_in_every_probe_keeps_no_server_half_open() {
    let world = world(json!({"ramp": "0s"}));
    for _ in 0..5 {
        world.call("search", first(Behaviour::Reset));
    }
    for _ in 0..3 {
        // The refused token has rested, and the open period is over.
        world.process.advance(Duration::from_secs(600));
        world.call("search", first(json_answer(401, "{}")));
    }
    let closed = "dualpath_breaker_transitions_total.server.mcp-a.from.half_open.to.closed";
    assert_eq!(world.metric(closed), 1);
}

#[test]
fn one_server_can_be_taken_out_by_hand() {
    let mut registry = registry();
    registry["servers"][0]["breaker"] = json!({"mode": "forced_open"});
    let world = World::under(&registry);
    for _ in 0..5 {
        assert_eq!(world.call("search", healthy()).servers(), ["mcp-b"]);
    }
}

#[test]
fn a_reset_in_the_configuration_closes_an_open_breaker_once() {
    let mut registry = registry();
    let world = World::under(&registry);
    for _ in 0..5 {
        world.call("search", first(Behaviour::Reset));
    }
    registry["breaker"]["reset_id"] = json!(1);
    // A thread is a worker's VM; each of these starts under the new configuration.
    let first_server = |servers: fn() -> [Behaviour; 3], calls: usize| {
        let call = || {
            let worker = start_with(&world.process, &registry);
            worker.tick("gate");
            let play = |_| play(&worker, "gate", &world.route, exchange(&call_body("search", "1"), servers()));
            let played: Vec<_> = (0..calls).map(play).collect();
            played[0].servers()[0].to_owned()
        };
        std::thread::scope(|scope| scope.spawn(call).join().expect("a worker"))
    };
    assert_eq!(first_server(healthy, 1), "mcp-a");
    assert_eq!(first_server(|| first(Behaviour::Reset), 5), "mcp-a");
    assert_eq!(first_server(healthy, 1), "mcp-b", "it is open again, and stays so");
}
