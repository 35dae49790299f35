//! The client's message: what it is, who may answer it, and whether it may be executed twice.

use super::Session;
use super::ledger::cut;
use super::local::Question;
use super::route::Route;
use crate::cache::canonical;
use crate::discovery::Called;
use crate::failure::Replay;
use crate::jsonrpc::{Incoming, OwnedId, Request, parse};
use crate::mcp::{
    Method, Mirror, Page, Params, cancelled, fault, introduction, is_about_tasks, is_for_one_server, replay,
};
use crate::registry::{Registry, Replayable, ServerIndex, Tool};

/// What kind of message a call is; decides what an attempt may do with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    /// A JSON-RPC request: its answer is held and judged.
    Request,
    /// A notification, or the client's response to a request of the server: answered 202 without a body.
    Notification,
    /// A batch, or a body that is no JSON-RPC: passed on as it is, failed over only if it was never sent.
    Opaque,
    /// GET or DELETE of the Streamable HTTP transport: belongs to one server and is never sent elsewhere.
    Session,
}

/// The label that a call is counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Task {
    /// The task of the tool at this position of the registry.
    Tool(usize),
    /// A method of the protocol itself.
    Protocol,
    /// A tool that the registry doesn't know, or something that is no JSON-RPC request.
    #[default]
    Other,
}

/// One message, read.
#[derive(Debug)]
pub struct Message<'r> {
    /// What kind it is.
    pub kind: Kind,
    /// Its JSON-RPC id.
    pub id: Option<OwnedId>,
    /// What it is counted under.
    pub task: Task,
    /// Who may answer it.
    pub route: Route<'r>,
    /// Whether it may be executed twice.
    pub replay: Replay,
    /// The tool that it calls, where the registry doesn't know it and any server that does can answer.
    pub unknown_tool: Option<Box<str>>,
    /// Which part of a list of tools it asks for, where the answer is read: a server is trusted to teach us by it, or not
    /// every tool is allowed.
    pub tools_page: Option<Page>,
    /// Of `initialize`: how the client introduces itself, in short; empty if that can't be carried.
    pub introduction: Option<Box<str>>,
    /// What the gate could answer itself, if no server does.
    pub question: Option<Question>,
    /// The request that its client takes back by it.
    pub cancels: Option<OwnedId>,
    /// The arguments of a tool whose answers are kept, in their one form; `None` too if they have none.
    pub arguments: Option<String>,
    /// Whether its answer lasts for as long as the client listens, so that its time says nothing of anybody.
    pub listens: bool,
    /// Its method, for the call log where that is on.
    pub method: Option<Box<str>>,
}

/// Asks what trusted servers say of a tool: its name, and the servers that may get the call. `None` if no server is trusted,
/// else whether all of these are and they vouch for it.
pub type Vouch<'v> = dyn FnMut(&str, &[ServerIndex]) -> Option<bool> + 'v;

impl<'r> Message<'r> {
    /// Reads the body of a POST. `mirror`: what its headers say of it, if it is of a version without a handshake by them.
    pub fn read(body: &[u8], mirror: Option<&Mirror>, registry: &'r Registry, vouch: &mut Vouch<'_>) -> Self {
        let incoming = parse(body);
        let mut message = match &incoming {
            Incoming::Request(request) => Self::request(request, mirror, registry, vouch),
            Incoming::Notification(method, _)
                if method == "tools/call" && registry.listener.allowed_tools.restricts() =>
            {
                // Not even a server that takes it for a call is to see it.
                let question = Some(Question::NotAllowed(None));
                Message { question, ..Message::bare(Kind::Notification, Task::Protocol) }
            }
            Incoming::Notification(method, params) => {
                let route = if is_for_one_server(method) { Route::Issuer(None) } else { Route::AnyMcp };
                let cancels = cancelled(method, *params);
                Message { route, cancels, ..Message::bare(Kind::Notification, Task::Protocol) }
            }
            Incoming::Response => {
                Message { route: Route::Issuer(None), ..Message::bare(Kind::Notification, Task::Protocol) }
            }
            Incoming::Batch | Incoming::Invalid(_) => Message::opaque(registry),
        };
        if message.question.is_none() && !matches!(message.task, Task::Tool(_)) {
            message.question = Question::of(&incoming);
        }
        if registry.log.calls.is_some()
            && let Incoming::Request(Request { method, .. }) | Incoming::Notification(method, _) = &incoming
        {
            message.method = Some(cut(method.as_bytes()));
        }
        message
    }

    /// A body that is not looked into.
    pub fn opaque(registry: &Registry) -> Self {
        let question = registry.listener.allowed_tools.restricts().then_some(Question::Opaque);
        Message { question, ..Message::bare(Kind::Opaque, Task::Other) }
    }

    /// A GET or DELETE, which concerns the session of one server. `listens`: it is a GET.
    pub fn stream(route: Route<'r>, listens: bool) -> Self {
        Message { route, listens, ..Message::bare(Kind::Session, Task::Protocol) }
    }

