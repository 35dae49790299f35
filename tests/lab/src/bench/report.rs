//! The figures: medians over the rounds, and ratios of what was measured in the same round.

use std::fmt;

use serde::Serialize;

use super::contestants::Contestant;
use super::failover::Latency;
use super::memory::Memory;
use super::rounds::Sample;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) conditions: Conditions,
    pub(super) proxying: Vec<Row>,
    pub(super) memory: Vec<Memory>,
    pub(super) latency: Vec<Latency>,
}

/// Under which the figures hold.
#[derive(Debug, Serialize)]
pub(super) struct Conditions {
    pub(super) processors: usize,
    pub(super) worker_threads: u32,
    pub(super) connections: usize,
    pub(super) rounds: usize,
    pub(super) seconds_per_round: f64,
    pub(super) request_bytes: usize,
    pub(super) response_bytes: usize,
    /// The workers of the process from which the memory of a further worker was derived.
    pub(super) workers_for_memory: u32,
}

/// One contestant's figures.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Row {
    pub(super) contestant: Contestant,
    pub(super) cpu_us_per_request: f64,
    pub(super) ratio_to_bare: f64,
    pub(super) ratio_to_noop: f64,
    pub(super) requests_per_second: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

/// A sample of every contestant, taken one after the other.
pub(super) type Round = Vec<(Contestant, Sample)>;

/// The rows for `rounds`.
pub(super) fn rows(rounds: &[Round]) -> Vec<Row> {
    let of = |round: &Round, wanted: Contestant| {
        round.iter().find(|(contestant, _)| *contestant == wanted).map(|(_, sample)| *sample)
    };
    let over_rounds = |figure: &dyn Fn(&Round) -> Option<f64>| median(rounds.iter().filter_map(figure).collect());
    let row = |contestant: Contestant| {
        let own = |field: fn(&Sample) -> f64| over_rounds(&|round| Some(field(&of(round, contestant)?)));
        let ratio_to = |other| over_rounds(&|round| Some(of(round, contestant)?.cpu_us / of(round, other)?.cpu_us));
        Row {
            contestant,
            cpu_us_per_request: own(|sample| sample.cpu_us),
            ratio_to_bare: ratio_to(Contestant::Bare),
            ratio_to_noop: ratio_to(Contestant::Noop),
            requests_per_second: own(|sample| sample.rate),
            p50_us: own(|sample| sample.p50_us),
            p99_us: own(|sample| sample.p99_us),
        }
    };
    Contestant::ALL.map(row).to_vec()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conditions { processors, worker_threads, connections, rounds, seconds_per_round, .. } = &self.conditions;
        writeln!(
            f,
            "Envoy with {worker_threads} worker thread, {connections} connections kept alive on loopback, \
             {processors} processors shared with clients and server.\n\
             tools/call of {} bytes, answered with {} bytes of JSON. Medians of {rounds} rounds of {seconds_per_round} s, \
             ratios within a round.\n\
             CPU is all that the Envoy process used, divided by the requests.\n",
            self.conditions.request_bytes, self.conditions.response_bytes,
        )?;
        writeln!(
            f,
            "{:<52}{:>9}{:>8}{:>8}{:>9}{:>9}{:>9}",
            "", "CPU us", "/bare", "/no-op", "req/s", "p50 us", "p99 us"
        )?;
        for row in &self.proxying {
            writeln!(
                f,
                "{:<52}{:>9.1}{:>8.2}{:>8.2}{:>9.0}{:>9.0}{:>9.0}",
                row.contestant.describe(),
                row.cpu_us_per_request,
                row.ratio_to_bare,
                row.ratio_to_noop,
                row.requests_per_second,
                row.p50_us,
                row.p99_us,
            )?;
        }
        writeln!(f, "\nResident memory added to the bare proxy's (fresh processes):")?;
        for memory in &self.memory {
            let [one, further] =
                [memory.one_worker, memory.further_worker].map(|bytes| bytes as f64 / (1 << 20) as f64);
            let name = memory.contestant.describe();
            writeln!(f, "{name:<52}{one:>9.1} MiB with one worker, {further:.1} MiB for each further one")?;
        }
        writeln!(f, "\nLatency of a single call through Dualpath, without other load:")?;
        let healthy = self.latency.first();
        for latency in &self.latency {
            write!(f, "{:<60} p50 {:>6.0} us, p99 {:>6.0} us", latency.what, latency.p50_us, latency.p99_us)?;
            match healthy.filter(|healthy| healthy.what != latency.what) {
                Some(healthy) => {
                    let (p50, p99) = (latency.p50_us - healthy.p50_us, latency.p99_us - healthy.p99_us);
                    writeln!(f, "; added {p50:+.0} and {p99:+.0} us")?;
                }
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_within_a_round_so_that_a_slow_round_does_not_count() {
        let sample = |cpu_us| Sample { cpu_us, rate: 1.0, p50_us: 1.0, p99_us: 1.0 };
        // The second round ran on a machine that was busy with something else.
        let rounds: Vec<_> = [1.0, 10.0, 1.0]
            .map(|slowness| {
                Contestant::ALL.iter().zip(1..).map(|(c, n)| (*c, sample(slowness * f64::from(n)))).collect()
            })
            .to_vec();
        let rows = rows(&rounds);
        let dualpath = rows.last().unwrap();
        assert_eq!((dualpath.ratio_to_bare, dualpath.ratio_to_noop), (5.0, 1.25));
        assert_eq!(dualpath.cpu_us_per_request, 5.0);
    }
}
