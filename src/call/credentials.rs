//! The secrets of one worker. They are held here and put into the request of the one server they belong to; nothing in this
//! module can print one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::credential::{
    Availability, Declared, Fingerprint, FingerprintKey, Now, Report, Secret, Seen, Selection, Slot, SlotPair,
    Testimony,
};
use crate::registry::{Credential, CredentialIndex, Registry, Server, ServerIndex, Source};
use crate::shared_data::{CREATE, SetError, SharedData};
use crate::wiring::header;

/// For so long a worker takes what it has last seen in a server's slots for what is there, in ms: reading them costs more
/// than all else that an attempt does with its headers. A new token is sent that much later at most.
pub const SEEN_FOR_MS: u64 = 20;

/// How long a server whose secret was missing is passed over before it is tried again, in ms. Where the prober watches
/// the credentials, the secret is noticed as soon as it is there.
const MISSING_FOR_MS: u64 = 5_000;

/// How often a worker tells the others that a token works, in ms, ...
const TOLD_EVERY_MS: u64 = 1_000;
/// ... unless somebody has said so not longer ago than this.
const STILL_TOLD_MS: u64 = 5_000;

/// What a worker knows of the registry's credentials.
pub struct Credentials {
    registry: Rc<Registry>,
    key: FingerprintKey,
    /// Per server: its credential's slots, as far as this server is concerned.
    servers: Vec<RefCell<ServerSlots>>,
    world: World,
}

/// What is asked of the process.
#[derive(Clone, Copy)]
pub struct World {
    /// Calendar time in seconds since 1970.
    pub wall_s: fn() -> u64,
    /// Whether this is the first token that the process has seen in the place of that name.
    pub is_first: fn(&str, Fingerprint) -> bool,
}

#[derive(Debug, Default)]
struct ServerSlots {
    pair: SlotPair,
    /// When the slots that Envoy fills were last seen, monotonic ms; `None`: never. Only a request to the server's cluster
    /// shows them.
    seen_ms: Option<u64>,
    /// Until when a secret that was missing is not looked for again, monotonic ms.
    missing_until_ms: u64,
    /// When the keeper's report, or the lack of one, last said that a token may be there that has not been seen.
    may_have_ms: Cell<Option<u64>>,
    /// When the others were last told that a token works.
    told_ms: u64,
    /// Whether the last that they were told is that one was refused.
    is_doubt_told: bool,
}

/// A call's credential.
#[derive(Debug)]
pub struct Chosen {
    /// Which slot, and why.
    pub selection: Selection,
    /// The value of the credential's header.
    pub value: Vec<u8>,
    /// The token in it.
    pub secret: Secret,
}

impl Credentials {
    /// Reads the slots of the environment and of the registry itself.
    pub fn new(
        registry: Rc<Registry>,
        key: FingerprintKey,
        world: World,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let servers = registry.servers.iter().map(|_| RefCell::default()).collect();
        let credentials = Credentials { registry, key, servers, world };
        for (at, credential) in (0u16..).map(CredentialIndex).zip(&credentials.registry.credentials) {
            for (slot, source) in Slot::BOTH.into_iter().zip(&credential.slots) {
                match source.as_ref().map(|slot| &slot.source) {
                    Some(Source::Environment(name)) => {
                        credentials.hold(at, slot, environment(name).unwrap_or_default().as_bytes());
                    }
                    Some(Source::Inline(secret)) => credentials.hold(at, slot, &secret.header_value("")),
                    _ => {}
                }
            }
        }
        credentials
    }

    /// Keeps the secret of a slot that Envoy does not fill, for all servers that use the credential.
    pub fn hold(&self, at: CredentialIndex, slot: Slot, secret: &[u8]) {
        let Some(credential) = self.registry.credential(at) else { return };
        for (server, slots) in self.registry.servers.iter().zip(&self.servers) {
            if server.credential == Some(at) {
                self.observe(&mut slots.borrow_mut().pair, credential, slot, Some(secret));
            }
        }
    }

    /// The slots of `credential` as `slot_header` hands them over, with those that are held; for who only looks.
    pub fn report(&self, at: CredentialIndex, slot_header: impl Fn(&str) -> Option<Vec<u8>>) -> Report {
        let registry = &self.registry;
        let user = registry.servers.iter().position(|server| server.credential == Some(at));
        let slots = user.and_then(|user| self.servers.get(user));
        let (Some(slots), Some(credential)) = (slots, registry.credential(at)) else { return Report::default() };
        let mut slots = slots.borrow_mut();
        self.observe_injected(&mut slots, credential, slot_header, 0);
        Report::of(&slots.pair)
    }

