//! Shares of calls and percentiles, which alerts and dashboards ask for again and again. Per `job`: one set of Envoys that serve
//! the same clients.

use serde_json::{Value, json};

/// The windows in which failed calls are counted, for alerts by burn rate.
pub(super) const WINDOWS: [&str; 7] = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"];

/// The name of the share of failed calls in a window.
pub(super) fn failed(window: &str) -> String {
    format!("dualpath:calls_failed:ratio_rate{window}")
}

/// The rules.
pub(super) fn rules() -> Vec<Value> {
    // What clients feel: no answer. A call that its client has given up says nothing, and neither does one that is turned away
    // for a mistake of its client's: nobody but that client can burn or mend it.
    let share = |window: &&str| {
        let rate = |status: &str| format!("sum by (job) (rate(cortex_calls_total{{status{status}}}[{window}]))");
        let counted = rate("!~\"cancelled|refused\"");
        json!({"record": failed(window), "expr": format!("{} / {counted}", rate("=\"failed\""))})
    };
    let mut rules: Vec<_> = WINDOWS.iter().map(share).collect();
    rules.push(json!({
        "record": "dualpath:calls_fallback:ratio_rate10m",
        "expr": "sum by (job) (rate(cortex_fallback_total[10m])) / sum by (job) (rate(cortex_calls_total[10m]))",
    }));
    rules.push(json!({
        "record": "dualpath:latency_ms:p95_5m",
        "expr": "histogram_quantile(0.95, sum by (job, le) (rate(cortex_latency_ms_bucket{mode!=\"gate\"}[5m])))",
    }));
    rules
}
