//! The filter's statistics. Envoy has no labels for them, so a stat's name carries them as `.label.value` pairs, and tag
//! rules of the bootstrap turn these into labels.
//!
//! A stat is defined when it is first used and remembered, since defining costs a host call and a lock. The number of
//! stats is bounded by the registry: tasks and servers are its names, everything else is an enum.

use std::cell::RefCell;

use hashbrown::HashMap;
use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;

use crate::credential::{Cause, Slot};
use crate::failure::Class;

/// The path that a call's answer came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// From an MCP server.
    Mcp,
    /// From a REST API.
    Direct,
    /// From the gate itself.
    Gate,
}

impl Mode {
    fn as_str(self) -> &'static str {
        match self {
            Mode::Mcp => "mcp",
            Mode::Direct => "direct",
            Mode::Gate => "gate",
        }
    }
}

/// How a call ended for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Answered by the first server of the operator's order.
    Success,
    /// Answered, but by another server than that one.
    Fallback,
    /// Answered with an error that is about the call, not about the servers.
    Error,
    /// Not answered: no path was left.
    Failed,
    /// Turned away by the gate before any server was asked.
    Refused,
    /// The client left before there was an answer.
    Cancelled,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Status::Success => "success",
            Status::Fallback => "fallback",
            Status::Error => "error",
            Status::Failed => "failed",
            Status::Refused => "refused",
            Status::Cancelled => "cancelled",
        }
    }
}

