//! The prober: the module once per process, on the main thread.

use serde_json::{Value, json};

use super::extension::extension;
use super::wasm_plugin::{self, Role};
use crate::registry::Registry;

/// The bootstrap extension that runs the prober.
pub(super) fn extension_of(registry: &Registry, wire: &Value) -> Value {
    extension(
        "envoy.bootstrap.wasm",
        "envoy.extensions.wasm.v3.WasmService",
        json!({"config": wasm_plugin::config(registry, wire, Role::Prober), "singleton": true}),
    )
}
