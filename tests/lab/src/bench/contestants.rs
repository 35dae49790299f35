//! What is compared: listeners with their clusters, all in front of the same server.

use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::upstream::FAILING_PATH;
use crate::registry::Builder;

/// The credential that every contestant but the bare proxy and the module without work puts into its requests.
const PAT: &str = "bench-pat-0123456789abcdef0123456789abcdef0123456789abcdef";
/// Environment variable with [`PAT`], for Dualpath.
const PAT_VARIABLE: &str = "BENCH_PAT";

/// Sets the header and reads both bodies: the least that anything must do that judges answers.
const LUA: &str = r#"
function envoy_on_request(handle)
  handle:headers():replace("authorization", "Bearer PAT")
  local size = handle:body():length()
end
function envoy_on_response(handle)
  local size = handle:body():length()
end
"#;

/// One way to stand between client and server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Contestant {
    /// A proxy without filters.
    Bare,
    /// The filters that Envoy brings: it reads the call, puts the credential in, and ejects a failing host.
    Native,
    /// A script that puts the credential in and reads the bodies.
    Lua,
    /// A module that does nothing, in both of Dualpath's placements.
    Noop,
    /// Dualpath, as it is rendered.
    Dualpath,
}

impl Contestant {
    pub(super) const ALL: [Contestant; 5] = [Self::Bare, Self::Native, Self::Lua, Self::Noop, Self::Dualpath];

    /// Its name, and that of its listener and cluster.
    pub(super) fn name(self) -> &'static str {
        match self {
            Contestant::Bare => "bare",
            Contestant::Native => "native",
            Contestant::Lua => "lua",
            Contestant::Noop => "noop",
            Contestant::Dualpath => "dualpath",
        }
    }

    /// One line for the table.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Contestant::Bare => "bare proxy",
            Contestant::Native => "native: mcp, credential_injector, outlier detection",
            Contestant::Lua => "Lua: sets a header, reads both bodies",
            Contestant::Noop => "no-op wasm, downstream and upstream",
            Contestant::Dualpath => "Dualpath, downstream and upstream",
        }
    }
}

/// Dualpath's registry: an endpoint whose tool has a primary, a secondary and a direct path, all well; and the same tool
/// under two more names, whose primaries refuse connections and answer 503.
pub(super) fn registry(module: &Path, upstream: SocketAddr, refusing: SocketAddr) -> Builder {
    let url = |path: &str| format!("http://{upstream}{path}");
    let tool = |name: &str, primary: &str| {
        json!({
            "name": name, "task": name, "replayable": true, "servers": [primary, "secondary"],
            "description": "Finds documents.", "input_schema": {"type": "object"},
            "rest": {"server": "rest", "preset": "snowflake.search", "with": {"database": "D", "schema": "S", "service": "V"}},
        })
    };
    Builder::new(module)
        // Off, as far as a breaker can be: once it is open a call goes to the secondary at once, and there is no failover
        // to measure. Closed breakers cost the same whatever opens them.
        .set("/breaker", json!({"consecutive": 0, "failure_rate": 1.0, "min_calls": 10_000, "window": "1s"}))
        .set("/listener/expose_headers", json!(false))
        .credential("pat", json!({"a": {"env": PAT_VARIABLE}}))
        .mcp("primary", "primary", &url("/mcp"), Some("pat"))
        .mcp("refusing", "primary", &format!("http://{refusing}/mcp"), Some("pat"))
        .mcp("failing", "primary", &url(FAILING_PATH), Some("pat"))
        .mcp("secondary", "secondary", &url("/mcp"), Some("pat"))
        .rest("rest", &url(""), Some("pat"))
        .tool(tool("search", "primary"))
        .tool(tool("search_refused", "refusing"))
        .tool(tool("search_failed", "failing"))
}

/// The environment that the registry's credential needs.
pub(super) fn environment() -> Vec<(String, String)> {
    vec![(PAT_VARIABLE.to_owned(), PAT.to_owned())]
}

/// Listener (on a free port) and cluster of a contestant other than Dualpath.
pub(super) fn configuration(contestant: Contestant, upstream: SocketAddr, noop: &Path) -> (Value, Value) {
    let mut filters = Vec::new();
    let mut upstream_filters = Vec::new();
    match contestant {
        Contestant::Bare | Contestant::Dualpath => {}
        Contestant::Native => {
            let mcp = json!({"traffic_mode": "PASS_THROUGH"});
            filters.push(filter("envoy.filters.http.mcp", "envoy.extensions.filters.http.mcp.v3.Mcp", mcp));
            upstream_filters.push(credential_injector());
        }
        Contestant::Lua => {
            let source = LUA.replace("PAT", PAT);
            let script = json!({"default_source_code": {"inline_string": source}});
            filters.push(filter("envoy.filters.http.lua", "envoy.extensions.filters.http.lua.v3.Lua", script));
        }
        Contestant::Noop => {
            filters.push(module_without_work(noop));
            upstream_filters.push(module_without_work(noop));
        }
    }
    let name = contestant.name();
    (listener(name, filters), cluster(contestant, upstream, upstream_filters))
}

fn listener(name: &str, mut filters: Vec<Value>) -> Value {
    filters.push(filter("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router", json!({})));
    let manager = json!({
        "stat_prefix": name,
        "route_config": {
            "virtual_hosts": [{
                "name": name, "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": name}}],
            }],
        },
        "http_filters": filters,
    });
    let type_name = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    json!({
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [filter("envoy.filters.network.http_connection_manager", type_name, manager)]}],
    })
}

fn cluster(contestant: Contestant, upstream: SocketAddr, mut filters: Vec<Value>) -> Value {
    let name = contestant.name();
    filters.push(filter(
        "envoy.filters.http.upstream_codec",
        "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
        json!({}),
    ));
    let address = json!({"address": upstream.ip().to_string(), "port_value": upstream.port()});
    let mut cluster = json!({
        "name": name,
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": address}}}]}],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {}},
                "http_filters": filters,
            },
        },
    });
    if contestant == Contestant::Native {
        cluster["outlier_detection"] = json!({"consecutive_5xx": 5, "max_ejection_percent": 100});
    }
    cluster
}

fn credential_injector() -> Value {
    let secret = json!({"credential": {"name": "pat"}, "header": "authorization", "header_value_prefix": "Bearer "});
    filter(
        "envoy.filters.http.credential_injector",
        "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
        json!({
            "overwrite": true,
            "credential": filter(
                "envoy.http.injected_credentials.generic",
                "envoy.extensions.http.injected_credentials.generic.v3.Generic",
                secret,
            ),
        }),
    )
}

/// The secret that the credential injector names.
pub(super) fn secret() -> Value {
    json!({"name": "pat", "generic_secret": {"secret": {"inline_string": PAT}}})
}

fn module_without_work(file: &Path) -> Value {
    filter(
        "noop",
        "envoy.extensions.filters.http.wasm.v3.Wasm",
        json!({"config": {
            "name": "noop",
            "root_id": "noop",
            "vm_config": {"vm_id": "noop", "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": file}}},
            "failure_policy": "FAIL_RELOAD",
            "allow_on_headers_stop_iteration": true,
        }}),
    )
}

fn filter(name: &str, type_name: &str, mut config: Value) -> Value {
    config["@type"] = json!(format!("type.googleapis.com/{type_name}"));
    json!({"name": name, "typed_config": config})
}
