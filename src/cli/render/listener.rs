//! The listener that MCP clients connect to.

use serde_json::{Value, json};

use super::extension::extension;
use super::wasm_plugin::{self, Role};
use super::{audit, prober, routes, size, socket_address};
use crate::registry::Registry;

/// The listener with its connection manager: the gate, then the router; the prober, if it runs here.
pub(super) fn listener(registry: &Registry, wire: &Value) -> Value {
    json!({
        "name": "mcp",
        "address": socket_address(&registry.listener.address, registry.listener.port),
        // The gate holds a body until it has read the call; above this Envoy itself would refuse it.
        "per_connection_buffer_limit_bytes": size::connection_buffer(&registry.limits),
        // An event stream may be silent for long; this finds out that its client has gone.
        "tcp_keepalive": {"keepalive_probes": 3, "keepalive_time": 60, "keepalive_interval": 10},
        "filter_chains": [{"filters": [connection_manager(registry, wire)]}],
    })
}

fn connection_manager(registry: &Registry, wire: &Value) -> Value {
    let mut filters = prober::filters(registry, wire);
    filters.push(wasm_plugin::filter(registry, wire, Role::Gate));
    filters.push(extension(
        "envoy.filters.http.router",
        "envoy.extensions.filters.http.router.v3.Router",
        // Neither servers nor clients learn this Envoy's time limits and timings.
        json!({"suppress_envoy_headers": true}),
    ));
    extension(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": "mcp",
            "normalize_path": true,
            // Clients connect directly. With this Envoy takes none of them for internal, and so removes the
            // x-envoy-* headers with which a client could ask for more attempts or for retries of its own choice.
            "use_remote_address": true,
            // The addresses of this network's clients are no concern of the servers.
            "skip_xff_append": true,
            "request_headers_timeout": "10s",
            "request_timeout": "60s",
            "access_log": audit::access_log(registry),
            "route_config": routes::configuration(registry),
            "http_filters": filters,
        }),
    )
}
