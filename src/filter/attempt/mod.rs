//! The attempt: the upstream filter on a server's cluster. One context per attempt of a call.
//!
//! It turns Envoy's callbacks into the events of [`call::attempt`](crate::call::attempt), and what that answers into calls to
//! the host: the request's headers in [`request`], everything that follows in [`reaction`].

mod drill;
mod flown;
mod headers;
mod opening;
mod probe;
mod quotes;
mod reaction;
mod request;

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

pub use drill::Drill;
use flown::Flown;

use super::host::{self, Headers};
use super::vm::{self, Vm};
use crate::call::attempt::{self, Flow, NoAnswer, ResponseHead};
use crate::call::passage::is_kept_from_clients;
use crate::concurrency::UnderWay;
use crate::credential::{Secret, Selection};
use crate::json::Value;
use crate::mcp::SessionId;
use crate::probe::FirstAnswer;
use crate::registry::{Id, ServerIndex, ServerKind};

/// Envoy's response flags "downstream connection terminated" and, for a stream of HTTP/2, "downstream remote reset".
const DOWNSTREAM_GONE: u64 = 0x4000 | 0x1000_0000;

/// Where an attempt filter sits: at one server's cluster, under one registry.
#[derive(Clone)]
pub struct Site {
    /// The server.
    pub server: Id,
    /// The identity of the registry.
    pub identity: u64,
    /// The part of it that this server's attempts need, for when no gate of this VM has the whole.
    pub part: Rc<Part>,
    /// What a probe must bear.
    pub probe_pass: Rc<str>,
}

/// A part of a registry, kept as text until somebody needs it: with a gate in the same VM nobody does.
pub struct Part {
    text: Box<str>,
    read: OnceCell<Option<Rc<Vm>>>,
}

impl Part {
    /// The part that `wire` is.
    pub fn new(wire: &Value) -> Self {
        Part { text: wire.to_json().into(), read: OnceCell::new() }
    }

    fn vm(&self, identity: u64) -> Option<Rc<Vm>> {
        let read = || Vm::of(&Value::parse(&self.text).ok()?, Some(identity), &self.text).ok();
        self.read.get_or_init(read).clone()
    }
}

impl Site {
    /// The server as the gate of this VM knows it, with every token that this VM has; else as the part knows it.
    fn best(&self) -> Option<(Rc<Vm>, ServerIndex)> {
        let vm = vm::of_gate(self.identity).or_else(|| self.part.vm(self.identity))?;
        let at = vm.registry.server_by_id(self.server.as_str()).map(|(at, _)| at)?;
        Some((vm, at))
    }
}

/// How far an attempt has come.
enum Phase {
    /// Nothing seen yet, or a request of the prober's: left alone.
    Other,
    /// The answer to a request of the prober's is held, of which so many bytes are there: until it is whole, or until the
    /// first answer in a stream of events.
    Probe(Option<Box<FirstAnswer>>, usize),
    /// The request's body is being collected.
    Reading,
    /// The request is held while a session is opened for it.
    Opening,
    /// On its way, or answered.
    Sent,
    /// Answered here; nothing was sent.
    Refused,
}

/// The context of one attempt.
pub struct Attempt {
    site: Site,
    phase: Phase,
    /// The call and what has become of it here.
    flown: Option<(Flown, attempt::Attempt)>,
    /// The credential slot that the request carries, and its token.
    selection: Option<Selection>,
    /// What the answer is waited for of, while a session is opened.
    waiting: Option<opening::Waiting>,
    sent: Option<Secret>,
    /// Its place among the calls that the server has under way, where that has a limit; given back when Envoy is done with it.
    under_way: Option<UnderWay>,
    /// Whether what is there of the answer quotes that token.
    is_quoted: bool,
    /// Whether that has been told.
    has_told_quote: bool,
    /// How much of the request's body is there.
    read: usize,
}

impl Attempt {
    /// A context that has seen nothing yet.
    pub fn new(site: Site) -> Self {
        Attempt {
            site,
            phase: Phase::Other,
            flown: None,
            selection: None,
            sent: None,
            is_quoted: false,
            has_told_quote: false,
            waiting: None,
            under_way: None,
            read: 0,
        }
    }

    fn ended(&mut self) {
        let Some((flown, attempt)) = &mut self.flown else { return };
        if attempt.is_settled() {
            return;
        }
        let flags = host::number(&["response", "flags"]);
        let details = host::attribute(&["response", "code_details"]).unwrap_or_default();
        let told = NoAnswer::by_details(&details);
        let how = NoAnswer {
            client_gone: flags & DOWNSTREAM_GONE != 0 || details.starts_with(b"downstream_remote_disconnect"),
            not_sent: told.not_sent
                || matches!(self.phase, Phase::Opening)
                || host::attribute(&["upstream", "transport_failure_reason"]).is_some(),
            ..told
        };
        let reaction = flown.with_scene(|scene| attempt.ended(scene, how));
        self.react(reaction, 0);
    }
}

