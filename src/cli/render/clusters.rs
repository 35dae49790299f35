//! A cluster per server, with the attempt filter in its upstream chain.

use serde_json::{Map, Value, json};

use super::upstream::{REFUSES, by_name, http_options, ip, tls};
use super::wasm_plugin::{self, Placement};
use super::{credentials, discovery, drill, duration, metrics, sessions, size, socket_address};
use crate::registry::{Registry, Server};
use crate::wiring::cluster as name;

/// Concurrent connections, requests and retries that a server may have. Envoy's defaults (1024, and 3 retries) would
/// refuse failover just when many calls need it, and such a refusal is not retried. Lower it only to protect a server.
const CONCURRENCY: u32 = 16_384;

/// The clusters of all servers, in file order, each named by its server's id; and those of OAuth's discovery, the drill and sessions.
pub(super) fn clusters(registry: &Registry, wire: &Value) -> Vec<Value> {
    let servers = registry
        .servers
        .iter()
        .map(|server| cluster(server, server.id.as_str(), protocol_options(registry, wire, server)));
    let discovery = discovery::server(registry)
        .map(|server| cluster(server, name::DISCOVERY, http_options(Vec::new(), server.url.tls)));
    let secrets = credentials::keepers(registry, wire).into_iter().chain(credentials::clusters(registry));
    servers
        .chain(discovery)
        .chain(drill::cluster(registry, wire))
        .chain(sessions::cluster(registry))
        .chain(metrics::cluster(&registry.envoy))
        .chain(secrets)
        .collect()
}

fn cluster(server: &Server, name: &str, protocol_options: Value) -> Value {
    let mut cluster = Map::new();
    let mut put = |key: &str, value: Value| cluster.insert(key.to_owned(), value);
    put("name", json!(name));
    if ip(&server.url).is_some() {
        put("type", json!("STATIC"));
    } else {
        put("cluster_type", by_name());
    }
    put("connect_timeout", duration(server.connect_timeout));
    put("per_connection_buffer_limit_bytes", json!(size::CONNECTION));
    put("load_assignment", endpoints(server, name));
    if server.url.tls {
        put("transport_socket", tls(&server.url, server.ca_file.as_deref()));
    }
    put("circuit_breakers", circuit_breakers());
    // A server's health is the breaker's business: Envoy must neither guess nor spread calls over unhealthy hosts.
    put("common_lb_config", json!({"healthy_panic_threshold": {"value": 0}}));
    put(
        "upstream_connection_options",
        json!({"tcp_keepalive": {"keepalive_probes": 3, "keepalive_time": 30, "keepalive_interval": 10}}),
    );
    put("typed_extension_protocol_options", protocol_options);
    Value::Object(cluster)
}

/// The server, and for a name one address more, which is used only while the name has none: Envoy answers a request to
/// a cluster without hosts itself and never retries it, whereas a refused connection is failed over.
fn endpoints(server: &Server, name: &str) -> Value {
    let only = |host: &str, port| json!([{"endpoint": {"address": socket_address(host, port)}}]);
    let mut endpoints = vec![json!({"lb_endpoints": only(&server.url.host, server.url.port)})];
    if ip(&server.url).is_none() {
        endpoints.push(json!({"priority": 1, "lb_endpoints": only(REFUSES.0, REFUSES.1)}));
    }
    json!({"cluster_name": name, "endpoints": endpoints})
}

fn circuit_breakers() -> Value {
    json!({
        "thresholds": [{
            "max_connections": CONCURRENCY,
            "max_pending_requests": CONCURRENCY,
            "max_requests": CONCURRENCY,
            "max_retries": CONCURRENCY,
        }],
    })
}

/// Protocol and upstream filters: the secrets of both slots, the attempt, the codec.
fn protocol_options(registry: &Registry, wire: &Value, server: &Server) -> Value {
    let mut filters =
        server.credential.and_then(|at| registry.credential(at)).map(credentials::injectors).unwrap_or_default();
    filters.push(wasm_plugin::filter(registry, wire, Placement::Attempt(&server.id)));
    http_options(filters, server.url.tls)
}
