//! The secrets of one VM. They are held here and put into the request of the one server they belong to; nothing in this
//! module can print one.

use std::cell::RefCell;

use super::clock;
use super::shared_data::EnvoySharedData;
use crate::credential::{Availability, FingerprintKey, Now, Report, Selection, Slot, SlotPair};
use crate::registry::{Credential, CredentialIndex, Registry, Server, ServerIndex, Source};
use crate::shared_data::SharedData;
use crate::wiring::header;

/// How long a server whose secret was missing is passed over before it is tried again, in ms. Where the prober watches
/// the credentials, the secret is noticed as soon as it is there.
const MISSING_FOR_MS: u64 = 5_000;

/// What a VM knows of the registry's credentials.
#[derive(Debug)]
pub struct Credentials {
    key: FingerprintKey,
    /// Per server: its credential's slots, as far as this server is concerned.
    servers: Vec<RefCell<ServerSlots>>,
    /// Every header that some server's credential uses, and the slot headers: an attempt takes off all but its own,
    /// since Envoy keeps what an earlier attempt has set.
    headers: Vec<String>,
}

#[derive(Debug, Default)]
struct ServerSlots {
    pair: SlotPair,
    /// Whether slots that Envoy fills are unknown still: only a request to the server's cluster shows them.
    unseen: bool,
    /// Until when a secret that was missing is not looked for again, monotonic ms.
    missing_until_ms: u64,
}

/// A call's credential.
#[derive(Debug)]
pub struct Chosen {
    /// Which slot, and why.
    pub selection: Selection,
    /// The value of the credential's header.
    pub value: Vec<u8>,
}

impl Credentials {
    /// Reads the slots of the environment and of the registry itself.
    pub fn new(registry: &Registry, key: FingerprintKey, environment: impl Fn(&str) -> Option<String>) -> Self {
        let mut headers = vec!["authorization".to_owned()];
        for credential in &registry.credentials {
            headers.push(credential.header.clone());
            headers.extend(credential.headers.iter().map(|(name, _)| name.clone()));
        }
        if registry.credentials.iter().any(is_injected) {
            headers.extend(header::SLOTS.map(str::to_owned));
        }
        headers.sort_unstable();
        headers.dedup();
        let unseen =
            |server: &Server| server.credential.and_then(|at| registry.credential(at)).is_some_and(is_injected);
        let slots = |server| RefCell::new(ServerSlots { unseen: unseen(server), ..ServerSlots::default() });
        let credentials = Credentials { key, servers: registry.servers.iter().map(slots).collect(), headers };
        for (at, credential) in (0u16..).map(CredentialIndex).zip(&registry.credentials) {
            for (slot, source) in Slot::BOTH.into_iter().zip(&credential.slots) {
                match source.as_ref().map(|slot| &slot.source) {
                    Some(Source::Environment(name)) => {
                        credentials.hold(registry, at, slot, environment(name).unwrap_or_default().as_bytes());
                    }
                    Some(Source::Inline(secret)) => {
                        credentials.hold(registry, at, slot, &secret.header_value(""));
                    }
                    _ => {}
                }
            }
        }
        credentials
    }

    /// The names of all headers that may carry a credential of any server.
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    /// Keeps the secret of a slot that Envoy does not fill, for all servers that use the credential.
    pub fn hold(&self, registry: &Registry, at: CredentialIndex, slot: Slot, secret: &[u8]) {
        let Some(credential) = registry.credential(at) else { return };
        for (server, slots) in registry.servers.iter().zip(&self.servers) {
            if server.credential == Some(at) {
                self.observe(&mut slots.borrow_mut().pair, credential, slot, Some(secret));
            }
        }
    }

