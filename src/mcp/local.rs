//! What the gate answers itself while no MCP server takes calls: enough for a client to connect and to call the tools
//! that have a direct path.

use serde::Serialize;
use serde_json::Value;

use super::{Method, Params, ProtocolVersion};
use crate::jsonrpc::{self, Details, ErrorCode, Incoming, Request};

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
    /// Only a server can answer this.
    NotLocal,
}

/// Answers a message without a server. `tools` are the MCP `Tool` objects to list.
pub fn answer<'r>(message: &Incoming<'_>, tools: impl Iterator<Item = &'r Value>) -> LocalAnswer {
    match message {
        Incoming::Request(request) => answer_request(request, tools),
        Incoming::Notification(_) | Incoming::Response => LocalAnswer::Accepted,
        Incoming::Batch { .. } | Incoming::Invalid(_) => LocalAnswer::NotLocal,
    }
}

fn answer_request<'r>(request: &Request<'_>, tools: impl Iterator<Item = &'r Value>) -> LocalAnswer {
    let method = Method::of(&request.method);
    if !matches!(method, Method::Initialize | Method::Ping | Method::Discover | Method::ToolsList) {
        return LocalAnswer::NotLocal;
    }
    let params = match Params::parse(request.params) {
        Ok(params) => params,
        Err(why) => return refuse(request, &why.to_string()),
    };
    let stateless = is_stateless(&params);
    let body = match method {
        Method::Initialize => jsonrpc::result(request.id, &Initialize::new(&params)),
        Method::Discover => jsonrpc::result(request.id, &Discover::new()),
        Method::ToolsList if params.has_cursor => {
            return refuse(request, "the cursor is not known here; list from the beginning");
        }
        Method::ToolsList => {
            let cache = stateless.then_some(Cacheable::NOT_AT_ALL);
            jsonrpc::result(request.id, &ToolsList { tools: tools.collect(), cache })
        }
        _ => jsonrpc::result(request.id, &Empty { result_type: stateless.then_some("complete") }),
    };
    LocalAnswer::Reply { body, opens_session: method == Method::Initialize }
}

/// A version in `_meta` that we do not know can only be newer than the ones we do, and those are all stateless.
fn is_stateless(params: &Params<'_>) -> bool {
    params.meta_version.as_deref().is_some_and(|name| ProtocolVersion::parse(name).is_none_or(|v| v.is_stateless()))
}

fn refuse(request: &Request<'_>, why: &str) -> LocalAnswer {
    let body = jsonrpc::error(Some(request.id), ErrorCode::InvalidParams, why, &Details::default());
    LocalAnswer::Reply { body, opens_session: false }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Initialize {
    protocol_version: &'static str,
    capabilities: Capabilities,
    server_info: ServerInfo,
}

impl Initialize {
    fn new(params: &Params<'_>) -> Self {
        Initialize {
            protocol_version: ProtocolVersion::negotiate(params.initialize_version.as_deref()).as_str(),
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
struct ToolsList<'r> {
    tools: Vec<&'r Value>,
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
