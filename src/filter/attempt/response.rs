//! An attempt's answer: held as long as it takes to judge it, and no longer.
//!
//! A JSON answer is judged whole. An SSE answer is held until its first event with data, then streams. A REST answer is
//! held to its end, because it must be translated.

use proxy_wasm::types::Action;

use super::super::clock;
use super::super::host::{self, Body, Headers};
use super::super::mark::ANSWER_MARK;
use super::Attempt;
use super::rest::RestCall;
use crate::conclusion::is_translated;
use crate::failure::{
    Class, EventJudgement, Expected, Head, Judgement, Rule, Verdict, judge_body, judge_event, judge_head, retry_after,
};
use crate::jsonrpc::{Answer, RequestId};
use crate::mcp::SessionId;
use crate::plan::Kind;
use crate::registry::ServerKind;
use crate::sse::Scanner;
use crate::wiring::header;

/// An error answer longer than this is judged by its first bytes: no error needs more to say what it is.
const ERROR_BODY: usize = 64 * 1024;

/// What is being waited for while the response headers are held.
pub(super) enum Holding {
    /// Nothing: the answer passes.
    Nothing,
    /// The whole body, of which so many bytes are there.
    Whole(Head, usize),
    /// The first event with data; so many bytes have been searched.
    Event(Scanner, usize),
    /// Nothing: a translation has gone out, and what is left of the original must not follow it.
    Drop,
}

