//! The attempt: the upstream filter on a server's cluster. One context per attempt of a call.
//!
//! It prepares the request for its server ([`request`]), holds and judges the answer ([`response`]), and settles the
//! attempt with the breaker ([`verdict`]). A request without a plan gets the server's credential and nothing else.

mod credential;
mod drill;
mod onward;
mod placement;
mod request;
mod response;
mod rest;
mod verdict;

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

pub use drill::Drill;
pub use placement::Placement;
use response::Holding;
use rest::RestCall;

use crate::credential::Selection;
use crate::failure::Class;
use crate::plan::Plan;

/// The context of one attempt.
pub struct Attempt {
    placement: Rc<Placement>,
    /// The plan of the call; `None` for a request that no gate has planned.
    plan: Option<Plan>,
    /// How the attempt is to fail without its server being asked; only on the drill's own cluster.
    drill: Option<Class>,
    /// The credential slot that the request carries.
    selection: Option<Selection>,
    /// Whether the outcome has been reported.
    settled: bool,
    /// When the attempt began, on the monotonic clock, in ms.
    began_ms: u64,
    /// How long it took to the answer's headers, in ms; `None` until they are there.
    answered_after_ms: Option<u64>,
    /// The call as the REST server gets it, if this is one.
    rest: Option<RestCall>,
    holding: Holding,
}

impl Attempt {
    /// A context that has seen nothing yet.
    pub fn new(placement: Rc<Placement>) -> Self {
        Attempt {
            placement,
            plan: None,
            drill: None,
            selection: None,
            settled: false,
            began_ms: 0,
            answered_after_ms: None,
            rest: None,
            holding: Holding::Nothing,
        }
    }
}

impl Context for Attempt {
    fn on_done(&mut self) -> bool {
        self.settle_unanswered();
        true
    }
}

impl HttpContext for Attempt {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.request_headers(end_of_stream)
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        match self.rest {
            Some(RestCall::Awaited(_)) => self.rest_body(size, end_of_stream),
            Some(RestCall::Refused) => Action::Pause,
            _ => Action::Continue,
        }
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        match self.rest {
            // Trailers end the body, and Envoy has no other end to tell of.
            Some(RestCall::Awaited(size)) => self.rest_body(size, true),
            Some(RestCall::Refused) => Action::Pause,
            _ => Action::Continue,
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.response_headers(end_of_stream)
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.response_body(size, end_of_stream)
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.response_trailers()
    }
}
