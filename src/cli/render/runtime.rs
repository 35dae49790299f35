//! The kill switch: a runtime key that says what share of requests may go to MCP servers.

use serde_json::{Value, json};

/// Runtime key of the kill switch: percent of requests that may use MCP servers, 100 unless changed.
pub(super) const MCP_ENABLED: &str = "dualpath.mcp_enabled";

/// The runtime's layers: the default, and above it what the operator sets with `POST /runtime_modify`.
pub(super) fn layers() -> Value {
    json!({
        "layers": [
            {"name": "static", "static_layer": {MCP_ENABLED: 100}},
            // Without this layer Envoy refuses /runtime_modify.
            {"name": "admin", "admin_layer": {}},
        ],
    })
}

/// The condition of a route that is open to MCP servers.
pub(super) fn mcp_enabled() -> Value {
    json!({
        "default_value": {"numerator": 100, "denominator": "HUNDRED"},
        "runtime_key": MCP_ENABLED,
    })
}
