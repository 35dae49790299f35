//! Sidecars: the endpoint is a listener of its own.

use serde_json::Value;

use crate::cli::render::listener;
use crate::cli::render::parts::Parts;
use crate::registry::Registry;

/// Only what the agent sends out comes here.
const CONTEXT: &str = "SIDECAR_OUTBOUND";

pub(super) fn patches(registry: &Registry, parts: &Parts) -> Vec<Value> {
    let listeners: Vec<_> =
        std::iter::once(listener::listener(registry, parts)).chain(parts.listeners.iter().cloned()).collect();
    super::whole(CONTEXT, &parts.clusters, &listeners)
}
