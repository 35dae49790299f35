//! Tokens from HTTP endpoints: asked for by the root context of each VM, and kept in that VM's memory only.

use std::rc::Rc;

use super::host::{self, Body, Headers};
use super::vm::Vm;
use crate::credential::Slot;
use crate::registry::{CredentialIndex, Endpoint, Source};
use crate::wiring::cluster;

/// The largest answer that is read, in bytes.
const LARGEST: usize = 64 * 1024;

/// After a failure the endpoint is asked again so soon, ms, or after its own period if that is shorter.
const RETRY_MS: u64 = 5_000;

/// The endpoints of a registry.
pub struct Endpoints {
    vm: Rc<Vm>,
    polls: Vec<Poll>,
}

struct Poll {
    credential: CredentialIndex,
    slot: Slot,
    endpoint: Endpoint,
    next_ms: u64,
    /// The request under way.
    asked: Option<u32>,
    /// Whether the last one failed, so that a long outage is one line in the log.
    failing: bool,
}

impl Endpoints {
    /// The endpoints that credentials of the registry name.
    pub fn new(vm: Rc<Vm>) -> Self {
        let credentials = (0u16..).map(CredentialIndex).zip(&vm.registry.credentials);
        let slots = credentials.flat_map(|(at, credential)| {
            Slot::BOTH.into_iter().zip(&credential.slots).filter_map(move |(slot, source)| {
                match &source.as_ref()?.source {
                    Source::Endpoint(endpoint) => Some((at, slot, endpoint.clone())),
                    _ => None,
                }
            })
        });
        let polls = slots
            .map(|(credential, slot, endpoint)| Poll {
                credential,
                slot,
                endpoint,
                next_ms: 0,
                asked: None,
                failing: false,
            })
            .collect();
        Endpoints { vm, polls }
    }

    /// Asks the endpoints whose time has come.
    pub fn tick(&mut self, now_ms: u64) {
        for poll in &mut self.polls {
            if now_ms < poll.next_ms {
                continue;
            }
            let Some(credential) = self.vm.registry.credential(poll.credential) else { continue };
            poll.next_ms = now_ms.saturating_add(millis(poll.endpoint.every));
            let cluster = cluster::secret(credential.id.as_str(), poll.slot);
            let url = &poll.endpoint.url;
            let headers = [
                (":method", "GET".to_owned()),
                (":path", url.path.clone()),
                (":authority", url.authority()),
                (":scheme", if url.tls { "https" } else { "http" }.to_owned()),
                ("accept", if poll.endpoint.field.is_some() { "application/json" } else { "*/*" }.to_owned()),
            ];
            poll.asked = host::dispatch(&cluster, &headers, b"", poll.endpoint.timeout).ok();
            if poll.asked.is_none() {
                poll.fail(credential.id.as_str(), "this Envoy has no cluster for it, or that has no host", now_ms);
            }
        }
    }

    /// Takes an endpoint's answer, if `token` belongs to one. `any`: there is one, if only headers.
    pub fn answer(&mut self, token: u32, any: bool, size: usize, now_ms: u64) {
        let Some(poll) = self.polls.iter_mut().find(|poll| poll.asked == Some(token)) else { return };
        poll.asked = None;
        let Some(credential) = self.vm.registry.credential(poll.credential) else { return };
        let status = if any { Headers::Dispatched.status() } else { None };
        let body = if any && size > 0 { Body::Dispatched.read(0, size.min(LARGEST)) } else { Vec::new() };
        match poll.endpoint.secret_in(status, &body) {
            Ok(secret) => {
                self.vm.credentials.hold(&self.vm.registry, poll.credential, poll.slot, &secret);
                poll.failing = false;
            }
            Err(why) => poll.fail(credential.id.as_str(), why, now_ms),
        }
    }
}

impl Poll {
    /// Keeps the token that there is and asks again soon.
    fn fail(&mut self, credential: &str, why: &str, now_ms: u64) {
        self.next_ms = self.next_ms.min(now_ms.saturating_add(RETRY_MS));
        if !std::mem::replace(&mut self.failing, true) {
            log::warn!("credential {credential} slot {}: no token from its endpoint: {why}", self.slot.as_str());
        }
    }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