impl Attempt {
    pub(super) fn response_headers(&mut self, end_of_stream: bool) -> Action {
        if matches!(self.rest, Some(RestCall::Refused)) {
            return Action::Continue;
        }
        if self.plan.is_none() {
            // To the prober this header says that the probe was not sent. A server can't say so.
            Headers::Response.remove(ANSWER_MARK);
            return Action::Continue;
        }
        self.answered_after_ms = Some(clock::now_ms().saturating_sub(self.began_ms));
        let headers = Headers::Response.all();
        let get = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice());
        for (name, _) in headers.iter().filter(|(name, _)| name.starts_with(header::PREFIX) || name == "set-cookie") {
            // The first are for attempts to write; from a server they could have a call repeated that must not be. And
            // a cookie would come back to whichever server is next.
            Headers::Response.remove(name);
        }
        if let (Some(session), Some(server)) = (get("mcp-session-id"), self.placement.server()) {
            Headers::Response.set("mcp-session-id", &SessionId::wrap(server.id.as_str(), session));
        }
        let wall_ms = || u64::try_from(clock::wall_time().as_millis()).unwrap_or(u64::MAX);
        let head = Head {
            status: get(":status").and_then(host::status).unwrap_or_default(),
            retry_after_ms: get("retry-after").and_then(|value| retry_after::parse(value, wall_ms())),
            bodiless: end_of_stream,
        };
        match self.judge_head(&head) {
            Judgement::Decided(verdict) if self.rest.is_some() && is_translated(verdict.class) => {
                if end_of_stream {
                    self.translate_answer(&head, verdict, 0)
                } else {
                    self.hold(Holding::Whole(head, 0))
                }
            }
            // The gate will put its own answer in the place of this one, for which it needs the body's end. The router's
            // clock runs only until it sees the headers, so they wait here.
            Judgement::Decided(verdict)
                if !end_of_stream
                    && self.is_replaced_by_gate(verdict.class, head.status)
                    && !self.would_go_on(verdict) =>
            {
                self.hold(Holding::Whole(head, 0))
            }
            Judgement::Decided(verdict) => {
                self.conclude(verdict, verdict.class == Class::Success);
                Action::Continue
            }
            Judgement::NeedsBody if head.status < 300 && get("content-type").is_some_and(host::is_event_stream) => {
                self.hold(Holding::Event(Scanner::default(), 0))
            }
            Judgement::NeedsBody => {
                if head.status < 300 && !get("content-type").is_some_and(host::is_json) {
                    // It is JSON or no answer at all, and clients refuse to read it under another name.
                    Headers::Response.set("content-type", b"application/json");
                }
                self.hold(Holding::Whole(head, 0))
            }
        }
    }

    fn hold(&mut self, holding: Holding) -> Action {
        self.holding = holding;
        Action::Pause
    }

    pub(super) fn response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        match std::mem::replace(&mut self.holding, Holding::Nothing) {
            Holding::Nothing => Action::Continue,
            Holding::Whole(head, _) => self.whole_body(head, size, end_of_stream),
            Holding::Event(scanner, searched) => self.first_event(scanner, searched, size, end_of_stream),
            Holding::Drop => {
                Body::Response.replace(size, b"");
                self.hold(Holding::Drop);
                Action::Continue
            }
        }
    }

    /// Trailers end the body, and Envoy has no other end to tell of.
    pub(super) fn response_trailers(&mut self) -> Action {
        match std::mem::replace(&mut self.holding, Holding::Nothing) {
            Holding::Nothing | Holding::Drop => Action::Continue,
            Holding::Whole(head, size) => {
                // Where no body came there is no buffer either that could take a translation.
                let bodiless = size == 0;
                self.whole_body(Head { bodiless, ..head }, size, true)
            }
            Holding::Event(scanner, size) => self.first_event(scanner, size, size, true),
        }
    }

    fn whole_body(&mut self, head: Head, size: usize, end_of_stream: bool) -> Action {
        let limit = if head.status < 300 { self.body_limit() } else { ERROR_BODY };
        if !end_of_stream && size <= limit {
            return self.hold(Holding::Whole(head, size));
        }
        if size > limit && head.status < 300 {
            // Too long to be held: a REST answer can't be translated; an MCP answer streams on unjudged, and that it
            // came at all says that the server is well.
            let class = if self.rest.is_some() { Class::Server } else { Class::Success };
            self.conclude(class.into(), class == Class::Success);
            return Action::Continue;
        }
        let body = Body::Response.read(0, size.min(limit));
        let verdict = self.seen(judge_body(self.server_kind(), self.rules(), &head, &body, self.expected()));
        if self.rest.is_some() && is_translated(verdict.class) {
            return self.translate_answer(&head, verdict, size);
        }
        self.conclude_read(verdict, &body);
        Action::Continue
    }

    fn first_event(&mut self, mut scanner: Scanner, searched: usize, size: usize, end_of_stream: bool) -> Action {
        scanner.push(&Body::Response.read(searched, size.saturating_sub(searched)));
        while let Some(event) = scanner.next_event() {
            match judge_event(self.rules(), &event.data, self.expected()) {
                EventJudgement::Empty => {}
                EventJudgement::Interim => {
                    self.conclude(Class::Success.into(), true);
                    return Action::Continue;
                }
                EventJudgement::Answer(verdict) => {
                    self.conclude_read(self.seen(verdict), &event.data);
                    return Action::Continue;
                }
            }
        }
        if end_of_stream {
            // A server may end a connection after an event that only has an id; its client comes back with that for the
            // answer. Any other stream that ends here is no answer.
            let class = if scanner.is_resumable() && scanner.held() == 0 { Class::Success } else { Class::Server };
            self.conclude(class.into(), class == Class::Success);
            return Action::Continue;
        }
        let replayable = self.plan.as_ref().is_some_and(|plan| plan.replay.is_allowed());
        let is_alive = size > 0 && scanner.held() == 0;
        if size > self.body_limit() || (is_alive && !replayable) {
            // A call that can't be repeated gains little from being held, and while it is the router's clock runs: a
            // server that shows by comments that it is at work must not be cut off.
            self.conclude(Class::Success.into(), true);
            return Action::Continue;
        }
        self.hold(Holding::Event(scanner, size))
    }

    /// Settles the attempt by `answer`, which has been read whole.
    fn conclude_read(&mut self, verdict: Verdict, answer: &[u8]) {
        if verdict.class == Class::Success {
            self.learn(answer);
        }
        // Asked of failures only: what is judged a success can be read.
        let readable = verdict.class == Class::Success || self.is_readable(answer);
        self.conclude(verdict, readable);
    }

    /// Learns from a list of tools what may be called twice.
    fn learn(&self, answer: &[u8]) {
        let Some(page) = self.plan.as_ref().and_then(|plan| plan.tools_page) else { return };
        let (index, now) = (self.placement.index, clock::now_ms());
        self.placement.vm.with_annotations(|annotations, shared| annotations.learn(shared, index, page, answer, now));
    }

    fn body_limit(&self) -> usize {
        usize::try_from(self.placement.vm.registry.limits.response_body).unwrap_or(usize::MAX)
    }

    fn judge_head(&self, head: &Head) -> Judgement {
        match judge_head(self.server_kind(), self.rules(), head, self.expected()) {
            Judgement::Decided(verdict) => Judgement::Decided(self.seen(verdict)),
            Judgement::NeedsBody => Judgement::NeedsBody,
        }
    }

    /// The verdict, by whose credential the server has seen.
    fn seen(&self, verdict: Verdict) -> Verdict {
        if self.placement.knows_only_clients { verdict.about_the_client() } else { verdict }
    }

    fn server_kind(&self) -> ServerKind {
        if self.rest.is_some() { ServerKind::Rest } else { ServerKind::Mcp }
    }

    /// What the operator's rules say of this server's answers.
    fn rules(&self) -> &[Rule] {
        self.placement.server().map_or(&[], |server| &server.rules)
    }

    /// Whether the gate may answer in the place of an answer of this class and status.
    fn is_replaced_by_gate(&self, class: Class, status: u16) -> bool {
        let kind = self.plan.as_ref().map(|plan| plan.kind);
        matches!(kind, Some(Kind::Request | Kind::Notification))
            && (!class.is_about_the_call() || status == 401 && !self.placement.knows_only_clients)
    }

    /// Whether an MCP client can read this as the answer to its call.
    fn is_readable(&self, body: &[u8]) -> bool {
        let id = self.plan.as_ref().and_then(|plan| plan.id.as_deref()).and_then(RequestId::from_json);
        matches!(Answer::parse(body, id), Answer::Result { .. } | Answer::Error { .. })
    }

    /// What the client's message wants from the server.
    fn expected(&self) -> Expected<'_> {
        match self.plan.as_ref().map(|plan| (plan.kind, plan.id.as_deref().and_then(RequestId::from_json))) {
            Some((Kind::Request, Some(id))) => Expected::Answer(id),
            Some((Kind::Notification, _)) => Expected::Nothing,
            _ => Expected::Anything,
        }
    }
}
