//! The drill: a cluster that stands for any server, and behind it a listener inside this Envoy that answers everything
//! with an error. What the error is taken for, the filter on the cluster decides.

use serde_json::{Value, json};

use super::internal;
use super::wasm_plugin::{self, Placement};
use crate::registry::Registry;
use crate::wiring::cluster;

/// The listener, if drills are on.
pub(super) fn listener(registry: &Registry) -> Option<Value> {
    registry.drill.as_ref()?;
    let route = json!({"match": {"prefix": "/"}, "direct_response": {"status": 503}});
    Some(internal::listener(cluster::DRILL, json!({"name": "drill", "domains": ["*"], "routes": [route]})))
}

/// The cluster, if drills are on.
pub(super) fn cluster(registry: &Registry, wire: &Value) -> Option<Value> {
    registry.drill.as_ref()?;
    Some(internal::cluster(cluster::DRILL, vec![wasm_plugin::filter(registry, wire, Placement::Drill)]))
}
