//! Contestants under the configuration that Dualpath renders. Several share an Envoy: each has servers, credential and VM
//! of its own, by its name's suffix.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::plain::append;
use super::upstream::FAILING_PATH;
use crate::envoy::{StartError, render};
use crate::registry::Builder;

/// What registry: always a primary, a secondary and a REST server with one credential, an SDS file in slot a. The called
/// tool may be replayed and has no time limit of the client's.
#[derive(Debug, Clone, Copy)]
pub(super) enum Registry {
    /// Of this size; what is called comes last in it. The breaker has its defaults.
    Sized(Size),
    /// The called tool under two more names, whose primaries refuse connections and answer 503.
    Failing,
}

/// How many MCP servers and tools there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) servers: usize,
    pub(super) tools: usize,
}

/// What most have.
pub(super) const USUAL: Size = Size { servers: 2, tools: 10 };

/// Where everything is.
pub(super) struct Places<'p> {
    pub(super) upstream: SocketAddr,
    /// Connections to it are refused.
    pub(super) refusing: SocketAddr,
    /// The SDS file of the contestant's credential.
    pub(super) secret: &'p Path,
}

/// The id of the contestant's credential, and the name of the secret in its slot a.
pub(super) fn credential(name: &str) -> (String, String) {
    (format!("pat-{name}"), format!("pat-{name}-a"))
}

/// Adds a contestant to `bootstrap`; what there can only be one of comes from the first.
pub(super) fn add(
    bootstrap: &mut Value,
    name: &str,
    module: &Path,
    registry: Registry,
    places: &Places,
) -> Result<(), StartError> {
    let mut rendered = render(&builder(name, module, registry, places))?;
    own_vm(&mut rendered, name);
    let mut resources = rendered["static_resources"].take();
    let listener = &mut resources["listeners"][0];
    listener["name"] = json!(name);
    listener["address"]["socket_address"]["port_value"] = json!(0);
    merge(&mut bootstrap["static_resources"], resources);
    merge(bootstrap, rendered);
    Ok(())
}

/// What contestants have in common: it belongs to no server and no VM.
const SHARED: [&str; 3] = ["dualpath-sessions", "dualpath-admin", "envoy.bootstrap.internal_listener"];

/// Lists become longer; of anything else what is there stays.
fn merge(to: &mut Value, from: Value) {
    let Value::Object(from) = from else { return };
    for (key, value) in from {
        match value {
            Value::Array(mut items) => {
                let there: Vec<_> =
                    to[&key].as_array().into_iter().flatten().map(|item| item["name"].clone()).collect();
                items.retain(|item| {
                    !SHARED.iter().any(|shared| item["name"] == *shared) || !there.contains(&item["name"])
                });
                append(to, &key, items);
            }
            value if to[&key].is_null() => to[&key] = value,
            _ => {}
        }
    }
}

/// Gives every VM of a rendered bootstrap this id. Shared data and metrics' ids are per id, too.
fn own_vm(tree: &mut Value, id: &str) {
    match tree {
        Value::Array(items) => items.iter_mut().for_each(|item| own_vm(item, id)),
        Value::Object(fields) => {
            for (key, value) in fields {
                if key == "vm_id" {
                    *value = json!(id);
                } else {
                    own_vm(value, id);
                }
            }
        }
        _ => {}
    }
}

fn builder(name: &str, module: &Path, registry: Registry, places: &Places) -> Builder {
    let (credential, _) = credential(name);
    let id = |server: &str| format!("{server}-{name}");
    let url = |path: &str| format!("http://{}{path}", places.upstream);
    let mcp =
        |builder: Builder, server: &str, tier: &str, url: &str| builder.mcp(&id(server), tier, url, Some(&credential));
    let mut builder = Builder::new(module)
        .set("/listener/expose_headers", json!(false))
        .credential(&credential, json!({"a": {"sds_file": places.secret}}));
    if let Registry::Sized(size) = registry {
        for number in 3..=size.servers {
            builder = mcp(builder, &format!("spare-{number}"), "tertiary", &url("/mcp"));
        }
    }
    builder = mcp(builder, "primary", "primary", &url("/mcp"));
    builder = mcp(builder, "secondary", "secondary", &url("/mcp"));
    builder = builder.rest(&id("rest"), &url(""), Some(&credential));
    match registry {
        Registry::Sized(size) => {
            for number in 2..=size.tools {
                builder = builder.tool(tool(&format!("tool_{number}"), [id("primary"), id("secondary")], &id("rest")));
            }
        }
        Registry::Failing => {
            // Off, as far as a breaker can be: once it is open a call goes to the secondary at once, and there is no
            // failover to measure. Closed breakers cost the same whatever opens them.
            builder = builder
                .set("/breaker", json!({"consecutive": 0, "failure_rate": 1.0, "min_calls": 10_000, "window": "1s"}));
            builder = mcp(builder, "refusing", "primary", &format!("http://{}/mcp", places.refusing));
            builder = mcp(builder, "failing", "primary", &url(FAILING_PATH));
            builder = builder.tool(tool("search_refused", [id("refusing"), id("secondary")], &id("rest")));
            builder = builder.tool(tool("search_failed", [id("failing"), id("secondary")], &id("rest")));
        }
    }
    builder.tool(tool("search", [id("primary"), id("secondary")], &id("rest")))
}

fn tool(name: &str, servers: [String; 2], rest: &str) -> Value {
    json!({
        "name": name, "task": name, "replayable": true, "servers": servers,
        "description": "Finds documents.",
        "input_schema": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
        "rest": {"server": rest, "preset": "snowflake.search", "with": {"database": "D", "schema": "S", "service": "V"}},
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn two_contestants_share_a_bootstrap_without_sharing_a_name() {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let places = Places { upstream: addr, refusing: addr, secret: Path::new("/run/pat.json") };
        let mut bootstrap = json!({"admin": {"kept": true}});
        for (name, registry) in [("one", Registry::Sized(USUAL)), ("two", Registry::Failing)] {
            add(&mut bootstrap, name, Path::new("m.wasm"), registry, &places).unwrap_or_else(|error| panic!("{error}"));
        }
        let resources = &bootstrap["static_resources"];
        for list in ["listeners", "clusters"] {
            let items = resources[list].as_array().unwrap();
            let mut names: Vec<_> = items.iter().map(|item| item["name"].as_str().unwrap()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), items.len(), "{names:?}");
            let is_own = |name: &&str| SHARED.contains(name) || name.contains("one") != name.contains("two");
            assert!(names.iter().all(is_own), "{names:?}");
        }
        assert_eq!(bootstrap["admin"], json!({"kept": true}));
        let text = bootstrap.to_string();
        let ids = [r#""vm_id":"one""#, r#""vm_id":"two""#].map(|id| text.matches(id).count());
        assert!(ids.iter().all(|count| *count > 3) && !text.contains(r#""vm_id":"dualpath""#), "{ids:?}");
    }
}
