//! What the gate answers itself while no MCP server takes calls: enough for a client to connect and to call the tools
//! that have a direct path.
//!
//! What was asked is kept as a small [`Question`]; the answer, which may list a thousand tools, is only written when no
//! server has given one.

use super::Session;
use crate::json::{Object, array};
use crate::jsonrpc::{self, Details, ErrorCode, Incoming, Request, RequestId};
use crate::mcp::{Fault, InvalidParams, Method, Params, ProtocolVersion, is_stateless};

/// A message that the gate can answer without a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// `initialize`, answered in this version.
    Initialize(ProtocolVersion),
    /// `server/discover`.
    Discover,
    /// `tools/list` from its beginning.
    ToolsList {
        /// Whether the client speaks a version without a handshake.
        stateless: bool,
    },
    /// `tools/list` with a cursor, which always is some server's.
    ForeignCursor,
    /// `ping`.
    Ping,
    /// A request of a version without a handshake that is not as it has to be.
    Faulty(Fault),
    /// A call of a tool that is not allowed (`listener.allowed_tools`), or that names none.
    NotAllowed(Option<Box<str>>),
    /// What can't be looked into, where not every tool is allowed.
    Opaque,
    /// One of these, with parameters that can't be read.
    Unreadable(InvalidParams),
    /// A notification, which wants no answer.
    Notification {
        /// Whether it says that the client is ready to begin.
        initialized: bool,
    },
}

/// So much is said again of the name of a tool that is not allowed, in characters.
const LONGEST_NAME: usize = 128;

/// The gate's own answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalAnswer {
    /// A JSON body.
    Reply {
        /// The HTTP status.
        status: u16,
        /// The JSON-RPC message.
        body: Vec<u8>,
        /// Whether it answers `initialize`, so that the response needs a session id.
        opens_session: bool,
    },
    /// HTTP 202 without a body.
    Accepted,
}

impl Question {
    /// What `message` asks; `None` if only a server can answer it.
    pub fn of(message: &Incoming<'_>) -> Option<Self> {
        match message {
            Incoming::Request(request) => Self::of_request(request),
            Incoming::Notification(method, _) => {
                Some(Question::Notification { initialized: method == "notifications/initialized" })
            }
            Incoming::Response | Incoming::Batch | Incoming::Invalid(_) => None,
        }
    }

    fn of_request(request: &Request<'_>) -> Option<Self> {
        let method = Method::of(&request.method);
        if !matches!(method, Method::Initialize | Method::Ping | Method::Discover | Method::ToolsList) {
            return None;
        }
        let params = match Params::parse(request.params) {
            Ok(params) => params,
            Err(why) => return Some(Question::Unreadable(why)),
        };
        let stateless = params.meta_version.as_deref().is_some_and(is_stateless);
        Some(match method {
            // These versions have neither.
            Method::Initialize | Method::Ping if stateless => Question::Faulty(Fault::Method),
            Method::Initialize => {
                Question::Initialize(ProtocolVersion::negotiate(params.initialize_version.as_deref()))
            }
            Method::Discover => Question::Discover,
            Method::ToolsList if params.has_cursor => Question::ForeignCursor,
            Method::ToolsList => Question::ToolsList { stateless },
            _ => Question::Ping,
        })
    }

    /// Whether it is one that no server needs to be asked, as each would have to refuse it.
    pub fn is_refusal(&self) -> bool {
        self.is_about_tools() || matches!(self, Question::Faulty(fault) if fault.is_certain())
    }

    /// Whether it is refused for the tools that are allowed.
    pub fn is_about_tools(&self) -> bool {
        matches!(self, Question::NotAllowed(_) | Question::Opaque)
    }

    /// The code of the error that the answer is; `None` if it is none.
    pub fn error_code(&self) -> Option<ErrorCode> {
        match self {
            Question::Faulty(fault) => Some(code_of(fault)),
            Question::ForeignCursor | Question::Unreadable(_) | Question::NotAllowed(_) | Question::Opaque => {
                Some(ErrorCode::InvalidParams)
            }
            Question::Initialize(_) | Question::Discover | Question::ToolsList { .. } => None,
            Question::Ping | Question::Notification { .. } => None,
        }
    }

    /// Whether only an MCP server may act on the request, if it knows better.
    pub fn is_faulty(&self) -> bool {
        matches!(self, Question::Faulty(_))
    }

    /// Whether the gate may answer it for a client in this session. A notification is accepted by the gate only where it
    /// is not lost by that: in a session of the gate's own; and where a client without a session says that it is ready, of
    /// which nobody keeps anything.
    pub fn is_for_gate(&self, session: &Session) -> bool {
        match (self, session) {
            (Question::Notification { initialized }, Session::None) => *initialized,
            (Question::Notification { .. }, Session::Server { .. }) => false,
            _ => true,
        }
    }

