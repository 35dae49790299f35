//! The access log with the record of each call's credentials.

use serde_json::{Value, json};

use super::extension::extension;
use crate::registry::Registry;
use crate::wiring::state;

/// The connection manager's access logs. A record says which tokens a call was sent with, by their fingerprints; who the
/// caller was, as far as Envoy knows; and how to find the call elsewhere. It must name no header that carries a secret.
pub(super) fn access_log(registry: &Registry) -> Vec<Value> {
    let Some(path) = &registry.audit.access_log else { return Vec::new() };
    vec![extension(
        "envoy.access_loggers.file",
        "envoy.extensions.access_loggers.file.v3.FileAccessLog",
        json!({
            "path": path,
            "log_format": {
                "json_format": {
                    "audit": "call",
                    "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
                    "request_id": "%REQ(X-REQUEST-ID)%",
                    "trace_id": "%TRACE_ID%",
                    "traceparent": "%REQ(TRACEPARENT)%",
                    "caller": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
                    "caller_identity": "%DOWNSTREAM_PEER_URI_SAN%",
                    "status": "%RESPONSE_CODE%",
                    "duration_ms": "%DURATION%",
                    // A JSON array as text: what happened with the credentials of the call, in order.
                    "decisions": format!("%FILTER_STATE({}:PLAIN)%", state::in_envoy(state::AUDIT)),
                },
            },
        }),
    )]
}
