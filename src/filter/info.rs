//! Which registry calls are served under now, and by which version of the module: for operators, as a metric and a header.
//!
//! A gate that drains ticks on beside its successor, and after a trap it begins anew. So the shared data name the one that
//! calls come to now: the last that has begun, unless it had begun before and not ended.

use std::cell::Cell;

use super::crossing::BUILD;
use super::metrics::{Metric, Metrics};
use super::shared_data::EnvoySharedData;
use crate::registry::identity;
use crate::shared_data::SharedData;
use crate::telemetry::Name;

/// Where it is named.
const NOW: &str = "in1";

/// The token that overwrites without asking.
const ANY: u32 = 0;

/// What a gate tells of its registry and its module.
pub struct Info {
    /// The registry, as operators see it.
    pub registry: String,
    name: Name,
    is_begun: Cell<bool>,
    is_told: Cell<bool>,
}

impl Info {
    /// Of the registry with this identity.
    pub fn of(identity: u64, metrics: &Metrics) -> Self {
        let registry = identity::shown(identity);
        let name = metrics.name(&registry);
        Info { registry, name, is_begun: Cell::new(false), is_told: Cell::new(false) }
    }

    /// Looks whether calls come here now, and tells if that has changed.
    pub fn tick(&self, metrics: &Metrics) {
        let own = self.own();
        if !self.is_begun.replace(true) && value(&own).is_empty() {
            set(&own, b"1");
            set(NOW, own.as_bytes());
        }
        let now = value(NOW);
        let is_vacant = now.is_empty();
        if is_vacant {
            set(NOW, own.as_bytes());
        }
        let is_now = is_vacant || now == own.as_bytes();
        if self.is_told.replace(is_now) != is_now || is_vacant {
            metrics.record(Metric::Info(self.name), is_now.into());
        }
    }

    /// No call comes here any more.
    pub fn end(&self, metrics: &Metrics) {
        if !self.is_begun.replace(false) {
            // Envoy configures a plugin only to see whether it can be, too.
            return;
        }
        let own = self.own();
        set(&own, b"");
        if value(NOW) == own.as_bytes() {
            set(NOW, b"");
        }
        self.is_told.set(false);
        metrics.record(Metric::Info(self.name), 0);
    }

    /// What tells this registry under this build from all others; the key that is there from its begin to its end.
    fn own(&self) -> String {
        [NOW, ":", &self.registry, BUILD].concat()
    }
}

fn value(key: &str) -> Vec<u8> {
    EnvoySharedData.get(key).ok().flatten().map(|(value, _)| value).unwrap_or_default()
}

fn set(key: &str, value: &[u8]) {
    // If the host refuses, operators are told nothing, or what was before.
    let _ = EnvoySharedData.set(key, value, ANY);
}
