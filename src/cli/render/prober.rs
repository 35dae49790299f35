//! The prober: the module once per process, on the main thread; or as a filter of the listener, in every worker.

use serde_json::{Value, json};

use super::extension::extension;
use super::wasm_plugin::{self, Role};
use crate::registry::{ProberPlacement, Registry};

/// The bootstrap extensions: the prober, if it runs there.
pub(super) fn extensions(registry: &Registry, wire: &Value) -> Vec<Value> {
    if registry.envoy.prober != ProberPlacement::Bootstrap {
        return Vec::new();
    }
    vec![extension(
        "envoy.bootstrap.wasm",
        "envoy.extensions.wasm.v3.WasmService",
        json!({"config": wasm_plugin::config(registry, wire, Role::Prober), "singleton": true}),
    )]
}

/// The listener's filters that are only there for the prober.
pub(super) fn filters(registry: &Registry, wire: &Value) -> Vec<Value> {
    if registry.envoy.prober != ProberPlacement::Listener {
        return Vec::new();
    }
    let mut filter = wasm_plugin::filter(registry, wire, Role::Prober);
    if let Value::Object(filter) = &mut filter {
        // It is to be configured, so that it lives and ticks. Requests have no business in it and pass it by.
        filter.insert("disabled".to_owned(), json!(true));
    }
    vec![filter]
}
