//! Which servers may answer a call, in order of preference. No breaker is asked here: this is the operator's order.

use crate::random::Generator;
use crate::registry::{By, Registry, Routing, ServerIndex, Tool};
use crate::wire::sort_short;

/// What is asked for, as far as it decides who may answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Route<'r> {
    /// A call of a tool that the registry knows.
    Tool(&'r Tool),
    /// `initialize`, by which a session may begin.
    Begin,
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

    /// The order of these calls, where it is not that of tiers.
    pub fn routing(self, registry: &'r Registry) -> Option<&'r Routing> {
        match self {
            Route::Begin => registry.routing.sessions.as_ref(),
            _ => self.tool()?.routing.as_deref(),
        }
    }

    /// The number by which a call is drawn for one of several servers, if it is. `random`: bits that nobody else takes for
    /// what they are; `header`: asks for a request header.
    ///
    /// What one server has issued is not drawn by chance: nobody could tell any more which server that was.
    pub fn draw(self, registry: &Registry, random: u32, header: impl FnOnce(&str) -> Option<Vec<u8>>) -> Option<u32> {
        let By::Weight { sticky, .. } = &self.routing(registry)?.by else { return None };
        let seed = match sticky.as_deref().and_then(header) {
            // FNV-1a; the generator makes even bits of it.
            Some(value) => value.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            }),
            None if matches!(self, Route::Issuer(_)) => return None,
            None => random.into(),
        };
        Some(Generator::new(seed).next_u32())
    }
}

/// What one call has to do with the order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lot {
    /// The server whose session the client is in. It comes before all other MCP servers, since they don't know the session.
    pub owner: Option<ServerIndex>,
    /// The number by which it is drawn for a server.
    pub draw: Option<u32>,
}

/// The servers that may answer, best first: the MCP servers by tier, then the tool's REST server, or before them if the
/// tool says so; or as the tool's routing has it.
///
/// `mcp_enabled`: the kill switch; while it is off no MCP server is named.
#[inline(never)]
pub fn chain(registry: &Registry, route: Route<'_>, lot: Lot, mcp_enabled: bool) -> Vec<ServerIndex> {
    let (mut servers, rest) = match route {
        Route::Tool(tool) => (tool.mcp.clone(), tool.rest.as_ref()),
        Route::Issuer(Some(tool)) => (tool.mcp.clone(), None),
        Route::Begin | Route::AnyMcp | Route::Issuer(None) => (registry.mcp_servers(), None),
        Route::Only(server) => (vec![server], None),
    };
    if !mcp_enabled {
        servers.clear();
    }
    if let Some(owner) = lot.owner {
        // A stable sort by "is not the owner" moves the owner to the front and keeps everybody else's order.
        sort_short(&mut servers, |server| *server != owner);
    }
    if let Some(direct) = rest {
        servers.insert(if direct.first { 0 } else { servers.len() }, direct.server);
    }
    if let Some(routing) = route.routing(registry) {
        arrange(&mut servers, routing, lot, rest.map(|direct| direct.server));
    }
    servers
}

/// Puts the servers of a call into the order that its routing wants.
#[inline(never)]
fn arrange(servers: &mut [ServerIndex], routing: &Routing, lot: Lot, rest: Option<ServerIndex>) {
    match &routing.by {
        By::Tier => return,
        By::Weight { shares, .. } => {
            if let Some(drawn) = lot.draw.and_then(|draw| drawn(shares, servers, draw)) {
                pull(servers, drawn, 0);
            }
        }
        By::Cost(order) => {
            // Pulled from behind, the cheapest comes to stand at the front.
            order.iter().rev().for_each(|server| pull(servers, *server, 0));
        }
    }
    if let Some(owner) = lot.owner {
        let first_of_mcp = servers.iter().position(|server| Some(*server) != rest).unwrap_or_default();
        pull(servers, owner, first_of_mcp);
    }
}

/// The server that a call is drawn for, among those that may answer it.
fn drawn(shares: &[(ServerIndex, u16)], servers: &[ServerIndex], draw: u32) -> Option<ServerIndex> {
    let shares = || shares.iter().filter(|(server, _)| servers.contains(server));
    let total: u64 = shares().map(|(_, weight)| u64::from(*weight)).sum();
    let mut left = u64::from(draw).wrapping_mul(total) >> 32;
    let found = shares().find(|(_, weight)| match left.checked_sub(u64::from(*weight)) {
        Some(less) => {
            left = less;
            false
        }
        None => true,
    });
    found.map(|(server, _)| *server)
}

/// Moves a server forward to this position. The others keep their order.
fn pull(servers: &mut [ServerIndex], server: ServerIndex, to: usize) {
    let at = servers.iter().position(|other| *other == server);
    if let Some(part) = at.and_then(|at| servers.get_mut(to..=at)) {
        part.rotate_right(1);
    }
}

/// The server that the operator's order names first, whatever its breaker and the kill switch say, and whatever session the
/// client is in.
#[inline(never)]
pub fn first_choice(registry: &Registry, route: Route<'_>, draw: Option<u32>) -> Option<ServerIndex> {
    if route.routing(registry).is_some() {
        return chain(registry, route, Lot { owner: None, draw }, true).first().copied();
    }
    match route {
        Route::Tool(tool) => {
            let direct = tool.rest.as_ref().map(|direct| (direct.first, direct.server));
            match direct {
                Some((true, server)) => Some(server),
                _ => tool.mcp.first().copied().or(direct.map(|(_, server)| server)),
            }
        }
        Route::Issuer(Some(tool)) => tool.mcp.first().copied(),
        Route::Begin | Route::AnyMcp | Route::Issuer(None) => registry.mcp_servers().first().copied(),
        Route::Only(server) => Some(server),
    }
}

#[cfg(test)]
mod tests;
