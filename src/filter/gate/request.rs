//! The client's request: through the door, read, planned, and on its way.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::types::Action;

use super::super::host::{self, Body, Headers};
use super::super::metrics::{CallStatus, Metric};
use super::super::shared_data::EnvoySharedData;
use super::super::{calls, clock, vm::Vm};
use super::breakers::BreakersAt;
use super::{Gate, Phase, answered};
use crate::call::answer::status_of_failure;
use crate::call::cached::ToKeep;
use crate::call::door::{self, Client, Entry, Method, Visit};
use crate::call::headers::RequestHeaders;
use crate::call::idempotency;
use crate::call::ledger::Noted;
use crate::call::local::LocalAnswer;
use crate::call::message::Message;
use crate::call::planning::{Planned, RouterOrders, Surroundings, plan};
use crate::call::route::{Lot, Route, first_choice};
use crate::call::story::{Skip, Skipped, Told};
use crate::call::{Call, Question, Session, Task, handover, page};
use crate::discovery::Called;
use crate::failure::Replay;
use crate::held::Holding;
use crate::jsonrpc::{self, Details, ErrorCode, OwnedId};
use crate::mcp::SessionId;
use crate::registry::{Idempotency, ServerIndex};
use crate::translate::uuid_v4;
use crate::wiring::{route, state};

