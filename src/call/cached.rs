//! The cache as a step of the walk, between the route and admission: whose question it is, whether a kept answer is given
//! in a server's place, and which answers may be kept.
//!
//! A fresh answer ends the walk before any server is asked. One that is fresh no longer waits: it is given only where every
//! way has failed or nobody could be asked ([`is_last_hop`]).

use super::answer::Conclusion;
use super::door::Client;
use super::headers::RequestHeaders;
use super::message::Message;
use super::route::Route;
use super::{Kind, Session};
use crate::cache::{CachePolicy, Key, Scope, Table};
use crate::failure::Class;
use crate::jsonrpc::ErrorCode;
use crate::mcp::VERSION_HEADER;
use crate::registry::{ClientAuthorization, Registry, Tool};

/// A call whose answer may be kept.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The question.
    pub key: Key,
    /// What the operator says of keeping it.
    pub policy: CachePolicy,
    /// When it was asked, on the monotonic clock, in ms.
    pub asked_ms: u64,
    /// Whether its client reads events only.
    pub wants_events: bool,
}

/// What becomes of the answer on its way to the gate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ToKeep {
    /// Nobody wants to keep it.
    #[default]
    Unwanted,
    /// It is wanted if it has no more bytes than this.
    Wanted(u32),
    /// It is longer.
    TooLarge,
    /// Here it is: one JSON-RPC message.
    Here(Vec<u8>),
}

impl ToKeep {
    /// Takes an answer, if it is wanted.
    pub fn take(&mut self, answer: Vec<u8>) {
        if let ToKeep::Wanted(most) = *self {
            let fits = u32::try_from(answer.len()).is_ok_and(|length| length <= most);
            *self = if fits { ToKeep::Here(answer) } else { ToKeep::TooLarge };
        }
    }

    /// Whether an answer is wanted.
    pub fn is_wanted(&self) -> bool {
        matches!(self, ToKeep::Wanted(_))
    }
}

/// Why a call of a tool with a cache has no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// Nothing says whose call it is.
    Caller,
    /// Its arguments have no exact form.
    Arguments,
}

impl NoKey {
    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            NoKey::Caller => "no_caller",
            NoKey::Arguments => "no_key",
        }
    }
}

/// What the request itself says, beside what the door has read.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    /// Its headers.
    pub headers: RequestHeaders<'r>,
    /// The names in the client's certificate; empty for none.
    pub certificate: &'r [u8],
}

/// The tool of a message whose answer may be kept, with what the operator says of that.
pub fn tool_of<'r>(message: &Message<'r>) -> Option<(&'r Tool, &'r CachePolicy)> {
    let Route::Tool(tool) = message.route else { return None };
    let policy = tool.cache.as_ref()?;
    (message.kind == Kind::Request && message.question.is_none()).then_some((tool, policy))
}

/// The question that a call is, whoever would answer it. `identity`: the registry's.
///
/// # Errors
/// If it can't be told from others.
pub fn question(
    table: &Table,
    (registry, identity): (&Registry, u64),
    (tool, policy): (&Tool, &CachePolicy),
    (message, client): (&Message<'_>, &Client),
    request: Request<'_>,
) -> Result<Key, NoKey> {
    let arguments = message.arguments.as_deref().ok_or(NoKey::Arguments)?;
    let whose = whose(registry, policy.scope, client, request)?;
    let scope = match policy.scope {
        Scope::Caller => b"caller".as_slice(),
        Scope::Session => b"session",
        Scope::Shared => b"shared",
    };
    let identity = identity.to_le_bytes();
    let parts = [
        identity.as_slice(),
        tool.name.as_bytes(),
        scope,
        whose.certificate,
        whose.header,
        &whose.authorization,
        &whose.session.0,
        whose.session.1,
        // Results of the stateless versions have members that others don't know.
        request.headers.get(VERSION_HEADER).unwrap_or_default(),
        client.query.as_bytes(),
        arguments.as_bytes(),
    ];
    Ok(table.key(&parts))
}

#[derive(Default)]
struct Whose<'r> {
    certificate: &'r [u8],
    header: &'r [u8],
    authorization: Vec<u8>,
    /// The owner, and its own id for the session; or nothing, and the id that the client knows.
    session: (Vec<u8>, &'r [u8]),
}

/// Whose question it is. All that is known of a caller counts, so that two users behind one certificate are two callers; what
/// a client authenticates with counts where nothing else tells, and wherever servers get to see it.
fn whose<'r>(registry: &Registry, scope: Scope, client: &'r Client, request: Request<'r>) -> Result<Whose<'r>, NoKey> {
    let mut whose = Whose::default();
    let authorization = || client.authorization.as_ref().map(|secret| secret.header_value("")).unwrap_or_default();
    if scope != Scope::Shared && registry.listener.client_authorization != ClientAuthorization::Drop {
        whose.authorization = authorization();
    }
    match scope {
        Scope::Shared => {}
        Scope::Session => match (&client.session_id, &client.session) {
            (Some(id), Session::Server { .. } | Session::Gate) => whose.session.1 = id,
            (None, Session::Server { owner, id }) => whose.session = (owner.as_str().into(), id),
            _ => return Err(NoKey::Caller),
        },
        Scope::Caller => {
            whose.certificate = request.certificate;
            if let Some(name) = &registry.cache.caller_header {
                let mut values = request.headers.all(name);
                whose.header = values.next().unwrap_or_default();
                if values.next().is_some() {
                    // Nobody can tell which of them counts.
                    return Err(NoKey::Caller);
                }
            }
            if whose.certificate.is_empty() && whose.header.is_empty() {
                whose.authorization = authorization();
                if whose.authorization.is_empty() {
                    return Err(NoKey::Caller);
                }
            }
        }
    }
    Ok(whose)
}

/// Whether the client reads an answer as an event and not as JSON. By MCP it has to read both.
pub fn wants_events(headers: RequestHeaders<'_>) -> bool {
    let lists = |kind: &[u8]| headers.all("accept").any(|list| list.windows(kind.len()).any(|part| part == kind));
    lists(b"text/event-stream") && !lists(b"application/json") && !lists(b"*/*") && !lists(b"application/*")
}

/// An answer as one event.
pub fn event(answer: &[u8]) -> Vec<u8> {
    // A line ends an event's data. In JSON it stands between values only, where a space is as good.
    let line = answer.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte });
    b"event: message\ndata: ".iter().copied().chain(line).chain(*b"\n\n").collect()
}

/// Whether a kept answer takes the place of what a call has come to: every way has failed. What is about the call itself, an
/// access that is refused, or the end of a session, is never covered up.
pub fn is_last_hop(class: Class, conclusion: Conclusion) -> bool {
    let has_failed =
        matches!(class, Class::NotSent | Class::Overload | Class::Credential | Class::Server | Class::Lost);
    has_failed && !matches!(conclusion, Conclusion::Gate | Conclusion::Error { code: ErrorCode::SessionEnded, .. })
}
