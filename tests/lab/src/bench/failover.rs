//! What a failed-over call takes longer. Healthy and failing calls alternate on one connection, with nothing else to do,
//! so that the difference is the failover's and not the load's.

use serde::Serialize;

use super::contestants::Contestant;
use super::load::{Caller, Failure, call_of, percentile};
use super::rounds::micros;
use super::setup::Running;

/// Latencies of one kind of call, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Latency {
    pub(super) what: &'static str,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

/// The kinds of call, by the tool that is called; the healthy one first.
const KINDS: [(&str, &str); 3] = [
    ("answered by the primary", "search"),
    ("primary refuses the connection, answered by the secondary", "search_refused"),
    ("primary answers 503, answered by the secondary", "search_failed"),
];

/// Measures `calls` calls of each kind.
pub(super) async fn measure(running: &Running, calls: usize) -> Result<Vec<Latency>, Failure> {
    let mut caller = Caller::connect(running.addr(Contestant::Dualpath)?).await?;
    let mut latencies = KINDS.map(|_| Vec::with_capacity(calls));
    for _ in 0..calls {
        for ((_, tool), latencies) in KINDS.iter().zip(&mut latencies) {
            latencies.push(caller.call(&call_of(tool)).await?);
        }
    }
    let summary = |((what, _), mut latencies): (_, Vec<_>)| {
        latencies.sort_unstable();
        let [p50_us, p99_us] = [0.50, 0.99].map(|share| micros(percentile(&latencies, share)));
        Latency { what, p50_us, p99_us }
    };
    let summaries: Vec<_> = KINDS.into_iter().zip(latencies).map(summary).collect();
    prove_failover(running, calls).await?;
    Ok(summaries)
}

/// The stubs cannot be told apart by their answers, but Envoy's own statistics say what happened.
async fn prove_failover(running: &Running, calls: usize) -> Result<(), Failure> {
    let metrics = running.envoy.metrics_settled().await?;
    let fallbacks = metrics.sum("cortex_fallback_total", &[]);
    let expected = (2 * calls) as f64;
    if fallbacks < expected {
        return Err(format!("{expected} calls should have failed over, Envoy counted {fallbacks}").into());
    }
    Ok(())
}
