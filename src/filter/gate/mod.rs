//! The gate: the filter on the listener. One context per request of a client.
//!
//! It turns Envoy's callbacks into the steps of [`crate::call`]: the door and the plan ([`request`]), the last word and the
//! account ([`response`]). What happens between the two is [`super::attempt`]'s.

mod breakers;
mod cache;
mod counts;
mod ledger;
mod request;
mod response;
mod trace;

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

pub use breakers::BreakersAt;
use response::Rewrite;

use super::calls;
use super::metrics::CallStatus;
use super::vm::Vm;
use crate::call::account::Account;
use crate::call::cached::Asked;
use crate::call::door::Client;
use crate::call::ledger::Noted;
use crate::call::{Call, Kind, Question, Task};
use crate::held::Room;
use crate::jsonrpc::OwnedId;
use crate::registry::{Registry, ServerIndex};

/// How far a request has come.
enum Phase {
    /// Not for the MCP endpoint, or nothing seen yet: left alone.
    Other,
    /// The body is being collected.
    Reading(Box<Client>),
    /// On its way to a server, under this number.
    Sent(u64, Rc<RefCell<Call>>),
    /// Answered by the gate itself.
    Answered,
}

/// What is known of a message, whatever becomes of it.
#[derive(Default)]
struct Facts {
    /// When its request came, on the monotonic clock, in ms.
    started_ms: u64,
    /// Its JSON-RPC id; the call has it once there is one.
    id: Option<OwnedId>,
    /// Of `initialize`: how the client introduces itself, in short.
    introduction: Box<str>,
    /// What kind it is; `None` until it was read.
    kind: Option<Kind>,
    /// Whether its answer lasts for as long as its client listens.
    listens: bool,
    /// What it is counted under.
    task: Task,
    /// What the gate can answer itself, if no server does.
    question: Option<Question>,
    /// What the cache was asked, where it had no fresh answer.
    asked: Option<Box<Asked>>,
    /// The server that the operator's order names first.
    first_choice: Option<ServerIndex>,
    /// The server that it went to although its breaker refuses, and when.
    last_resort: Option<(ServerIndex, u64)>,
    /// Why it was not sent on where it could have been.
    stopped: Option<&'static str>,
    /// How it ended.
    end: Option<Account>,
    /// How many bytes of an answer have passed.
    answer_bytes: usize,
    /// How many bytes the answer has that Dualpath gives itself; they may pass, too.
    own_bytes: Option<usize>,
    /// What is noted for the call log, where that is on.
    noted: Option<Box<Noted>>,
}

impl Facts {
    /// The tool that is called, where the registry knows it.
    fn tool<'r>(&self, registry: &'r Registry) -> Option<&'r str> {
        let Task::Tool(at) = self.task else { return None };
        registry.tools.get(at).map(|tool| tool.name.as_str())
    }
}

/// The context of one request.
pub struct Gate {
    vm: Rc<Vm>,
    phase: Phase,
    known: Facts,
    rewrite: Rewrite,
    /// The web page that asks, by its position in the listener's `allowed_origins`.
    page: Option<usize>,
    /// What Envoy holds of the request, to send it again, takes this room.
    room: Room,
    /// How many bytes the request's headers have.
    head: usize,
    /// Whether the call is written down for attempts that can't find it.
    is_written: bool,
}

impl Gate {
    /// A context that has seen nothing yet.
    pub fn new(vm: Rc<Vm>) -> Self {
        let room = vm.held.room();
        Gate {
            vm,
            phase: Phase::Other,
            known: Facts::default(),
            rewrite: Rewrite::Keep,
            page: None,
            room,
            head: 0,
            is_written: false,
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Phase::Sent(number, _) = self.phase {
            calls::leave(number);
        }
    }
}

impl Context for Gate {}

impl HttpContext for Gate {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.request_headers(end_of_stream)
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        match self.phase {
            Phase::Reading(_) => self.request_body(size, end_of_stream),
            Phase::Answered => Action::Pause,
            _ => Action::Continue,
        }
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        match self.phase {
            // Trailers end the body, and Envoy has no other end to tell of.
            Phase::Reading(_) => self.request_complete(),
            Phase::Answered => Action::Pause,
            _ => Action::Continue,
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        match &self.phase {
            Phase::Sent(_, call) => {
                let call = Rc::clone(call);
                self.show_page();
                self.response_headers(&call, end_of_stream)
            }
            // Envoy's own answer, to a request that it has given up.
            Phase::Reading(_) => {
                self.show_page();
                Action::Continue
            }
            Phase::Other | Phase::Answered => Action::Continue,
        }
    }

    fn on_http_response_body(&mut self, size: usize, _end_of_stream: bool) -> Action {
        if matches!(self.rewrite, Rewrite::Keep) {
            self.known.answer_bytes = self.known.answer_bytes.saturating_add(size);
        }
        self.rewrite.body(size)
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.response_trailers()
    }

    fn on_log(&mut self) {
        self.account();
    }
}

/// A call that the gate has turned away, or answered with what it knows itself.
fn answered(status: CallStatus) -> Option<Account> {
    Some(Account::of_gate(status))
}
