//! What each place of the bootstrap gets of the registry.

use serde_json::{Value, json};
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::*;
use super::{full, reached_in_every_way, with};

/// 64 servers with 1000 tools; `rest`: half of the servers are REST servers, and every tool has a direct path.
fn large(rest: bool) -> Value {
    let servers = (0..64u16).map(|n| {
        let (kind, path) = if rest && n % 2 == 1 { ("rest", "") } else { ("mcp", "/mcp") };
        let tier = if n < 32 { "primary" } else { "secondary" };
        json!({"id": format!("server-{n}"), "kind": kind, "tier": tier, "url": format!("http://127.0.0.1:{}{path}", 10_000 + n),
            "credential": format!("pat-{}", n % 8)})
    });
    let credentials = (0..8).map(|n| {
        let mut headers = serde_json::Map::new();
        headers.insert(format!("x-token-type-{}", n % 3), json!("PAT"));
        json!({"id": format!("pat-{n}"), "headers": headers, "slots": {"a": {"sds_file": format!("/pat-{n}.yaml")}}})
    });
    let tools = (0..1000).map(|n| {
        let mut tool = json!({"name": format!("tool_{n}"), "task": "search", "description": "d".repeat(200),
            "timeout": "45s",
            "input_schema": {"type": "object", "properties": {"query": {"type": "string", "description": "x".repeat(200)}}}});
        if rest {
            tool["rest"] = json!({"server": format!("server-{}", n % 32 * 2 + 1), "method": "GET", "path": "/search"});
        }
        if n % 100 == 0 {
            tool["on"] = json!({"server": {"failover": "never"}});
            tool["servers"] = json!(["server-0", "server-2"]);
        }
        tool
    });
    let (servers, credentials, tools): (Vec<_>, Vec<_>, Vec<_>) =
        (servers.collect(), credentials.collect(), tools.collect());
    json!({"version": 1, "credentials": credentials, "servers": servers, "tools": tools})
}

/// Everything that a slice may be wrong in, for each place of the registry that `wire` is.
pub(crate) fn assert_slices_say_the_same(wire: &Value) {
    let registry = read(wire);
    for (at, server) in registry.indexed_servers() {
        let own = read(&slice::for_attempt(&registry, wire, at));
        assert_eq!(own.servers.len(), 1);
        same_server(&registry, &own, server);
        same_settings(&registry, &own);
        assert_eq!(own.drill, None, "whether a call is drilled is the gate's word");
        for tool in &registry.tools {
            let direct = tool.rest.as_ref().filter(|direct| direct.server == at);
            let judged = tool.mcp.contains(&at) && tool.on != crate::failure::Overrides::default();
            assert_eq!(own.tool(&tool.name).is_some(), direct.is_some() || judged, "{}", tool.name);
            let Some(found) = own.tool(&tool.name) else { continue };
            assert_eq!((&found.task, &found.on), (&tool.task, &tool.on));
            let mapping = |direct: &Direct| (direct.first, direct.mapping.clone());
            assert_eq!(found.rest.as_ref().map(mapping), direct.map(mapping));
        }
    }
    let all = read(&slice::for_prober(&registry, wire));
    let known = |registry: &Registry| registry.servers.iter().map(as_the_module_knows_it).collect::<Vec<_>>();
    assert_eq!(known(&all), known(&registry));
    assert_eq!(all.credentials, registry.credentials);
    assert_eq!(all.discovery, registry.discovery);
    let has_mcp = registry.servers.iter().any(|server| server.kind == ServerKind::Mcp);
    let tasks = |registry: &Registry| registry.tools.iter().map(|tool| tool.task.clone()).collect::<Vec<_>>();
    let (known, all_tasks) = (tasks(&all), tasks(&registry));
    assert!(all_tasks.iter().all(|task| known.contains(task) == has_mcp), "{known:?}");
    assert!(known.iter().enumerate().all(|(at, task)| !known[..at].contains(task)), "each once");
    same_settings(&registry, &all);
    for (at, credential) in (0..).map(CredentialIndex).zip(&registry.credentials) {
        let own = read(&slice::for_keeper(&registry, wire, at));
        assert_eq!(own.credentials, std::slice::from_ref(credential));
        let used = registry.servers.iter().any(|server| server.credential == Some(at));
        assert_eq!(own.servers[0].credential, used.then_some(CredentialIndex(0)));
    }
}

