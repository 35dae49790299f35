//! A drilled attempt: the upstream filter on the drill's own cluster, where no server is.
//!
//! A local reply of an upstream filter is never retried, so a drilled attempt goes out like any other: to a listener of
//! this Envoy that answers everything. Its answer is then given the class that was ordered, and what follows is decided
//! by the attempt filter itself, as of the server's own.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::super::host::Headers;
use super::{Attempt, Site};
use crate::failure::Class;

/// The context of one drilled attempt.
pub struct Drill(Attempt);

impl Drill {
    /// A context that has seen nothing yet.
    pub fn new(site: Site) -> Self {
        Drill(Attempt::new(site))
    }
}

impl Context for Drill {}

impl HttpContext for Drill {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.0.request_headers(true)
    }

    fn on_http_request_body(&mut self, _size: usize, _end_of_stream: bool) -> Action {
        if self.0.is_sent() { Action::Continue } else { Action::Pause }
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        if let Some((flown, attempt)) = &mut self.0.flown
            && let Some(class) = attempt.drill()
        {
            Headers::Response.set(":status", status_of(class));
            let reaction = flown.with_scene(|scene| attempt.drilled(scene, class));
            return self.0.react(reaction, 0);
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
