//! The way of what opens a session for a client that has lost its own: from an attempt to a listener inside this Envoy, and
//! from there to the cluster of the server, where another attempt adds the credential. An attempt must not enter its own VM,
//! as it would if it sent to that cluster itself.

use serde_json::{Value, json};

use super::internal;
use crate::registry::{Registry, ServerKind};
use crate::wiring::{cluster, header};

/// Whether there is a server that may have sessions.
pub(super) fn are_kept(registry: &Registry) -> bool {
    registry.servers.iter().any(|server| server.kind == ServerKind::Mcp)
}

/// The listener, if there may be sessions. Only this Envoy can reach it, and only the attempt filter sends there.
pub(super) fn listener(registry: &Registry) -> Option<Value> {
    let virtual_host = json!({
        "name": "sessions",
        "domains": ["*"],
        "request_headers_to_remove": [header::TO, "x-forwarded-proto"],
        "routes": [{
            "match": {"prefix": "/"},
            // The sender has a time limit of its own.
            "route": {"cluster_header": header::TO, "timeout": "0s"},
        }],
    });
    are_kept(registry).then(|| internal::listener(cluster::SESSIONS, virtual_host))
}

/// The cluster, if there may be sessions.
pub(super) fn cluster(registry: &Registry) -> Option<Value> {
    are_kept(registry).then(|| internal::cluster(cluster::SESSIONS, Vec::new()))
}
