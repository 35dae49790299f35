//! The gate: the filter on the listener. One context per request of a client.
//!
//! It reads the call and writes the plan ([`request`], [`planning`]), and gives the final answer its last form
//! ([`response`]). What happens between the two is [`super::attempt`]'s.

mod asking;
mod attempts;
mod call;
mod controls;
mod planning;
mod request;
mod response;

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use call::Call;
use response::Rewrite;

use super::vm::Vm;

/// How far a request has come.
enum Phase {
    /// Not for the MCP endpoint, or nothing seen yet: left alone.
    Other,
    /// The body is being collected.
    Reading,
    /// On its way to a server.
    Sent,
    /// Answered by the gate itself.
    Answered,
}

/// The context of one request.
pub struct Gate {
    vm: Rc<Vm>,
    phase: Phase,
    call: Call,
    rewrite: Rewrite,
}

impl Gate {
    /// A context that has seen nothing yet.
    pub fn new(vm: Rc<Vm>) -> Self {
        Gate { vm, phase: Phase::Other, call: Call::default(), rewrite: Rewrite::Keep }
    }
}

impl Context for Gate {}

impl HttpContext for Gate {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.request_headers(end_of_stream)
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        match self.phase {
            Phase::Reading => self.request_body(size, end_of_stream),
            Phase::Answered => Action::Pause,
            _ => Action::Continue,
        }
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        match self.phase {
            // Trailers end the body, and Envoy has no other end to tell of.
            Phase::Reading => self.request_complete(),
            Phase::Answered => Action::Pause,
            _ => Action::Continue,
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        match self.phase {
            Phase::Sent => self.response_headers(end_of_stream),
            _ => Action::Continue,
        }
    }

    fn on_http_response_body(&mut self, size: usize, _end_of_stream: bool) -> Action {
        self.rewrite.body(size)
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.response_trailers()
    }

    fn on_log(&mut self) {
        self.account();
    }
}
