//! What a failed-over call takes longer. Healthy and failing calls alternate on one connection, with nothing else to do,
//! so that the difference is the failover's and not the load's.

use serde::Serialize;

use super::contestants::FAILING;
use super::load::{Caller, Failure, call_of};
use super::setup::Running;
use super::statistics::{Estimate, estimate, median, percentile};
use crate::metrics::Metrics;

/// Latencies of one kind of call.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Latency {
    pub(super) what: &'static str,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// What a call took longer than the healthy one next to it: the median of that.
    pub(super) added_ms: Estimate,
}

/// The kinds of call, by the tool that is called; the healthy one first.
const KINDS: [(&str, &str); 3] = [
    ("answered by the primary", "search"),
    ("primary refuses the connection, answered by the secondary", "search_refused"),
    ("primary answers 503, answered by the secondary", "search_failed"),
];

/// Measures `calls` calls of each kind.
pub(super) async fn measure(running: &Running, calls: usize) -> Result<Vec<Latency>, Failure> {
    let mut caller = Caller::connect(running.addr(FAILING)?).await?;
    let mut latencies = KINDS.map(|_| Vec::with_capacity(calls));
    // The first ones pay for connections, and for an engine that has not yet optimised what is hot.
    for number in 0..calls + calls / 10 {
        for ((_, tool), latencies) in KINDS.iter().zip(&mut latencies) {
            let took = caller.call(&call_of(tool)).await?;
            if number >= calls / 10 {
                latencies.push(took.as_secs_f64() * 1e3);
            }
        }
    }
    prove_failover(running, calls).await?;
    let summary = |((what, _), own): (&(&'static str, _), &Vec<f64>)| {
        let added: Vec<_> = own.iter().zip(&latencies[0]).map(|(own, healthy)| own - healthy).collect();
        let mut sorted = own.clone();
        sorted.sort_by(f64::total_cmp);
        let p99_ms = percentile(&sorted, 0.99);
        Latency { what, p50_ms: median(sorted), p99_ms, added_ms: estimate(&added) }
    };
    Ok(KINDS.iter().zip(&latencies).map(summary).collect())
}

/// The stubs cannot be told apart by their answers, but Envoy's own statistics say what happened.
async fn prove_failover(running: &Running, calls: usize) -> Result<(), Failure> {
    let expected = (2 * calls) as f64;
    let fallbacks = |metrics: &Metrics| metrics.sum("cortex_fallback_total", &[]);
    let (metrics, all) = running.envoy.metrics_until(|metrics| fallbacks(metrics) >= expected).await?;
    if !all {
        let counted = fallbacks(&metrics);
        return Err(format!("{expected} calls should have failed over, Envoy counted {counted}").into());
    }
    Ok(())
}
