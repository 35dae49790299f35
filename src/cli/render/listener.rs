//! The listener that MCP clients connect to.

use serde_json::{Value, json};

use super::extension::extension;
use super::parts::Parts;
use super::{size, socket_address, tracing};
use crate::registry::Registry;

/// The listener with its connection manager: the gate, then the router; the prober, if it runs here.
pub(super) fn listener(registry: &Registry, parts: &Parts) -> Value {
    json!({
        "name": "mcp",
        "address": socket_address(&registry.listener.address, registry.listener.port),
        "per_connection_buffer_limit_bytes": size::CONNECTION,
        // An event stream may be silent for long; this finds out that its client has gone.
        "tcp_keepalive": {"keepalive_probes": 3, "keepalive_time": 60, "keepalive_interval": 10},
        "filter_chains": [{"filters": [connection_manager(registry, parts)]}],
    })
}

fn connection_manager(registry: &Registry, parts: &Parts) -> Value {
    let mut filters = parts.filters.clone();
    filters.push(extension("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router", json!({})));
    let mut manager = extension(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": "mcp",
            "normalize_path": true,
            // Clients connect directly, so what they write into x-forwarded-for is nobody's address.
            "use_remote_address": true,
            "request_headers_timeout": "10s",
            "request_timeout": "60s",
            "access_log": parts.access_log,
            "route_config": {
                "name": "mcp",
                // Paths other than the endpoint's get 404 from Envoy.
                "virtual_hosts": [{"name": "mcp", "domains": ["*"], "routes": parts.routes}],
            },
            "http_filters": filters,
        }),
    );
    let config = manager.get_mut("typed_config").and_then(Value::as_object_mut);
    if let (Some(tracing), Some(config)) = (tracing::tracing(registry), config) {
        config.insert("tracing".to_owned(), tracing);
    }
    manager
}
