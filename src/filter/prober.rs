//! The prober: what the filter does without a request. It keeps the gauges true while there is no traffic, and sends the
//! probes.
//!
//! It is a context of the process's own, or one of many of which a lease in the shared data elects one; see
//! [`crate::probe`]. A probe goes out through its server's cluster, so that the attempt filter there adds the credential.
//! The attempt filter finds no plan and asks no breaker: that is done here.

use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext};

use super::clock;
use super::discoverer::Discoverer;
use super::host::{self, Body, Headers, NotDispatched};
use super::metrics::Metric;
use super::runtime::RuntimeWatch;
use super::shared_data::EnvoySharedData;
use super::vm::{self, Vm};
use super::watch::CredentialWatch;
use crate::breaker::{Admission, Moment, State, Ticket, View};
use crate::call::attempt::told_to_breaker;
use crate::call::credentials::{testify, testimony, watched};
use crate::credential::{Fingerprint, Seen};
use crate::failure::{BreakerEffect, Class, Head, Verdict, decide_on, is_encoded, retry_after};
use crate::health::{Latency, Signs};
use crate::history::LastProbe;
use crate::probe::{self, Candidate, Message, Reply, Schedule};
use crate::registry::{Probe, ProbeRequest, Registry, Server, ServerIndex};
use crate::telemetry::standing;
use crate::wiring::header;

/// How often the prober ticks: an operator's key is to take effect within a second.
pub const PERIOD: Duration = Duration::from_millis(250);

/// How long it is from one look after the servers to the next, ms; a tick may come a little early.
const LOOK_MS: u64 = 900;

/// How often it looks at first, so that workers know what the slots hold before the first call comes.
pub const FIRST_PERIOD: Duration = Duration::from_millis(50);

/// How many [parts](standing) of the counters that are there from the start a tick defines.
const PARTS_A_TICK: usize = 8;

/// How often it looks so at most.
const FIRST_LOOKS: u8 = 40;

/// The state of one prober.
pub struct Prober {
    vm: Rc<Vm>,
    /// What its requests bear.
    pass: String,
    /// This one among others; `None` if there are no others.
    candidate: Option<Candidate>,
    /// When each server is probed next, in the registry's order.
    schedules: Vec<Schedule>,
    under_way: Vec<UnderWay>,
    /// The servers whose last probe failed.
    failed: Vec<ServerIndex>,
    credentials: CredentialWatch,
    discoverer: Discoverer,
    runtime: RuntimeWatch,
    /// When it looks after the servers again, ms.
    look_ms: u64,
    /// How many more looks may follow each other quickly.
    quick: u8,
    /// The next part of the counters that are there from the start; `None` once all are.
    standing: Option<usize>,
}

/// A probe that has not been answered yet.
struct UnderWay {
    token: u32,
    server: ServerIndex,
    ticket: Ticket,
    began_ms: u64,
}

impl Prober {
    /// A prober that has done nothing yet. `elected`: it is one of several.
    pub fn new(vm: Rc<Vm>, elected: bool) -> Self {
        let candidate = elected.then(|| {
            let id = clock::random().map_or_else(|| u64::from(clock::random_u32()), u64::from_le_bytes);
            Candidate::new(id, clock::now_ms())
        });
        let schedules = vec![Schedule::default(); vm.registry.servers.len()];
        let credentials = CredentialWatch::new(Rc::clone(&vm));
        let pass = vm::probe_pass();
        let runtime = RuntimeWatch::new(Rc::clone(&vm));
        Prober {
            discoverer: Discoverer::new(Rc::clone(&vm), pass.clone()),
            vm,
            pass,
            candidate,
            schedules,
            under_way: Vec::new(),
            failed: Vec::new(),
            credentials,
            runtime,
            look_ms: 0,
            quick: FIRST_LOOKS,
            standing: Some(0),
        }
    }

    /// Sets the gauges before there is any traffic. Nothing is sent yet, nor written: Envoy configures a plugin that it
    /// then throws away, to see whether it can be.
    pub fn start(&self, now: u64) {
        for (index, _) in self.vm.registry.indexed_servers() {
            self.look(index, now);
        }
    }

