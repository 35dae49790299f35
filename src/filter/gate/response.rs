//! The final answer: what the client gets to see of it, and the account of the call.

use std::cell::RefCell;

use proxy_wasm::types::Action;

use super::super::host::{self, Body, Headers};
use super::super::metrics::{AnsweredBy, CallStatus, Metric};
use super::super::shared_data::EnvoySharedData;
use super::super::{clock, crossing};
use super::cache::Given;
use super::request::{mint_session, why_no_path};
use super::{Gate, Phase, answered};
use crate::breaker::Moment;
use crate::call::account::{Account, why_not_sent_on};
use crate::call::answer::{self, Conclusion, Ending, class_of, failure};
use crate::call::attempt::NoAnswer;
use crate::call::cached::is_last_hop;
use crate::call::local::LocalAnswer;
use crate::call::story::Told;
use crate::call::{Call, Kind, Question, handover, page};
use crate::failure::Class;
use crate::jsonrpc::{self, Details, ErrorCode};
use crate::wiring::{header, state};

/// What becomes of the response's body.
pub(super) enum Rewrite {
    /// It goes through.
    Keep,
    /// This takes its place. The headers are held until some of the body is there to be replaced.
    Replace(Vec<u8>),
    /// It has been replaced; what is left of it must not follow.
    Drop,
}

impl Rewrite {
    pub(super) fn body(&mut self, size: usize) -> Action {
        match self {
            Rewrite::Keep => Action::Continue,
            Rewrite::Drop => {
                Body::Response.replace(size, b"");
                Action::Continue
            }
            Rewrite::Replace(body) => {
                Body::Response.replace(size, body);
                *self = Rewrite::Drop;
                Action::Continue
            }
        }
    }
}

impl Gate {
    pub(super) fn response_headers(&mut self, call: &RefCell<Call>, end_of_stream: bool) -> Action {
        // The router sends nothing again once an answer comes through.
        self.room.give_back();
        self.catch_up(call);
        self.ask_router(call);
        let call = call.borrow();
        self.show_way(&call);
        let action = self.conclude(&call, end_of_stream);
        self.tell_story(&Told::of(&call, self.known.first_choice));
        self.tell_trace(Some(&call));
        action
    }

    /// Learns from the router whether the last attempt, of which nothing was heard, was ever sent.
    fn ask_router(&self, call: &RefCell<Call>) {
        if class_of(&call.borrow()) != Class::Lost {
            return;
        }
        let details = host::attribute(&["response", "code_details"]).unwrap_or_default();
        if NoAnswer::by_details(&details).not_sent {
            call.borrow_mut().flight.note_not_sent();
        }
    }

