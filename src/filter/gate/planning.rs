//! From the message to its plan: who may answer, in which order, and whether it may be sent twice.

use std::rc::Rc;

use proxy_wasm::types::Action;

use super::super::clock;
use super::super::host;
use super::super::metrics::Status;
use super::super::vm::Vm;
use super::asking::Asking;
use super::call::{Session, Task};
use super::controls::Attempts;
use super::{Gate, Phase};
use crate::breaker::Ticket;
use crate::failure::Replay;
use crate::jsonrpc::{ErrorCode, Incoming, Request, parse};
use crate::mcp::{Method, Page, Params, local, replay};
use crate::plan::{ClientTime, Hop, Kind, Owner, Plan, Route, Terms, admit, chain};
use crate::registry::{Replayable, ServerIndex, Tool};
use crate::wiring::{route, state};

/// What the plan says of the message, apart from its hops.
struct Message<'r> {
    kind: Kind,
    route: Route<'r>,
    replay: Replay,
    tools_page: Option<Page>,
}

impl Gate {
    /// Plans a POST.
    pub(super) fn plan_message(&mut self, body: &[u8]) -> Action {
        let vm = Rc::clone(&self.vm);
        let incoming = parse(body);
        let message = match &incoming {
            Incoming::Request(request) => self.request(&vm, request),
            Incoming::Notification(_) | Incoming::Response => {
                self.call.task = Task::Protocol;
                Message { kind: Kind::Notification, route: Route::AnyMcp, replay: Replay::Batch, tools_page: None }
            }
            Incoming::Batch { .. } | Incoming::Invalid(_) => {
                Message { kind: Kind::Opaque, route: Route::AnyMcp, replay: Replay::Batch, tools_page: None }
            }
        };
        if !matches!(self.call.task, Task::Tool(_)) {
            let answer = local::answer(&incoming, vm.registry.offered_tools());
            self.call.local = (answer != local::LocalAnswer::NotLocal).then_some(answer);
        }
        self.send(&vm, &message)
    }

    fn request<'r>(&mut self, vm: &'r Vm, request: &Request<'_>) -> Message<'r> {
        self.call.id = Some(request.id.as_json().to_owned());
        let method = Method::of(&request.method);
        let params = Params::parse(request.params);
        let name = params.as_ref().ok().and_then(|params| params.name.as_deref());
        let tool = name.filter(|_| method == Method::ToolsCall).and_then(|name| vm.registry.indexed_tool(name));
        self.call.task = match (method, tool) {
            (Method::ToolsCall, Some((index, _))) => Task::Tool(index),
            (Method::ToolsCall, None) => Task::Other,
            _ => Task::Protocol,
        };
        let replay = match &params {
            Ok(params) => replay(method, params.pinned, || replay_of_tool(vm, tool.map(|(_, tool)| tool), name)),
            // Parameters that can't be read are the server's to refuse; until then they might be anything.
            Err(_) => Replay::Unreadable,
        };
        let has_cursor = params.as_ref().is_ok_and(|params| params.has_cursor);
        let page = if has_cursor { Page::Later } else { Page::First };
        let tools_page = (method == Method::ToolsList).then(|| vm.with_annotations(|_, _| page)).flatten();
        let route = tool.map_or(Route::AnyMcp, |(_, tool)| Route::Tool(tool));
        Message { kind: Kind::Request, route, replay, tools_page }
    }

    /// Plans a GET or DELETE: it concerns one server's session.
    pub(super) fn plan_stream(&mut self, delete: bool) -> Action {
        self.call.task = Task::Protocol;
        let route = match (&self.call.session, delete) {
            (Session::Gate, true) => return self.answer(200, &[], b"", Status::Success),
            // The gate never speaks first, and 405 is how a server says so. It can't be taken for an era mismatch here,
            // as the client is in a session already.
            (Session::Gate, false) => return self.answer(405, &[("allow", "POST, DELETE")], b"", Status::Success),
            (Session::Server(owner, _), _) => Route::Only(*owner),
            (Session::None, _) => Route::AnyMcp,
        };
        let vm = Rc::clone(&self.vm);
        self.send(&vm, &Message { kind: Kind::Session, route, replay: Replay::Batch, tools_page: None })
    }

