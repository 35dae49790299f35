//! The credential of an attempt: which slot it got, and what the server made of it.

use super::super::host;
use super::super::metrics::Metric;
use super::Attempt;
use crate::credential::Selection;
use crate::credential::audit::{self, Decision, Event};
use crate::failure::Class;
use crate::wiring::state;

impl Attempt {
    /// The request carries this slot's secret.
    pub(super) fn note_selection(&mut self, selection: Selection) {
        self.selection = Some(selection);
        if let (Some(cause), Some(name)) = (selection.switched, self.placement.credential_name()) {
            let to = selection.slot;
            self.placement.vm.metrics.count(Metric::PatSwitch(name, to.other(), to, cause));
        }
        let again = self.plan.as_ref().is_some_and(|plan| plan.other_slot);
        self.record(if again { Event::Switched } else { Event::Selected }, selection);
    }

    /// Adds to the call's record in the access log, where the operator wants one.
    fn record(&self, event: Event, selection: Selection) {
        let registry = &self.placement.vm.registry;
        let Some(credential) = self.placement.credential().filter(|_| registry.audit.access_log.is_some()) else {
            return;
        };
        let decision = Decision {
            event,
            credential: credential.id.as_str(),
            slot: selection.slot,
            fingerprint: Some(selection.fingerprint),
            server: Some(self.server_id()),
        };
        let before = host::filter_state(state::AUDIT).unwrap_or_default();
        host::set_filter_state(state::AUDIT, &audit::appended(&before, &decision));
    }

    /// Whether the server's other slot could be tried after this one. It gets one try per call, whatever it says.
    pub(super) fn has_other_slot(&self) -> bool {
        let has_other = match self.drill {
            Some(_) => self.placement.vm.registry.has_two_slots(self.placement.index),
            None => self.selection.is_some_and(|selection| selection.has_other),
        };
        has_other && self.plan.as_ref().is_some_and(|plan| !plan.other_slot)
    }

    /// The attempt ended in `class`: a refused secret rests, an accepted one is remembered as good.
    pub(super) fn settle_credential(&self, class: Class, now_ms: u64) {
        let Some(selection) = self.selection else { return };
        let (vm, index) = (&self.placement.vm, self.placement.index);
        match class {
            Class::Credential => {
                vm.credentials.refused(index, selection, now_ms);
                self.record(Event::Rejected, selection);
                if let Some(name) = self.placement.credential_name() {
                    vm.metrics.count(Metric::PatRejected(name, selection.slot));
                }
            }
            Class::Success | Class::ToolError => vm.credentials.worked(index, selection, now_ms),
            _ => {}
        }
    }
}