    /// The answer to request `id`, which a message that wants none need not have. `tools` are the MCP `Tool` objects to
    /// list.
    pub fn answer<'t>(self, id: Option<RequestId<'_>>, tools: impl Iterator<Item = &'t str>) -> LocalAnswer {
        let Some(id) = id else {
            if self != Question::Opaque {
                return LocalAnswer::Accepted;
            }
            let why =
                "not every tool is allowed here (listener.allowed_tools), so a body must be one plain JSON-RPC message";
            let body = jsonrpc::error(None, ErrorCode::InvalidParams, why, &Details::default());
            return LocalAnswer::Reply { status: 400, body, opens_session: false };
        };
        let mut status = 200;
        let body = match &self {
            Question::Initialize(version) => jsonrpc::result(id, &initialize(*version)),
            Question::Discover => jsonrpc::result(id, &discover()),
            Question::ToolsList { stateless } => {
                let result = Object::default().json("tools", &array(tools));
                jsonrpc::result(id, &if *stateless { uncached(result) } else { result }.done())
            }
            Question::ForeignCursor => refusal(id, "the cursor is not known here; list from the beginning"),
            Question::Unreadable(why) => refusal(id, &why.to_string()),
            // As every SDK's server words it.
            Question::NotAllowed(Some(name)) => {
                let shown: String = name.chars().take(LONGEST_NAME).collect();
                refusal(id, &["Unknown tool: ", &shown].concat())
            }
            Question::NotAllowed(None) | Question::Opaque => refusal(id, &InvalidParams::NoName.to_string()),
            Question::Ping | Question::Notification { .. } => jsonrpc::result(id, "{}"),
            Question::Faulty(fault) => {
                let code = code_of(fault);
                // InvalidParams has a status of its own only in these versions.
                status = if *fault == Fault::Meta { 400 } else { code.http_status() };
                objection(id, code, fault)
            }
        };
        LocalAnswer::Reply { status, body, opens_session: matches!(self, Question::Initialize(_)) }
    }
}

fn code_of(fault: &Fault) -> ErrorCode {
    match fault {
        Fault::Meta => ErrorCode::InvalidParams,
        Fault::Header(_) => ErrorCode::HeaderMismatch,
        Fault::Version(_) => ErrorCode::UnsupportedVersion,
        Fault::Method => ErrorCode::MethodNotFound,
    }
}

fn objection(id: RequestId<'_>, code: ErrorCode, fault: &Fault) -> Vec<u8> {
    let supported = handshake_versions();
    let mut details = Details::default();
    let header;
    let why = match fault {
        Fault::Meta => "params._meta must have io.modelcontextprotocol/protocolVersion and .../clientCapabilities",
        Fault::Header(name) => {
            header = ["the header ", name, " must be there once and say what the body says"].concat();
            &header
        }
        Fault::Version(version) => {
            details.supported = Some(supported.as_slice());
            details.requested = Some(version.as_ref());
            "Unsupported protocol version"
        }
        Fault::Method => "Method not found",
    };
    jsonrpc::error(Some(id), code, why, &details)
}

/// The versions with a handshake, the newest first.
fn handshake_versions() -> Vec<&'static str> {
    let versions = ProtocolVersion::ALL.into_iter().rev().filter(|version| !version.is_stateless());
    versions.map(ProtocolVersion::as_str).collect()
}

fn refusal(id: RequestId<'_>, why: &str) -> Vec<u8> {
    jsonrpc::error(Some(id), ErrorCode::InvalidParams, why, &Details::default())
}

const CAPABILITIES: &str = r#"{"tools":{"listChanged":false}}"#;

const SERVER_INFO: &str = concat!(r#"{"name":"dualpath","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);

fn initialize(version: ProtocolVersion) -> String {
    let result = Object::default().text("protocolVersion", version.as_str());
    result.json("capabilities", CAPABILITIES).json("serverInfo", SERVER_INFO).done()
}

/// Names the versions with a handshake only. A client keeps to the version that it finds here, and of those a
/// server that returns may speak the older ones only: from them its client comes back by way of `initialize`, from a
/// stateless one it never would. Clients of both kinds fall back to `initialize`; one that is stateless only has no
/// need to ask.
fn discover() -> String {
    let versions = handshake_versions().join("\",\"");
    let meta = Object::default().json("io.modelcontextprotocol/serverInfo", SERVER_INFO);
    let result = Object::default()
        .json("supportedVersions", &["[\"", &versions, "\"]"].concat())
        .json("capabilities", CAPABILITIES)
        .json("_meta", &meta.done());
    uncached(result).done()
}

/// Adds the members that the stateless versions require of a result that could be cached. What the gate answers holds only until
/// a server is back, so nobody should keep it.
fn uncached(result: Object) -> Object {
    result.text("resultType", "complete").number("ttlMs", 0).text("cacheScope", "private")
}

#[cfg(test)]
mod tests;
