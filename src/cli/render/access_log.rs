//! The access logs of the listener that MCP clients connect to: the call log, and the older records of each call's credentials and
//! of each failover.

use serde_json::{Value, json};

use super::extension::extension;
use crate::registry::Registry;
use crate::wiring::state;

/// The connection manager's access logs. A record says which tokens a call was sent with, by their fingerprints; who the
/// caller was, as far as Envoy knows; and how to find the call elsewhere. It must name no header that carries a secret.
pub(super) fn logs(registry: &Registry) -> Vec<Value> {
    let calls = registry.log.calls.as_deref().map(call_log);
    let audit = registry.audit.access_log.as_deref().map(audit_log);
    calls.into_iter().chain(audit).chain(registry.failover.access_log.as_deref().map(failover_log)).collect()
}

/// A record of each call: what Envoy knows, all of it numbers, and the members that the module has left, which are JSON.
/// Requests for anything else than the endpoint leave none.
fn call_log(path: &str) -> Value {
    let members = state::in_envoy(state::CALL);
    let line = format!(
        "{{\"time\":\"%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%\",\"status\":%RESPONSE_CODE%,\"duration_ms\":%DURATION%,\"request_bytes\":%BYTES_RECEIVED%,\"response_bytes\":%BYTES_SENT%,%FILTER_STATE({members}:PLAIN)%}}\n"
    );
    only_with(&members, path, &line)
}

/// A record of each call that has a story. The story is JSON, and the rest of the line are numbers and an
/// address: nothing that would have to be escaped.
fn failover_log(path: &str) -> Value {
    let story = state::in_envoy(state::STORY);
    let line = format!(
        "{{\"failover\":%FILTER_STATE({story}:PLAIN)%,\"time\":\"%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%\",\"caller\":\"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%\",\"status\":%RESPONSE_CODE%,\"duration_ms\":%DURATION%}}\n"
    );
    only_with(&story, path, &line)
}

/// A log of the requests that have this filter state, in such lines.
fn only_with(state: &str, path: &str, line: &str) -> Value {
    let filter = extension(
        "envoy.access_loggers.extension_filters.cel",
        "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
        json!({"expression": format!("'{state}' in filter_state")}),
    );
    let mut log = extension(
        "envoy.access_loggers.file",
        "envoy.extensions.access_loggers.file.v3.FileAccessLog",
        json!({"path": path, "log_format": {"text_format_source": {"inline_string": line}}}),
    );
    if let Some(log) = log.as_object_mut() {
        log.insert("filter".to_owned(), json!({"extension_filter": filter}));
    }
    log
}

fn audit_log(path: &str) -> Value {
    extension(
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
    )
}
