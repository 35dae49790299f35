//! An attempt's request: where the call goes next if this fails, and the headers that this server gets.

use proxy_wasm::types::Action;

use super::super::host::{self, Headers};
use super::super::{clock, mark::ANSWER_MARK, mark::Mark};
use super::Attempt;
use super::placement::Authentication;
use super::rest::RestCall;
use crate::failure::{Class, may_fail_over};
use crate::plan::{Plan, Refusal, Stop};
use crate::registry::ServerKind;
use crate::wiring::state;

/// Headers that Envoy adds to requests of its own, such as the prober's.
const PROBE_LEAVINGS: [&str; 2] = ["x-envoy-internal", "x-envoy-expected-rq-timeout-ms"];

impl Attempt {
    pub(super) fn request_headers(&mut self, _end_of_stream: bool) -> Action {
        let placement = std::rc::Rc::clone(&self.placement);
        let Some(server) = placement.server() else { return Action::Continue };
        let id = server.id.as_str();
        let plan = host::filter_state(state::PLAN).and_then(|bytes| Plan::decode(&bytes));
        self.began_ms = clock::now_ms();
        // A drill that the route doesn't know, as an older configuration has it, must not reach the server.
        let stray = |plan: &&Plan| plan.is_spent() || plan.drilled() != self.drill;
        if let Some(plan) = plan.as_ref().filter(stray) {
            return self.refuse_repetition(plan);
        }
        self.plan = plan.filter(|plan| plan.current().is_some_and(|hop| hop.server == id));
        if let Some(plan) = &mut self.plan {
            if plan.attempts > 0 && !plan.time.allows_another(self.began_ms, 0) {
                // The router has waited longer than was to be expected.
                let lost = !plan.repeats && plan.replay.is_allowed();
                let stopped = Plan { stop: Some(Stop { why: Refusal::NoTime, lost }), ..plan.clone() };
                return self.refuse_repetition(&stopped);
            }
            if plan.repeats
                && self.drill.is_none()
                && let Some(ticket) = placement.fresh_ticket(self.began_ms)
            {
                plan.renew(ticket);
            }
            // Now, because a failed attempt may end without another callback in which this could be said.
            let successor = plan.successor();
            if let Some(next) = successor.destination() {
                host::set_filter_state(state::NEXT, next.as_bytes());
            }
            host::set_filter_state(state::PLAN, &successor.encode());
        }
        #[cfg(all(feature = "test-module", target_os = "wasi"))]
        super::super::test_module::trap_if_told(id);
        if self.drill.is_some() {
            return Action::Continue;
        }
        match placement.authenticate(self.plan.as_ref(), self.began_ms) {
            Authentication::NotNeeded => {}
            Authentication::Done(selection) => self.note_selection(selection),
            Authentication::Impossible => return self.refuse_bare(),
        }
        let Some(plan) = &self.plan else {
            // What Envoy says of itself in a probe, as it does not in calls.
            PROBE_LEAVINGS.iter().for_each(|name| Headers::Request.remove(name));
            return Action::Continue;
        };
        match server.kind {
            ServerKind::Mcp => {
                placement.address(&server.url.path);
                placement.restore(plan);
                placement.name_session(plan);
                Action::Continue
            }
            ServerKind::Rest => {
                self.rest = Some(RestCall::Awaited(0));
                Action::Pause
            }
        }
    }

    /// Without its credential the request must not go out. A local reply is the only way to stop it here, and Envoy
    /// doesn't retry one; the gate passes this server over from now on.
    fn refuse_bare(&mut self) -> Action {
        log::error!(
            "no credential for {}: no slot has a secret that may be sent; the request was not sent",
            self.server_id()
        );
        self.rest = Some(RestCall::Refused);
        self.settle(Class::Credential, None);
        let mark = self.mark(Class::Credential, false).encode();
        host::reply(503, &[(ANSWER_MARK, &mark), ("content-type", "text/plain")], b"no credential");
        Action::Pause
    }

    /// The router has a retry left where nothing may follow: it was meant for another credential slot, or it comes after
    /// an attempt without an answer, when only the next attempt can be stopped. A local reply does that.
    fn refuse_repetition(&mut self, plan: &Plan) -> Action {
        self.rest = Some(RestCall::Refused);
        // Not for a server, but for the access log: it takes the slots' headers off.
        let _ = self.placement.authenticate(None, self.began_ms);
        let lost = match plan.stop {
            Some(stop) => stop.lost,
            // What can't be repeated comes here only if it was never sent.
            None if plan.repeats => false,
            None => may_fail_over(Class::Lost, self.decisions(Class::Lost).failover, plan.replay, false),
        };
        let class = if lost { Class::Lost } else { Class::NotSent };
        let server = plan.previous().map_or(self.server_id(), |hop| hop.server.as_str()).to_owned();
        let mark = Mark { server, class, readable: false, attempt: plan.attempts };
        if plan.stop.is_some() {
            host::set_filter_state(state::PLAN, &plan.clone().left().encode());
        }
        let timeout = lost && !plan.time.allows_another(self.began_ms, 0);
        host::reply(
            if timeout { 504 } else { 503 },
            &[(ANSWER_MARK, &mark.encode()), ("content-type", "text/plain")],
            class.explanation().as_bytes(),
        );
        Action::Pause
    }

    /// The server's name.
    pub(super) fn server_id(&self) -> &str {
        self.placement.server().map_or("", |server| server.id.as_str())
    }

    /// The note for the gate on an answer of `class`.
    pub(super) fn mark(&self, class: Class, readable: bool) -> Mark {
        let attempt = self.plan.as_ref().map_or(1, |plan| plan.attempts.saturating_add(1));
        Mark { server: self.server_id().to_owned(), class, readable, attempt }
    }
}
