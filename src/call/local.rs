//! What the gate answers itself while no MCP server takes calls: enough for a client to connect and to call the tools
//! that have a direct path.
//!
//! What was asked is kept as a small [`Question`]; the answer, which may list a thousand tools, is only written when no
//! server has given one.

use serde::Serialize;

use super::Session;
use crate::jsonrpc::{self, Details, ErrorCode, Incoming, Request, RequestId};
use crate::mcp::{InvalidParams, Method, Params, ProtocolVersion};

/// A message that the gate can answer without a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    Ping {
        /// Whether the client speaks a version without a handshake.
        stateless: bool,
    },
    /// One of these, with parameters that can't be read.
    Unreadable(InvalidParams),
    /// A notification, which wants no answer.
    Notification {
        /// Whether it says that the client is ready to begin.
        initialized: bool,
    },
}

/// The gate's own answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalAnswer {
    /// HTTP 200 with this JSON body.
    Reply {
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
            Incoming::Notification(method) => {
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
        let stateless = is_stateless(&params);
        Some(match method {
            Method::Initialize => {
                Question::Initialize(ProtocolVersion::negotiate(params.initialize_version.as_deref()))
            }
            Method::Discover => Question::Discover,
            Method::ToolsList if params.has_cursor => Question::ForeignCursor,
            Method::ToolsList => Question::ToolsList { stateless },
            _ => Question::Ping { stateless },
        })
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
    pub fn answer(self, id: Option<RequestId<'_>>, tools: impl Iterator<Item: Serialize>) -> LocalAnswer {
        let Some(id) = id else { return LocalAnswer::Accepted };
        let body = match self {
            Question::Initialize(version) => jsonrpc::result(id, &Initialize::new(version)),
            Question::Discover => jsonrpc::result(id, &Discover::new()),
            Question::ToolsList { stateless } => {
                let cache = stateless.then_some(Cacheable::NOT_AT_ALL);
                jsonrpc::result(id, &ToolsList { tools: tools.collect(), cache })
            }
            Question::ForeignCursor => refusal(id, "the cursor is not known here; list from the beginning"),
            Question::Unreadable(why) => refusal(id, &why.to_string()),
            Question::Ping { .. } | Question::Notification { .. } => {
                let stateless = self == Question::Ping { stateless: true };
                jsonrpc::result(id, &Empty { result_type: stateless.then_some("complete") })
            }
        };
        LocalAnswer::Reply { body, opens_session: matches!(self, Question::Initialize(_)) }
    }
}

/// A version in `_meta` that we do not know can only be newer than the ones we do, and those are all stateless.
fn is_stateless(params: &Params<'_>) -> bool {
    params.meta_version.as_deref().is_some_and(|name| ProtocolVersion::parse(name).is_none_or(|v| v.is_stateless()))
}

fn refusal(id: RequestId<'_>, why: &str) -> Vec<u8> {
    jsonrpc::error(Some(id), ErrorCode::InvalidParams, why, &Details::default())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Initialize {
    protocol_version: &'static str,
    capabilities: Capabilities,
    server_info: ServerInfo,
}

impl Initialize {
    fn new(version: ProtocolVersion) -> Self {
        Initialize {
            protocol_version: version.as_str(),
            capabilities: Capabilities::OURS,
            server_info: ServerInfo::OURS,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Discover {
    supported_versions: Vec<&'static str>,
    capabilities: Capabilities,
    #[serde(rename = "_meta")]
    meta: DiscoverMeta,
    #[serde(flatten)]
    cache: Cacheable,
}

impl Discover {
    /// Names the versions with a handshake only. A client keeps to the version that it finds here, and of those a
    /// server that returns may speak the older ones only: from them its client comes back by way of `initialize`, from a
    /// stateless one it never would. Clients of both kinds fall back to `initialize`; one that is stateless only has no
    /// need to ask.
    fn new() -> Self {
        let with_handshake = ProtocolVersion::ALL.into_iter().rev().filter(|version| !version.is_stateless());
        let supported_versions = with_handshake.map(ProtocolVersion::as_str).collect();
        Discover {
            supported_versions,
            capabilities: Capabilities::OURS,
            meta: DiscoverMeta { server_info: ServerInfo::OURS },
            cache: Cacheable::NOT_AT_ALL,
        }
    }
}

#[derive(Serialize)]
struct DiscoverMeta {
    #[serde(rename = "io.modelcontextprotocol/serverInfo")]
    server_info: ServerInfo,
}

#[derive(Serialize)]
struct ToolsList<T> {
    tools: Vec<T>,
    #[serde(flatten)]
    cache: Option<Cacheable>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Empty {
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
}

/// The members that the stateless versions require of a result that could be cached.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cacheable {
    result_type: &'static str,
    ttl_ms: u64,
    cache_scope: &'static str,
}

impl Cacheable {
    /// What the gate answers holds only until a server is back, so nobody should keep it.
    const NOT_AT_ALL: Self = Cacheable { result_type: "complete", ttl_ms: 0, cache_scope: "private" };
}

#[derive(Serialize)]
struct Capabilities {
    tools: ToolsCapability,
}

impl Capabilities {
    const OURS: Self = Capabilities { tools: ToolsCapability { list_changed: false } };
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolsCapability {
    list_changed: bool,
}

#[derive(Serialize)]
struct ServerInfo {
    name: &'static str,
    version: &'static str,
}

impl ServerInfo {
    const OURS: Self = ServerInfo { name: "dualpath", version: env!("CARGO_PKG_VERSION") };
}

#[cfg(test)]
mod tests;
