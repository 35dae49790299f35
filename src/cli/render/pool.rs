//! The connections to a server: how many, how old, and how long one is kept that nobody needs.

use serde_json::{Map, Value, json};

use super::duration;
use crate::registry::{Pool, Server};

/// What a cluster has for its connections, besides the options of HTTP.
pub(super) fn put(cluster: &mut Map<String, Value>, server: &Server) {
    let pool = &server.upstream.pool;
    cluster.insert("circuit_breakers".to_owned(), circuit_breakers(pool));
    if pool.preconnect > 1.0 {
        let ratio = json!({"per_upstream_preconnect_ratio": pool.preconnect});
        cluster.insert("preconnect_policy".to_owned(), ratio);
    }
    // Through a proxy the connection is one inside this Envoy.
    if server.upstream.proxy.is_none() && !pool.keepalive.is_zero() {
        cluster.insert("upstream_connection_options".to_owned(), keepalive(pool));
    }
}

/// The limits of a pool as Envoy has them, over all workers.
pub(super) fn circuit_breakers(pool: &Pool) -> Value {
    json!({
        "thresholds": [{
            "max_connections": pool.connections,
            "max_pending_requests": pool.pending,
            "max_requests": pool.requests,
            "max_retries": pool.retries,
        }],
    })
}

/// Finds out that the other side is gone, where nothing is sent for long.
pub(super) fn keepalive(pool: &Pool) -> Value {
    json!({"tcp_keepalive": {"keepalive_probes": 3, "keepalive_time": pool.keepalive.as_secs(), "keepalive_interval": 10}})
}

/// An `envoy.config.core.v3.HttpProtocolOptions`.
pub(super) fn http(pool: &Pool) -> Value {
    let mut options = Map::new();
    options.insert("idle_timeout".to_owned(), duration(pool.idle));
    if !pool.lifetime.is_zero() {
        options.insert("max_connection_duration".to_owned(), duration(pool.lifetime));
    }
    if pool.requests_per_connection > 0 {
        options.insert("max_requests_per_connection".to_owned(), json!(pool.requests_per_connection));
    }
    Value::Object(options)
}
