//! Which servers may answer a call, in order of preference. No breaker is asked here: this is the operator's order.

use crate::registry::{Registry, ServerIndex, Tool};

/// What is asked for, as far as it decides who may answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Route<'r> {
    /// A call of a tool that the registry knows.
    Tool(&'r Tool),
    /// Anything else that is MCP: protocol methods, unknown tools, notifications.
    AnyMcp,
    /// Only this server can answer, e.g. because the stream belongs to its session.
    Only(ServerIndex),
}

/// The servers that may answer, best first: the MCP servers by tier, then the tool's REST server, or before them if the
/// tool says so.
///
/// * `owner`: the server whose session the client is in. It comes first, since the others don't know the session.
/// * `mcp_enabled`: the kill switch; while it is off no MCP server is named.
pub fn chain(registry: &Registry, route: Route<'_>, owner: Option<ServerIndex>, mcp_enabled: bool) -> Vec<ServerIndex> {
    let (mut servers, rest) = match route {
        Route::Tool(tool) => (tool.mcp.clone(), tool.rest.as_ref()),
        Route::AnyMcp => (registry.mcp_servers(), None),
        Route::Only(server) => (vec![server], None),
    };
    if !mcp_enabled {
        servers.clear();
    }
    if let Some(owner) = owner {
        // A stable sort by "is not the owner" moves the owner to the front and keeps everybody else's order.
        servers.sort_by_key(|server| *server != owner);
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
        Route::AnyMcp => registry.mcp_servers().first().copied(),
        Route::Only(server) => Some(server),
    }
}
