//! The prober's watch over the credentials: asks each one's keeper, sets the gauges, and writes the audit trail of what
//! happens to tokens.

use std::rc::Rc;
use std::time::Duration;

use super::host;
use super::metrics::Metric;
use super::shared_data::EnvoySharedData;
use super::vm::Vm;
use crate::call::credentials::{testimony, watched};
use crate::credential::audit::{Decision, Event};
use crate::credential::{Now, Report, Severity, Slot, Watch};
use crate::registry::{Credential, CredentialIndex};
use crate::wiring::cluster;

/// How long a keeper may take. It answers before it has been asked, so to speak.
const PATIENCE: Duration = Duration::from_secs(1);

/// The watch over all credentials of a registry.
pub struct CredentialWatch {
    vm: Rc<Vm>,
    /// In the registry's order.
    watches: Vec<Watch>,
}

impl CredentialWatch {
    /// A watch that has seen nothing yet.
    pub fn new(vm: Rc<Vm>) -> Self {
        let watches = vm.registry.credentials.iter().map(|_| Watch::default()).collect();
        CredentialWatch { vm, watches }
    }

    /// Looks after every credential. Answers whether all have been seen.
    pub fn tick(&mut self, now: Now) -> bool {
        let mut all_seen = true;
        let credentials = (0u16..).map(CredentialIndex).zip(&self.vm.registry.credentials);
        for ((at, credential), watch) in credentials.zip(&mut self.watches) {
            let name = self.vm.names.credential(at);
            ask_keeper(credential);
            let Some(report) = watched(&EnvoySharedData, credential) else {
                all_seen = false;
                continue;
            };
            for (slot, event, fingerprint) in watch.update(&report, now.wall_s, &credential.policy) {
                let decision = Decision { event, credential: credential.id.as_str(), slot, fingerprint, server: None };
                let line = decision.line(now.wall_s);
                if matches!(event, Event::Emptied | Event::Defective) {
                    // Envoy keeps a gauge for ever, so it must not go on telling of the token that was there.
                    self.vm.metrics.record(Metric::PatDays(name, slot), 0);
                }
                match event {
                    Event::Expired | Event::PolicyViolated | Event::Defective | Event::BadDate => log::warn!("{line}"),
                    _ => log::info!("{line}"),
                }
            }
            show(&self.vm, at, &report, now.wall_s);
        }
        all_seen
    }
}

/// Has the keeper leave its report. It has done so when this returns; Envoy may call that a failure.
fn ask_keeper(credential: &Credential) {
    let cluster = cluster::credential(credential.id.as_str());
    let headers = [(":method", "GET"), (":path", "/"), (":authority", "dualpath")];
    let headers = headers.map(|(name, value)| (name, value.to_owned()));
    let _ = host::dispatch(&cluster, &headers, b"", PATIENCE);
}

/// Sets the gauges.
fn show(vm: &Vm, at: CredentialIndex, report: &Report, now_s: u64) {
    let (name, Some(credential)) = (vm.names.credential(at), vm.registry.credential(at)) else { return };
    let users = vm.registry.servers.iter().filter(|server| server.credential == Some(at));
    let said: Vec<_> = users.map(|server| testimony(&EnvoySharedData, server)).collect();
    let slots = Slot::BOTH.into_iter().zip(&credential.slots).zip(&report.0);
    for ((slot, _), token) in slots.filter(|((_, source), _)| source.is_some()) {
        let token = token.as_ref().filter(|token| token.defect().is_none());
        let days = token.and_then(|token| token.lifetime().days_left(now_s, &credential.policy));
        if let Some(days) = days {
            vm.metrics.record(Metric::PatDays(name, slot), days);
        }
        let sent = token
            .is_some_and(|token| token.is_valid(now_s) && !said.iter().any(|said| said.condemns(token.fingerprint())));
        vm.metrics.record(Metric::PatPresent(name, slot), token.is_some().into());
        vm.metrics.record(Metric::PatSent(name, slot), sent.into());
        vm.metrics.record(Metric::PatExpiryKnown(name, slot), days.is_some().into());
    }
    let severity = report.worst(&said, now_s, &credential.policy);
    for urgent in [Severity::Alert, Severity::Critical] {
        vm.metrics.record(Metric::PatAlert(name, urgent), (severity == Some(urgent)).into());
    }
    vm.metrics.record(Metric::PatAgeViolation(name), report.violates_age(now_s, &credential.policy).into());
}
