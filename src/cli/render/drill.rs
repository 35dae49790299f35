//! The drill: a cluster that stands for any server, and behind it a listener inside this Envoy that answers everything
//! with an error. What the error is taken for, the filter on the cluster decides.

use serde_json::{Value, json};

use super::extension::extension;
use super::upstream::http_options;
use super::wasm_plugin::{self, Placement};
use crate::registry::Registry;
use crate::wiring::cluster;

/// The listener, if drills are on.
pub(super) fn listener(registry: &Registry) -> Option<Value> {
    registry.drill.as_ref()?;
    let manager = json!({
        "stat_prefix": "drill",
        "route_config": {
            "name": "drill",
            "virtual_hosts": [{
                "name": "drill",
                "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 503}}],
            }],
        },
        "http_filters": [extension(
            "envoy.filters.http.router",
            "envoy.extensions.filters.http.router.v3.Router",
            json!({}),
        )],
    });
    let manager = extension(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        manager,
    );
    Some(json!({"name": cluster::DRILL, "internal_listener": {}, "filter_chains": [{"filters": [manager]}]}))
}

/// The cluster, if drills are on.
pub(super) fn cluster(registry: &Registry, wire: &Value) -> Option<Value> {
    registry.drill.as_ref()?;
    let address = json!({"envoy_internal_address": {"server_listener_name": cluster::DRILL}});
    Some(json!({
        "name": cluster::DRILL,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": cluster::DRILL,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "typed_extension_protocol_options": http_options(vec![wasm_plugin::filter(registry, wire, Placement::Drill)], false),
    }))
}

/// What makes listeners inside Envoy possible, if drills are on.
pub(super) fn bootstrap_extension(registry: &Registry) -> Option<Value> {
    registry.drill.as_ref()?;
    Some(extension(
        "envoy.bootstrap.internal_listener",
        "envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
        json!({}),
    ))
}