    fn conclude(&mut self, call: &Call, end_of_stream: bool) -> Action {
        let class = class_of(call);
        if class == Class::Success {
            if call.kind == Kind::Session && !self.known.listens {
                // A DELETE: the client's session is one no longer.
                call.session_id.iter().for_each(|id| self.vm.note_ended(id));
            }
            self.known.end = Some(self.account_of(call, CallStatus::Success));
            self.keep_answer(call);
            return Action::Continue;
        }
        for name in [header::ANSWER, header::FAILOVER, header::WAIT] {
            Headers::Response.remove(name);
        }
        self.known.stopped = why_not_sent_on(call, &self.vm.registry);
        if let Some(reason) = self.known.stopped {
            self.vm.metrics.count(Metric::ReplayRefused(self.known.task.name(&self.vm.names), reason));
        }
        if call.flight.made().is_empty() {
            return self.not_begun(call, end_of_stream);
        }
        let status = Headers::Response.status().unwrap_or(503);
        let mut ending = Ending::of(call, &self.vm.registry, status, self.is_answerable(class));
        // Who ends a session needs no other.
        ending.session_may_be_opened &= call.kind != Kind::Session || self.known.listens;
        let conclusion = answer::conclude(&ending);
        if is_last_hop(class, conclusion)
            && let Some(given) = self.stale_answer(call.request_id())
        {
            return self.rewrite_with_kept(given, end_of_stream);
        }
        let shown = ending.status_for_client(conclusion);
        if conclusion != Conclusion::Pass {
            // It came with an answer that the client doesn't get.
            Headers::Response.remove("mcp-session-id");
        }
        match conclusion {
            Conclusion::Pass => {
                if shown != status {
                    Headers::Response.set(":status", shown.to_string().as_bytes());
                }
                let status = if class.is_about_the_call() { CallStatus::Error } else { CallStatus::Failed };
                self.known.end = Some(self.account_of(call, status));
                Action::Continue
            }
            Conclusion::Gate => self.answer_instead(call, end_of_stream),
            Conclusion::Kept => {
                self.known.end = Some(self.account_of(call, CallStatus::Failed));
                let kept = call.owners_failure.clone().unwrap_or_default();
                self.rewrite(shown, kept.body, end_of_stream)
            }
            Conclusion::Error { code, .. } => {
                self.note_code(Some(code));
                self.known.end = Some(self.account_of(call, CallStatus::Failed));
                if class == Class::NotSent {
                    Headers::Response.set("retry-after", b"1");
                }
                self.rewrite(shown, failure(call, code), end_of_stream)
            }
        }
    }

    /// Envoy's rate limit, which comes after the gate, has let the call go no further.
    #[inline(never)]
    fn over_rate(&mut self, call: &Call, end_of_stream: bool) -> Action {
        let reset = Headers::Response.get("x-ratelimit-reset");
        let seconds = reset.and_then(|reset| std::str::from_utf8(&reset).ok()?.parse::<u32>().ok()).unwrap_or(1).max(1);
        let details = Details { retry_after_ms: Some(u64::from(seconds).saturating_mul(1000)), ..Details::default() };
        let message = "calls of this tool are over their limit (limits.rate); this one was not sent";
        let body = jsonrpc::error(call.request_id(), ErrorCode::RateLimited, message, &details);
        self.known.end = answered(CallStatus::Refused);
        self.note_code(Some(ErrorCode::RateLimited));
        Headers::Response.set("retry-after", seconds.to_string().as_bytes());
        self.rewrite(self.status_of(ErrorCode::RateLimited), body, end_of_stream)
    }

    /// Whether the gate can answer in the place of an answer of this class. What is wrong with a request is no answer to one
    /// that a server may have executed all the same.
    fn is_answerable(&self, class: Class) -> bool {
        self.known.question.as_ref().is_some_and(|question| !question.is_faulty() || !class.may_have_been_executed())
    }

    /// No attempt was begun: the route leads nowhere that this call may go.
    fn not_begun(&mut self, call: &Call, end_of_stream: bool) -> Action {
        if self.vm.registry.limits.rated && Headers::Response.status() == Some(429) {
            return self.over_rate(call, end_of_stream);
        }
        if self.known.question.is_some() {
            return self.answer_instead(call, end_of_stream);
        }
        if let Some(given) = self.stale_answer(call.request_id()) {
            return self.rewrite_with_kept(given, end_of_stream);
        }
        let details = Details { retry_after_ms: Some(1000), ..Details::default() };
        let body = jsonrpc::error(call.request_id(), ErrorCode::NoPath, why_no_path(&self.vm, false), &details);
        self.known.end = answered(CallStatus::Failed);
        self.note_code(Some(ErrorCode::NoPath));
        Headers::Response.set("retry-after", b"1");
        self.rewrite(self.status_of(ErrorCode::NoPath), body, end_of_stream)
    }

    /// Puts a kept answer in the place of the response.
    fn rewrite_with_kept(&mut self, given: Given, end_of_stream: bool) -> Action {
        Headers::Response.remove("mcp-session-id");
        Headers::Response.remove("retry-after");
        self.rewrite_as(200, given.content_type, given.body, end_of_stream)
    }

