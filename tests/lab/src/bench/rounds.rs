//! The main measurement: short rounds of load, all contestants in each, so that whatever else the machine does meets all
//! of them alike.

use std::time::{Duration, Instant};

use super::contestants::Contestant;
use super::load::{self, Caller, Failure, call_of, percentile};
use super::process::cpu_time;
use super::setup::Running;

/// Connections, each with one call at a time.
pub(super) const CONNECTIONS: usize = 8;

/// Envoy lives on after the last answer: logs, timers, memory to give back.
const AFTERMATH: Duration = Duration::from_millis(5);

/// One contestant's part of one round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// CPU time of Envoy per request, in microseconds.
    pub(super) cpu_us: f64,
    /// Requests per second.
    pub(super) rate: f64,
    /// Median latency, in microseconds.
    pub(super) p50_us: f64,
    /// Latency that one call in a hundred exceeds, in microseconds.
    pub(super) p99_us: f64,
}

/// Load on one contestant for `time`.
pub(super) async fn measure(running: &Running, contestant: Contestant, time: Duration) -> Result<Sample, Failure> {
    let (addr, call) = (running.addr(contestant)?, call_of("search"));
    let mut callers = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut caller = Caller::connect(addr).await?;
        // The first call pays for the connections, ours and Envoy's.
        caller.call(&call).await?;
        callers.push(caller);
    }
    let (before, start) = (cpu_time(running.envoy.id())?, Instant::now());
    let mut latencies = load::run(&mut callers, &call, time).await?;
    let elapsed = start.elapsed();
    tokio::time::sleep(AFTERMATH).await;
    let used = cpu_time(running.envoy.id())?.saturating_sub(before);
    latencies.sort_unstable();
    let requests = latencies.len().max(1) as f64;
    Ok(Sample {
        cpu_us: micros(used) / requests,
        rate: requests / elapsed.as_secs_f64(),
        p50_us: micros(percentile(&latencies, 0.50)),
        p99_us: micros(percentile(&latencies, 0.99)),
    })
}

pub(super) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
