//! The headers of an attempt's request. Envoy keeps what an attempt sets for the attempts that follow, so each sets or
//! removes every header that any server's attempt may have touched: the call knows which carried a credential.

use super::super::host::Headers;
use super::flown::Flown;
use crate::call::Call;
use crate::call::passage::reaches_rest;
use crate::credential::{Secret, Selection};
use crate::registry::Credential;
use crate::translate::RestRequest;
use crate::wiring::header;

/// What came of putting a credential into a request.
pub(super) enum Authentication {
    /// The server gets none.
    NotNeeded,
    /// The request carries this slot's token.
    Done(Selection, Secret),
    /// There is no secret that may be sent; the request must not be sent.
    Impossible,
}

impl Flown {
    /// Puts the server's credential into the request and takes everybody else's out. `again`: the call has been here before
    /// and is to get the other slot.
    pub(super) fn authenticate(&self, again: bool, now_ms: u64) -> Authentication {
        let registry = &self.vm.registry;
        let Some(server) = self.server() else { return Authentication::Impossible };
        let credential = server.credential.and_then(|at| registry.credential(at));
        let read = |name: &str| Headers::Request.get(name);
        let chosen = credential.and_then(|own| self.vm.credentials.choose(own, self.at, read, now_ms, again));
        let mut call = self.call.borrow_mut();
        // Where there is no secret to send, nothing of another server's may stand in its place.
        take_off(&mut call, credential.filter(|_| chosen.is_some()));
        credential.into_iter().for_each(take_off_slots);
        let client = call.authorization.as_ref().filter(|_| registry.gets_client_authorization(server));
        let client = client.map(|own| own.header_value(""));
        let mut set = |name: &str, value: &[u8]| {
            Headers::Request.set(name, value);
            if !call.carried.iter().any(|carried| carried == name) {
                call.carried.push(name.to_owned());
            }
        };
        if let Some(value) = client {
            set("authorization", &value);
        }
        let Some(credential) = credential else { return Authentication::NotNeeded };
        let Some(chosen) = chosen else { return Authentication::Impossible };
        set(&credential.header, &chosen.value);
        for (name, value) in &credential.headers {
            set(name, value.as_bytes());
        }
        Authentication::Done(chosen.selection, chosen.secret)
    }

    /// Addresses the request to the server: a path, and a query if there is one.
    pub(super) fn address(&self, target: &str) {
        Headers::Request.set(":path", target.as_bytes());
        Headers::Request.set(":authority", self.vm.authority(self.at).as_bytes());
    }

    /// Gives the request back the headers of the client's that a REST server's attempt may have changed.
    pub(super) fn restore(&self) {
        let call = self.call.borrow();
        let Some(originals) = call.originals.as_ref().filter(|_| call.flight.made().len() > 1) else { return };
        // What the tool's mapping has set is off already.
        if !originals.iter().any(|(name, _)| name == "content-length") {
            Headers::Request.remove("content-length");
        }
        // REST is asked for POSTs only.
        Headers::Request.set(":method", b"POST");
        for (name, value) in originals {
            Headers::Request.set(name, value);
        }
    }

    /// Names the client's session to the server it belongs to, and to no other.
    pub(super) fn name_session(&self) {
        let call = self.call.borrow();
        let crate::call::Session::Server { owner, id } = &call.session else { return };
        if !id.is_empty() && self.server().is_some_and(|server| server.id == *owner) {
            Headers::Request.set("mcp-session-id", id);
        } else {
            Headers::Request.remove("mcp-session-id");
        }
    }

    /// Puts the API's request in the place of the client's.
    pub(super) fn rewrite(&self, request: &RestRequest) {
        let mut call = self.call.borrow_mut();
        let keyed = call.tool(&self.vm.registry).and_then(|tool| tool.idempotency.as_ref()?.header.as_deref());
        let carried = &mut call.carried;
        for (name, _) in &Headers::Request.all() {
            // What is carried so far is the server's credential.
            let is_ours = name == "content-length"
                || Some(name) == keyed
                || carried.iter().any(|own| own == name)
                || request.headers.iter().any(|(own, _)| own == name);
            if !is_ours && !reaches_rest(name) {
                Headers::Request.remove(name);
            }
        }
        let length = request.body.as_deref().unwrap_or_default().len();
        Headers::Request.set(":method", request.method.as_bytes());
        Headers::Request.set("content-length", length.to_string().as_bytes());
        for (name, value) in &request.headers {
            Headers::Request.set(name, value.as_bytes());
            carried.push((*name).to_owned());
        }
        self.address(&request.path_and_query);
    }
}

/// Takes off what attempts before this one have put in, unless `own` is about to replace it; and what Envoy's router tells of
/// itself in a further attempt, as the route does for the first.
pub(super) fn take_off(call: &mut Call, own: Option<&Credential>) {
    if call.flight.made().len() > 1 {
        header::SET_BY_ROUTER.iter().for_each(|name| Headers::Request.remove(name));
    }
    for name in call.carried.drain(..) {
        if !own.is_some_and(|own| own.sets(&name)) {
            Headers::Request.remove(&name);
        }
    }
}

/// Takes off what Envoy's injectors have put in for a credential.
pub(super) fn take_off_slots(own: &Credential) {
    for (name, slot) in header::SLOTS.iter().zip(&own.slots) {
        if slot.as_ref().is_some_and(|slot| slot.source.is_injected()) {
            Headers::Request.remove(name);
        }
    }
}
