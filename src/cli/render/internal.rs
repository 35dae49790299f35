//! Listeners inside this Envoy, and the clusters that lead to them.

use serde_json::{Value, json};

use super::extension::extension;
use super::upstream::http_options;
use crate::registry::HttpVersion;

/// A listener inside this Envoy with one virtual host for everything.
pub(super) fn listener(name: &str, virtual_host: Value) -> Value {
    let manager = extension(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": name.strip_prefix("dualpath-").unwrap_or(name),
            // Nothing is added to what comes from this Envoy itself.
            "generate_request_id": false,
            "route_config": {"name": name, "virtual_hosts": [virtual_host]},
            "http_filters": [extension(
                "envoy.filters.http.router",
                "envoy.extensions.filters.http.router.v3.Router",
                json!({"suppress_envoy_headers": true}),
            )],
        }),
    );
    json!({"name": name, "internal_listener": {}, "filter_chains": [{"filters": [manager]}]})
}

/// The cluster that leads to the listener of the same name.
pub(super) fn cluster(name: &str, filters: Vec<Value>) -> Value {
    let address = json!({"envoy_internal_address": {"server_listener_name": name}});
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "typed_extension_protocol_options": http_options(filters, HttpVersion::Http1, false, json!({"idle_timeout": "60s"})),
    })
}

/// What makes listeners inside Envoy possible.
pub(super) fn bootstrap_extension() -> Value {
    extension(
        "envoy.bootstrap.internal_listener",
        "envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
        json!({}),
    )
}
