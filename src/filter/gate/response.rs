//! The final answer: what the client gets to see of it, and the account of the call.

use proxy_wasm::types::Action;

use super::super::clock;
use super::super::host::{self, Body, Headers};
use super::super::mark::{ANSWER_MARK, FAILOVER_MARK, Mark};
use super::super::metrics::{Metric, Mode, Status};
use super::call::{Session, Task};
use super::request::mint_session;
use super::{Gate, attempts};
use crate::conclusion::{Conclusion, Ending, conclude};
use crate::failure::{Class, decide, replay_refused};
use crate::jsonrpc::{self, Details};
use crate::mcp::local::LocalAnswer;
use crate::plan::Kind;
use crate::registry::ServerKind;
use crate::wiring::header;

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
    pub(super) fn response_headers(&mut self, end_of_stream: bool) -> Action {
        let mark = Headers::Response.get(ANSWER_MARK).and_then(|value| Mark::decode(&value));
        let mark = mark.or_else(attempts::unanswered);
        self.show_way(mark.as_ref());
        let class = mark.as_ref().map_or(Class::NotSent, |mark| mark.class);
        if class == Class::Success {
            self.settle(mark.as_ref(), Status::Success);
            return Action::Continue;
        }
        Headers::Response.remove(FAILOVER_MARK);
        self.count_replay_refused(class, mark.as_ref());
        let status = Headers::Response.status().unwrap_or(503);
        let ending = Ending {
            class,
            status,
            readable: mark.as_ref().is_some_and(|mark| mark.readable),
            kind: self.call.kind.unwrap_or(Kind::Opaque),
            answerable_by_gate: self.call.local.is_some(),
            session_elsewhere: self.session_is_elsewhere(mark.as_ref()),
            knows_only_clients: self.knows_only_clients(mark.as_ref()),
        };
        match conclude(&ending) {
            Conclusion::Pass => {
                if class == Class::Authorization && !ending.knows_only_clients {
                    Headers::Response.remove("www-authenticate");
                }
                self.settle(mark.as_ref(), if class.is_about_the_call() { Status::Error } else { Status::Failed });
                Action::Continue
            }
            Conclusion::Gate => {
                self.call.end = Some((Mode::Gate, Status::Fallback));
                match self.call.local.take() {
                    Some(LocalAnswer::Reply { body, opens_session }) => {
                        if let Some(session) = opens_session.then(mint_session).flatten() {
                            Headers::Response.set("mcp-session-id", session.as_bytes());
                        }
                        self.rewrite(200, body, end_of_stream)
                    }
                    _ => self.rewrite(202, Vec::new(), end_of_stream),
                }
            }
            Conclusion::Error { status, code } => {
                self.settle(mark.as_ref(), Status::Failed);
                let asked = attempts::asked().join(", ");
                let message =
                    format!("no server could answer this call (asked: {asked}; the last one: {})", class.explanation());
                let details = Details {
                    server: mark.as_ref().map(|mark| mark.server.as_str()),
                    class: Some(class.as_str()),
                    attempts: mark.as_ref().map(|mark| u32::from(mark.attempt)),
                    retry_after_ms: None,
                };
                let body = jsonrpc::error(self.call.request_id(), code, &message, &details);
                self.rewrite(status, body, end_of_stream)
            }
        }
    }

    /// The response ends with trailers.
    pub(super) fn response_trailers(&mut self) -> Action {
        match std::mem::replace(&mut self.rewrite, Rewrite::Drop) {
            // No piece of a body came that could have been replaced.
            Rewrite::Replace(body) => reply_instead(&body),
            Rewrite::Keep | Rewrite::Drop => Action::Continue,
        }
    }

    /// Takes the attempt's note off the answer, or turns it into the headers that the operator lets clients see.
    fn show_way(&self, mark: Option<&Mark>) {
        Headers::Response.remove(ANSWER_MARK);
        if let (true, Some(mark)) = (self.vm.registry.listener.expose_headers, mark) {
            Headers::Response.set(header::SERVER, mark.server.as_bytes());
            Headers::Response.set(header::ATTEMPTS, mark.attempt.to_string().as_bytes());
        }
    }

    /// Whether the client is in a session that the answering server can't know.
    fn session_is_elsewhere(&self, mark: Option<&Mark>) -> bool {
        match &self.call.session {
            Session::None => false,
            Session::Gate => true,
            Session::Server(owner, _) => {
                let owner = self.vm.registry.server(*owner).map(|server| server.id.as_str());
                mark.is_some_and(|mark| Some(mark.server.as_str()) != owner)
            }
        }
    }

    /// Whether the answering server knows only what the client authenticates with itself.
    fn knows_only_clients(&self, mark: Option<&Mark>) -> bool {
        let registry = &self.vm.registry;
        let server = mark.and_then(|mark| registry.server_by_id(&mark.server));
        server.is_some_and(|(_, server)| registry.knows_only_clients(server))
    }

    /// Counts a call that failed and was not sent on: because it may have been executed, or for want of budget or time.
    fn count_replay_refused(&self, class: Class, mark: Option<&Mark>) {
        let (registry, task) = (&self.vm.registry, self.call.task.name(&self.vm.names));
        let Some(plan) = attempts::plan_left() else { return };
        if let Some(stop) = plan.stop {
            return self.vm.metrics.count(Metric::ReplayRefused(task, stop.why.as_str()));
        }
        if plan.is_spent() || plan.repeats {
            return;
        }
        let server = mark.and_then(|mark| registry.server_by_id(&mark.server)).map(|(_, server)| &server.on);
        let tool = if let Task::Tool(index) = self.call.task { registry.tools.get(index) } else { None };
        let failover = decide(class, tool.map(|tool| &tool.on), server).failover;
        if let Some(reason) = replay_refused(class, failover, plan.replay) {
            self.vm.metrics.count(Metric::ReplayRefused(task, reason));
        }
    }

    /// Remembers how the call ended and by which way.
    fn settle(&mut self, mark: Option<&Mark>, status: Status) {
        let server = mark.and_then(|mark| self.vm.registry.server_by_id(&mark.server));
        let mode = match server {
            Some((_, server)) if server.kind == ServerKind::Rest => Mode::Direct,
            Some(_) => Mode::Mcp,
            None => Mode::Gate,
        };
        let first = self.call.first_choice;
        self.call.fell_back = status != Status::Failed && server.is_some_and(|(index, _)| Some(index) != first);
        let status = if status == Status::Success && self.call.fell_back { Status::Fallback } else { status };
        self.call.end = Some((mode, status));
    }

    /// Puts an answer of the gate in the place of the response that is being passed on.
    fn rewrite(&mut self, status: u16, body: Vec<u8>, end_of_stream: bool) -> Action {
        let endless = Headers::Response.are_of_events();
        Headers::Response.set(":status", status.to_string().as_bytes());
        for name in ["content-length", "content-encoding", "transfer-encoding", "www-authenticate", "set-cookie"] {
            Headers::Response.remove(name);
        }
        if body.is_empty() {
            Headers::Response.remove("content-type");
        } else {
            Headers::Response.set("content-type", b"application/json");
        }
        if end_of_stream || endless {
            return reply_instead(&body);
        }
        self.rewrite = Rewrite::Replace(body);
        Action::Pause
    }

    /// Counts the call; called once, at its very end.
    pub(super) fn account(&self) {
        if let Some((server, began_ms)) = self.call.last_resort {
            self.vm.with_breaker(server, |breaker, _| breaker.end_last_resort(began_ms));
        }
        if self.call.kind.is_none() && self.call.end.is_none() {
            return;
        }
        let (mode, status) = self.call.end.unwrap_or((Mode::Gate, Status::Cancelled));
        let (task, now) = (self.call.task.name(&self.vm.names), clock::now_ms());
        self.vm.metrics.count(Metric::Calls(mode, task, status));
        self.vm.metrics.record(Metric::Latency(mode, task), now.saturating_sub(self.call.started));
        if self.call.fell_back {
            self.vm.metrics.count(Metric::Fallback);
        }
        self.vm.metrics.maintain(now);
    }
}

/// Sends `body` with what the client is to see of the held headers. Where no body came that could be replaced, only a
/// local reply can bring one; and only a local reply ends where the body that it replaces does not.
fn reply_instead(body: &[u8]) -> Action {
    const KEPT: [&str; 5] = ["content-type", "mcp-session-id", "retry-after", header::ATTEMPTS, header::SERVER];
    let kept = KEPT.map(|name| Headers::Response.get(name).and_then(|value| String::from_utf8(value).ok()));
    let headers: Vec<_> =
        KEPT.into_iter().zip(&kept).filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
    host::reply(Headers::Response.status().unwrap_or(503), &headers, body);
    Action::Pause
}
