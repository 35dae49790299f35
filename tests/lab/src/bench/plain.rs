//! The contestants that Dualpath has no hand in: a listener and a cluster each.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::contestants::{Kind, PAT};

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

/// Adds listener (on a free port) and cluster of the contestant `name` to `resources`, a bootstrap's static ones.
pub(super) fn add(resources: &mut Value, name: &str, kind: &Kind, upstream: SocketAddr) {
    let mut filters = Vec::new();
    let mut upstream_filters = Vec::new();
    match kind {
        Kind::Bare | Kind::Rendered(..) => {}
        Kind::Native => {
            let mcp = json!({"traffic_mode": "PASS_THROUGH"});
            filters.push(filter("envoy.filters.http.mcp", "envoy.extensions.filters.http.mcp.v3.Mcp", mcp));
            upstream_filters.push(credential_injector());
        }
        Kind::Lua => {
            let source = LUA.replace("PAT", PAT);
            let script = json!({"default_source_code": {"inline_string": source}});
            filters.push(filter("envoy.filters.http.lua", "envoy.extensions.filters.http.lua.v3.Lua", script));
        }
        Kind::Noop(module) => {
            filters.push(module_without_work(module));
            upstream_filters.push(module_without_work(module));
        }
    }
    let mut cluster = cluster(name, upstream, upstream_filters);
    if let Kind::Native = kind {
        cluster["outlier_detection"] = json!({"consecutive_5xx": 5, "max_ejection_percent": 100});
    }
    append(resources, "listeners", vec![listener(name, filters)]);
    append(resources, "clusters", vec![cluster]);
}

/// Adds to one of a bootstrap's lists.
pub(super) fn append(lists: &mut Value, list: &str, more: Vec<Value>) {
    match &mut lists[list] {
        Value::Array(items) => items.extend(more),
        missing => *missing = more.into(),
    }
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

fn cluster(name: &str, upstream: SocketAddr, mut filters: Vec<Value>) -> Value {
    filters.push(filter(
        "envoy.filters.http.upstream_codec",
        "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
        json!({}),
    ));
    let address = json!({"address": upstream.ip().to_string(), "port_value": upstream.port()});
    json!({
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
    })
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