    /// Looks after the runtime and, where it is time, every server. Answers whether it has begun to tick every [`PERIOD`] only.
    pub fn tick(&mut self, now: u64) -> bool {
        let was_quick = self.quick > 0;
        self.quick = self.quick.saturating_sub(1);
        if self.candidate.is_none_or(|candidate| candidate.is_on_duty(&EnvoySharedData, now)) {
            self.runtime.tick(now);
            self.stand();
            if was_quick || now >= self.look_ms {
                self.look_ms = now.saturating_add(LOOK_MS);
                self.look_after(now);
            }
        }
        was_quick && self.quick == 0
    }

    /// Goes on to define what is to be there before it counts anything; tasks are the gates' to do.
    fn stand(&mut self) {
        for _ in 0..PARTS_A_TICK {
            let Some(part) = self.standing else { return };
            let tell = &mut |metric| self.vm.metrics.stand(metric);
            let there = standing(part, &self.vm.registry, &self.vm.names, tell);
            self.standing = there.then(|| part.saturating_add(1));
        }
    }

    fn look_after(&mut self, now: u64) {
        // What has no answer by now gets none, and its lease has run out.
        self.under_way.retain(|probe| {
            let server = self.vm.registry.server(probe.server);
            server.is_some_and(|server| now < probe.began_ms.saturating_add(server.breaker.lease_ms))
        });
        let vm = Rc::clone(&self.vm);
        vm.follow_runtime();
        for (index, server) in vm.registry.indexed_servers() {
            let Some(view) = self.look(index, now) else { continue };
            if let Some(probe) = server.probe.as_ref().filter(|probe| self.is_due(index, server, probe, &view, now)) {
                self.probe(index, server, probe, &view, now);
            }
        }
        let mut is_well = |index| {
            let view = vm.with_breaker(index, |breaker, shared| breaker.peek(shared, now));
            view.is_some_and(|view| view.state == State::Closed) && !vm.hand_of(index).is_off()
        };
        self.discoverer.tick(&mut is_well, now);
        vm.flush_breakers(now);
        if self.credentials.tick(clock::now_with(now)) {
            self.quick = 0;
        }
    }

    /// Tells the statistics what has been counted. At once: the prober has all the time in the world.
    pub fn tell(&self) {
        self.vm.metrics.flush();
    }

    /// Looks at a server's breaker and sets its gauges.
    fn look(&self, index: ServerIndex, now: u64) -> Option<View> {
        let view = self.vm.with_breaker(index, |breaker, shared| breaker.peek(shared, now))?;
        let name = self.vm.names.server(index);
        self.vm.metrics.record(Metric::BreakerState(name), view.state as u64);
        self.vm.metrics.record(Metric::ProbeIn(name), view.retry_after_ms);
        let server = self.vm.registry.server(index)?;
        let latency = Latency::read(&EnvoySharedData, server.id.as_str());
        if let Some(ms) = latency.steady_ms() {
            self.vm.metrics.record(Metric::ServerTime(name), ms);
        }
        let signs = Signs {
            state: view.state,
            ok: view.counts.ok,
            fail: view.counts.fail,
            slowness: latency.slowness(),
            has_failed_probe: self.failed.contains(&index),
            is_usable: !self.vm.hand_of(index).is_off() && has_token(&self.vm.registry, server),
        };
        self.vm.metrics.record(Metric::Health(name, server.tier.as_str()), signs.percent());
        Some(view)
    }

    fn is_due(&self, index: ServerIndex, server: &Server, probe: &Probe, view: &View, now: u64) -> bool {
        let schedule = self.schedules.get(usize::from(index.0));
        let doubted = || is_token_doubted(&self.vm.registry, server);
        !self.vm.hand_of(index).is_off()
            && schedule.is_some_and(|schedule| schedule.is_due(probe, view, doubted, now))
            && !self.under_way.iter().any(|probe| probe.server == index)
    }

