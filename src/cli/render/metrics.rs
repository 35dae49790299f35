//! Envoy's admin interface, and a listener that serves of it what scrapers and health checks need: two pages, to be read. A
//! third is the module's own.

use serde_json::{Value, json};

use super::extension::extension;
use super::wasm_plugin::{self, Placement};
use super::{local, socket_address};
use crate::call::ready::PAGE as READY;
use crate::registry::{Admin, EnvoySettings, ProberPlacement, Registry};
use crate::wiring::cluster;

/// The pages. Every other one of the admin interface may change or stop Envoy, or show its configuration.
const PAGES: [&str; 2] = ["/stats/prometheus", "/ready"];

/// Reading and writing for the owner of a file, and nothing for others.
const OWNER_ONLY: u32 = 0o600;

/// The `envoy.config.core.v3.Address` where Envoy opens its admin interface.
pub(super) fn admin(admin: &Admin) -> Value {
    match admin {
        Admin::Port(address, port) => socket_address(address, *port),
        Admin::Socket(path) => json!({"pipe": {"path": path, "mode": OWNER_ONLY}}),
    }
}

/// The listener, if the registry asks for it.
pub(super) fn listener(registry: &Registry, wire: &Value) -> Option<Value> {
    let (address, port) = registry.envoy.metrics.as_ref()?;
    let mut routes: Vec<_> = PAGES.into_iter().map(served).collect();
    routes.extend(PAGES.into_iter().map(|page| refused(json!({"path": page}))));
    // The module answers what is to be read there.
    routes.push(refused(json!({"path_separated_prefix": READY})));
    let manager = extension(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": "metrics",
            "use_remote_address": true,
            "common_http_protocol_options": {"idle_timeout": "60s"},
            "request_headers_timeout": "10s",
            "request_timeout": "10s",
            "route_config": {
                "name": "metrics",
                "virtual_hosts": [{"name": "metrics", "domains": ["*"], "routes": routes}],
            },
            "http_filters": [
                wasm_plugin::filter(registry, wire, Placement::Ready),
                extension(
                    "envoy.filters.http.router",
                    "envoy.extensions.filters.http.router.v3.Router",
                    json!({}),
                ),
            ],
        }),
    );
    Some(json!({
        "name": "metrics",
        "address": socket_address(address, *port),
        "per_connection_buffer_limit_bytes": 32_768,
        "filter_chains": [{"filters": [manager]}],
    }))
}

/// The cluster behind it, which the prober also asks for the runtime.
pub(super) fn cluster(envoy: &EnvoySettings) -> Option<Value> {
    if envoy.metrics.is_none() && envoy.prober == ProberPlacement::Off {
        return None;
    }
    let address = match &envoy.admin {
        Admin::Port(address, port) => socket_address(local(address), *port),
        Admin::Socket(path) => json!({"pipe": {"path": path}}),
    };
    Some(json!({
        "name": cluster::ADMIN,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": cluster::ADMIN,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }))
}

/// The route to a page.
fn served(page: &str) -> Value {
    json!({
        "match": {"path": page, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]},
        // A page of some megabytes takes a while.
        "route": {"cluster": cluster::ADMIN, "timeout": "30s"},
    })
}

/// What other methods get of a page.
fn refused(page: Value) -> Value {
    json!({
        "match": page,
        "direct_response": {"status": 405},
        "response_headers_to_add": [{"header": {"key": "allow", "value": "GET"}}],
    })
}
