//! What the attempt's core has answered to an event, done: the message, the router, the breaker, the credential, the
//! statistics.

use proxy_wasm::types::Action;

use super::super::host::{self, Body, Headers};
use super::super::metrics::Metric;
use super::super::{clock, shared_data::EnvoySharedData};
use super::{Attempt, Phase};
use crate::breaker::Moment;
use crate::call::attempt::{Flow, Reaction, Settled};
use crate::credential::Selection;
use crate::credential::audit::{self, Decision, Event};
use crate::failure::Class;
use crate::usage::Used;
use crate::wiring::{header, state};

/// Headers of an API's answer that are about that answer and not about the one the client gets. Most others never come so far.
const OF_THE_API: [&str; 4] = ["content-encoding", "content-length", "transfer-encoding", "www-authenticate"];

impl Attempt {
    /// Does what an event has led to. `size`: how much of the body is there.
    pub(super) fn react(&mut self, reaction: Reaction, size: usize) -> Action {
        self.tell(&reaction);
        if reaction.settled.is_some() {
            self.keep_no_token();
        }
        if let Some(wait_s) = reaction.onward_in_s {
            if wait_s > 0 {
                Headers::Response.set(header::WAIT, wait_s.to_string().as_bytes());
            }
            Headers::Response.set(header::FAILOVER, b"1");
        }
        if reaction.name_as_json {
            Headers::Response.set("content-type", b"application/json");
        }
        if let (Some(answer), Some((flown, _))) = (&reaction.lesson, &self.flown)
            && let Some(page) = flown.call.borrow().tools_page
        {
            let (at, now) = (flown.at, flown.now_ms());
            flown.vm.with_annotations(|annotations, shared| annotations.learn(shared, at, page, answer, now));
        }
        match reaction.flow {
            Flow::Pass => Action::Continue,
            Flow::Hold => Action::Pause,
            Flow::Drop => {
                Body::Response.replace(size, b"");
                Action::Continue
            }
            Flow::Rewrite(body) => {
                if reaction.settled.is_some() {
                    // The headers wait as long as the attempt has not settled.
                    Headers::Response.remove("content-length");
                }
                Body::Response.replace(size, &body);
                Action::Continue
            }
            Flow::Replace(body) => {
                Headers::Response.set(":status", b"200");
                for name in OF_THE_API {
                    Headers::Response.remove(name);
                }
                Headers::Response.set("content-type", b"application/json");
                Body::Response.replace(size, &body);
                Action::Continue
            }
            Flow::Reply(body) => {
                host::reply(200, &[("content-type", "application/json")], &body);
                Action::Pause
            }
        }
    }

    /// Tells of the attempt's end, and the router where to go.
    pub(super) fn tell(&mut self, reaction: &Reaction) {
        let Some((flown, attempt)) = &self.flown else { return };
        if let Some(complaint) = &reaction.complaint {
            log::warn!("{}: {complaint}", flown.server().map_or("", |server| server.id.as_str()));
        }
        let Some(settled) = reaction.settled else { return };
        // A model with the token for a name would bring it into the call log.
        let quotes = |used: &Used| used.model.as_ref().is_some_and(|model| self.quotes_token(model.as_bytes()));
        let used = if reaction.used.iter().any(quotes) { &[] } else { reaction.used.as_slice() };
        flown.count_used(used, settled.verdict.class);
        if let Some(next) = flown.call.borrow().flight.destination() {
            host::set_filter_state(state::NEXT, next.as_bytes());
        }
        let now_ms = flown.now_ms();
        let (vm, at, name) = (&flown.vm, flown.at, flown.vm.names.server(flown.at));
        if matches!(self.phase, Phase::Refused) && settled.verdict.class == Class::Credential {
            // The server was not asked. That it has no token is told by the credential's own metrics.
        } else if attempt.drill().is_some() {
            // No attempt of the server's: neither its breaker nor anybody who counts attempts must hear of it.
            vm.metrics.count(Metric::Drills(name, settled.verdict.class));
        } else {
            if !flown.counts_later(settled.verdict) {
                vm.metrics.count(Metric::Attempts(name, settled.verdict.class));
            }
            if settled.alert {
                vm.metrics.count(Metric::Alerts(name, settled.verdict.class));
            }
        }
        if let Some(under_way) = &self.under_way {
            under_way.limit().ended(settled.verdict.class, attempt.worked_ms(now_ms), now_ms);
        }
        if let Some(result) = settled.result {
            let moment = Moment { now_ms, random: clock::random_u32() };
            let report = |breaker: &mut crate::breaker::Breaker, shared: &EnvoySharedData| {
                breaker.report(shared, moment, settled.ticket, result)
            };
            if let Some(Some(transition)) = vm.with_breaker(at, report) {
                vm.announce(at, &transition, Some(settled.verdict.class));
            }
        }
        vm.metrics.maintain(now_ms);
        self.settle_credential(settled, now_ms);
    }

    /// A refused secret rests, an accepted one is remembered as good.
    fn settle_credential(&self, settled: Settled, now_ms: u64) {
        let (Some(selection), Some((flown, _))) = (self.selection, &self.flown) else { return };
        match settled.verdict.class {
            Class::Credential if settled.refuses_token => {
                flown.vm.credentials.refused(&EnvoySharedData, flown.at, selection, now_ms);
                self.record(Event::Rejected, selection);
                if let Some(credential) = flown.server().and_then(|server| server.credential) {
                    let name = flown.vm.names.credential(credential);
                    flown.vm.metrics.count(Metric::PatRejected(name, selection.slot));
                }
            }
            Class::Success | Class::ToolError => {
                flown.vm.credentials.worked(&EnvoySharedData, flown.at, selection, now_ms)
            }
            _ => {}
        }
    }

    /// Adds to the call's record in the access log, where the operator wants one.
    pub(super) fn record(&self, event: Event, selection: Selection) {
        let Some((flown, _)) = &self.flown else { return };
        let registry = &flown.vm.registry;
        let server = flown.server().filter(|_| registry.audit.access_log.is_some());
        let Some((server, credential)) = server.and_then(|s| Some((s, registry.credential(s.credential?)?))) else {
            return;
        };
        let decision = Decision {
            event,
            credential: credential.id.as_str(),
            slot: selection.slot,
            fingerprint: Some(selection.fingerprint),
            server: Some(server.id.as_str()),
        };
        let before = host::filter_state(state::AUDIT).unwrap_or_default();
        host::set_filter_state(state::AUDIT, &audit::appended(&before, &decision));
    }

    /// Notes for the call log what the attempt is authenticated with.
    pub(super) fn note_credential(&self, selection: Selection) {
        let Some((flown, _)) = &self.flown else { return };
        if let (Some(ledger), Some(server)) = (&mut flown.call.borrow_mut().ledger, flown.server()) {
            let credential = server.credential.and_then(|at| flown.vm.registry.credential(at));
            let id = credential.map_or("", |credential| credential.id.as_str());
            let fingerprint = selection.fingerprint.to_string();
            ledger.credential = Some([id, "/", selection.slot.as_str(), "/", &fingerprint].concat().into());
        }
    }

    /// Whether the request has been sent.
    pub(super) fn is_sent(&self) -> bool {
        matches!(self.phase, Phase::Sent)
    }
}