    /// Probes a server, if its breaker gives the lease: a call, or another worker, may have been quicker.
    fn probe(&mut self, index: ServerIndex, server: &Server, probe: &Probe, view: &View, now: u64) {
        let moment = Moment { now_ms: now, random: clock::random_u32() };
        let asked = self.vm.with_breaker(index, |breaker, shared| breaker.admit(shared, moment));
        let (ticket, transition) = match asked {
            Some(Admission::Admit { ticket, transition, .. }) => (Some(ticket), transition),
            Some(Admission::Refuse { transition, .. }) => (None, transition),
            None => return,
        };
        if let Some(transition) = transition {
            self.vm.announce(index, &transition, None);
        }
        // A breaker that has closed in between needs no probe.
        let Some(ticket) = ticket.filter(|ticket| ticket.lease.is_some() || view.state == State::Closed) else {
            return;
        };
        let Message { mut headers, body } = probe::request(server, &probe.request);
        headers.push((header::PROBE, self.pass.clone()));
        match host::dispatch(server.id.as_str(), &headers, body.as_bytes(), probe.timeout) {
            Ok(token) => self.under_way.push(UnderWay { token, server: index, ticket, began_ms: now }),
            Err(NotDispatched::NoCluster) => self.conclude(index, ticket, Class::Cancelled.into(), None, now),
            Err(NotDispatched::Refused) => self.conclude(index, ticket, Class::NotSent.into(), None, now),
        }
    }

    /// Takes the answer to a probe, or to what else was asked. `any`: there is one, if only headers.
    pub fn answer(&mut self, token: u32, any: bool, size: usize, now: u64) {
        if self.runtime.answer(token, any, size, now) {
            return;
        }
        let Some(at) = self.under_way.iter().position(|probe| probe.token == token) else {
            return self.discoverer.answer(token, any, size, now);
        };
        let UnderWay { server: index, ticket, began_ms, .. } = self.under_way.swap_remove(at);
        let vm = Rc::clone(&self.vm);
        let Some(server) = vm.registry.server(index) else { return };
        let Some(probe) = &server.probe else { return };
        let limit = usize::try_from(vm.registry.limits.response_body).unwrap_or(usize::MAX);
        let body = if any && size > 0 { Body::Dispatched.read(0, size.min(limit)) } else { Vec::new() };
        // The attempt's own answer: it had no credential to send. That says nothing at all about the server.
        let unsent = any && Headers::Dispatched.get(header::ANSWER).is_some();
        let verdict = if unsent {
            Class::Credential.into()
        } else {
            probe::judge(server, &probe.request, any.then(|| reply(&body)))
        };
        let token = Headers::Dispatched.get(header::TOKEN);
        if let Some(token) = token.filter(|_| any && !unsent && Headers::Dispatched.status() != Some(400)) {
            testify_by(server, &token, verdict.class, now);
        }
        let took_ms = Some(now.saturating_sub(began_ms));
        let in_time = any && Headers::Dispatched.status() != Some(504);
        if !in_time && probe::has_begun(&EnvoySharedData, server.id.as_str(), began_ms) {
            // Not in time, but it is at work.
            let alive = Verdict { effect: Some(BreakerEffect::Neutral), ..Class::Lost.into() };
            self.conclude(index, ticket, alive, took_ms, now);
        } else {
            self.conclude(index, ticket, verdict, took_ms.filter(|_| any && !unsent), now);
        }
        if let (ProbeRequest::Initialize(_), true) = (&probe.request, any) {
            say_farewell(server, probe, &self.pass);
        }
    }

