//! Which servers may answer a call, in order of preference. No breaker is asked here: this is the operator's order.

use crate::registry::{Registry, ServerIndex, Tool};
use crate::wire::sort_short;

/// What is asked for, as far as it decides who may answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Route<'r> {
    /// A call of a tool that the registry knows.
    Tool(&'r Tool),
    /// Anything else that is MCP: protocol methods, unknown tools, notifications.
    AnyMcp,
    /// What only the MCP server can go on with that has issued what the message names: a page of a list, a task, the state
    /// of an exchange, a request that is answered or cancelled. One of the tool's servers where it is a call of a tool.
    Issuer(Option<&'r Tool>),
    /// Only this server can answer, e.g. because the stream belongs to its session.
    Only(ServerIndex),
}

impl<'r> Route<'r> {
    /// The tool that is called.
    pub fn tool(self) -> Option<&'r Tool> {
        match self {
            Route::Tool(tool) | Route::Issuer(Some(tool)) => Some(tool),
            _ => None,
        }
    }
}

/// The servers that may answer, best first: the MCP servers by tier, then the tool's REST server, or before them if the
/// tool says so.
///
/// * `owner`: the server whose session the client is in. It comes first, since the others don't know the session.
/// * `mcp_enabled`: the kill switch; while it is off no MCP server is named.
pub fn chain(registry: &Registry, route: Route<'_>, owner: Option<ServerIndex>, mcp_enabled: bool) -> Vec<ServerIndex> {
    let (mut servers, rest) = match route {
        Route::Tool(tool) => (tool.mcp.clone(), tool.rest.as_ref()),
        Route::Issuer(Some(tool)) => (tool.mcp.clone(), None),
        Route::AnyMcp | Route::Issuer(None) => (registry.mcp_servers(), None),
        Route::Only(server) => (vec![server], None),
    };
    if !mcp_enabled {
        servers.clear();
    }
    if let Some(owner) = owner {
        // A stable sort by "is not the owner" moves the owner to the front and keeps everybody else's order.
        sort_short(&mut servers, |server| *server != owner);
    }
    if let Some(direct) = rest {
        servers.insert(if direct.first { 0 } else { servers.len() }, direct.server);
    }
    servers
}

/// The server that the operator's order names first, whatever its breaker and the kill switch say.
pub fn first_choice(registry: &Registry, route: Route<'_>) -> Option<ServerIndex> {
    match route {
        Route::Tool(tool) => {
            let direct = tool.rest.as_ref().map(|direct| (direct.first, direct.server));
            match direct {
                Some((true, server)) => Some(server),
                _ => tool.mcp.first().copied().or(direct.map(|(_, server)| server)),
            }
        }
        Route::Issuer(Some(tool)) => tool.mcp.first().copied(),
        Route::AnyMcp | Route::Issuer(None) => registry.mcp_servers().first().copied(),
        Route::Only(server) => Some(server),
    }
}
