//! The EnvoyProxy: Envoy of a version that can run Dualpath, and what its bootstrap lacks.

use serde_json::{Map, Value, json};

use super::VERSION;
use crate::cli::render::parts::Parts;
use crate::cli::render::target::mesh::{self, Options};
use crate::registry::Registry;

/// Envoy Gateway 1.9 would start Envoy 1.39.
const IMAGE: &str = "docker.io/envoyproxy/envoy:distroless-v1.40.0";

pub(super) fn resource(registry: &Registry, parts: &Parts, options: &Options) -> Value {
    let mut container = Map::new();
    container.insert("image".to_owned(), json!(IMAGE));
    let variables = mesh::variables(registry);
    if !variables.is_empty() {
        let of = |name: &str| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": options.name, "key": name}}});
        container.insert("env".to_owned(), variables.into_iter().map(of).collect());
    }
    json!({
        "apiVersion": VERSION,
        "kind": "EnvoyProxy",
        "metadata": options.metadata(&options.name),
        "spec": {
            "provider": {"type": "Kubernetes", "kubernetes": {"envoyDeployment": {"container": container}}},
            "bootstrap": {"type": "JSONPatch", "jsonPatches": bootstrap(parts)},
        },
    })
}

/// Envoy Gateway's bootstrap has tags and a layer of its own, and none of the others.
fn bootstrap(parts: &Parts) -> Vec<Value> {
    let add = |path: &str, value: &Value| json!({"op": "add", "path": path, "value": value});
    let mut patches = Vec::new();
    if !parts.bootstrap_extensions.is_empty() {
        patches.push(add("/bootstrap_extensions", &json!(parts.bootstrap_extensions)));
    }
    for (key, value) in parts.stats_config.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            ("stats_tags", Value::Array(tags)) => {
                patches.extend(tags.iter().map(|tag| add("/stats_config/stats_tags/-", tag)));
            }
            _ => patches.push(add(&format!("/stats_config/{key}"), value)),
        }
    }
    patches.extend(parts.layers.iter().map(|layer| add("/layered_runtime/layers/-", layer)));
    patches
}