/// One statistic; `'r` is the registry that the names come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric<'r> {
    /// `cortex_calls_total{mode,task,status}`.
    Calls(Mode, &'r str, Status),
    /// `cortex_latency_ms{mode,task}`.
    Latency(Mode, &'r str),
    /// `cortex_fallback_total`.
    Fallback,
    /// `cortex_circuit_breaker_state{server}`.
    BreakerState(&'r str),
    /// `dualpath_attempts_total{server,outcome}`.
    Attempts(&'r str, Class),
    /// `dualpath_drill_total{server,class}`.
    Drills(&'r str, Class),
    /// `dualpath_drill_ignored_total{reason}`.
    DrillIgnored(&'static str),
    /// `dualpath_probes_total{server,outcome}`.
    Probes(&'r str, Class),
    /// `dualpath_alerts_total{server,class}`.
    Alerts(&'r str, Class),
    /// `dualpath_replay_refused_total{task,reason}`.
    ReplayRefused(&'r str, &'static str),
    /// `dualpath_breaker_transitions_total{server,from,to}`.
    Transitions(&'r str, &'static str, &'static str),
    /// `dualpath_breaker_open_ms{server}`: the open periods, as they begin.
    OpenPeriod(&'r str),
    /// `dualpath_breaker_events_total{server,event}`.
    BreakerEvents(&'r str, &'static str),
    /// `dualpath_pat_rejected_total{credential,slot}`.
    PatRejected(&'r str, Slot),
    /// `dualpath_pat_switch_total{credential,from,to,reason}`.
    PatSwitch(&'r str, Slot, Slot, Cause),
    /// `snowflake_pat_days_until_expiry{credential,slot}`.
    PatDays(&'r str, Slot),
    /// `dualpath_pat_present{credential,slot}`: 1 or 0.
    PatPresent(&'r str, Slot),
    /// `dualpath_pat_expiry_known{credential,slot}`: 1 or 0.
    PatExpiryKnown(&'r str, Slot),
    /// `snowflake_pat_rotation_alerts{credential,severity}`: 1 or 0.
    PatAlert(&'r str, &'static str),
    /// `dualpath_pat_age_violation{credential}`: 1 or 0.
    PatAgeViolation(&'r str),
}

impl Metric<'_> {
    fn kind(self) -> MetricType {
        match self {
            Metric::Latency(..) | Metric::OpenPeriod(_) => MetricType::Histogram,
            Metric::BreakerState(_)
            | Metric::PatDays(..)
            | Metric::PatPresent(..)
            | Metric::PatExpiryKnown(..)
            | Metric::PatAlert(..)
            | Metric::PatAgeViolation(_) => MetricType::Gauge,
            _ => MetricType::Counter,
        }
    }

    fn name(self) -> String {
        match self {
            Metric::Calls(mode, task, status) => {
                format!("cortex_calls_total.mode.{}.task.{task}.status.{}", mode.as_str(), status.as_str())
            }
            Metric::Latency(mode, task) => format!("cortex_latency_ms.mode.{}.task.{task}", mode.as_str()),
            Metric::Fallback => "cortex_fallback_total".to_owned(),
            Metric::BreakerState(server) => format!("cortex_circuit_breaker_state.server.{server}"),
            Metric::Attempts(server, class) => {
                format!("dualpath_attempts_total.server.{server}.outcome.{}", class.as_str())
            }
            Metric::Alerts(server, class) => format!("dualpath_alerts_total.server.{server}.class.{}", class.as_str()),
            Metric::ReplayRefused(task, reason) => {
                format!("dualpath_replay_refused_total.task.{task}.reason.{reason}")
            }
            Metric::Drills(server, class) => format!("dualpath_drill_total.server.{server}.class.{}", class.as_str()),
            Metric::DrillIgnored(reason) => format!("dualpath_drill_ignored_total.reason.{reason}"),
            Metric::Probes(server, class) => {
                format!("dualpath_probes_total.server.{server}.outcome.{}", class.as_str())
            }
            Metric::Transitions(server, from, to) => {
                format!("dualpath_breaker_transitions_total.server.{server}.from.{from}.to.{to}")
            }
            Metric::OpenPeriod(server) => format!("dualpath_breaker_open_ms.server.{server}"),
            Metric::BreakerEvents(server, event) => {
                format!("dualpath_breaker_events_total.server.{server}.event.{event}")
            }
            Metric::PatRejected(credential, slot) => {
                format!("dualpath_pat_rejected_total.credential.{credential}.slot.{}", slot.as_str())
            }
            Metric::PatSwitch(credential, from, to, cause) => {
                let (from, to, reason) = (from.as_str(), to.as_str(), cause.as_str());
                format!("dualpath_pat_switch_total.credential.{credential}.from.{from}.to.{to}.reason.{reason}")
            }
            Metric::PatDays(credential, slot) => {
                format!("snowflake_pat_days_until_expiry.credential.{credential}.slot.{}", slot.as_str())
            }
            Metric::PatPresent(credential, slot) => {
                format!("dualpath_pat_present.credential.{credential}.slot.{}", slot.as_str())
            }
            Metric::PatExpiryKnown(credential, slot) => {
                format!("dualpath_pat_expiry_known.credential.{credential}.slot.{}", slot.as_str())
            }
            Metric::PatAlert(credential, severity) => {
                format!("snowflake_pat_rotation_alerts.credential.{credential}.severity.{severity}")
            }
            Metric::PatAgeViolation(credential) => format!("dualpath_pat_age_violation.credential.{credential}"),
        }
    }
}

/// The statistics that this VM has defined so far.
#[derive(Default)]
pub struct Metrics {
    ids: RefCell<HashMap<String, u32>>,
}

impl Metrics {
    /// Adds one to a counter.
    pub fn count(&self, metric: Metric<'_>) {
        self.add(metric, 1);
    }

    /// Adds to a counter.
    pub fn add(&self, metric: Metric<'_>, times: u32) {
        if let Some(id) = self.id(metric) {
            let _ = hostcalls::increment_metric(id, i64::from(times));
        }
    }

    /// Sets a gauge, or records a value in a histogram.
    pub fn record(&self, metric: Metric<'_>, value: u64) {
        if let Some(id) = self.id(metric) {
            let _ = hostcalls::record_metric(id, value);
        }
    }

    fn id(&self, metric: Metric<'_>) -> Option<u32> {
        let name = metric.name();
        if let Some(id) = self.ids.borrow().get(&name) {
            return Some(*id);
        }
        let id = hostcalls::define_metric(metric.kind(), &name).ok()?;
        self.ids.borrow_mut().insert(name, id);
        Some(id)
    }
}
