//! What readings of a running Envoy say of it.

use std::collections::BTreeSet;

use super::model::{Calls, Credential, Pool, Runs, Server, SlotSeen, Status, Transition};
use super::quantile::Buckets;
use super::reading::Reading;
use crate::cli::metrics::{Metrics, label_of};
use crate::cli::pat::admin::AdminMetrics;
use crate::credential::Slot;
use crate::failure::Class;
use crate::telemetry::{AnsweredBy, label, of};

impl Status {
    /// What `now` says. Rates are those since `before`; shares and times are of what has come since `base`, or of everything.
    pub fn new(now: &Reading, before: Option<&Reading>, base: Option<&Reading>) -> Self {
        let seconds = before.map(|before| now.at.saturating_duration_since(before.at).as_secs_f64());
        let window_s = seconds.filter(|seconds| *seconds > 0.0);
        let look = Look {
            now: &now.metrics,
            before: before.map(|it| &it.metrics),
            base: base.map(|it| &it.metrics),
            window_s,
        };
        Status {
            time_s: now.time_s,
            window_s,
            runs: runs(&now.metrics),
            mcp_enabled: now.mcp_enabled.clone(),
            tasks_off: on(&now.metrics, of::MCP_OFF.name, &[], label::TASK),
            calls: [AnsweredBy::Mcp, AnsweredBy::Direct, AnsweredBy::Gate, AnsweredBy::Cache]
                .map(|mode| look.calls(mode.as_str()))
                .into_iter()
                // Where nothing is kept there is nothing to say of it.
                .filter(|calls| calls.mode != AnsweredBy::Cache.as_str() || calls.total > 0.0)
                .collect(),
            servers: names(&now.metrics, of::BREAKER_STATE.name, label::SERVER)
                .iter()
                .map(|id| look.server(id))
                .collect(),
            credentials: credentials(&now.metrics),
            transitions: transitions(&now.metrics),
        }
    }
}

/// Readings that are compared.
struct Look<'m> {
    now: &'m Metrics,
    before: Option<&'m Metrics>,
    base: Option<&'m Metrics>,
    window_s: Option<f64>,
}

impl Look<'_> {
    fn calls(&self, mode: &'static str) -> Calls {
        let labels = [(label::MODE, mode)];
        let latency = Buckets::of(self.now, of::LATENCY.name, &labels);
        let latency = match self.base {
            Some(base) => latency.since(&Buckets::of(base, of::LATENCY.name, &labels)),
            None => latency,
        };
        let quantiles = [0.5, 0.95, 0.99].map(|of| latency.quantile(of));
        Calls {
            mode,
            per_s: self.rate(of::CALLS.name, &labels),
            total: self.now.sum(of::CALLS.name, &labels),
            shares: self.shares(of::CALLS.name, &labels, label::STATUS),
            latency_ms: match quantiles {
                [Some(p50), Some(p95), Some(p99)] => Some([p50, p95, p99]),
                _ => None,
            },
        }
    }

    fn server(&self, id: &str) -> Server {
        let labels = [(label::SERVER, id)];
        let value = |name| self.now.value(name, &labels);
        let state = state(value(of::BREAKER_STATE.name));
        let mut errors = self.shares(of::ATTEMPTS.name, &labels, label::OUTCOME);
        errors.retain(|(class, _)| class != Class::Success.as_str());
        let health = self.now.series(of::HEALTH.name, &labels).next();
        Server {
            id: id.to_owned(),
            tier: health.and_then(|(series, _)| label_of(series, label::TIER)).map(str::to_owned),
            state,
            probe_in_ms: value(of::PROBE_IN.name).filter(|_| state != "closed"),
            health: health.map(|(_, value)| value),
            why: if state == "closed" { String::new() } else { self.why(id) },
            per_s: self.rate(of::ATTEMPTS.name, &labels),
            errors,
            pool: pool(self.now, id),
            tools: value(of::TOOLS_LISTED.name),
            overrides: on(self.now, of::OVERRIDE.name, &labels, label::STATE),
        }
    }

    /// What attempts and probes of a server have failed with, in words.
    fn why(&self, id: &str) -> String {
        let failed = |name| {
            let counts = self.counts(name, &[(label::SERVER, id)], label::OUTCOME);
            let bad = counts.into_iter().filter(|(class, count)| class != Class::Success.as_str() && *count > 0.0);
            let said = bad.map(|(class, count)| match Class::parse(&class) {
                Some(known) => format!("{class} {count}: {}", known.explanation()),
                None => format!("{class} {count}"),
            });
            said.collect::<Vec<_>>().join(", ")
        };
        let told = [("attempts", failed(of::ATTEMPTS.name)), ("probes", failed(of::PROBES.name))];
        let told: Vec<_> = told
            .into_iter()
            .filter(|(_, said)| !said.is_empty())
            .map(|(what, said)| format!("{what}: {said}"))
            .collect();
        told.join("; ")
    }

    fn rate(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let (before, seconds) = (self.before?, self.window_s?);
        Some(grown(self.now.sum(name, labels), before.sum(name, labels)) / seconds)
    }

    /// How often each value of `by` was counted, since the base, the most frequent first.
    fn counts(&self, name: &str, labels: &[(&str, &str)], by: &str) -> Vec<(String, f64)> {
        let mut counts: Vec<(String, f64)> = Vec::new();
        for (series, value) in self.now.series(name, labels) {
            let Some(key) = label_of(series, by) else { continue };
            let earlier = self.base.and_then(|base| base.exactly(series)).unwrap_or(0.0);
            let grown = grown(value, earlier);
            match counts.iter_mut().find(|(known, _)| known == key) {
                Some((_, count)) => *count += grown,
                None => counts.push((key.to_owned(), grown)),
            }
        }
        // Counters are there before they count anything.
        counts.retain(|(_, count)| *count > 0.0);
        counts.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        counts
    }

    fn shares(&self, name: &str, labels: &[(&str, &str)], by: &str) -> Vec<(String, f64)> {
        let counts = self.counts(name, labels, by);
        let total: f64 = counts.iter().map(|(_, count)| count).sum();
        counts.into_iter().map(|(key, count)| (key, count / total)).collect()
    }
}