    fn send(&mut self, vm: &Vm, message: &Message<'_>) -> Action {
        self.call.kind = Some(message.kind);
        let direct_only = || host::attribute(&["xds", "route_name"]).is_some_and(|name| route::is_direct_only(&name));
        let mcp_enabled = vm.mcp_enabled && !direct_only();
        let (owner, session) = match &self.call.session {
            Session::Server(owner, id) => (Some(*owner), Some(id.clone())),
            _ => (None, None),
        };
        let mut servers = chain(&vm.registry, message.route, owner, mcp_enabled);
        self.call.first_choice = if owner.is_none() && mcp_enabled {
            servers.first().copied()
        } else {
            chain(&vm.registry, message.route, None, true).first().copied()
        };
        if message.kind == Kind::Session {
            servers.truncate(1);
        }
        let terms = Terms {
            may_probe: matches!(message.kind, Kind::Request | Kind::Notification),
            may_divert: owner.is_none(),
            last_resort: self.call.local.is_none() && message.kind != Kind::Session,
        };
        let now = clock::now_ms();
        let tool = if let Route::Tool(tool) = message.route { Some(tool) } else { None };
        let client = self.client_time(vm, tool);
        if message.kind != Kind::Session && client.is_over(now) {
            return self.refuse(ErrorCode::TimeOver, "the time for this call was over before it could be sent", None);
        }
        let random = clock::random_u32();
        let replayable = message.replay == Replay::Allowed;
        let mut asking = Asking { vm, now, random, replayable, drill: &self.call.drill, last_resort: None };
        let hops = admit(&servers, terms, &mut asking);
        self.call.last_resort = asking.last_resort.map(|server| (server, now));
        if hops.is_empty() {
            return self.no_path(vm, &servers, mcp_enabled);
        }

        let name = |index: ServerIndex| vm.registry.server(index).map_or("", |server| server.id.as_str());
        let attempts = Attempts { vm, kind: message.kind, replay: message.replay, tool, hops: &hops };
        let time = attempts.time(&client, now);
        let again = if terms.last_resort { attempts.again() } else { 0 };
        let patient = again > 0 && hops.len() == 1;
        let plan = Plan {
            kind: message.kind,
            replay: message.replay,
            id: self.call.id.clone(),
            tool: tool.map(|tool| tool.name.clone()),
            tools_page: message.tools_page,
            session_owner: match self.call.session {
                Session::None => Owner::Nobody,
                Session::Gate => Owner::Gate,
                Session::Server(owner, _) => Owner::Server(name(owner).to_owned()),
            },
            session_id: session,
            call_uuid: tool.and_then(|tool| tool.rest.as_ref()).and_then(|_| clock::random()).unwrap_or_default(),
            cursor: 0,
            other_slot: false,
            repeats: false,
            again,
            patient,
            time,
            stop: None,
            attempts: 0,
            hops: hops.iter().map(|(at, ticket)| self.hop(vm, *at, *ticket)).collect(),
            originals: attempts.headers_to_restore(),
            authorization: self.call.authorization.take().filter(|_| attempts.show_client_authorization()),
        };
        host::set_filter_state(state::NEXT, plan.destination().unwrap_or_default().as_bytes());
        host::set_filter_state(state::PLAN, &plan.encode());
        attempts.tell_router(&time, again, patient);
        vm.budget.borrow_mut().deposit(now);
        host::clear_route_cache();
        self.phase = Phase::Sent;
        Action::Continue
    }

    fn hop(&self, vm: &Vm, server: ServerIndex, ticket: Ticket) -> Hop {
        let id = vm.registry.server(server).map(|server| server.id.to_string()).unwrap_or_default();
        Hop { server: id, ticket, drill: self.call.drill.class_of(server) }
    }

    fn client_time(&self, vm: &Vm, tool: Option<&Tool>) -> ClientTime {
        let allowed = tool.and_then(|tool| tool.client_timeout).or(vm.registry.listener.client_timeout);
        let allowed_ms = allowed.map(|allowed| u64::try_from(allowed.as_millis()).unwrap_or(u64::MAX));
        ClientTime { started_ms: self.call.started, allowed_ms, told_ms: self.call.told_ms }
    }

    /// Nobody may answer: the gate does, with an answer of its own where it has one.
    fn no_path(&mut self, vm: &Vm, servers: &[ServerIndex], mcp_enabled: bool) -> Action {
        if let Some(local) = self.call.local.take() {
            return self.answer_locally(&local, Status::Fallback);
        }
        let now = clock::now_ms();
        if !servers.is_empty() && servers.iter().all(|s| vm.credentials.is_missing(&vm.registry, *s, now)) {
            let why: Vec<_> = servers.iter().map(|s| vm.credentials.explain(&vm.registry, *s, now)).collect();
            let message = format!("no credential can be sent: {}", why.join("; "));
            return self.refuse(ErrorCode::CredentialUnavailable, &message, Some(1000));
        }
        let asked = servers.iter().filter(|s| !vm.credentials.is_missing(&vm.registry, **s, now));
        let wait = asked.filter_map(|s| vm.with_breaker(*s, |b, shared| b.peek(shared, now).retry_after_ms));
        // Whole seconds, so that the header and the error say the same.
        let seconds = wait.min().unwrap_or_default().div_ceil(1000).max(1);
        let why = if mcp_enabled {
            "no server that could answer this call admits it now"
        } else {
            "MCP is switched off and this call has no direct path"
        };
        self.refuse(ErrorCode::NoPath, why, Some(seconds.saturating_mul(1000)))
    }
}

/// Whether calls of a tool may be executed twice: the operator's word, or else that of the tool's servers.
fn replay_of_tool(vm: &Vm, tool: Option<&Tool>, name: Option<&str>) -> Replay {
    match tool.map(|tool| tool.replayable) {
        Some(Replayable::Yes) => return Replay::Allowed,
        Some(Replayable::No) => return Replay::NotReplayable,
        Some(Replayable::Annotations) | None => {}
    }
    let vouched = vm.with_annotations(|annotations, shared| {
        let servers = tool.map_or_else(|| vm.registry.mcp_servers(), |tool| tool.mcp.clone());
        annotations.vouch_for(shared, name.unwrap_or_default(), &servers, clock::now_ms())
    });
    match vouched {
        Some(true) => Replay::Allowed,
        Some(false) => Replay::UnknownAnnotation,
        None => Replay::NotReplayable,
    }
}
