//! What operators set by runtime keys, from the prober's look at Envoy's runtime to the calls of a worker.

use std::sync::Arc;
use std::time::Duration;

use dualpath::wiring::cluster;
use serde_json::{Map, Value, json};

use crate::fixture::{World, all, call_body, exchange, first, healthy, json_answer, prober_with_admin, registry};
use crate::host::tally;
use crate::host::{Behaviour, Headers, HttpCall, Process};

/// The admin interface's page about a runtime with these keys and no others.
fn page(keys: &[(&str, &str)]) -> String {
    let entry = |(key, value): &(&str, &str)| {
        (format!("dualpath.{key}"), json!({"layer_values": ["", value], "final_value": value}))
    };
    let mut entries: Map<String, Value> = keys.iter().map(entry).collect();
    let usual = || json!({"layer_values": ["100", ""], "final_value": "100"});
    entries.entry("dualpath.mcp_enabled").or_insert_with(usual);
    json!({"layers": ["static", "admin"], "entries": entries}).to_string()
}

/// The prober looks once, on a thread of its own as in Envoy; `answer` is what it is shown. Answers what else it has sent.
fn look(process: &Arc<Process>, status: &str, answer: &str) -> Vec<HttpCall> {
    std::thread::scope(|scope| {
        let prober = || {
            let prober = prober_with_admin(process);
            prober.tick("prober");
            let (mut asked, others): (Vec<_>, Vec<_>) =
                prober.take_calls().into_iter().partition(|call| call.cluster == cluster::ADMIN);
            assert_eq!(asked.len(), 1, "{asked:?}");
            let asked = asked.remove(0);
            assert_eq!(asked.headers.get(":path").as_deref(), Some("/runtime"));
            prober.answer(&asked, Headers::new(&[(":status", status)]), answer.as_bytes());
            others
        };
        scope.spawn(prober).join().expect("a prober that does not trap")
    })
}

/// Operators have set these keys and no others, and the worker has ticked since.
pub fn set(world: &World, keys: &[(&str, &str)]) {
    look(&world.process, "200", &page(keys));
    world.worker.tick("gate");
}

fn servers(world: &World, servers: [Behaviour; 3]) -> Vec<String> {
    let played = world.call("search", servers);
    assert_eq!(played.reply().status(), 200);
    played.servers().iter().map(ToString::to_string).collect()
}

fn told(world: &World, state: &str) -> u64 {
    world.metric(&format!("dualpath_override.server.mcp-a.state.{state}"))
}

#[test]
fn a_server_that_is_forced_open_gets_no_call_until_the_key_is_gone() {
    let world = World::new();
    assert_eq!(servers(&world, healthy()), ["mcp-a"]);
    set(&world, &[("server.mcp-a.mode", "forced_open")]);
    for _ in 0..10 {
        assert_eq!(servers(&world, healthy()), ["mcp-b"]);
    }
    assert_eq!(
        world.call("search", all(&json_answer(503, "{}"))).servers(),
        ["mcp-b", "api"],
        "not as the last one either"
    );
    assert_eq!((told(&world, "forced_open"), told(&world, "disabled")), (1, 0));
    set(&world, &[]);
    assert_eq!(servers(&world, healthy()), ["mcp-a"]);
    assert_eq!(told(&world, "forced_open"), 0);
}

#[test]
fn a_runtime_key_outranks_the_registry() {
    let mut registry = registry();
    registry["servers"][0]["breaker"] = json!({"mode": "forced_open"});
    let world = World::under(&registry);
    assert_eq!(servers(&world, healthy()), ["mcp-b"]);
    set(&world, &[("server.mcp-a.mode", "normal")]);
    assert_eq!(servers(&world, healthy()), ["mcp-a"]);
    set(&world, &[]);
    assert_eq!(servers(&world, healthy()), ["mcp-b"]);
}

