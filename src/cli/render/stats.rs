//! How Envoy is to take the filter's statistics.

use serde_json::{Value, json};

use crate::telemetry::label::VERSION;
use crate::telemetry::{ENVOY_PREFIX, LABELS, NAMESPACES, of};
use crate::wiring::cluster;

/// Upper bounds of the latency buckets, in milliseconds: from a breaker's quick refusal to an agent's minute.
/// 400 is what an answer by an agent's model should take at most.
const LATENCY_BUCKETS: [u32; 14] = [5, 10, 25, 50, 100, 250, 400, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000];

/// Upper bounds of the buckets for sizes, in bytes: from a number to the longest answer that is held.
const SIZE_BUCKETS: [u32; 9] = [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216];

/// The bootstrap's `stats_config`: turns `.key.value` pairs in the filter's stat names into labels, and gives its
/// histogram buckets in milliseconds.
pub(super) fn config() -> Value {
    json!({
        "stats_tags": LABELS.map(|label| json!({"tag_name": label, "regex": pattern(label)})),
        "histogram_bucket_settings": [
            {"match": {"prefix": format!("{ENVOY_PREFIX}.{}", of::LATENCY.name)}, "buckets": LATENCY_BUCKETS},
            {"match": {"prefix": format!("{ENVOY_PREFIX}.{}", of::TOOL_LATENCY.name)}, "buckets": LATENCY_BUCKETS},
            {"match": {"prefix": format!("{ENVOY_PREFIX}.{}", of::TOOL_BYTES.name)}, "buckets": SIZE_BUCKETS},
        ],
        // Where the prober asks for tokens no server is, so every connection there fails, and that is no fault.
        "stats_matcher": {"exclusion_list": {"patterns": [{"prefix": format!("cluster.{}", cluster::credential(""))}]}},
    })
}

/// Upper bounds of the buckets that Envoy has for what no setting is about.
const ENVOYS_BUCKETS: [f64; 19] =
    [0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4, 3e5, 6e5, 1.8e6, 3.6e6];

/// The upper bounds of a histogram's buckets, in its own unit.
pub(in crate::cli) fn bounds(family: &str) -> Vec<f64> {
    let (stat, config) = (format!("{ENVOY_PREFIX}.{family}"), config());
    let settings = config.get("histogram_bucket_settings").and_then(Value::as_array);
    let is_about = |setting: &&Value| {
        setting.pointer("/match/prefix").and_then(Value::as_str).is_some_and(|prefix| stat.starts_with(prefix))
    };
    let found = settings.into_iter().flatten().find(is_about).and_then(|setting| setting.get("buckets")?.as_array());
    found.map_or_else(|| ENVOYS_BUCKETS.to_vec(), |buckets| buckets.iter().filter_map(Value::as_f64).collect())
}

/// Matches the pair of `label` in names of this filter only: pairs follow the name, no value but the last holds a dot. Envoy
/// takes the first group out of the name and the second as the label's value.
fn pattern(label: &str) -> String {
    let namespaces = NAMESPACES.join("|");
    let value = if label == VERSION { ".+" } else { "[^.]+" };
    format!(r"^{ENVOY_PREFIX}\.(?:{namespaces})_[a-z_]+(?:\.[a-z]+\.[^.]+)*?(\.{label}\.({value}))")
}
