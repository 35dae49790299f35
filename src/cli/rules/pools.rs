//! The metrics of connection pools, of what Envoy counts per cluster.

use serde_json::{Value, json};

use super::ids;
use crate::registry::{Registry, ServerKind};

/// Over so much time a wait is averaged.
const WINDOW: &str = "5m";

/// The rules of both kinds of server.
pub(super) fn rules(registry: &Registry) -> Vec<Value> {
    let modes = [("mcp", ServerKind::Mcp), ("direct", ServerKind::Rest)];
    modes.into_iter().flat_map(|(mode, kind)| of_kind(mode, &ids(registry, kind))).collect()
}

/// The rules for these servers; none if there are none. No name of a server has a character that means something in a pattern.
fn of_kind(mode: &str, servers: &[&str]) -> Vec<Value> {
    if servers.is_empty() {
        return Vec::new();
    }
    let of = |stat: &str| format!("envoy_cluster_{stat}{{envoy_cluster_name=~\"{}\"}}", servers.join("|"));
    let sum = |expression: String| format!("sum without (envoy_cluster_name) ({expression})");
    let (connections, calls) = (of("upstream_cx_active"), of("upstream_rq_active"));
    let (pending, began) = (of("upstream_rq_pending_active"), of("upstream_rq_total"));
    let rule = |name: &str, expression: String| json!({"record": format!("snowflake_pool_{name}"), "expr": expression, "labels": {"mode": mode}});
    // By Little's law the mean wait is the mean number of those who wait by the rate at which they come.
    let waiting = sum(format!("avg_over_time({pending}[{WINDOW}])"));
    let coming = sum(format!("rate({began}[{WINDOW}])"));
    vec![
        rule("size", sum(connections.clone())),
        // Over HTTP/2 several calls may share a connection: at most as many are in use as there are, or as there are calls.
        rule("in_use", sum(format!("({connections} < {calls}) or {calls}"))),
        rule("pending", sum(pending)),
        rule("wait_seconds", format!("{waiting} / ({coming} > 0)")),
    ]
}