impl Gate {
    pub(super) fn request_headers(&mut self, end_of_stream: bool) -> Action {
        let headers = Headers::Request.all();
        let now = clock::now_ms();
        self.known.started_ms = now;
        let source = || host::attribute(&["source", "address"]).unwrap_or_default();
        let Visit { page, entry } = door::knock(RequestHeaders(&headers.pairs()), &self.vm.registry, now, &source);
        self.page = page;
        if self.vm.registry.log.calls.is_some() && !matches!(entry, Entry::Elsewhere) {
            let hash = |id: &[u8]| self.vm.hash(id);
            self.known.noted = Some(Noted::of(RequestHeaders(&headers.pairs()), &self.vm.registry.log, &hash));
        }
        let (client, declared_length) = match entry {
            Entry::Elsewhere => return Action::Continue,
            Entry::NoSuchMethod => return self.answer(405, &[("allow", door::ALLOWED)], b"", CallStatus::Refused),
            Entry::Preflight(asked) => return self.allow(asked.as_deref()),
            Entry::Refused(code, why) => return self.refuse(code, &why, None),
            Entry::Admitted { client, declared_length, route_as, ends_here, drill_ignored, name_ignored } => {
                route_as.iter().for_each(|path| Headers::Request.set(":path", path));
                ends_here.iter().for_each(|name| Headers::Request.remove(name));
                if let Some(reason) = drill_ignored {
                    self.vm.metrics.count(Metric::DrillIgnored(reason));
                }
                if name_ignored {
                    self.vm.metrics.count(Metric::NameIgnored);
                }
                (client, declared_length)
            }
        };
        let limit = self.body_limit(client.method);
        if declared_length.is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > limit)) {
            return self.refuse_body(client.method);
        }
        self.head = headers.size();
        let declared = declared_length.and_then(|length| usize::try_from(length).ok());
        if !self.has_room(declared.unwrap_or_default()) {
            return self.refuse_for_want_of_room();
        }
        self.phase = Phase::Reading(client);
        if end_of_stream { self.message(b"") } else { Action::Pause }
    }

    pub(super) fn request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let method = self.method();
        if size > self.body_limit(method) {
            return self.refuse_body(method);
        }
        if !self.has_room(size) {
            return self.refuse_for_want_of_room();
        }
        if end_of_stream { self.request_complete() } else { Action::Pause }
    }

    fn method(&self) -> Method {
        if let Phase::Reading(client) = &self.phase { client.method } else { Method::Post }
    }

    /// How long a body may be. What one of GET or DELETE would mean nobody has said, so no server gets to read it.
    fn body_limit(&self, method: Method) -> usize {
        match method {
            Method::Post => usize::try_from(self.vm.registry.limits.request_body).unwrap_or(usize::MAX),
            Method::Get | Method::Delete => 0,
        }
    }

    fn refuse_body(&mut self, method: Method) -> Action {
        if method == Method::Post {
            return self.refuse_too_large();
        }
        self.refuse(ErrorCode::BodyNotAllowed, "a GET or DELETE must not have a body", None)
    }

    /// Tells a page's browser that the page may call.
    fn allow(&mut self, asked: Option<&str>) -> Action {
        self.phase = Phase::Answered;
        host::reply(204, &self.with_page(&page::preflight(door::ALLOWED, asked)), b"");
        Action::Pause
    }

    /// The body is whole.
    pub(super) fn request_complete(&mut self) -> Action {
        let body = match self.body_limit(self.method()) {
            0 => Vec::new(),
            limit => Body::Request.read(0, limit),
        };
        self.message(&body)
    }

    /// The request is there.
    fn message(&mut self, body: &[u8]) -> Action {
        let Phase::Reading(mut client) = std::mem::replace(&mut self.phase, Phase::Answered) else {
            return Action::Pause;
        };
        self.follow(&mut client);
        let ended = client.session_id.as_deref().filter(|_| client.session == Session::Gate);
        if ended.is_some_and(|id| self.vm.has_ended_here(id)) {
            return self.refuse(ErrorCode::SessionEnded, "the session was ended by its client", None);
        }
        if client.method != Method::Post {
            return self.stream(*client);
        }
        self.trace(body);
        let vm = Rc::clone(&self.vm);
        let mut vouch = |tool: &str, servers: &[ServerIndex]| {
            vm.with_annotations(|annotations, shared| annotations.vouch_for(shared, tool, servers, clock::now_ms()))
        };
        let message = match client.is_other_text {
            true => Message::opaque(&vm.registry),
            false => Message::read(body, client.mirror.as_deref(), &vm.registry, &mut vouch),
        };
        let wanted = message.route.tool().and_then(|tool| tool.idempotency.as_ref());
        let key = wanted.map(|wanted| give_key(wanted, body));
        self.send(&vm, message, *client, key)
    }

    /// A GET or DELETE is there: it concerns one server's session.
    fn stream(&mut self, client: Client) -> Action {
        self.known.task = crate::call::Task::Protocol;
        self.known.listens = client.method == Method::Get;
        let vm = Rc::clone(&self.vm);
        let route = match (&client.session, client.method) {
            (Session::Gate, Method::Delete) => {
                client.session_id.iter().for_each(|id| vm.note_ended_here(id));
                return self.answer(200, &[], b"", CallStatus::Success);
            }
            // The gate never speaks first, and 405 is how a server says so. It can't be taken for an era mismatch here,
            // as the client is in a session already.
            (Session::Gate, _) => return self.answer(405, &[("allow", "POST, DELETE")], b"", CallStatus::Success),
            (Session::Server { owner, .. }, _) => {
                vm.registry.server_by_id(owner.as_str()).map_or(Route::AnyMcp, |(at, _)| Route::Only(at))
            }
            (Session::None, _) => Route::AnyMcp,
        };
        self.send(&vm, Message::stream(route, self.known.listens), client, None)
    }

    /// Finds out where the client's session has moved.
    fn follow(&self, client: &mut Client) {
        let Some(session_id) = client.session_id.as_ref().filter(|_| self.vm.has_moved_sessions()) else { return };
        let found = self.vm.where_moved(session_id);
        let server = found.as_ref().and_then(|found| self.vm.registry.server_by_id(&found.server));
        let Some((_, server)) = server else { return };
        let id = found.map(|found| found.id).unwrap_or_default();
        // A server that needs no session is asked as any other.
        if !id.is_empty() || client.session.owner() == Some(&server.id) {
            client.session = Session::Server { owner: server.id.clone(), id };
        }
    }

    /// `key`: the call's UUID, where it has been used already.
    fn send(&mut self, vm: &Rc<Vm>, message: Message<'_>, mut client: Client, key: Option<[u8; 16]>) -> Action {
        let mut message = message.within(&client.session);
        self.note_message(&mut message);
        message.cancels.iter().for_each(|id| calls::cancel(&client.session, id));
        self.known.kind = Some(message.kind);
        self.known.listens = message.listens;
        self.known.task = message.task;
        self.known.question = message.question.clone();
        self.known.introduction = message.introduction.clone().unwrap_or_default();
        let random = clock::random_u32();
        let draw = message.route.draw(&vm.registry, random, |name| Headers::Request.get(name));
        let id = message.id.clone();
        if let Some(question) = self.known.question.take_if(|question| question.is_refusal()) {
            self.known.id = id;
            if question.is_about_tools() {
                vm.metrics.count(Metric::ToolsRefused);
            }
            return self.answer_locally(question, CallStatus::Refused);
        }
        let now_ms = clock::now_ms();
        if let Some(action) = self.ask_cache(&message, &client, now_ms) {
            return action;
        }
        let (tools, fastest) = (vm.tools.borrow(), vm.fastest.borrow());
        let lacks = |server, called: Called<'_>, owns| tools.lacks(server, called, owns, now_ms);
        let lot = Lot { owner: None, draw, prefer: client.prefer, fastest: &fastest };
        self.known.first_choice = first_choice(&vm.registry, message.route, lot);
        let replayable = message.replay == Replay::Allowed;
        let drill = std::mem::take(&mut client.drill);
        let breakers = BreakersAt { vm, now: now_ms, random, replayable, drill: &drill, last_resort: None };
        let mut around = Surroundings {
            registry: &vm.registry,
            breakers,
            drill: &drill,
            lacks: &lacks,
            draw,
            fastest: &fastest,
            mcp_enabled: vm.mcp_enabled && !self.is_task_off(),
            now_ms,
            uuid: &mut || key.unwrap_or_else(clock::random_uuid),
            headers: &|| Headers::Request.all().iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
        };
        let planned = plan(message, &mut client, &mut around);
        self.known.last_resort = around.breakers.last_resort.map(|server| (server, now_ms));
        match planned {
            Planned::Go(mut call, orders) => {
                if let Some(asked) = &self.known.asked {
                    call.to_keep = ToKeep::Wanted(asked.policy.max_size);
                }
                self.known.first_choice = call.first_choice_of(self.known.first_choice);
                vm.budget.borrow_mut().deposit(now_ms);
                if let Some(tool) = self.known.tool(&vm.registry).filter(|_| vm.registry.limits.rated) {
                    host::set_filter_state(state::TOOL, tool.as_bytes());
                }
                self.enter(*call, &orders)
            }
            Planned::TimeOver => {
                self.known.id = id;
                self.refuse(ErrorCode::TimeOver, "the time for this call was over before it could be sent", None)
            }
            Planned::NoPath(skipped) => {
                self.known.id = id;
                let stale = self.answer_stale();
                let told = Told {
                    registry: &vm.registry,
                    tool: self.known.tool(&vm.registry),
                    session: &client.session,
                    skipped: &skipped,
                    flight: None,
                    first_choice: self.known.first_choice,
                };
                self.tell_story(&told);
                if let Some(noted) = &mut self.known.noted {
                    noted.hops = Some(told.hops_in_json(false));
                }
                match stale {
                    Some(given) => self.give(&given),
                    None => self.no_path(vm, &skipped),
                }
            }
        }
    }

    /// Whether MCP is switched off for the task of the call.
    fn is_task_off(&self) -> bool {
        matches!(self.known.task, Task::Tool(at) if self.vm.is_task_off(at))
    }

    /// Lets the call go, under a number by which its attempts find it.
    fn enter(&mut self, call: Call, orders: &RouterOrders) -> Action {
        let vm = &self.vm;
        self.is_written = vm.crossing.is_on();
        let call = Rc::new(RefCell::new(call));
        let number = calls::enter(Rc::clone(vm), Rc::clone(&call));
        if self.is_written {
            calls::write_down(number, &call.borrow());
        } else {
            host::set_filter_state(state::PLAN, &handover::number(number));
        }
        tell_router(orders);
        self.phase = Phase::Sent(number, call);
        Action::Continue
    }

    /// Nobody may answer: the gate does, with an answer of its own where it has one.
    fn no_path(&mut self, vm: &Vm, skipped: &[Skipped]) -> Action {
        if let Some(question) = self.known.question.take() {
            return self.answer_locally(question, CallStatus::Fallback);
        }
        let now = clock::now_ms();
        let servers = skipped.iter().filter(|skipped| !matches!(skipped.why, Skip::KillSwitch | Skip::NotListed));
        let servers: Vec<_> = servers.map(|skipped| skipped.server).collect();
        let is_missing = |server: &&ServerIndex| vm.credentials.is_missing(&EnvoySharedData, **server, now);
        if !servers.is_empty() && servers.iter().all(|server| is_missing(&server)) {
            let why: Vec<_> = servers.iter().map(|server| vm.credentials.explain(*server, now)).collect();
            let message = format!("no credential can be sent: {}", why.join("; "));
            return self.refuse(ErrorCode::CredentialUnavailable, &message, Some(1000));
        }
        let asked = servers.iter().filter(|server| !is_missing(server));
        let wait = asked.filter_map(|s| vm.with_breaker(*s, |b, shared| b.peek(shared, now).retry_after_ms));
        // Whole seconds, so that the header and the error say the same.
        let seconds = wait.min().unwrap_or_default().div_ceil(1000).max(1);
        let is_off = skipped.iter().any(|skipped| skipped.why == Skip::KillSwitch);
        let why = why_no_path(vm, is_off);
        self.refuse(ErrorCode::NoPath, why, Some(seconds.saturating_mul(1000)))
    }

    fn refuse_too_large(&mut self) -> Action {
        let limit = self.vm.registry.limits.request_body;
        let message = format!("the request is larger than the {limit} bytes that limits.request_body allows");
        self.refuse(ErrorCode::BodyTooLarge, &message, None)
    }

    /// Makes room for the request's headers and so much of its body.
    fn has_room(&mut self, body: usize) -> bool {
        let limit = usize::try_from(self.vm.registry.limits.held).unwrap_or(usize::MAX);
        self.room.make(Holding::Request, self.head.saturating_add(body), limit)
    }

    fn refuse_for_want_of_room(&mut self) -> Action {
        self.refuse(ErrorCode::NoRoom, "too many requests and answers are held at present (limits.held)", Some(1000))
    }

    /// Turns the call away before any server is asked.
    fn refuse(&mut self, code: ErrorCode, message: &str, retry_after_ms: Option<u64>) -> Action {
        self.note_code(Some(code));
        let details = Details { retry_after_ms, ..Details::default() };
        let body = jsonrpc::error(self.known.id.as_ref().map(OwnedId::borrow), code, message, &details);
        let seconds = retry_after_ms.map(|ms| ms.div_ceil(1000).to_string());
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(seconds.as_deref().map(|seconds| ("retry-after", seconds)));
        let end = if code.is_clients_mistake() { CallStatus::Refused } else { CallStatus::Failed };
        self.answer(self.status_of(code), &headers, &body, end)
    }

    /// The HTTP status that an error travels with.
    pub(super) fn status_of(&self, code: ErrorCode) -> u16 {
        status_of_failure(self.vm.registry.listener.error_status, self.known.kind, code.http_status())
    }

    /// Answers with what the gate knows itself.
    fn answer_locally(&mut self, question: Question, end: CallStatus) -> Action {
        self.note_code(question.error_code());
        let id = self.known.id.as_ref().map(OwnedId::borrow);
        match question.answer(id, self.vm.registry.offered_tools()) {
            LocalAnswer::Reply { status, body, opens_session } => {
                let session = opens_session.then(|| mint_session(&self.known.introduction)).flatten();
                let mut headers = vec![("content-type", "application/json")];
                headers.extend(session.as_deref().map(|session| ("mcp-session-id", session)));
                self.answer(status, &headers, &body, end)
            }
            LocalAnswer::Accepted => self.answer(202, &[], b"", end),
        }
    }

    /// Answers the call here and now.
    pub(super) fn answer(&mut self, status: u16, headers: &[(&str, &str)], body: &[u8], end: CallStatus) -> Action {
        self.phase = Phase::Answered;
        (self.known.end, self.known.own_bytes) = (answered(end), Some(body.len()));
        self.tell_trace(None);
        host::reply(status, &self.with_page(headers), body);
        Action::Pause
    }
}