    /// The slots of `credential` as `slot_header` hands them over, with those that are held; for who only looks.
    pub fn report(
        &self,
        registry: &Registry,
        at: CredentialIndex,
        slot_header: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Report {
        let user = registry.servers.iter().position(|server| server.credential == Some(at));
        let slots = user.and_then(|user| self.servers.get(user));
        let (Some(slots), Some(credential)) = (slots, registry.credential(at)) else { return Report::default() };
        let mut slots = slots.borrow_mut();
        self.observe_injected(&mut slots, credential, slot_header);
        Report::of(&slots.pair)
    }

    /// The credential for a call to the server at `index`. `slot_header` reads what an injector has handed over. `again`: the
    /// call comes to this server a second time, for its other slot. `None` if no slot has a secret that may be sent.
    pub fn choose(
        &self,
        credential: &Credential,
        index: ServerIndex,
        slot_header: impl Fn(&str) -> Option<Vec<u8>>,
        now_ms: u64,
        again: bool,
    ) -> Option<Chosen> {
        let mut slots = self.servers.get(usize::from(index.0))?.borrow_mut();
        self.observe_injected(&mut slots, credential, slot_header);
        let now = now_for(&slots.pair, now_ms);
        let Some(selection) = slots.pair.select(now, again) else {
            slots.missing_until_ms = now_ms.saturating_add(MISSING_FOR_MS);
            return None;
        };
        let value = slots.pair.header_value(selection.slot, &credential.prefix)?;
        Some(Chosen { selection, value })
    }

    fn observe_injected(
        &self,
        slots: &mut ServerSlots,
        credential: &Credential,
        slot_header: impl Fn(&str) -> Option<Vec<u8>>,
    ) {
        for ((slot, source), header) in Slot::BOTH.into_iter().zip(&credential.slots).zip(header::SLOTS) {
            if source.as_ref().is_some_and(|slot| slot.source.is_injected()) {
                self.observe(&mut slots.pair, credential, slot, slot_header(header).as_deref());
            }
        }
        slots.unseen = false;
    }

    fn observe(&self, pair: &mut SlotPair, credential: &Credential, slot: Slot, secret: Option<&[u8]>) {
        let source = credential.slots.get(slot as usize).and_then(Option::as_ref);
        let declared = source.map(|source| source.declared).unwrap_or_default();
        pair.observe(slot, secret, declared, &credential.policy, self.key);
    }

    /// Whether a call to this server has no credential to go with, as far as is known without sending one.
    pub fn is_missing(&self, registry: &Registry, index: ServerIndex, now_ms: u64) -> bool {
        let credential = registry.server(index).and_then(|server| registry.credential(server.credential?));
        let (Some(credential), Some(slots)) = (credential, self.servers.get(usize::from(index.0))) else {
            return false;
        };
        let slots = slots.borrow();
        let now = now_for(&slots.pair, now_ms);
        if slots.pair.usable(now).next().is_some() {
            return false;
        }
        if !is_injected(credential) {
            return true;
        }
        match watched(credential) {
            Some(report) => !report.has_news_for(&slots.pair),
            // Without the prober only a call can find out whether a new secret has come, and is lost if none has. While a
            // refused one rests nobody is made to try.
            None => {
                let rests = |slot| matches!(slots.pair.availability(slot, now), Availability::Resting(_));
                !slots.unseen && (now.ms < slots.missing_until_ms || Slot::BOTH.into_iter().any(rests))
            }
        }
    }

    /// Why a call to this server has no credential to go with, for its client and the operator.
    pub fn explain(&self, registry: &Registry, index: ServerIndex, now_ms: u64) -> String {
        let server = registry.server(index);
        let credential = server.and_then(|server| registry.credential(server.credential?));
        let (Some(server), Some(credential), Some(slots)) =
            (server, credential, self.servers.get(usize::from(index.0)))
        else {
            return String::new();
        };
        let slots = slots.borrow();
        let now = now_for(&slots.pair, now_ms);
        let given = Slot::BOTH.into_iter().zip(&credential.slots).filter(|(_, source)| source.is_some());
        let why = given.map(|(slot, _)| {
            let why = match slots.pair.availability(slot, now) {
                Availability::Usable => "is usable",
                Availability::Missing => "is empty",
                Availability::NotYet => "is not valid yet",
                Availability::Expired => "has expired",
                Availability::Resting(_) => "was refused",
            };
            format!("slot {} {why}", slot.as_str())
        });
        format!("{}: {} {}", server.id, credential.id, why.collect::<Vec<_>>().join(", "))
    }

    /// The server accepted the token that a call was sent with.
    pub fn worked(&self, index: ServerIndex, selection: Selection, now_ms: u64) {
        if let Some(slots) = self.servers.get(usize::from(index.0)) {
            slots.borrow_mut().pair.worked(selection.slot, selection.fingerprint, now_ms);
        }
    }

    /// The server refused it.
    pub fn refused(&self, index: ServerIndex, selection: Selection, now_ms: u64) {
        if let Some(slots) = self.servers.get(usize::from(index.0)) {
            slots.borrow_mut().pair.refused(selection.slot, selection.fingerprint, now_ms);
        }
    }
}

/// The time as far as it matters to these tokens: asking for the wall's is a call to the host.
fn now_for(pair: &SlotPair, now_ms: u64) -> Now {
    if pair.is_dated() { clock::now_with(now_ms) } else { Now { wall_s: 0, ms: now_ms } }
}

fn is_injected(credential: &Credential) -> bool {
    credential.slots.iter().flatten().any(|slot| slot.source.is_injected())
}

/// The shared-data key under which the keeper leaves what may be told of a credential.
pub fn report_key(credential: &Credential) -> String {
    format!("cr1:{}", credential.id)
}

/// What the keeper has last seen of the credential.
pub fn watched(credential: &Credential) -> Option<Report> {
    let (bytes, _) = EnvoySharedData.get(&report_key(credential)).ok()??;
    Report::decode(&bytes)
}
