//! The way through a forward proxy: a listener inside this Envoy for each endpoint, which has the proxy open a tunnel (CONNECT)
//! to it, and the cluster of the proxy. Names of endpoints are resolved by the proxy; TLS goes through the tunnel, so the proxy
//! sees neither calls nor credentials. A tunnel that can't be opened is a connection that was not made.

use serde_json::{Map, Value, json};

use super::extension::extension;
use super::{pool, upstream};
use crate::registry::{Registry, Server};
use crate::wiring::cluster;

/// Whether any server is reached so.
pub(super) fn are_used(registry: &Registry) -> bool {
    registry.servers.iter().any(|server| server.upstream.proxy.is_some())
}

/// The listeners, one for each endpoint behind a proxy.
pub(super) fn listeners(registry: &Registry) -> Vec<Value> {
    let behind = registry.servers.iter().filter(|server| server.upstream.proxy.is_some());
    behind.flat_map(|server| (0..server.endpoints().len()).filter_map(|number| listener(server, number))).collect()
}

/// The clusters of the proxies, one for each server behind one.
pub(super) fn clusters(registry: &Registry) -> Vec<Value> {
    let of = |server: &Server| {
        let proxy = server.upstream.proxy.as_ref()?;
        let name = cluster::proxy(server.id.as_str());
        let mut cluster = upstream::plain(&name, proxy, false);
        if let Some(cluster) = cluster.as_object_mut() {
            put_pool(cluster, server);
        }
        Some(cluster)
    };
    registry.servers.iter().filter_map(of).collect()
}

/// A tunnel is a connection to the proxy, and the limits are those of the connections that go through tunnels.
fn put_pool(cluster: &mut Map<String, Value>, server: &Server) {
    let pool = &server.upstream.pool;
    let mut limits = *pool;
    (limits.pending, limits.requests) = (limits.connections, limits.connections);
    cluster.insert("circuit_breakers".to_owned(), pool::circuit_breakers(&limits));
    cluster.insert("connect_timeout".to_owned(), super::duration(server.connect_timeout));
    if !pool.keepalive.is_zero() {
        cluster.insert("upstream_connection_options".to_owned(), pool::keepalive(pool));
    }
}

/// The address of the listener that leads to the endpoint of this number.
pub(super) fn address(server: &Server, number: usize) -> Value {
    json!({"envoy_internal_address": {"server_listener_name": name(server, number)}})
}

fn name(server: &Server, number: usize) -> String {
    format!("{}-{number}", cluster::proxy(server.id.as_str()))
}

fn listener(server: &Server, number: usize) -> Option<Value> {
    let endpoints = server.endpoints();
    let at = endpoints.get(number)?;
    let host = if at.host.contains(':') { format!("[{}]", at.host) } else { at.host.clone() };
    let tunnel = extension(
        "envoy.filters.network.tcp_proxy",
        "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        json!({
            "stat_prefix": format!("proxy-{}", server.id),
            "cluster": cluster::proxy(server.id.as_str()),
            "tunneling_config": {"hostname": format!("{host}:{}", at.port)},
        }),
    );
    Some(json!({
        "name": name(server, number),
        "internal_listener": {},
        "filter_chains": [{"filters": [tunnel]}],
    }))
}