/// Puts the idempotency key that the call's tool wants into the request. Answers the UUID that it is made of.
fn give_key(wanted: &Idempotency, body: &[u8]) -> [u8; 16] {
    let uuid = clock::random_uuid();
    let sent = wanted.header.as_deref().and_then(|name| Headers::Request.get(name));
    let given = idempotency::give(wanted, body, sent.as_deref(), &uuid_v4(uuid));
    if let (Some(name), Some(value)) = (&wanted.header, given.header) {
        Headers::Request.set(name, value.as_bytes());
    }
    if let Some(new) = given.body {
        Body::Request.replace(body.len(), &new);
        if Headers::Request.get("content-length").is_some() {
            Headers::Request.set("content-length", new.len().to_string().as_bytes());
        }
    }
    uuid
}

/// Tells Envoy's router what it does not have from its route.
fn tell_router(orders: &RouterOrders) {
    if let Some(cluster) = &orders.cluster {
        host::set_filter_state(state::NEXT, cluster.as_bytes());
    }
    if let Some(server) = &orders.direct {
        host::set_filter_state(state::DIRECT, server.as_bytes());
    }
    let pace = orders.pace.state();
    if let Some(pace) = pace {
        host::set_filter_state(state::PACE, pace.as_bytes());
    }
    let number = |name: &str, value: String| Headers::Request.set(name, value.as_bytes());
    if let Some(retries) = orders.max_retries {
        number("x-envoy-max-retries", retries.to_string());
    }
    if let Some(per_try_ms) = orders.per_try_ms {
        number("x-envoy-upstream-rq-per-try-timeout-ms", per_try_ms.to_string());
    }
    if orders.cluster.is_some() || orders.direct.is_some() || pace.is_some() {
        host::clear_route_cache();
    }
}

/// Why no server is asked, for the client.
pub(super) fn why_no_path(vm: &Vm, is_off: bool) -> &'static str {
    let on_direct_route = || host::attribute(&["xds", "route_name"]).is_some_and(|name| route::is_direct_only(&name));
    if vm.mcp_enabled && !is_off && !on_direct_route() {
        "no server that could answer this call admits it now"
    } else {
        "MCP is switched off and this call has no direct path"
    }
}

/// An id for a session with the gate; none without a source of randomness, as it must not be guessed.
pub(super) fn mint_session(introduction: &str) -> Option<String> {
    clock::random().and_then(|random| String::from_utf8(SessionId::mint(introduction, random)).ok())
}