#[test]
fn a_disabled_breaker_never_opens_and_one_for_metrics_only_opens_in_the_metrics_alone() {
    for (mode, state) in [("disabled", 0), ("metrics_only", 1)] {
        let world = World::new();
        set(&world, &[("server.mcp-a.mode", mode)]);
        for _ in 0..8 {
            assert_eq!(servers(&world, first(Behaviour::Reset)), ["mcp-a", "mcp-b"]);
        }
        assert_eq!(world.metric("cortex_circuit_breaker_state.server.mcp-a"), state, "{mode}");
        assert_eq!(told(&world, mode), 1);
    }
}

#[test]
fn a_server_that_is_off_gets_no_request_at_all_probes_included() {
    let world = World::new();
    for _ in 0..5 {
        servers(&world, first(Behaviour::Reset));
    }
    set(&world, &[("server.mcp-a.enabled", "false")]);
    world.process.advance(Duration::from_secs(7));
    assert!(look(&world.process, "200", &page(&[("server.mcp-a.enabled", "false")])).is_empty(), "no probe");
    assert_eq!(servers(&world, healthy()), ["mcp-b"]);
    assert_eq!(told(&world, "off"), 1);
    assert!(look(&world.process, "200", &page(&[])).is_empty(), "this look was the first to see that it is on again");
    assert_eq!(look(&world.process, "200", &page(&[])).len(), 1, "the probe");
}

#[test]
fn where_every_server_of_a_call_is_off_its_client_hears_that_it_is_switched_off() {
    let world = World::new();
    set(
        &world,
        &["mcp-a", "mcp-b", "api"]
            .map(|id| (format!("server.{id}.enabled"), "0"))
            .each_ref()
            .map(|(k, v)| (k.as_str(), *v)),
    );
    let played = world.call("search", healthy());
    assert!(played.servers().is_empty());
    let body = String::from_utf8(played.reply().body.clone()).expect("text");
    assert!(body.contains("switched off"), "{body}");
}

#[test]
fn a_server_of_weight_0_gets_what_all_others_have_failed() {
    let world = World::new();
    set(&world, &[("server.mcp-a.weight", "0")]);
    assert_eq!(servers(&world, healthy()), ["mcp-b"]);
    let [a, _, _] = healthy();
    assert_eq!(servers(&world, [a, Behaviour::Reset, json_answer(503, "{}")]), ["mcp-b", "api", "mcp-a"]);
    assert_eq!(told(&world, "drained"), 1);
}

