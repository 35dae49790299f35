//! Envoy's own part in the traces of calls: a span for each call and one for each attempt, told to a collector.

use serde_json::{Map, Value, json};

use super::extension::extension;
use super::upstream;
use crate::call::trace;
use crate::registry::{Registry, Tracing};
use crate::wiring::{cluster, state};

/// What an Envoy is told of that has a tracing of its own.
pub(super) const LEFT_OUT: &str = "tracing.otlp has no effect here: spans are told of by the tracing of the connection manager, which is not Dualpath's";

/// The connection manager's tracing, if the registry names a collector.
pub(super) fn tracing(registry: &Registry) -> Option<Value> {
    let settings = registry.tracing.as_ref().filter(|tracing| tracing.exports)?;
    let tags: Vec<_> = state::TAGS.iter().map(|(tag, name)| tag_of(tag, name)).collect();
    let mut told = Map::new();
    let mut put = |key: &str, value: Value| told.insert(key.to_owned(), value);
    put("provider", provider(settings));
    put("random_sampling", json!({"value": settings.sampling * 100.0}));
    put("spawn_upstream_span", json!(true));
    put("custom_tags", json!(tags));
    // The endpoint's path, and nothing of a query behind it: that is the client's.
    put("max_path_tag_length", json!(registry.listener.path.len()));
    if !settings.propagates {
        put("no_context_propagation", json!(true));
    }
    Some(Value::Object(told))
}

fn provider(settings: &Tracing) -> Value {
    extension(
        "envoy.tracers.opentelemetry",
        "envoy.config.trace.v3.OpenTelemetryConfig",
        json!({
            "grpc_service": {"envoy_grpc": {"cluster_name": cluster::TRACING}, "timeout": "2s"},
            "service_name": settings.service_name,
        }),
    )
}

/// An attribute with what the module has left; none where it has left nothing.
fn tag_of(tag: &str, name: &str) -> Value {
    json!({"tag": tag, "value": format!("%FILTER_STATE({}:PLAIN)%", state::in_envoy(name))})
}

/// The collector.
pub(super) fn cluster(registry: &Registry) -> Option<Value> {
    let url = registry.tracing.as_ref()?.otlp.as_ref()?;
    Some(upstream::plain(cluster::TRACING, url, true))
}

/// Request headers that no server may see.
pub(super) fn removed(registry: &Registry) -> &'static [&'static str] {
    let is_kept = registry.tracing.as_ref().is_none_or(|tracing| tracing.propagates);
    if is_kept { &[] } else { &[trace::PARENT, trace::STATE, "baggage"] }
}
