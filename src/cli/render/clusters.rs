//! A cluster per server, with the attempt filter in its upstream chain.

use serde_json::{Map, Value, json};

use super::upstream::{http_options, tls};
use super::wasm_plugin::{self, Placement};
use super::{credentials, discovery, drill, duration, endpoints, metrics, pool, proxy, sessions, size, tracing};
use crate::registry::{Registry, Server};
use crate::wiring::cluster as name;

/// The clusters of all servers, in file order, each named by its server's id; and those of OAuth's discovery, the drill and sessions.
pub(super) fn clusters(registry: &Registry, wire: &Value) -> Vec<Value> {
    let of = |server: &Server, name: &str, filters| cluster(registry, server, name, filters);
    let servers = registry.servers.iter().map(|server| of(server, server.id.as_str(), filters(registry, wire, server)));
    let discovery = discovery::server(registry).map(|server| of(server, name::DISCOVERY, Vec::new()));
    let secrets = credentials::keepers(registry, wire).into_iter().chain(credentials::clusters(registry));
    servers
        .chain(discovery)
        .chain(drill::cluster(registry, wire))
        .chain(sessions::cluster(registry))
        .chain(metrics::cluster(&registry.envoy))
        .chain(tracing::cluster(registry))
        .chain(proxy::clusters(registry))
        .chain(secrets)
        .collect()
}

fn cluster(registry: &Registry, server: &Server, name: &str, filters: Vec<Value>) -> Value {
    let upstream = &server.upstream;
    let mut cluster = Map::new();
    cluster.insert("name".to_owned(), json!(name));
    endpoints::put(&mut cluster, registry, server, name);
    cluster.insert("connect_timeout".to_owned(), duration(server.connect_timeout));
    cluster.insert("per_connection_buffer_limit_bytes".to_owned(), json!(size::CONNECTION));
    if server.url.tls {
        let own = name::client_certificate(server.id.as_str());
        let tls = tls(&server.url, server.ca_file.as_deref(), &upstream.tls, Some(&own));
        cluster.insert("transport_socket".to_owned(), tls);
    }
    pool::put(&mut cluster, server);
    let options = http_options(filters, upstream.http, server.url.tls, pool::http(&upstream.pool));
    cluster.insert("typed_extension_protocol_options".to_owned(), options);
    Value::Object(cluster)
}

/// Upstream filters: the secrets of both slots, the attempt.
fn filters(registry: &Registry, wire: &Value, server: &Server) -> Vec<Value> {
    let mut filters =
        server.credential.and_then(|at| registry.credential(at)).map(credentials::injectors).unwrap_or_default();
    filters.push(wasm_plugin::filter(registry, wire, Placement::Attempt(&server.id)));
    filters
}
