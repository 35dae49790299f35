#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::{Value, json};

use super::*;
use crate::breaker::Counts;
use crate::failure::Class;
use crate::registry::Registry;
use crate::shared_data::{HostError, SetError, SharedData};

/// Nothing has happened yet.
struct Nothing;

impl SharedData for Nothing {
    fn get(&self, _: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
        Ok(None)
    }
    fn set(&self, _: &str, _: &[u8], _: u32) -> Result<(), SetError> {
        Err(SetError::Host)
    }
}

fn registry() -> Registry {
    let wire = json!({
        "version": 1,
        "credentials": [{"id": "pat", "slots": {"a": {"env": "PAT_A"}, "b": {"env": "PAT_B"}}}],
        "servers": [{"id": "one", "kind": "mcp", "url": "https://one.example", "credential": "pat"}],
    });
    Registry::from_wire(&wire).expect("a registry")
}

fn seen(registry: &Registry) -> ServerSeen<'_> {
    ServerSeen {
        server: &registry.servers[0],
        view: View {
            state: State::Closed,
            retry_after_ms: 0,
            admits: true,
            counts: Counts { ok: 42, fail: 3, slow: 1 },
        },
        mode: Mode::Normal,
        hand: Hand::default(),
        latency: Latency::read(&Nothing, "one"),
        probe: None,
        has_token: true,
    }
}

fn read(json: &str) -> Value {
    serde_json::from_str(json).expect("JSON")
}

#[test]
fn a_server_that_is_well_has_little_to_tell() {
    let registry = registry();
    let told = read(&seen(&registry).json(&Changes::default()));
    let expected = json!({
        "server": "one", "kind": "mcp", "tier": "primary", "state": "closed", "health": 93,
        "ok": 42, "failed": 3, "slow": 1, "window_ms": 10_000, "overrides": [],
    });
    assert_eq!(told, expected);
}

#[test]
fn a_server_that_is_out_tells_why_until_when_and_what_is_set() {
    let registry = registry();
    let view = View { state: State::Open, retry_after_ms: 3121, admits: false, counts: Counts::default() };
    let probe = Some(LastProbe { time_s: 1_795_000_000, has_failed: true, class: Class::Server });
    let hand = Hand::read(b"\x28one\n", "one", false);
    let out = ServerSeen { view, probe, hand, has_token: false, mode: Mode::ForcedOpen, ..seen(&registry) };
    let told = read(&out.json(&Changes::default()));
    assert_eq!((&told["state"], &told["probe_in_ms"], &told["health"]), (&json!("open"), &json!(3121), &json!(0)));
    assert_eq!(told["last_probe"], json!({"time_s": 1_795_000_000, "class": "server", "failed": true}));
    assert_eq!((&told["overrides"], &told["mode"]), (&json!(["forced_open", "drained"]), &json!("forced_open")));
    assert_eq!(told["has_token"], json!(false));
}

#[test]
fn a_slot_tells_its_days_and_its_fingerprint_and_an_unknown_one_that_it_is_not_sent() {
    let registry = registry();
    let told = read(&credential(&registry.credentials[0], None, &[], 0));
    let empty = |slot: &str| json!({"slot": slot, "sent": false});
    assert_eq!(told, json!({"credential": "pat", "severity": "unknown", "slots": [empty("a"), empty("b")]}));
}

#[test]
fn whatever_stands_in_a_name_the_whole_is_json() {
    let changes = Changes::default();
    let task = "a\"b\\c</script>\u{7}";
    let status = Status {
        now_s: 1_795_000_000,
        registry: 0xabc,
        switch: "50",
        mcp_enabled: true,
        tasks_off: &[task, "search", task],
        servers: &[],
        credentials: &[],
        changes: &changes,
    };
    let told = read(&status.json());
    assert_eq!(told["tasks_off"], json!([task, "search"]), "each once");
    assert_eq!((&told["registry"], &told["mcp_enabled"]), (&json!("0000000000000abc"), &json!("50")));
    assert_eq!((&told["time"], &told["version"]), (&json!("2026-11-18T11:06:40Z"), &json!(env!("CARGO_PKG_VERSION"))));
    assert_eq!(read(&Status { mcp_enabled: false, ..status }.json())["mcp_enabled"], json!("0"));
    assert_eq!(read(&Status { switch: "", ..status }.json()).get("mcp_enabled"), None, "nobody looks");
}