    /// Puts what the gate knows itself in the place of the response.
    fn answer_instead(&mut self, call: &Call, end_of_stream: bool) -> Action {
        self.known.end = answered(CallStatus::Fallback);
        let question = self.known.question.take();
        self.note_code(question.as_ref().and_then(Question::error_code));
        let answer = question.map(|question| question.answer(call.request_id(), self.vm.registry.offered_tools()));
        match answer {
            Some(LocalAnswer::Reply { status, body, opens_session }) => {
                if let Some(session) = opens_session.then(|| mint_session(&self.known.introduction)).flatten() {
                    Headers::Response.set("mcp-session-id", session.as_bytes());
                }
                self.rewrite(status, body, end_of_stream)
            }
            _ => self.rewrite(202, Vec::new(), end_of_stream),
        }
    }

    /// Learns what attempts have done that could not find the call in this VM's memory.
    fn catch_up(&self, call: &RefCell<Call>) {
        if !self.is_written {
            return;
        }
        let bytes = host::filter_state(state::PLAN).unwrap_or_default();
        let written = handover::read(&bytes).filter(|found| found.written.is_some());
        match written.and_then(|found| found.call(&self.vm.registry)) {
            Some(newer) => call.borrow_mut().catch_up(newer),
            None => crossing::demand(clock::now_ms()),
        }
    }

    /// The response ends with trailers.
    pub(super) fn response_trailers(&mut self) -> Action {
        match std::mem::replace(&mut self.rewrite, Rewrite::Drop) {
            // No piece of a body came that could have been replaced.
            Rewrite::Replace(body) => self.reply_instead(&body),
            Rewrite::Keep | Rewrite::Drop => Action::Continue,
        }
    }

