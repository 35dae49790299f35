//! Gateways: the endpoint is a path of one host, in a listener of Istio's.

use serde_json::{Value, json};

use super::patch;
use crate::cli::render::parts::Parts;
use crate::cli::render::target::mesh::Options;
use crate::registry::Registry;

const CONTEXT: &str = "GATEWAY";
const MANAGER: &str = "envoy.filters.network.http_connection_manager";

pub(super) fn patches(registry: &Registry, parts: &Parts, options: &Options) -> Vec<Value> {
    let port = options.port.unwrap_or(registry.listener.port);
    let in_manager = |filter: Value| json!({"context": CONTEXT, "listener": {"portNumber": port, "filterChain": {"filter": filter}}});
    let mut patches = super::whole(CONTEXT, &parts.clusters, &parts.listeners);
    if !parts.access_log.is_empty() {
        // Lists are put behind what is there.
        let logs = json!({
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "access_log": parts.access_log,
            },
        });
        patches.push(patch("NETWORK_FILTER", in_manager(json!({"name": MANAGER})), "MERGE", &logs));
    }
    let router = json!({"name": MANAGER, "subFilter": {"name": "envoy.filters.http.router"}});
    let filters = parts.filters.iter();
    patches.extend(filters.map(|filter| patch("HTTP_FILTER", in_manager(router.clone()), "INSERT_BEFORE", filter)));
    // By the domain and not by the name, which Istio makes up of host and port. The last one in is the first.
    let host =
        json!({"context": CONTEXT, "routeConfiguration": {"portNumber": port, "vhost": {"domainName": options.host}}});
    let routes = parts.routes.iter().rev();
    patches.extend(routes.map(|route| patch("HTTP_ROUTE", host.clone(), "INSERT_FIRST", route)));
    patches
}