    /// The credential for a call to the server at `index`. `slot_header` reads what an injector has handed over, and is not
    /// asked for what has been seen just now. `again`: the call comes to this server a second time, for its other slot.
    /// `None` if no slot has a secret that may be sent.
    pub fn choose(
        &self,
        credential: &Credential,
        index: ServerIndex,
        slot_header: impl Fn(&str) -> Option<Vec<u8>>,
        now_ms: u64,
        again: bool,
    ) -> Option<Chosen> {
        let mut slots = self.servers.get(usize::from(index.0))?.borrow_mut();
        // What is known to be missing may be there by now.
        let is_fresh =
            slots.seen_ms.is_some_and(|seen| now_ms.saturating_sub(seen) < SEEN_FOR_MS) && slots.pair.is_filled();
        if !is_fresh {
            self.observe_injected(&mut slots, credential, slot_header, now_ms);
        }
        let now = self.now_for(&slots.pair, now_ms);
        let Some(selection) = slots.pair.select(now, again) else {
            slots.missing_until_ms = now_ms.saturating_add(MISSING_FOR_MS);
            return None;
        };
        let secret = slots.pair.secret(selection.slot)?;
        Some(Chosen { selection, value: secret.header_value(&credential.prefix), secret })
    }

    fn observe_injected(
        &self,
        slots: &mut ServerSlots,
        credential: &Credential,
        slot_header: impl Fn(&str) -> Option<Vec<u8>>,
        now_ms: u64,
    ) {
        for ((slot, source), header) in Slot::BOTH.into_iter().zip(&credential.slots).zip(header::SLOTS) {
            if source.as_ref().is_some_and(|slot| slot.source.is_injected()) {
                self.observe(&mut slots.pair, credential, slot, slot_header(header).as_deref());
            }
        }
        slots.seen_ms = Some(now_ms);
        slots.may_have_ms.set(None);
    }

    fn observe(&self, pair: &mut SlotPair, credential: &Credential, slot: Slot, secret: Option<&[u8]>) {
        let source = credential.slots.get(slot as usize).and_then(Option::as_ref);
        let declared = source.map(|source| source.declared).unwrap_or_default();
        // The registry's dates are those of the token that was there when they were written.
        let of_token = |token| match declared {
            Declared { issued_s: None, expires_s: None } => declared,
            Declared { issued_s, expires_s } => {
                let (issued, expires) = (issued_s.unwrap_or_default(), expires_s.unwrap_or_default());
                let place = format!("{}-{}:{issued}-{expires}", credential.id, slot.as_str());
                if (self.world.is_first)(&place, token) { declared } else { Declared::default() }
            }
        };
        pair.observe(slot, secret, of_token, self.key);
    }

    /// Whether a call to this server has no credential to go with, as far as is known without sending one.
    pub fn is_missing(&self, store: &impl SharedData, index: ServerIndex, now_ms: u64) -> bool {
        let registry = &self.registry;
        let credential = registry.server(index).and_then(|server| registry.credential(server.credential?));
        let (Some(credential), Some(slots)) = (credential, self.servers.get(usize::from(index.0))) else {
            return false;
        };
        let mut slots = slots.borrow_mut();
        let now = self.now_for(&slots.pair, now_ms);
        if slots.pair.usable(now).next().is_some() {
            return false;
        }
        // Somebody else may have had a success meanwhile.
        if slots.pair.is_doubted()
            && let Some(server) = registry.server(index)
        {
            hear(&mut slots.pair, &testimony(store, server));
            if slots.pair.usable(now).next().is_some() {
                return false;
            }
        }
        if !is_injected(credential) {
            return true;
        }
        if slots.may_have_ms.get().is_some_and(|at| now_ms.saturating_sub(at) < SEEN_FOR_MS) {
            return false;
        }
        let is_missing = match watched(store, credential) {
            Some(report) => !report.has_news_for(&slots.pair, self.world.wall_s),
            // Without the prober only a call can find out whether a new secret has come, and is lost if none has. While a
            // refused one rests nobody is made to try.
            None => {
                let rests = |slot| matches!(slots.pair.availability(slot, now), Availability::Resting(_));
                slots.seen_ms.is_some() && (now.ms < slots.missing_until_ms || Slot::BOTH.into_iter().any(rests))
            }
        };
        slots.may_have_ms.set((!is_missing).then_some(now_ms));
        is_missing
    }

    /// Whether a server whose tokens rest may accept them by now: it has done so not long ago.
    pub fn may_work_again(&self, index: ServerIndex, now_ms: u64) -> bool {
        let Some(slots) = self.servers.get(usize::from(index.0)) else { return false };
        let slots = slots.borrow();
        slots.pair.may_work_again(self.now_for(&slots.pair, now_ms))
    }

    /// Why a call to this server has no credential to go with, for its client and the operator.
    pub fn explain(&self, index: ServerIndex, now_ms: u64) -> String {
        let registry = &self.registry;
        let server = registry.server(index);
        let credential = server.and_then(|server| registry.credential(server.credential?));
        let (Some(server), Some(credential), Some(slots)) =
            (server, credential, self.servers.get(usize::from(index.0)))
        else {
            return String::new();
        };
        let slots = slots.borrow();
        let now = self.now_for(&slots.pair, now_ms);
        let given = Slot::BOTH.into_iter().zip(&credential.slots).filter(|(_, source)| source.is_some());
        let why = given.map(|(slot, _)| {
            let why = match slots.pair.availability(slot, now) {
                Availability::Usable => "is usable",
                Availability::Missing => "is empty",
                Availability::NotYet => "is not valid yet",
                Availability::Expired => "has expired",
                Availability::Defective(defect) => defect.as_str(),
                Availability::Resting(_) => "was refused",
            };
            format!("slot {} {why}", slot.as_str())
        });
        format!("{}: {} {}", server.id, credential.id, why.collect::<Vec<_>>().join(", "))
    }

