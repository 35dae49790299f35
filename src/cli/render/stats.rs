//! How Envoy is to take the filter's statistics.

use serde_json::{Value, json};

use crate::telemetry::label::VERSION;
use crate::telemetry::{ENVOY_PREFIX, LABELS, NAMESPACES, of};
use crate::wiring::cluster;

/// Upper bounds of the latency buckets, in milliseconds: from a breaker's quick refusal to an agent's minute.
const LATENCY_BUCKETS: [u32; 13] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000];

/// The bootstrap's `stats_config`: turns `.key.value` pairs in the filter's stat names into labels, and gives its
/// histogram buckets in milliseconds.
pub(super) fn config() -> Value {
    json!({
        "stats_tags": LABELS.map(|label| json!({"tag_name": label, "regex": pattern(label)})),
        "histogram_bucket_settings": [
            {"match": {"prefix": format!("{ENVOY_PREFIX}.{}", of::LATENCY.name)}, "buckets": LATENCY_BUCKETS},
        ],
        // Where the prober asks for tokens no server is, so every connection there fails, and that is no fault.
        "stats_matcher": {"exclusion_list": {"patterns": [{"prefix": format!("cluster.{}", cluster::credential(""))}]}},
    })
}

/// Matches the pair of `label` in names of this filter only: pairs follow the name, no value but the last holds a dot. Envoy
/// takes the first group out of the name and the second as the label's value.
fn pattern(label: &str) -> String {
    let namespaces = NAMESPACES.join("|");
    let value = if label == VERSION { ".+" } else { "[^.]+" };
    format!(r"^{ENVOY_PREFIX}\.(?:{namespaces})_[a-z_]+(?:\.[a-z]+\.[^.]+)*?(\.{label}\.({value}))")
}
