//! The kill switch: a runtime key that says what share of requests may go to MCP servers.

use serde_json::{Value, json};

use crate::registry::EnvoySettings;

pub(in crate::cli) use crate::runtime::MCP_ENABLED;

/// The runtime's layers, each above the one before: the default, the operator's files, and what the operator sets with `POST
/// /runtime_modify`.
pub(super) fn layers(envoy: &EnvoySettings) -> Vec<Value> {
    let mut layers = vec![json!({"name": "static", "static_layer": {MCP_ENABLED: 100}})];
    layers.extend(
        envoy.runtime_files.as_ref().map(|link| json!({"name": "files", "disk_layer": {"symlink_root": link}})),
    );
    // Without this layer Envoy refuses /runtime_modify.
    layers.push(json!({"name": "admin", "admin_layer": {}}));
    layers
}

/// The condition of a route that is open to MCP servers.
pub(super) fn mcp_enabled() -> Value {
    json!({
        "default_value": {"numerator": 100, "denominator": "HUNDRED"},
        "runtime_key": MCP_ENABLED,
    })
}