    /// Whether it counts among the calls that a server has under way: it calls a tool. What else there is takes no hands, or
    /// lasts for as long as its client listens.
    pub fn is_limited(&self) -> bool {
        is_limited(self.kind, self.task)
    }

    /// The message of a client in this session, in which the gate may have less to say.
    pub fn within(mut self, session: &Session) -> Self {
        self.question = self.question.filter(|question| question.is_for_gate(session));
        self
    }

    /// The tool that it calls, if any server that has it may answer.
    pub fn called(&self) -> Option<Called<'_>> {
        match (self.route, self.task) {
            (Route::Tool(_), Task::Tool(position)) => Some(Called::At(position)),
            _ => self.unknown_tool.as_deref().map(Called::Named),
        }
    }

    fn bare(kind: Kind, task: Task) -> Self {
        Message {
            kind,
            id: None,
            task,
            route: Route::AnyMcp,
            replay: Replay::Batch,
            unknown_tool: None,
            tools_page: None,
            introduction: None,
            question: None,
            cancels: None,
            arguments: None,
            listens: false,
            method: None,
        }
    }

    fn request(request: &Request<'_>, mirror: Option<&Mirror>, registry: &'r Registry, vouch: &mut Vouch<'_>) -> Self {
        let method = Method::of(&request.method);
        let params = Params::parse(request.params);
        let name = params.as_ref().ok().and_then(|params| params.name.as_deref());
        let tool = name.filter(|_| method == Method::ToolsCall).and_then(|name| registry.indexed_tool(name));
        let task = match (method, tool) {
            (Method::ToolsCall, Some((index, _))) => Task::Tool(index),
            (Method::ToolsCall, None) => Task::Other,
            _ => Task::Protocol,
        };
        let is_bound = is_about_tasks(&request.method) || params.as_ref().is_ok_and(|params| params.is_bound);
        let replay = match &params {
            Ok(params) => replay(method, is_bound || params.starts_task, || {
                replay_of_tool(registry, tool.map(|(_, tool)| tool), name.unwrap_or_default(), vouch)
            }),
            // Parameters that can't be read are the server's to refuse; until then they might be anything.
            Err(_) => Replay::Unreadable,
        };
        let has_cursor = params.as_ref().is_ok_and(|params| params.has_cursor);
        let page = if has_cursor { Page::Later } else { Page::First };
        let allowed = &registry.listener.allowed_tools;
        // Of a list somebody learns, or something is taken out.
        let is_read = || allowed.restricts() || registry.servers.iter().any(|server| server.trust_annotations);
        let is_allowed = match tool {
            Some((_, tool)) => tool.is_allowed,
            None => !allowed.restricts() || name.is_some_and(|name| allowed.allows(name)),
        };
        let refused = (method == Method::ToolsCall && !is_allowed).then(|| Question::NotAllowed(name.map(Into::into)));
        Message {
            id: Some(request.id.to_owned()),
            route: match tool {
                // A tool without an MCP server has nothing that could have been issued.
                Some((_, tool)) if !is_bound || tool.mcp.is_empty() => Route::Tool(tool),
                tool if is_bound => Route::Issuer(tool.map(|(_, tool)| tool)),
                _ if method == Method::Initialize => Route::Begin,
                _ => Route::AnyMcp,
            },
            replay,
            unknown_tool: name.filter(|_| task == Task::Other && !is_bound).map(Into::into),
            arguments: tool
                .filter(|(_, tool)| tool.cache.is_some())
                .and_then(|_| canonical::arguments(request.params?)),
            listens: request.method == "subscriptions/listen",
            tools_page: (method == Method::ToolsList && is_read()).then_some(page),
            introduction: (method == Method::Initialize)
                .then(|| introduction::shorten(request.params).unwrap_or_default().into()),
            question: refused.or_else(|| fault(mirror, &request.method, params.as_ref().ok()).map(Question::Faulty)),
            ..Message::bare(Kind::Request, task)
        }
    }
}

/// See [`Message::is_limited`].
pub fn is_limited(kind: Kind, task: Task) -> bool {
    kind == Kind::Request && task != Task::Protocol
}

/// Whether calls of a tool may be executed twice: the operator's word, or else that of the tool's servers.
pub fn replay_of_tool(registry: &Registry, tool: Option<&Tool>, name: &str, vouch: &mut Vouch<'_>) -> Replay {
    match tool.map(|tool| tool.replayable) {
        Some(Replayable::Yes) => return Replay::Allowed,
        Some(Replayable::No) => return Replay::NotReplayable,
        Some(Replayable::Annotations) | None => {}
    }
    let vouched = match tool {
        Some(tool) => vouch(name, &tool.mcp),
        None => vouch(name, &registry.mcp_servers()),
    };
    match vouched {
        Some(true) => Replay::Allowed,
        Some(false) => Replay::UnknownAnnotation,
        None => Replay::NotReplayable,
    }
}