#[test]
fn a_drained_server_is_tried_out_by_a_request_that_names_it() {
    let mut registry = registry();
    registry["routing"] = json!({"override": {"enabled": true, "sources": ["192.0.2.0/24"]}});
    let world = World::under(&registry);
    let named = |world: &World| {
        let mut exchange = exchange(&call_body("search", "1"), healthy());
        exchange.headers.set("x-dualpath-server", "mcp-a");
        world.play(exchange).servers().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    set(&world, &[("server.mcp-a.weight", "0")]);
    assert_eq!((servers(&world, healthy()), named(&world)), (vec!["mcp-b".to_owned()], vec!["mcp-a".to_owned()]));
    set(&world, &[("server.mcp-a.enabled", "0")]);
    assert_eq!(named(&world), ["mcp-b"], "one that is switched off gets nothing");
}

#[test]
fn a_reset_closes_an_open_breaker_once_for_each_new_text() {
    let world = World::new();
    let open = || (0..5).for_each(|_| drop(servers(&world, first(Behaviour::Reset))));
    let state = || world.metric("cortex_circuit_breaker_state.server.mcp-a");
    open();
    assert_eq!(state(), 1);
    set(&world, &[("server.mcp-a.reset", "1")]);
    assert_eq!((state(), servers(&world, healthy())), (0, vec!["mcp-a".to_owned()]));
    open();
    set(&world, &[("server.mcp-a.reset", "1"), ("server.mcp-b.mode", "normal")]);
    assert_eq!(state(), 1, "that one was done");
    set(&world, &[("server.mcp-a.reset", "2")]);
    assert_eq!(state(), 0);
}

#[test]
fn mcp_can_be_switched_off_for_one_task() {
    let world = World::new();
    set(&world, &[("task.search.mcp_enabled", "0")]);
    assert_eq!(servers(&world, healthy()), ["api"]);
    assert_eq!(world.call("write", healthy()).servers(), ["mcp-a"], "another task");
    assert_eq!(world.metric("dualpath_mcp_off.task.search"), 1);
    set(&world, &[]);
    assert_eq!(servers(&world, healthy()), ["mcp-a"]);
    assert_eq!(world.metric("dualpath_mcp_off.task.search"), 0);
}

#[test]
fn the_kill_switch_is_a_gauge_for_as_long_as_it_is_on() {
    let world = World::new();
    for (percent, told) in [("100", 0), ("0", 1), ("50", 1), ("100", 0)] {
        set(&world, &[("mcp_enabled", percent)]);
        assert_eq!(world.metric("dualpath_kill_switch"), told, "{percent}");
    }
    look(&world.process, "200", &page(&[("mcp_enabled", "0")]));
    look(&world.process, "503", "");
    assert_eq!(world.metric("dualpath_kill_switch"), 1, "it stays while the runtime can't be read");
}

#[test]
fn what_was_set_stays_while_the_runtime_cannot_be_read() {
    let world = World::new();
    set(&world, &[("server.mcp-a.mode", "forced_open")]);
    for (status, answer) in [("503", ""), ("404", "{}"), ("200", "<html>"), ("200", "{\"entries\":")] {
        look(&world.process, status, answer);
        world.worker.tick("gate");
        assert_eq!(servers(&world, healthy()), ["mcp-b"], "{status} {answer}");
    }
}

#[test]
fn a_key_without_effect_is_told_in_the_log_once() {
    let world = World::new();
    let wrong = [
        ("server.mcp-c.mode", "disabled"),
        ("server.mcp-a.mode", "broken"),
        ("server.mcp-a.mode", "FORCED_OPEN"),
        ("server.mcp-a.enabled", "50"),
        ("server.mcp-a.enabled", "no"),
        ("server.mcp-a.weight", "-1"),
        ("server.mcp-a.weight", "50"),
        ("server.mcp-a.mcp_enabled", "0"),
        ("server.mcp-a.wieght", "0"),
        ("server.mcp-c.reset", "1"),
        ("server.mcp-a", "disabled"),
        ("task.search.mcp_enabled", "x"),
        ("task.search.mode", "disabled"),
        ("task.search.reset", "1"),
        ("task.serach.mcp_enabled", "0"),
    ];
    let ignored = || world.metric("dualpath_runtime_ignored");
    for key in wrong {
        set(&world, &[key]);
        set(&world, &[key]);
        let told = format!("(no such key, value, server or task) dualpath.{}={}", key.0, key.1);
        assert_eq!(world.process.log().iter().filter(|(_, line)| line.contains(&told)).count(), 1, "{told}");
        assert_eq!(ignored(), 1, "{told}");
    }
    set(&world, &[wrong[0], wrong[1], ("server.mcp-b.mode", "normal")]);
    assert_eq!(ignored(), 2);
    set(&world, &[("server.mcp-b.mode", "normal")]);
    assert_eq!(ignored(), 0);
    assert_eq!(servers(&world, healthy()), ["mcp-a"]);
}

#[test]
fn a_call_costs_no_crossing_more_for_what_is_set() {
    let cost = |keys: &[(&str, &str)]| {
        let world = World::new();
        set(&world, keys);
        let call = || assert_eq!(world.play(exchange(&call_body("search", "1"), healthy())).reply().status(), 200);
        call();
        let tally = tally::of(call);
        (tally.entries, tally.host_calls(), tally.allocations)
    };
    assert_eq!(cost(&[("server.mcp-b.mode", "metrics_only"), ("task.write.mcp_enabled", "0")]), cost(&[]));
}
