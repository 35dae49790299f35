//! A drilled attempt: the upstream filter on the drill's own cluster, where no server is.
//!
//! A local reply of an upstream filter is never retried, so a drilled attempt goes out like any other: to a listener of
//! this Envoy that answers everything. Its answer is then given the class that was ordered, and what follows is decided
//! by the attempt filter itself, as of the server's own.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::super::host::{self, Headers};
use super::{Attempt, Placement};
use crate::failure::Class;
use crate::plan::Plan;
use crate::wiring::state;

/// The context of one drilled attempt.
pub struct Drill {
    /// Those of all servers.
    placements: Rc<Vec<Rc<Placement>>>,
    /// The attempt at the server that the plan names.
    attempt: Option<Attempt>,
}

impl Drill {
    /// A context that has seen nothing yet.
    pub fn new(placements: Rc<Vec<Rc<Placement>>>) -> Self {
        Drill { placements, attempt: None }
    }

    /// The attempt that the plan orders.
    fn planned(&self) -> Option<Attempt> {
        let plan = host::filter_state(state::PLAN).and_then(|bytes| Plan::decode(&bytes))?;
        let (server, class) = (&plan.current()?.server, plan.drilled()?);
        let is_here = |placement: &&Rc<Placement>| placement.server().is_some_and(|here| here.id.as_str() == server);
        let placement = self.placements.iter().find(is_here)?;
        Some(Attempt { drill: Some(class), ..Attempt::new(Rc::clone(placement)) })
    }
}

impl Context for Drill {
    fn on_done(&mut self) -> bool {
        self.attempt.as_mut().is_none_or(Context::on_done)
    }
}

impl HttpContext for Drill {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        // What an attempt before has put into it is for its server. The call itself stays whole, for the attempts to come.
        for name in self.placements.first().into_iter().flat_map(|placement| placement.vm.credentials.headers()) {
            Headers::Request.remove(name);
        }
        self.attempt = self.planned();
        match &mut self.attempt {
            Some(attempt) => attempt.request_headers(end_of_stream),
            None => {
                host::reply(503, &[("content-type", "text/plain")], b"no drill is ordered");
                Action::Pause
            }
        }
    }

    fn on_http_request_body(&mut self, _size: usize, _end_of_stream: bool) -> Action {
        if self.attempt.is_some() { Action::Continue } else { Action::Pause }
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        if let Some(attempt) = &mut self.attempt
            && let Some(class) = attempt.drill
        {
            Headers::Response.set(":status", status_of(class));
            attempt.conclude(class.into(), false);
        }
        Action::Continue
    }
}

/// The status that a server fails with in this way; for what is no answer, the one that Envoy makes up.
fn status_of(class: Class) -> &'static [u8] {
    match class {
        Class::Overload => b"429",
        Class::Credential => b"401",
        _ => b"503",
    }
}
