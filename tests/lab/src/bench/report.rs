//! The figures as JSON. The keys at the top are stable; what they are made from is below them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::Effort;
use super::contestants::{BARE, CONFIG_ONLY, DUALPATH, NATIVE, NOOP, OTHER};
use super::failover::Latency;
use super::load::call_of;
use super::memory::{Large, Memory};
use super::rates::AtRate;
use super::scale::Scales;
use super::slices::{CONNECTIONS, Cpu, Slices};
use super::statistics::Estimate;
use super::upstream::ANSWER;

/// What Dualpath is compared with, and the key of the ratio.
const RATIOS: [(&str, &str); 5] = [
    (NATIVE, "ratio_native"),
    (NOOP, "ratio_noop"),
    (BARE, "ratio_bare"),
    (CONFIG_ONLY, "ratio_config_only"),
    (OTHER, "ratio_other"),
];

/// Everything that was measured.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) conditions: Conditions,
    pub(super) slices: Vec<(&'static str, Slices)>,
    pub(super) rates: Vec<AtRate>,
    pub(super) failover: Vec<Latency>,
    pub(super) scales: Option<Scales>,
    pub(super) memory: Vec<Memory>,
    pub(super) large: Option<Large>,
}

/// Under which the figures hold.
#[derive(Debug, Serialize)]
pub(super) struct Conditions {
    pub(super) processors: usize,
    pub(super) connections: usize,
    pub(super) rounds: usize,
    pub(super) slice_ms: u128,
    pub(super) request_bytes: usize,
    pub(super) response_bytes: usize,
    /// The workers of the processes for memory and scale; everything else has one.
    pub(super) workers: u32,
}

impl Conditions {
    pub(super) fn new(effort: &Effort) -> Self {
        Conditions {
            processors: std::thread::available_parallelism().map_or(1, Into::into),
            connections: CONNECTIONS,
            rounds: effort.rounds,
            slice_ms: effort.slice.as_millis(),
            request_bytes: call_of("search").len(),
            response_bytes: ANSWER.len(),
            workers: effort.workers,
        }
    }
}

impl Report {
    /// One without the parts that come later.
    pub(super) fn new(conditions: Conditions, slices: Vec<(&'static str, Slices)>) -> Self {
        Report {
            conditions,
            slices,
            rates: Vec::new(),
            failover: Vec::new(),
            scales: None,
            memory: Vec::new(),
            large: None,
        }
    }

    /// CPU time per request, as a multiple of the other's; `None` where one of them was not measured.
    pub(super) fn ratio(&self, contestant: &str, other: &str) -> Option<Estimate> {
        let of = |wanted: &str| self.slices.iter().find(|(name, _)| *name == wanted).map(|(_, slices)| slices);
        Some(of(contestant)?.ratio_to(of(other)?))
    }

    /// Dualpath's ratios, each with its key; without those to contestants that were not there.
    pub(super) fn headline(&self) -> Vec<(&'static str, Estimate)> {
        RATIOS.iter().filter_map(|(other, key)| Some((*key, self.ratio(DUALPATH, other)?))).collect()
    }

    /// `host_calls` is passed on.
    pub(super) fn figures(&self, host_calls: Value) -> Value {
        let headline = self.headline();
        let ratio = |wanted: &str| {
            let found = headline.iter().find(|(key, _)| *key == wanted);
            found.map(|(_, ratio)| rounded(ratio.value))
        };
        let at = |rate: u32, figure: fn(&AtRate) -> Estimate| {
            let row = self.rates.iter().find(|row| row.contestant == DUALPATH && row.calls_per_second == rate);
            row.map(|row| rounded(figure(row).value))
        };
        let failover = |kind: usize| self.failover.get(kind).map(|latency| rounded(latency.added_ms.value));
        let (large, scales) = (self.large.as_ref(), self.scales.as_ref());
        json!({
            "ratio_native": ratio("ratio_native"),
            "ratio_noop": ratio("ratio_noop"),
            "ratio_bare": ratio("ratio_bare"),
            "ratio_config_only": ratio("ratio_config_only"),
            "ratio_other": ratio("ratio_other"),
            "added_p50_ms_200": at(200, |row| row.added_p50_ms),
            "added_p99_ms_200": at(200, |row| row.added_p99_ms),
            "added_p50_ms_1000": at(1000, |row| row.added_p50_ms),
            "failover_added_ms": failover(1),
            "failover_503_added_ms": failover(2),
            "flat_servers": scales.map(|scales| rounded(scales.servers.ratio.value)),
            "flat_tools": scales.map(|scales| rounded(scales.tools.ratio.value)),
            "flat_both": scales.map(|scales| rounded(scales.both.ratio.value)),
            "ready_s_large": large.map(|large| rounded(large.dualpath.ready_s)),
            "rss_mib_large": large.map(|large| rounded(large.dualpath.rss_mib)),
            "rss_mib_large_over_noop": large.map(|large| rounded(large.dualpath.rss_mib - large.noop.rss_mib)),
            "host_calls": host_calls,
            "noisy": self.noisy(),
            "details": {
                "conditions": self.conditions,
                "cpu": self.slices.iter().map(|(name, slices)| self.row(name, slices)).collect::<Vec<_>>(),
                "ratios": headline.iter().copied().collect::<BTreeMap<_, _>>(),
                "rates": self.rates,
                "failover": self.failover,
                "scales": self.scales,
                "memory": self.memory,
                "large": self.large,
            },
        })
    }

    /// The keys of the ratios whose interval is too wide.
    pub(super) fn noisy(&self) -> Vec<&'static str> {
        self.headline().into_iter().filter(|(_, ratio)| ratio.is_noisy()).map(|(key, _)| key).collect()
    }

