//! An attempt's request: it finds its call, begins the attempt, and gives the request what this server gets.

use proxy_wasm::types::Action;

use super::super::host::{self, Body};
use super::super::metrics::Metric;
use super::super::{clock, shared_data::EnvoySharedData};
use super::flown::Flown;
use super::headers::{Authentication, take_off_slots};
use super::{Attempt, Phase};
use crate::breaker::{Moment, Ticket};
use crate::call::attempt::{self, Outgoing};
use crate::call::flight::Grounded;
use crate::credential::audit::Event;
use crate::failure::Class;
use crate::registry::ServerKind;
use crate::wiring::{header, route, state};

impl Attempt {
    /// `drill`: this is the drill's cluster, where no server is.
    pub(super) fn request_headers(&mut self, drill: bool) -> Action {
        let Some(bytes) = host::filter_state(state::PLAN) else { return self.probe() };
        let found = if drill { Flown::ahead(&bytes) } else { Flown::find(&bytes, &self.site) };
        // Without its call nobody knows what may be done with it, so nothing is.
        let Some(flown) = found else { return self.refuse(Grounded { class: Class::NotSent, too_late: false }) };
        let on_strict_route = || host::attribute(&["xds", "route_name"]).is_some_and(|name| route::is_strict(&name));
        let begun = flown.with_scene(|scene| Some(attempt::Attempt::begin(scene, drill, on_strict_route)));
        let mut attempt = match begun {
            Some(Ok(attempt)) => attempt,
            Some(Err(grounded)) => return self.ground(&flown, grounded),
            None => return self.refuse(Grounded { class: Class::NotSent, too_late: false }),
        };
        flown.count_proved();
        flown.call.borrow_mut().ledger.iter_mut().for_each(|ledger| ledger.begin());
        let (leg, now) = (attempt.begun().leg, attempt.began_ms());
        if (leg.repeats || leg.anew)
            && !drill
            && let Some(ticket) = fresh_ticket(&flown, now)
        {
            attempt.renew(ticket);
        }
        #[cfg(all(feature = "test-module", target_os = "wasi"))]
        super::super::test_module::trap_if_told(flown.server().map_or("", |server| server.id.as_str()));
        self.phase = Phase::Sent;
        if drill {
            super::headers::take_off(&mut flown.call.borrow_mut(), None);
            self.flown = Some((flown, attempt));
            return Action::Continue;
        }
        self.under_way = flown.enter();
        let authentication = flown.authenticate(leg.other_slot, now);
        let Some(kind) = flown.server().map(|server| server.kind) else { return Action::Continue };
        match authentication {
            Authentication::NotNeeded => {}
            Authentication::Done(selection, secret) => {
                self.sent = Some(secret);
                attempt.has_other_slot = selection.has_other;
                self.selection = Some(selection);
                if let Some(cause) = selection.switched
                    && let Some(credential) = flown.server().and_then(|server| server.credential)
                {
                    let (name, to) = (flown.vm.names.credential(credential), selection.slot);
                    flown.vm.metrics.count(Metric::PatSwitch(name, to.other(), to, cause));
                }
                let event = if leg.other_slot { Event::Switched } else { Event::Selected };
                self.flown = Some((flown, attempt));
                self.record(event, selection);
                self.note_credential(selection);
                return self.send(kind);
            }
            Authentication::Impossible => {
                self.flown = Some((flown, attempt));
                return self.refuse_bare();
            }
        }
        self.flown = Some((flown, attempt));
        self.send(kind)
    }

    fn send(&mut self, kind: ServerKind) -> Action {
        let Some((flown, _)) = &self.flown else { return Action::Continue };
        match (kind, flown.server()) {
            (ServerKind::Mcp, Some(server)) => {
                flown.address(&server.target("", &flown.call.borrow().query));
                flown.restore();
                self.join_session()
            }
            _ => {
                self.phase = Phase::Reading;
                Action::Pause
            }
        }
    }

    /// Without its credential the request must not go out. A local reply is the only way to stop it here, and Envoy
    /// doesn't retry one; the gate passes this server over from now on.
    pub(super) fn refuse_bare(&mut self) -> Action {
        let server = &self.site.server;
        log::error!("no credential for {server}: no slot has a secret that may be sent; the request was not sent");
        self.phase = Phase::Refused;
        if let Some((flown, attempt)) = &mut self.flown {
            let reaction = flown.with_scene(|scene| attempt.has_no_credential(scene));
            self.tell(&reaction);
        }
        host::reply(503, &[(header::ANSWER, "unsent"), ("content-type", "text/plain")], b"no credential");
        Action::Pause
    }

    /// The router has a retry left where nothing may follow. A local reply ends the call.
    fn ground(&mut self, flown: &Flown, grounded: Grounded) -> Action {
        // Not for a server, but for the access log.
        let own = flown.server().and_then(|server| flown.vm.registry.credential(server.credential?));
        super::headers::take_off(&mut flown.call.borrow_mut(), None);
        own.into_iter().for_each(take_off_slots);
        self.refuse(grounded)
    }

    pub(super) fn refuse(&mut self, grounded: Grounded) -> Action {
        self.phase = Phase::Refused;
        let status = if grounded.too_late && grounded.class == Class::Lost { 504 } else { 503 };
        let headers = [(header::ANSWER, "unsent"), ("content-type", "text/plain")];
        host::reply(status, &headers, grounded.class.explanation().as_bytes());
        Action::Pause
    }

    pub(super) fn request_body(&mut self, size: usize, end: bool) -> Action {
        self.read = size;
        let Some((flown, attempt)) = &mut self.flown else { return Action::Continue };
        let body = |start, len| Body::Request.read(start, len);
        match flown.with_scene(|scene| Some(attempt.request_body(scene, size, end, &body))) {
            Some(Outgoing::Send(request)) => {
                flown.rewrite(&request);
                Body::Request.replace(size, request.body.as_deref().unwrap_or_default());
                self.phase = Phase::Sent;
                Action::Continue
            }
            Some(Outgoing::Answer(reaction)) => {
                self.phase = Phase::Refused;
                self.react(*reaction, size)
            }
            Some(Outgoing::Wait) | None => Action::Pause,
        }
    }
}

/// A ticket for another attempt of a call whose first one here has spent its own. Nobody else can answer the call, so
/// a breaker that has opened meanwhile does not keep it back.
fn fresh_ticket(flown: &Flown, now_ms: u64) -> Option<Ticket> {
    let moment = Moment { now_ms, random: clock::random_u32() };
    let look = flown.vm.with_breaker(flown.at, |breaker, _| breaker.look(&EnvoySharedData, moment))?;
    Some(Ticket { last_resort: !look.admits, ..look.ticket })
}
