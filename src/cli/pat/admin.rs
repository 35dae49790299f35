//! What a running Envoy knows of the credentials: the metrics on its admin interface.

use crate::cli::admin;
use crate::cli::metrics::Metrics;
use crate::credential::{Cause, Severity, Slot};
use crate::telemetry::{Family, label, of};

/// What it knows.
#[derive(Debug, Clone)]
pub struct AdminMetrics(Metrics);

/// Asks the Envoy that shows its metrics at `url`.
///
/// # Errors
/// Why there is no answer.
pub fn ask(url: &str) -> Result<AdminMetrics, String> {
    admin::page(url, admin::METRICS).map(|text| Metrics::parse(&text).into())
}

impl From<Metrics> for AdminMetrics {
    fn from(metrics: Metrics) -> Self {
        AdminMetrics(metrics)
    }
}

impl AdminMetrics {
    /// The sum of a metric over all its labels.
    pub fn sum(&self, name: &str) -> f64 {
        self.0.sum(name, &[])
    }

    /// How urgently a credential needs a new token; `None` if it does not know.
    pub fn severity(&self, id: &str) -> Option<Severity> {
        let (alert, critical) = (self.alerts(id, Severity::Alert)?, self.alerts(id, Severity::Critical)?);
        let known = Slot::BOTH.iter().any(|slot| self.days_left(id, slot.as_str()).is_some());
        match (is_on(critical), is_on(alert)) {
            (true, _) => Some(Severity::Critical),
            (_, true) => Some(Severity::Alert),
            _ => known.then_some(Severity::None),
        }
    }

    fn alerts(&self, id: &str, severity: Severity) -> Option<f64> {
        self.0.value(of::PAT_ALERT.name, &[(label::CREDENTIAL, id), (label::SEVERITY, severity.as_str())])
    }

    /// Whether a token of a credential breaks the policy; `None` if it does not know.
    pub fn violates_age(&self, id: &str) -> Option<bool> {
        self.0.value(of::PAT_AGE_VIOLATION.name, &[(label::CREDENTIAL, id)]).map(is_on)
    }

    /// Whether a slot has a token; `None` if it does not know.
    pub fn has_token(&self, id: &str, slot: &str) -> Option<bool> {
        self.alerts(id, Severity::Alert)?;
        Some(self.of_slot(&of::PAT_PRESENT, id, slot).is_some_and(is_on))
    }

    /// Whether it sends a slot's token. An Envoy with an older module does not tell, and sends what it has.
    pub fn is_sent(&self, id: &str, slot: &str) -> bool {
        self.of_slot(&of::PAT_SENT, id, slot).is_none_or(is_on)
    }

    /// Whole days until the end of a slot's token; `None` if it does not know.
    pub fn days_left(&self, id: &str, slot: &str) -> Option<u64> {
        self.of_slot(&of::PAT_EXPIRY_KNOWN, id, slot).filter(|known| is_on(*known))?;
        self.of_slot(&of::PAT_DAYS, id, slot).map(count)
    }

    fn of_slot(&self, family: &Family, id: &str, slot: &str) -> Option<f64> {
        self.0.value(family.name, &[(label::CREDENTIAL, id), (label::SLOT, slot)])
    }

    /// How often servers have refused a slot's token.
    pub fn rejected(&self, id: &str, slot: &str) -> u64 {
        count(self.0.sum(of::PAT_REJECTED.name, &[(label::CREDENTIAL, id), (label::SLOT, slot)]))
    }

    /// How often Envoy could not take what an SDS file or a secret server has for a slot.
    pub fn update_failures(&self, id: &str, slot: &str) -> u64 {
        let name = format!("{id}-{slot}");
        let failures = |metric| count(self.0.sum(metric, &[("envoy_xds_resource_name", &name)]));
        failures("envoy_sds_update_rejected").saturating_add(failures("envoy_sds_update_failure"))
    }

    /// How often calls went on with the other slot, by direction and reason.
    pub fn switches(&self, id: &str) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        for from in Slot::BOTH {
            let (from, to) = (from.as_str(), from.other().as_str());
            for reason in [Cause::Newer, Cause::Rejected, Cause::Expired, Cause::Emptied].map(Cause::as_str) {
                let labels = [(label::CREDENTIAL, id), (label::FROM, from), (label::TO, to), (label::REASON, reason)];
                match count(self.0.sum(of::PAT_SWITCH.name, &labels)) {
                    0 => {}
                    times => found.push((format!("{from} to {to}, {reason}"), times)),
                }
            }
        }
        found
    }
}

fn is_on(value: f64) -> bool {
    value > 0.0
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn count(value: f64) -> u64 {
    value as u64
}