    /// Tells the breaker and the statistics what came of a probe, and how long the server took for it; `None` if it has
    /// not answered.
    fn conclude(&mut self, index: ServerIndex, ticket: Ticket, verdict: Verdict, took_ms: Option<u64>, now: u64) {
        let class = verdict.class;
        let Some(server) = self.vm.registry.server(index) else { return };
        self.vm.metrics.count(Metric::Probes(self.vm.names.server(index), class));
        let decisions = decide_on(&verdict, None, Some(&server.on));
        self.failed.retain(|failed| *failed != index);
        if decisions.breaker == BreakerEffect::Failure {
            self.failed.push(index);
        }
        if decisions.alert {
            self.vm.metrics.count(Metric::Alerts(self.vm.names.server(index), class));
        }
        let has_failed = decisions.breaker == BreakerEffect::Failure;
        let last = LastProbe { time_s: clock::wall_time().as_secs(), has_failed, class };
        last.leave(&EnvoySharedData, server.id.as_str());
        let moment = Moment { now_ms: now, random: clock::random_u32() };
        let result = told_to_breaker(decisions.breaker, verdict, took_ms);
        let told = self.vm.with_breaker(index, |breaker, shared| {
            let transition = breaker.report(shared, moment, ticket, result);
            (transition, breaker.peek(shared, now))
        });
        let Some((transition, view)) = told else { return };
        if let Some(transition) = transition {
            self.vm.announce(index, &transition, Some(class));
        }
        if let (Some(schedule), Some(probe)) = (self.schedules.get_mut(usize::from(index.0)), &server.probe) {
            schedule.note(probe, &view, decisions.breaker, moment);
        }
    }
}

/// What a probe's answer says of the token that it was sent with: no client had a part in that request.
fn testify_by(server: &Server, token: &[u8], class: Class, now: u64) {
    let seen = match class {
        Class::Credential => Seen::Condemned,
        Class::Success => Seen::Accepted,
        _ => return,
    };
    if let Some(token) = Fingerprint::parse(token) {
        testify(&EnvoySharedData, server, token, seen, now);
    }
}

/// Whether the last that was heard of a server's tokens is that one was refused.
fn is_token_doubted(registry: &Registry, server: &Server) -> bool {
    let Some(credential) = server.credential.and_then(|at| registry.credential(at)) else { return false };
    let report = watched(&EnvoySharedData, credential);
    testimony(&EnvoySharedData, server).is_doubted(|token| report.is_none_or(|report| report.holds(token)))
}

/// Whether there is a token that the server may be sent, as far as is known; or none is needed.
pub(super) fn has_token(registry: &Registry, server: &Server) -> bool {
    let Some(credential) = server.credential.and_then(|at| registry.credential(at)) else { return true };
    let Some(report) = watched(&EnvoySharedData, credential) else { return true };
    let said = testimony(&EnvoySharedData, server);
    let now_s = clock::wall_time().as_secs();
    report.0.iter().flatten().any(|token| token.is_valid(now_s) && !said.condemns(token.fingerprint()))
}

/// The answer that the current callback brings.
fn reply(body: &[u8]) -> Reply<'_> {
    let wall_ms = || u64::try_from(clock::wall_time().as_millis()).unwrap_or(u64::MAX);
    let head = Head {
        status: Headers::Dispatched.status().unwrap_or_default(),
        retry_after_ms: Headers::Dispatched.get("retry-after").and_then(|value| retry_after::parse(&value, wall_ms())),
        bodiless: body.is_empty(),
        encoded: Headers::Dispatched.get("content-encoding").is_some_and(|coding| is_encoded(&coding)),
    };
    Reply { head, of_events: Headers::Dispatched.are_of_events(), body }
}

/// Closes the session that the answered probe has opened: a server keeps one until it is told, or for hours.
fn say_farewell(server: &Server, probe: &Probe, pass: &str) {
    let session = Headers::Dispatched.get("mcp-session-id").and_then(|id| String::from_utf8(id).ok());
    if let Some(session) = session {
        let Message { mut headers, body } = probe::farewell(server, session);
        headers.push((header::PROBE, pass.to_owned()));
        // Its answer is of no interest, nor is whether there is one.
        let _ = host::dispatch(server.id.as_str(), &headers, body.as_bytes(), probe.timeout);
    }
}

/// What a prober among a listener's filters does with the listener's requests: nothing. Its filter is not in their way at
/// all, unless somebody switches it on for a route.
pub struct Bystander;

impl Context for Bystander {}

impl HttpContext for Bystander {}
