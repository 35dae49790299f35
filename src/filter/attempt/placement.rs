//! Where an attempt filter sits: one server's cluster, and the header discipline that goes with it.
//!
//! Envoy keeps request header mutations from one attempt to the next, so an attempt never relies on a header's absence:
//! it sets or removes every header that any server's attempt may have touched.

use std::rc::Rc;

use super::super::clock;
use super::super::credentials::Chosen;
use super::super::host::Headers;
use super::super::vm::Vm;
use crate::breaker::{Moment, Ticket};
use crate::credential::Selection;
use crate::plan::{Owner, Plan, is_touched_by_rest};
use crate::registry::{Credential, Server, ServerIndex, Tool};
use crate::telemetry::Name;

/// What came of putting a credential into a request.
pub(super) enum Authentication {
    /// The server gets none.
    NotNeeded,
    /// The request carries this slot's.
    Done(Selection),
    /// There is no secret that may be sent; the request must not be sent.
    Impossible,
}

/// One server's cluster under one registry.
pub struct Placement {
    pub(super) vm: Rc<Vm>,
    pub(super) index: ServerIndex,
    authority: String,
    /// Credential headers of other servers, and the slots' private ones.
    foreign: Vec<String>,
    /// Whether the server gets what a client authenticates with itself.
    gets_client_authorization: bool,
    /// Whether it gets nothing else.
    pub(super) knows_only_clients: bool,
}

impl Placement {
    /// The placement for the server of this name; `None` if the registry has no such server.
    pub fn new(vm: Rc<Vm>, server: &str) -> Option<Self> {
        let (index, server) = vm.registry.server_by_id(server)?;
        let credential = server.credential.and_then(|credential| vm.registry.credential(credential));
        let own = |name: &str| credential.is_some_and(|credential| credential.sets(name));
        let foreign = vm.credentials.headers().iter().filter(|name| !own(name)).cloned().collect();
        let authority = server.url.authority();
        Some(Placement {
            index,
            authority,
            foreign,
            gets_client_authorization: vm.registry.gets_client_authorization(server),
            knows_only_clients: vm.registry.knows_only_clients(server),
            vm,
        })
    }

    /// The server. `None` can't happen, as `new` has found it.
    pub(super) fn server(&self) -> Option<&Server> {
        self.vm.registry.server(self.index)
    }

    /// Puts the server's credential into the request and takes everybody else's out. `plan`: what a call's plan says of it:
    /// that it has been here before and is to get the other slot, or what its client authenticates with.
    pub(super) fn authenticate(&self, plan: Option<&Plan>, now_ms: u64) -> Authentication {
        let again = plan.is_some_and(|plan| plan.other_slot);
        let credential = self.credential();
        let read = |header: &str| Headers::Request.get(header);
        let chosen =
            credential.and_then(|credential| self.vm.credentials.choose(credential, self.index, read, now_ms, again));
        for name in &self.foreign {
            Headers::Request.remove(name);
        }
        let client = plan.and_then(|plan| plan.authorization.as_ref()).filter(|_| self.gets_client_authorization);
        let pass_on = || client.iter().for_each(|own| Headers::Request.set("authorization", &own.header_value("")));
        let Some(credential) = credential else {
            pass_on();
            return Authentication::NotNeeded;
        };
        let Some(Chosen { selection, value }) = chosen else {
            // What another server's attempt has left must not even be there to be logged.
            Headers::Request.remove(&credential.header);
            return Authentication::Impossible;
        };
        Headers::Request.set(&credential.header, &value);
        for (name, value) in &credential.headers {
            Headers::Request.set(name, value.as_bytes());
        }
        pass_on();
        Authentication::Done(selection)
    }

    /// The server's credential, if it gets one.
    pub(super) fn credential(&self) -> Option<&Credential> {
        self.vm.registry.credential(self.server()?.credential?)
    }

    /// What the server's credential is counted under.
    pub(super) fn credential_name(&self) -> Option<Name> {
        self.server()?.credential.map(|at| self.vm.names.credential(at))
    }

    /// A ticket for another attempt of a call whose first one here has spent its own. Nobody else can answer the call, so
    /// a breaker that has opened meanwhile does not keep it back.
    pub(super) fn fresh_ticket(&self, now_ms: u64) -> Option<Ticket> {
        let moment = Moment { now_ms, random: clock::random_u32() };
        let look = self.vm.with_breaker(self.index, |breaker, shared| breaker.look(shared, moment))?;
        Some(Ticket { last_resort: !look.admits, ..look.ticket })
    }

    /// Addresses the request to the server, by `path`.
    pub(super) fn address(&self, path: &str) {
        Headers::Request.set(":path", path.as_bytes());
        Headers::Request.set(":authority", self.authority.as_bytes());
    }

    /// Gives the request back the headers of the client's that a REST server's attempt may have changed.
    pub(super) fn restore(&self, plan: &Plan) {
        let Some(originals) = plan.originals.as_ref().filter(|_| plan.attempts > 0) else { return };
        let tool = plan.tool.as_deref().and_then(|tool| self.vm.registry.tool(tool));
        for (name, _) in Headers::Request.all() {
            let is_original = originals.iter().any(|(original, _)| *original == name);
            let mapped = tool.into_iter().flat_map(Tool::mapped_headers);
            if !is_original && is_touched_by_rest(&name, mapped) {
                Headers::Request.remove(&name);
            }
        }
        // REST is asked for POSTs only.
        Headers::Request.set(":method", b"POST");
        for (name, value) in originals {
            Headers::Request.set(name, value);
        }
    }

    /// Names the client's session to the server it belongs to, and to no other.
    pub(super) fn name_session(&self, plan: &Plan) {
        let (Owner::Server(owner), Some(id)) = (&plan.session_owner, &plan.session_id) else { return };
        if self.server().is_some_and(|server| server.id.as_str() == owner) {
            Headers::Request.set("mcp-session-id", id);
        } else {
            Headers::Request.remove("mcp-session-id");
        }
    }
}
