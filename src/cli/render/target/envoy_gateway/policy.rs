//! The EnvoyPatchPolicy.

use serde_json::{Map, Value, json};

use super::VERSION;
use crate::cli::render::parts::Parts;
use crate::cli::render::target::mesh::Options;

const CLUSTER: &str = "envoy.config.cluster.v3.Cluster";
const LISTENER: &str = "envoy.config.listener.v3.Listener";
const ROUTES: &str = "envoy.config.route.v3.RouteConfiguration";

/// The connection managers of a listener: a plain one has one, one with TLS may have several.
const MANAGERS: &str = r#"$..filters[?(@.name=="envoy.filters.network.http_connection_manager")].typed_config"#;

pub(super) fn resource(parts: &Parts, options: &Options) -> Value {
    json!({
        "apiVersion": VERSION,
        "kind": "EnvoyPatchPolicy",
        "metadata": options.metadata(&options.name),
        "spec": {
            "targetRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": options.gateway},
            "type": "JSONPatch",
            "jsonPatches": patches(parts, options),
        },
    })
}

/// Clusters first: a patch that fails leaves the others in place, and a route must not lead nowhere.
fn patches(parts: &Parts, options: &Options) -> Vec<Value> {
    let namespace = options.namespace.as_deref().unwrap_or_default();
    let usual = format!("{namespace}/{}/{}", options.gateway, options.section);
    let listener = options.xds_listener.as_ref().unwrap_or(&usual);
    let routes = options.xds_routes.as_ref().unwrap_or(listener);

    let whole = |kind: &'static str| {
        move |value: &Value| patch(kind, value["name"].as_str().unwrap_or_default(), None, "", value)
    };
    let mut patches: Vec<_> = parts.clusters.iter().map(whole(CLUSTER)).collect();
    patches.extend(parts.listeners.iter().map(whole(LISTENER)));
    let before_router = format!(r#"{MANAGERS}.http_filters[?(@.name=="envoy.filters.http.router")]"#);
    patches.extend(parts.filters.iter().map(|filter| patch(LISTENER, listener, Some(&before_router), "", filter)));
    patches.extend(parts.access_log.iter().map(|log| patch(LISTENER, listener, Some(MANAGERS), "access_log/0", log)));
    // By the domain: another host's routes may stand first. The last one in is the first.
    let host = format!(r#"$.virtual_hosts[?(@.domains[0]=="{}")]"#, options.host);
    patches.extend(parts.routes.iter().rev().map(|route| patch(ROUTES, routes, Some(&host), "routes/0", route)));
    patches
}

/// Adds a value to the resource of this kind and name; without any place it is the resource.
fn patch(kind: &str, name: &str, json_path: Option<&str>, path: &str, value: &Value) -> Value {
    let mut operation = Map::new();
    operation.insert("op".to_owned(), json!("add"));
    if let Some(json_path) = json_path {
        operation.insert("jsonPath".to_owned(), json!(json_path));
    }
    if json_path.is_none() || !path.is_empty() {
        operation.insert("path".to_owned(), json!(path));
    }
    operation.insert("value".to_owned(), value.clone());
    json!({"type": format!("type.googleapis.com/{kind}"), "name": name, "operation": operation})
}
