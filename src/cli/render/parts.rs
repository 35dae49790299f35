//! All that Envoy needs to run a registry, by where in its configuration it goes.

use serde_json::{Value, json};

use super::{
    access_log, clusters, drill, internal, metrics, proxy, rate, routes, runtime, sessions, stats, status_page,
    wasm_plugin,
};
use crate::registry::Registry;

/// The parts. Every list is in an order that the registry alone decides.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Parts {
    /// Of the connection manager that clients reach: its filters right ahead of the router.
    pub filters: Vec<Value>,
    /// Of the virtual host: its first routes.
    pub routes: Vec<Value>,
    /// Of the connection manager: its access logs.
    pub access_log: Vec<Value>,
    /// Listeners beside the one that clients connect to: those inside Envoy, and those with the metrics and the status page.
    pub listeners: Vec<Value>,
    pub clusters: Vec<Value>,
    /// Of the bootstrap.
    pub bootstrap_extensions: Vec<Value>,
    /// Of the bootstrap: the runtime's layers, each above the one before.
    pub layers: Vec<Value>,
    /// Of the bootstrap.
    pub stats_config: Value,
}

impl Parts {
    /// The parts for `registry`, of which `wire` is the wire form.
    pub fn of(registry: &Registry, wire: &Value) -> Self {
        let inside =
            drill::listener(registry).into_iter().chain(sessions::listener(registry)).chain(proxy::listeners(registry));
        let mut bootstrap_extensions = wasm_plugin::bootstrap_probers(registry, wire);
        if registry.drill.is_some() || sessions::are_kept(registry) || proxy::are_used(registry) {
            bootstrap_extensions.push(internal::bootstrap_extension());
        }
        Parts {
            filters: wasm_plugin::of_listener(registry, wire).into_iter().chain(rate::filter(registry)).collect(),
            routes: routes::routes(registry),
            access_log: access_log::logs(registry),
            listeners: inside
                .chain(metrics::listener(registry, wire))
                .chain(status_page::listener(registry, wire))
                .collect(),
            clusters: clusters::clusters(registry, wire),
            bootstrap_extensions,
            layers: runtime::layers(&registry.envoy),
            stats_config: stats::config(),
        }
    }
}

/// What an Envoy calls itself.
pub(in crate::cli) fn node(registry: &Registry) -> Value {
    let mut node = json!({"id": "dualpath", "cluster": "dualpath"});
    if let (Some(node), Some(region)) = (node.as_object_mut(), &registry.envoy.region) {
        node.insert("locality".to_owned(), json!({"region": region}));
    }
    node
}