    /// `headers`, and what the web page's browser has to be told with every answer; to other clients nothing more.
    pub(super) fn with_page<'h>(&'h self, headers: &[(&'h str, &'h str)]) -> Vec<(&'h str, &'h str)> {
        let mut headers = headers.to_vec();
        let listener = &self.vm.registry.listener;
        if let Some(origin) = self.page.and_then(|at| listener.allowed_origins.get(at)) {
            headers.extend_from_slice(&page::shown(origin, listener.expose_headers));
        }
        headers
    }

    /// Lets the web page read the response that is being passed on.
    pub(super) fn show_page(&self) {
        for (name, value) in self.with_page(&[]) {
            match Headers::Response.get(name).filter(|_| name == "vary") {
                Some(others) => Headers::Response.set(name, &[&others, b", ".as_slice(), value.as_bytes()].concat()),
                None => Headers::Response.set(name, value.as_bytes()),
            }
        }
    }

    /// Tells the client which way its call went, where the operator lets it know.
    fn show_way(&self, call: &Call) {
        if let (true, Some((hop, _))) = (self.vm.registry.listener.expose_headers, call.flight.last()) {
            Headers::Response.set(header::SERVER, hop.server.as_str().as_bytes());
            Headers::Response.set(header::ATTEMPTS, call.flight.made().len().to_string().as_bytes());
            Headers::Response.set(header::REGISTRY, self.vm.info.registry.as_bytes());
        }
    }

    /// Leaves the story of a call for the access log, unless there is nothing to tell: the first server of the order was
    /// asked once and has served it.
    pub(super) fn tell_story(&self, told: &Told<'_>) {
        let end = self.known.end.unwrap_or(Account::of_gate(CallStatus::Refused));
        let is_served = !matches!(end.status, CallStatus::Failed | CallStatus::Refused);
        if is_served && end.mode != AnsweredBy::Cache && told.is_plain() {
            return;
        }
        let id = host::attribute(&["request", "id"]).and_then(|id| String::from_utf8(id).ok());
        host::set_filter_state(state::STORY, &told.write(end.mode, self.known.stopped, id.as_deref()));
    }

    fn account_of(&self, call: &Call, status: CallStatus) -> Account {
        Account::of(call, &self.vm.registry, self.known.first_choice, status)
    }

    /// Puts an answer of the gate in the place of the response that is being passed on.
    fn rewrite(&mut self, status: u16, body: Vec<u8>, end_of_stream: bool) -> Action {
        self.rewrite_as(status, "application/json", body, end_of_stream)
    }

    /// The same of a body of this type.
    fn rewrite_as(&mut self, status: u16, content_type: &str, body: Vec<u8>, end_of_stream: bool) -> Action {
        let endless = Headers::Response.are_of_events();
        Headers::Response.set(":status", status.to_string().as_bytes());
        const OF_THE_BODY: [&str; 6] =
            ["content-length", "content-encoding", "transfer-encoding", "location", "www-authenticate", "set-cookie"];
        for name in OF_THE_BODY {
            Headers::Response.remove(name);
        }
        if body.is_empty() {
            Headers::Response.remove("content-type");
        } else {
            Headers::Response.set("content-type", content_type.as_bytes());
        }
        self.known.own_bytes = Some(body.len());
        if end_of_stream || endless || body.len() > self.vm.registry.limits.room() {
            return self.reply_instead(&body);
        }
        self.rewrite = Rewrite::Replace(body);
        Action::Pause
    }

    /// Counts the call; called once, at its very end.
    pub(super) fn account(&self) {
        // Not for the MCP endpoint, or gone before it was read.
        if self.known.kind.is_none() && self.known.end.is_none() {
            return;
        }
        if let Some((server, began_ms)) = self.known.last_resort {
            self.vm.with_breaker(server, |breaker, _| breaker.end_last_resort(began_ms));
        }
        // A whole answer goes out as soon as it is there.
        let answered = if let Phase::Sent(_, call) = &self.phase { call.borrow().answered_ms } else { None };
        let now = answered.unwrap_or_else(clock::now_ms);
        if let Phase::Sent(_, call) = &self.phase {
            let flight = &mut call.borrow_mut().flight;
            flight.close();
            if let Some((server, class)) = flight.take_uncounted() {
                self.vm.metrics.count(Metric::Attempts(self.vm.names.server(server), class));
            }
        }
        if let Phase::Sent(_, call) = &self.phase
            && let Some((server, ticket)) = call.borrow().flight.unused_lease()
        {
            // The call was to be a probe and never reached its server: another call may be it.
            let moment = Moment { now_ms: now, random: clock::random_u32() };
            self.vm.with_breaker(server, |breaker, shared: &EnvoySharedData| breaker.release(shared, moment, ticket));
        }
        let gone = Account { mode: AnsweredBy::Gate, status: CallStatus::Cancelled, fell_back: false };
        let end = self.known.end.unwrap_or(gone);
        self.leave_line(end);
        let Account { mode, status, fell_back } = end;
        let took_ms = now.saturating_sub(self.known.started_ms);
        self.count_tool(end, took_ms);
        let task = self.known.task.name(&self.vm.names);
        self.vm.metrics.count(Metric::Calls(mode, task, status));
        if !self.known.listens {
            self.vm.metrics.record(Metric::Latency(mode, task), took_ms);
        }
        if fell_back {
            self.count_fallback();
        }
        self.vm.metrics.maintain(now);
    }

    /// Sends `body` with what the client is to see of the held headers. Where no body came that could be replaced, only a
    /// local reply can bring one; only a local reply ends where the body that it replaces does not; and for one that is longer
    /// than what Envoy holds of a message there is no other room.
    fn reply_instead(&self, body: &[u8]) -> Action {
        const KEPT: [&str; 5] = ["content-type", "mcp-session-id", "retry-after", header::ATTEMPTS, header::SERVER];
        host::reply_instead(Headers::Response.status().unwrap_or(503), &KEPT, &self.with_page(&[]), body);
        Action::Pause
    }
}