fn read(wire: &Value) -> Registry {
    Registry::from_wire(wire).unwrap_or_else(|problems| panic!("{}", problems[0]))
}

/// Without what is said of it for Envoy alone, and for the gate, which has the whole registry.
fn as_the_module_knows_it(server: &Server) -> Server {
    Server {
        most_calls: None,
        #[cfg(feature = "cli")]
        upstream: Upstream::of(server.kind),
        ..server.clone()
    }
}

fn same_server(whole: &Registry, part: &Registry, server: &Server) {
    let found = &part.servers[0];
    let credential =
        |registry: &Registry, server: &Server| server.credential.and_then(|at| registry.credential(at).cloned());
    assert_eq!(credential(part, found), credential(whole, server));
    let moved = Server { credential: server.credential, ..found.clone() };
    assert_eq!(as_the_module_knows_it(&moved), as_the_module_knows_it(server));
    assert_eq!(part.gets_client_authorization(found), whole.gets_client_authorization(server));
    assert_eq!(part.knows_only_clients(found), whole.knows_only_clients(server));
}

fn same_settings(whole: &Registry, part: &Registry) {
    assert_eq!(part.limits, whole.limits);
    assert_eq!(part.failure, whole.failure);
    assert_eq!(part.failover, whole.failover);
    assert_eq!(part.audit, whole.audit);
    assert_eq!(part.log, whole.log);
    assert_eq!(part.prices, whole.prices);
    assert_eq!(part.environment, whole.environment);
    assert_eq!(part.listener.client_authorization, whole.listener.client_authorization);
    assert_eq!(part.listener.allowed_tools, whole.listener.allowed_tools);
}

#[test]
fn no_slice_has_what_is_said_for_envoy_alone() {
    let (wire, registry) = (full(), read(&full()));
    let (_, first) =
        registry.server_by_id("first").map(|(at, _)| (at, slice::for_attempt(&registry, &wire, at))).unwrap();
    for slice in [first, slice::for_prober(&registry, &wire)] {
        for server in slice["servers"].as_array().unwrap() {
            assert!(slice::RENDERED.iter().all(|key| server.get(key).is_none()), "{server}");
        }
    }
}

#[test]
fn registries_are_told_apart_by_their_text() {
    assert_eq!(slice::identity(&full()), slice::identity(&full()));
    assert_ne!(slice::identity(&full()), slice::identity(&large(false)));
}

#[test]
fn every_place_gets_what_the_whole_registry_says_of_it() {
    let restricted = with(full(), "/listener/allowed_tools", json!(["s*"]));
    for wire in [full(), reached_in_every_way(), large(false), large(true), restricted] {
        assert_slices_say_the_same(&wire);
    }
}

#[test]
fn a_registry_without_mcp_has_slices_too() {
    let tool = json!({"name": "t", "task": "t", "on": {"server": {"failover": "never"}},
        "rest": {"server": "r", "method": "GET", "path": "/"}});
    let server = json!({"id": "r", "kind": "rest", "url": "http://127.0.0.1:1", "timeout": "1h"});
    assert_slices_say_the_same(&json!({"version": 1, "servers": [server], "tools": [tool]}));
}

#[test]
fn a_server_keeps_its_lease_although_the_slowest_tool_is_not_in_its_slice() {
    let wire = with(full(), "/tools/1", json!({"name": "sql", "task": "sql", "timeout": "1h"}));
    assert_slices_say_the_same(&wire);
    let registry = read(&wire);
    assert_eq!(read(&slice::for_prober(&registry, &wire)).servers[0].breaker.lease_ms, 3_601_000);
}

#[test]
fn all_attempts_together_get_little_more_than_the_registry_once() {
    let wire = large(false);
    let registry = read(&wire);
    let sizes = registry.indexed_servers().map(|(at, _)| slice::for_attempt(&registry, &wire, at).to_string().len());
    let sum: usize = sizes.sum();
    assert!(sum < 64 * 1024, "{sum} bytes for 64 MCP servers");
    let wire = large(true);
    let (registry, whole) = (read(&wire), wire.to_string().len());
    let sizes = registry.indexed_servers().map(|(at, _)| slice::for_attempt(&registry, &wire, at).to_string().len());
    let sum: usize = sizes.sum();
    assert!(sum < whole, "{sum} bytes of {whole}, where each tool has a direct path");
}