    fn row(&self, name: &'static str, slices: &Slices) -> Value {
        let cpu: Cpu = slices.cpu();
        let [to_bare, to_noop, to_native] = [BARE, NOOP, NATIVE].map(|other| self.ratio(name, other));
        json!({"contestant": name, "cpu": cpu, "to_bare": to_bare, "to_noop": to_noop, "to_native": to_native})
    }
}

/// To the third decimal: more is noise.
fn rounded(figure: f64) -> f64 {
    (figure * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::QUICK;

    fn report(costs: &[(&'static str, f64)]) -> Report {
        let slices = |cost: f64| Slices { cpu_us: vec![cost; 5], rate: vec![1.0; 5] };
        Report::new(Conditions::new(&QUICK), costs.iter().map(|(name, cost)| (*name, slices(*cost))).collect())
    }

    #[test]
    fn every_stable_key_is_there_even_where_nothing_was_measured() {
        let figures = report(&[(BARE, 50.0), (NATIVE, 100.0), (NOOP, 80.0), (DUALPATH, 200.0)]).figures(json!(36));
        for (key, expected) in [("ratio_native", 2.0), ("ratio_noop", 2.5), ("ratio_bare", 4.0)] {
            assert_eq!(figures[key], json!(expected), "{key}");
        }
        assert_eq!(figures["host_calls"], json!(36));
        let missing = ["ratio_other", "added_p50_ms_200", "failover_added_ms", "ready_s_large", "flat_servers"];
        for key in missing {
            assert_eq!(figures.get(key), Some(&Value::Null), "{key}");
        }
    }

    #[test]
    fn ratios_that_cannot_be_trusted_are_named() {
        let mut report = report(&[(BARE, 50.0), (DUALPATH, 200.0)]);
        assert_eq!(report.noisy(), Vec::<&str>::new());
        report.slices[1].1.cpu_us = vec![100.0, 300.0, 150.0, 250.0, 200.0];
        assert_eq!(report.noisy(), ["ratio_bare"]);
        assert!(report.to_string().contains("noisy: ratio_bare"), "{report}");
    }
}
