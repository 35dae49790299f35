//! One attempt as a state machine: events of its request and of its server's answer in, reactions out.
//!
//! [`Attempt::begin`] asks the flight. [`request`] has what becomes of the request; [`response`] holds and judges the answer,
//! as long as that takes and no longer; [`settled`] is the end of an attempt, told once.

mod listed;
mod normal;
mod request;
mod response;
mod settled;
#[cfg(test)]
mod tests;

pub use request::{Outgoing, is_left_by_envoy};
pub use response::{ResponseHead, is_event_stream};
pub use settled::{NoAnswer, Settled, told_to_breaker};

use std::rc::Rc;

use super::flight::{Begun, Grounded, Terms};
use super::session::{has_opened, may_open};
use super::{Call, Session};
use crate::budget::Budget;
use crate::failure::Class;
use crate::held::{Held, Room};
use crate::registry::{Direct, Registry, Server, ServerIndex, ServerKind};
use crate::usage::Used;
use response::Holding;

/// What an attempt may look at while it handles an event.
pub struct Scene<'a> {
    /// The call.
    pub call: &'a mut Call,
    /// The registry that the facts of the server come from.
    pub registry: &'a Registry,
    /// The server, by its position there.
    pub index: ServerIndex,
    /// The server.
    pub server: &'a Server,
    /// What may still be spent on sending calls again.
    pub budget: &'a mut Budget,
    /// What the VM holds.
    pub held: &'a Rc<Held>,
    /// The monotonic clock.
    pub now_ms: u64,
    /// Calendar time in ms since 1970, asked only for a date in a header.
    pub wall_ms: &'a dyn Fn() -> u64,
}

impl Scene<'_> {
    /// How the called tool is asked for on this server, if this is its REST server.
    fn direct(&self) -> Option<&Direct> {
        let direct = self.call.tool(self.registry)?.rest.as_ref()?;
        (direct.server == self.index).then_some(direct)
    }

    fn knows_only_clients(&self) -> bool {
        self.registry.knows_only_clients(self.server)
    }
}

/// Reads from a body that the host holds: so many bytes from a start, or as many as there are.
pub type Body<'b> = dyn Fn(usize, usize) -> Vec<u8> + 'b;

/// What is to be done after an event.
#[derive(Debug, Default)]
pub struct Reaction {
    /// With the message that the event is about.
    pub flow: Flow,
    /// The attempt has settled: the breaker, the credential and the statistics are to hear of it.
    pub settled: Option<Settled>,
    /// The router is to send the call on; so many seconds it is to wait before that.
    pub onward_in_s: Option<u64>,
    /// An answer that tells what may be called twice.
    pub lesson: Option<Vec<u8>>,
    /// What an operator should know of the answer.
    pub complaint: Option<String>,
    /// The answer is JSON and does not say so.
    pub name_as_json: bool,
    /// What the answer says that it took.
    pub used: Vec<Used>,
}

/// What becomes of the message, or of the piece of it that the event has brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// It goes on.
    #[default]
    Pass,
    /// It is held until more of it is there.
    Hold,
    /// This JSON takes its place, with status 200; no more of it may follow.
    Replace(Vec<u8>),
    /// Nothing takes its place.
    Drop,
    /// This takes its place, and what follows is another matter.
    Rewrite(Vec<u8>),
    /// It ends here, with this JSON and status 200.
    Reply(Vec<u8>),
}

impl Reaction {
    fn flow(flow: Flow) -> Self {
        Reaction { flow, ..Reaction::default() }
    }
}

/// One attempt.
#[derive(Debug)]
pub struct Attempt {
    begun: Begun,
    began_ms: u64,
    /// Whether the server speaks plain HTTP, so that request and answer are translated.
    translates: bool,
    /// Whether the server's other credential slot could be used as well.
    pub has_other_slot: bool,
    /// Whether the outcome has been told.
    settled: bool,
    /// The HTTP status of the answer; 0 until its headers are there.
    status: u16,
    /// How long its request was held back here, in ms.
    waited_ms: u64,
    /// How long it took to the answer's headers, in ms; `None` until they are there.
    answered_after_ms: Option<u64>,
    holding: Holding,
    /// What is held takes this room.
    room: Room,
    /// There was no room for the answer, for which its server can do nothing.
    lacked_room: bool,
    /// Whether the server has accepted the call, and is to be asked again.
    accepted: bool,
    /// Whether the answer has been read, and lacks nothing that a client needs.
    is_complete: bool,
}

impl Attempt {
    /// Begins the attempt at the scene's server; at the drill's cluster if `drill`. `proof` as in
    /// [`Flight::begin`](super::Flight::begin).
    ///
    /// # Errors
    /// If the call must not be sent there.
    pub fn begin(scene: &mut Scene<'_>, drill: bool, proof: impl FnOnce() -> bool) -> Result<Self, Grounded> {
        let here = (!drill).then_some(&scene.server.id);
        let begun = scene.call.flight.begin(here, scene.now_ms, proof)?;
        Ok(Attempt {
            begun,
            began_ms: scene.now_ms,
            translates: scene.server.kind == ServerKind::Rest,
            has_other_slot: drill && scene.registry.has_two_slots(scene.index),
            settled: false,
            status: 0,
            waited_ms: 0,
            answered_after_ms: None,
            holding: Holding::Nothing,
            room: scene.held.room(),
            lacked_room: false,
            accepted: false,
            is_complete: false,
        })
    }

    /// What the flight has said of it.
    pub fn begun(&self) -> &Begun {
        &self.begun
    }

    /// When it began, on the monotonic clock, in ms.
    pub fn began_ms(&self) -> u64 {
        self.began_ms
    }

    /// Whether its end is known.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether it wants to see more of the answer.
    pub fn is_holding(&self) -> bool {
        !matches!(self.holding, Holding::Nothing)
    }

    /// How many bytes of the answer are held.
    pub fn held(&self) -> usize {
        match self.holding {
            Holding::Whole(_, size) | Holding::Event(_, size) => size,
            Holding::Nothing | Holding::Rest | Holding::Normal(_) => 0,
        }
    }

    /// How it is to fail without its server being asked.
    pub fn drill(&self) -> Option<Class> {
        self.begun.drill
    }

    /// How long its server has had it by now, in ms.
    pub fn worked_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.began_ms).saturating_sub(self.waited_ms)
    }

    /// Its request was held back here until now.
    pub fn has_waited(&mut self, now_ms: u64) {
        self.waited_ms = now_ms.saturating_sub(self.began_ms);
    }

    /// Reports its outcome under another ticket, as one that repeats an attempt must: the first has spent its own.
    pub fn renew(&mut self, ticket: crate::breaker::Ticket) {
        self.begun.ticket = ticket;
    }

    fn terms<'r>(&self, scene: &Scene<'r>) -> Terms<'r> {
        let (session, server) = (&scene.call.session, &scene.server.id);
        // One of the gate's that tells nothing of its client ends where a server answers: its client is to begin another.
        let may_go_on = *session != Session::Gate || scene.call.session_id.is_some();
        Terms {
            tool: scene.call.tool_overrides(scene.registry),
            server: &scene.server.on,
            replay: scene.call.replay,
            foreign_session: may_go_on && scene.call.session_is_elsewhere(Some(server)),
            opened_session: has_opened(scene.call),
            may_open_session: session.owner() == Some(server) && (may_open(scene.call) || has_opened(scene.call)),
            has_other_slot: self.has_other_slot,
            longest_wait_s: scene.registry.failover.back_off.max.as_secs(),
            accepted: self.accepted,
        }
    }
}