    /// The time as far as it matters to these tokens: asking for the wall's is a call to the host.
    fn now_for(&self, pair: &SlotPair, now_ms: u64) -> Now {
        Now { wall_s: if pair.is_dated() { (self.world.wall_s)() } else { 0 }, ms: now_ms }
    }

    /// The server accepted the token that a call was sent with.
    pub fn worked(&self, store: &impl SharedData, index: ServerIndex, selection: Selection, now_ms: u64) {
        let (Some(server), Some(slots)) = (self.registry.server(index), self.servers.get(usize::from(index.0))) else {
            return;
        };
        let mut slots = slots.borrow_mut();
        slots.pair.worked(selection.slot, selection.fingerprint, now_ms);
        if std::mem::replace(&mut slots.is_doubt_told, false) {
            testify(store, server, selection.fingerprint, Seen::Accepted, now_ms);
        }
    }

    /// The server refused it. It rests if the other slot takes over, or if this is not the only thing that is held against it.
    pub fn refused(&self, store: &impl SharedData, index: ServerIndex, selection: Selection, now_ms: u64) {
        let (Some(server), Some(slots)) = (self.registry.server(index), self.servers.get(usize::from(index.0))) else {
            return;
        };
        let mut slots = slots.borrow_mut();
        let now = self.now_for(&slots.pair, now_ms);
        slots.may_have_ms.set(None);
        if slots.pair.refused(selection.slot, selection.fingerprint, now) {
            hear(&mut slots.pair, &testimony(store, server));
            let seen = if slots.pair.is_corroborated(selection.slot) { Seen::Condemned } else { Seen::Refused };
            testify(store, server, selection.fingerprint, seen, now_ms);
            slots.is_doubt_told = true;
        }
    }

    /// Tells the other workers which tokens work, where they may not know it.
    pub fn tell(&self, store: &impl SharedData, now_ms: u64) {
        for (server, slots) in self.registry.servers.iter().zip(&self.servers) {
            let mut slots = slots.borrow_mut();
            let worked = slots.pair.last_worked().filter(|(_, worked_ms)| *worked_ms > slots.told_ms);
            let Some((token, worked_ms)) = worked else { continue };
            if now_ms < slots.told_ms.saturating_add(TOLD_EVERY_MS) {
                continue;
            }
            slots.told_ms = now_ms;
            let known = testimony(store, server).of(token).filter(|word| word.accepted_ms >= word.refused_ms);
            if known.is_none_or(|word| word.accepted_ms.saturating_add(STILL_TOLD_MS) < worked_ms) {
                testify(store, server, token, Seen::Accepted, worked_ms);
            }
        }
    }
}

/// Hears what is said of both tokens.
fn hear(pair: &mut SlotPair, testimony: &Testimony) {
    for slot in Slot::BOTH {
        if let Some(word) = pair.fingerprint(slot).and_then(|token| testimony.of(token)) {
            pair.hear(slot, word);
        }
    }
}

/// What workers and the prober have last seen `server` make of its tokens.
pub fn testimony(store: &impl SharedData, server: &Server) -> Testimony {
    let found = store.get(&testimony_key(server)).ok().flatten();
    found.map_or(Testimony::NONE, |(bytes, _)| Testimony::decode(&bytes))
}

/// Tells everybody what was seen of a token.
pub fn testify(store: &impl SharedData, server: &Server, token: Fingerprint, seen: Seen, now_ms: u64) {
    /// So often workers may be in each other's way.
    const TRIES: usize = 4;
    let key = testimony_key(server);
    for _ in 0..TRIES {
        let Ok(found) = store.get(&key) else { return };
        let (bytes, version) = found.unwrap_or((Vec::new(), CREATE));
        let mut testimony = Testimony::decode(&bytes);
        testimony.note(token, seen, now_ms);
        if store.set(&key, &testimony.encode(), version) != Err(SetError::CasMismatch) {
            return;
        }
    }
}

fn testimony_key(server: &Server) -> String {
    format!("ct1:{}", server.id)
}

fn is_injected(credential: &Credential) -> bool {
    credential.slots.iter().flatten().any(|slot| slot.source.is_injected())
}

/// The shared-data key under which the keeper leaves what may be told of a credential.
pub fn report_key(credential: &Credential) -> String {
    format!("cr1:{}", credential.id)
}

/// What the keeper has last seen of the credential.
pub fn watched(store: &impl SharedData, credential: &Credential) -> Option<Report> {
    let (bytes, _) = store.get(&report_key(credential)).ok()??;
    Report::decode(&bytes)
}
