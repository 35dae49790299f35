//! What one place of the bootstrap needs of the registry, as a registry of its own: each place reads its own copy of the
//! text, and a cluster that read the whole would make the start as slow, and as large, as there are clusters.
//!
//! Servers, credentials and tools that a slice has are what they are in the whole; only their positions differ. So a name
//! means the same in both, an index doesn't.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

pub use super::identity::{of as identity, shown};
pub use super::read::RENDERED;
use super::{CredentialIndex, Registry, Server, ServerIndex, ServerKind};
use crate::wire::show_duration;

/// The sections that every attempt reads, besides what the listener says of clients' authorization
/// and of their tools.
const COMMON: [&str; 9] =
    ["version", "limits", "failure", "failover", "breaker", "audit", "log", "prices", "environment"];

/// What a tool says of outcomes, as it is called and as it was called before.
const OUTCOMES: [&str; 2] = ["outcomes", "on"];

/// What the attempts at one server need: the server, its credential, the tools that it answers without MCP, and those whose
/// calls it must judge differently. `wire` is what `registry` was read from.
pub fn for_attempt(registry: &Registry, wire: &Value, server: ServerIndex) -> Value {
    let [now, before] = OUTCOMES;
    let mut slice = common(wire);
    let own = registry.server(server).and_then(|server| server.credential);
    slice.insert("credentials".to_owned(), credential(wire, own));
    slice.insert("servers".to_owned(), servers(registry, wire, |at| at == server));
    let tools = registry.tools.iter().zip(entries(wire, "tools")).filter_map(|(tool, wire)| {
        let direct = tool.rest.as_ref().is_some_and(|direct| direct.server == server);
        let judged = tool.mcp.contains(&server) && OUTCOMES.iter().any(|key| wire.get(key).is_some());
        // A direct path's tool names no server but that one; any other is left with all MCP servers of the slice: this one.
        match (direct, judged) {
            (true, _) => {
                Some(with(picked(wire, &["name", "task", now, before, "idempotency", "rest"]), "servers", json!([])))
            }
            (false, true) => Some(picked(wire, &["name", "task", now, before])),
            (false, false) => None,
        }
    });
    slice.insert("tools".to_owned(), tools.collect());
    slice.into()
}

/// What the prober needs: everything but the tools, of which it needs the tasks, to know a runtime key that names none. Where no
/// server speaks MCP no such key does anything, and a tool with neither MCP nor a direct path would be refused.
pub fn for_prober(registry: &Registry, wire: &Value) -> Value {
    let mut slice = common(wire);
    copy(wire, &mut slice, "credentials");
    copy(wire, &mut slice, "discovery");
    slice.insert("servers".to_owned(), servers(registry, wire, |_| true));
    if registry.servers.iter().any(|server| server.kind == ServerKind::Mcp) {
        let mut tasks = BTreeSet::new();
        let tools = registry.tools.iter().zip(entries(wire, "tools"));
        let of_each =
            tools.filter(|(tool, _)| tasks.insert(&tool.task)).map(|(_, wire)| picked(wire, &["name", "task"]));
        slice.insert("tools".to_owned(), of_each.collect());
    }
    slice.into()
}

/// What the keeper of one credential needs: the credential, and a server that uses it.
pub fn for_keeper(registry: &Registry, wire: &Value, credential: CredentialIndex) -> Value {
    let mut slice = Map::new();
    copy(wire, &mut slice, "version");
    copy(wire, &mut slice, "environment");
    slice.insert("credentials".to_owned(), self::credential(wire, Some(credential)));
    let user = registry.indexed_servers().find(|(_, server)| server.credential == Some(credential)).map(|(at, _)| at);
    // A registry has a server in any case; one that does not use the credential must not name another.
    let keys: &[&str] = if user.is_some() { &["id", "kind", "url", "credential"] } else { &["id", "kind", "url"] };
    let server = entries(wire, "servers").get(usize::from(user.unwrap_or(ServerIndex(0)).0));
    slice.insert("servers".to_owned(), server.map(|server| picked(server, keys)).into_iter().collect());
    slice.into()
}

fn common(wire: &Value) -> Map<String, Value> {
    let mut slice = Map::new();
    for section in COMMON {
        copy(wire, &mut slice, section);
    }
    let listener = wire.get("listener").map(|listener| picked(listener, &["client_authorization", "allowed_tools"]));
    if let Some(listener) = listener.filter(|listener| *listener != json!({})) {
        slice.insert("listener".to_owned(), listener);
    }
    slice
}

/// The servers that are wanted, each with the lease that the whole registry gives it: the slowest of all tools decides.
fn servers(registry: &Registry, wire: &Value, wanted: impl Fn(ServerIndex) -> bool) -> Value {
    let all = registry.indexed_servers().zip(entries(wire, "servers"));
    all.filter(|((at, _), _)| wanted(*at)).map(|((_, server), wire)| for_module(server, wire)).collect()
}

/// A server without what is said of it for Envoy alone, with its lease.
fn for_module(server: &Server, wire: &Value) -> Value {
    let lease = show_duration(std::time::Duration::from_millis(server.breaker.lease_ms));
    let breaker = wire.get("breaker").cloned().unwrap_or_else(|| json!({}));
    let mut wire = wire.clone();
    if let Some(map) = wire.as_object_mut() {
        map.retain(|key, _| !RENDERED.contains(&key.as_str()));
    }
    with(wire, "breaker", with(breaker, "lease", lease.into()))
}

fn credential(wire: &Value, own: Option<CredentialIndex>) -> Value {
    let own = own.and_then(|own| entries(wire, "credentials").get(usize::from(own.0)));
    own.cloned().into_iter().collect()
}

fn entries<'w>(wire: &'w Value, section: &str) -> &'w [Value] {
    wire.get(section).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn copy(wire: &Value, slice: &mut Map<String, Value>, section: &str) {
    if let Some(value) = wire.get(section) {
        slice.insert(section.to_owned(), value.clone());
    }
}

fn picked(wire: &Value, keys: &[&str]) -> Value {
    let mut picked = Map::new();
    for key in keys {
        copy(wire, &mut picked, key);
    }
    picked.into()
}

fn with(mut wire: Value, key: &str, value: Value) -> Value {
    if let Some(map) = wire.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
    wire
}
