//! Operators see which registry calls are served under.

use std::sync::Arc;

use dualpath::json::Value as Json;
use dualpath::registry::identity;
use serde_json::{Value, json};

use crate::fixture::{World, healthy, registry, start_with};
use crate::host::Process;

/// How operators see the registry that the plugins of the fixture are configured with.
fn shown(registry: &Value) -> String {
    identity::shown(identity::of(&Json::parse(&registry.to_string()).expect("JSON")))
}

fn told(process: &Process, registry: &Value) -> u64 {
    process.metric(&format!("dualpath_info.registry.{}.version.{}", shown(registry), env!("CARGO_PKG_VERSION")))
}

fn other() -> Value {
    let mut registry = registry();
    registry["servers"][0]["timeout"] = json!("7s");
    registry
}

/// What `work` comes to on a thread of its own, beside a worker under this registry that has ticked and then ends.
fn beside<T: Send>(process: &Arc<Process>, registry: &Value, work: impl FnOnce() -> T + Send) -> T {
    let on_its_own = || {
        let worker = start_with(process, registry);
        worker.tick("gate");
        std::thread::scope(|scope| scope.spawn(work).join().expect("no failure"))
    };
    std::thread::scope(|scope| scope.spawn(on_its_own).join().expect("no failure"))
}

#[test]
fn calls_are_served_under_the_registry_that_has_begun_last_until_it_ends() {
    let (first, second) = (registry(), other());
    let process = Process::new();
    let worker = start_with(&process, &first);
    assert_eq!(told(&process, &first), 0, "Envoy may only look whether it could be configured so");
    worker.tick("gate");
    assert_eq!(told(&process, &first), 1);
    let both = || [told(&process, &first), told(&process, &second)];
    beside(&process, &second, || {
        assert_eq!(both(), [1, 1], "the first has not seen it yet");
        beside(&process, &first, || ());
        assert_eq!(both(), [0, 1], "one that begins anew after a trap is not the newest");
        beside(&process, &second, || assert_eq!(both(), [0, 1], "a second worker"));
    });
    worker.tick("gate");
    assert_eq!(both(), [1, 0], "back before the first had gone");
    drop(worker);
    assert_eq!(both(), [0, 0]);
}

#[test]
fn a_worker_that_ends_takes_nothing_from_the_others_under_its_registry() {
    let world = World::new();
    world.worker.tick("gate");
    beside(&world.process, &registry(), || ());
    world.worker.tick("gate");
    assert_eq!(told(&world.process, &registry()), 1);
}

#[test]
fn an_answer_names_the_registry_where_operators_let_it() {
    for exposed in [true, false] {
        let mut registry = registry();
        registry["listener"]["expose_headers"] = json!(exposed);
        let world = World::under(&registry);
        let played = world.call("search", healthy());
        let named = played.reply().headers.get("x-dualpath-registry");
        assert_eq!(named, exposed.then(|| shown(&registry)));
    }
}