/// When Envoy is done with it. It says so twice, one call right after the other (`proxy_on_done`, `proxy_on_delete`), and each
/// is an entry into the module: the first is not exported.
impl Drop for Attempt {
    fn drop(&mut self) {
        self.ended();
    }
}

impl Context for Attempt {
    fn on_http_call_response(&mut self, token: u32, headers: usize, size: usize, _trailers: usize) {
        self.answered(token, headers > 0, size);
    }
}

impl HttpContext for Attempt {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.request_headers(false)
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        match self.phase {
            Phase::Reading => self.request_body(size, end_of_stream),
            Phase::Refused | Phase::Opening => Action::Pause,
            _ => Action::Continue,
        }
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        match self.phase {
            // Trailers end the body, and Envoy has no other end to tell of.
            Phase::Reading => self.request_body(self.read, true),
            Phase::Refused | Phase::Opening => Action::Pause,
            _ => Action::Continue,
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        let (Phase::Sent, Some((flown, attempt))) = (&self.phase, &mut self.flown) else {
            return if matches!(self.phase, Phase::Other) {
                self.probe_answered(end_of_stream)
            } else {
                Action::Continue
            };
        };
        let headers = Headers::Response.all();
        let kind = flown.server().map_or(ServerKind::Rest, |server| server.kind);
        let mut head = ResponseHead { bodiless: end_of_stream, ..ResponseHead::default() };
        let mut session = None;
        let mut is_quoted = false;
        let mut ledger = flown.call.borrow_mut().ledger.take();
        for (name, value) in &headers {
            if self.sent.as_ref().is_some_and(|sent| sent.find(value).is_some()) {
                is_quoted = true;
                Headers::Response.remove(name);
                continue;
            }
            ledger.iter_mut().for_each(|ledger| ledger.header(name, value));
            match name {
                ":status" => head.status = host::status(value).unwrap_or_default(),
                "content-type" if head.content_type.is_none() => head.content_type = Some(value),
                "content-encoding" if head.content_encoding.is_none() => head.content_encoding = Some(value),
                "retry-after" if head.retry_after.is_none() => head.retry_after = Some(value),
                "mcp-session-id" if session.is_none() => session = Some(value),
                // A token of ours is no client's business: one that heard a challenge would have its user log in.
                "www-authenticate" if !flown.knows_only_clients() => Headers::Response.remove(name),
                _ if is_kept_from_clients(kind, name) => Headers::Response.remove(name),
                _ => {}
            }
        }
        flown.call.borrow_mut().ledger = ledger;
        if let Some(session) = session {
            if let Some(introduction) = &flown.call.borrow().introduction {
                let server = flown.server().map_or("", |server| server.id.as_str());
                Headers::Response.set("mcp-session-id", &SessionId::wrap(server, introduction, session));
            } else {
                // A client that took it would leave the session that it is in.
                Headers::Response.remove("mcp-session-id");
            }
        }
        let reaction = flown.with_scene(|scene| attempt.response_headers(scene, &head));
        if attempt.is_holding() && reaction.flow == Flow::Pass {
            // What passes may become shorter on its way.
            Headers::Response.remove("content-length");
        }
        if is_quoted {
            self.tell_of_quote();
        }
        self.react(reaction, 0)
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let Some((flown, attempt)) = &mut self.flown else { return self.probe_body(Some(size), end_of_stream) };
        if !attempt.is_holding() {
            return Action::Continue;
        }
        let is_quoted = Cell::new(self.is_quoted);
        let body = quotes::clean(self.sent.as_ref(), &is_quoted);
        let reaction = flown.with_scene(|scene| attempt.response_body(scene, size, end_of_stream, &body));
        drop(body);
        self.is_quoted = is_quoted.get();
        self.clear_quotes(&reaction, size);
        self.react(reaction, size)
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        let Some((flown, attempt)) = &mut self.flown else { return self.probe_body(None, true) };
        if !attempt.is_holding() {
            return Action::Continue;
        }
        let is_quoted = Cell::new(self.is_quoted);
        let body = quotes::clean(self.sent.as_ref(), &is_quoted);
        let held = attempt.held();
        let reaction = flown.with_scene(|scene| attempt.response_trailers(scene, &body));
        drop(body);
        self.is_quoted = is_quoted.get();
        self.clear_quotes(&reaction, held);
        self.react(reaction, held)
    }
}