/// How much a counter has grown; all of it, if it has begun anew.
fn grown(now: f64, before: f64) -> f64 {
    if now < before { now } else { now - before }
}

/// What an Envoy serves calls under, by its metrics.
pub fn runs(metrics: &Metrics) -> Vec<Runs> {
    let now = metrics.series(of::INFO.name, &[]).filter(|(_, value)| *value > 0.0);
    let of = |(series, _): (&str, f64)| {
        let [registry, version] = [label::REGISTRY, label::VERSION].map(|it| label_of(series, it).map(str::to_owned));
        Some(Runs { registry: registry?, version: version? })
    };
    now.filter_map(of).collect()
}

fn state(value: Option<f64>) -> &'static str {
    match value {
        Some(0.0) => "closed",
        Some(1.0) => "open",
        Some(2.0) => "half_open",
        _ => "unknown",
    }
}

/// The values of a label, each once, in order.
fn names(metrics: &Metrics, name: &str, label: &str) -> BTreeSet<String> {
    metrics.series(name, &[]).filter_map(|(series, _)| label_of(series, label)).map(str::to_owned).collect()
}

/// The values of a label in the series that are not 0.
fn on(metrics: &Metrics, name: &str, labels: &[(&str, &str)], label: &str) -> Vec<String> {
    let set = metrics.series(name, labels).filter(|(_, value)| *value > 0.0);
    set.filter_map(|(series, _)| label_of(series, label)).map(str::to_owned).collect()
}

/// The pool of the cluster of this name.
pub fn pool(metrics: &Metrics, cluster: &str) -> Pool {
    let sum = |stat: &str| metrics.sum(&format!("envoy_cluster_{stat}"), &[("envoy_cluster_name", cluster)]);
    let limits = ["cx_open", "rq_open", "rq_pending_open"];
    Pool {
        connections: sum("upstream_cx_active"),
        requests: sum("upstream_rq_active"),
        waiting: sum("upstream_rq_pending_active"),
        is_full: limits.iter().any(|limit| sum(&format!("circuit_breakers_default_{limit}")) > 0.0),
        hosts: [sum("membership_total"), sum("membership_healthy")],
    }
}

fn credentials(metrics: &Metrics) -> Vec<Credential> {
    let ids = names(metrics, of::PAT_PRESENT.name, label::CREDENTIAL);
    let seen = AdminMetrics::from(metrics.clone());
    let slot = |id: &str, slot: Slot| {
        let name = slot.as_str();
        seen.has_token(id, name)?.then(|| SlotSeen {
            slot: name,
            is_sent: seen.is_sent(id, name),
            days_left: seen.days_left(id, name),
            rejected: seen.rejected(id, name),
        })
    };
    let of = |id: String| Credential {
        severity: seen.severity(&id).map_or("unknown", |severity| severity.as_str()),
        slots: Slot::BOTH.into_iter().filter_map(|it| slot(&id, it)).collect(),
        id,
    };
    ids.into_iter().map(of).collect()
}

fn transitions(metrics: &Metrics) -> Vec<Transition> {
    let of = |(series, times): (&str, f64)| {
        let [server, from, to] =
            [label::SERVER, label::FROM, label::TO].map(|it| label_of(series, it).map(str::to_owned));
        Some(Transition { server: server?, from: from?, to: to?, times })
    };
    metrics.series(of::TRANSITIONS.name, &[]).filter(|(_, times)| *times > 0.0).filter_map(of).collect()
}
