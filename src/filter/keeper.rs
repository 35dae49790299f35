//! The keeper: the upstream filter on a credential's own cluster, which leads nowhere. Only a request shows what Envoy's
//! injectors hold, so the prober sends one now and then, and the keeper leaves in the shared data what may be told of the
//! secrets. Metrics and alerts are right without any traffic that way, and whoever chooses servers learns of a new secret
//! before a call has to find it out.
//!
//! The answer itself is empty: it is there before the prober's request has been sent, and Envoy drops such an answer.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::host::{self, Headers};
use super::shared_data::EnvoySharedData;
use super::vm::{self, Vm};
use crate::call::credentials::report_key;
use crate::registry::CredentialIndex;
use crate::shared_data::{CREATE, SharedData};
use crate::wiring::header;

/// The context of one question.
pub struct Keeper {
    vm: Rc<Vm>,
    credential: CredentialIndex,
}

impl Keeper {
    /// The keeper of this credential.
    pub fn new(vm: Rc<Vm>, credential: CredentialIndex) -> Self {
        Keeper { vm, credential }
    }

    /// Leaves the report, unless it is there already. A lost race is repeated with the next question.
    fn leave_report(&self) {
        let Some(credential) = self.vm.registry.credential(self.credential) else { return };
        // Tokens that Envoy does not inject are with the gate.
        let vm = vm::of_gate(self.vm.identity).unwrap_or_else(|| Rc::clone(&self.vm));
        let Some(at) = vm.registry.credential_by_id(credential.id.as_str()) else { return };
        let read = |header: &str| Headers::Request.get(header);
        let report = vm.credentials.report(at, read).encode();
        let key = report_key(credential);
        let Ok(found) = EnvoySharedData.get(&key) else { return };
        let (before, token) = found.unwrap_or((Vec::new(), CREATE));
        if before != report {
            let _ = EnvoySharedData.set(&key, &report, token);
        }
    }
}

impl Context for Keeper {}

impl HttpContext for Keeper {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.leave_report();
        for header in header::SLOTS {
            Headers::Request.remove(header);
        }
        host::reply(204, &[], b"");
        Action::Pause
    }
}
