//! Which servers may answer a call, in order of preference. No breaker is asked here: this is the operator's order.

use crate::random::Generator;
use crate::registry::{By, Registry, Routing, ServerIndex, ServerKind, Tool};
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
        let sticky = match &self.routing(registry)?.by {
            By::Weight { sticky, .. } => sticky.as_deref(),
            By::Latency => None,
            By::Tier | By::Cost(_) => return None,
        };
        let seed = match sticky.and_then(header) {
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

/// Of so many calls by latency one tries a server out, whichever: else nothing more would be known of those that get no calls.
const TRIED_OUT: u64 = 32;

/// What one call has to do with the order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lot<'f> {
    /// The server whose session the client is in. It comes before all other MCP servers, since they don't know the session.
    pub owner: Option<ServerIndex>,
    /// The number by which it is drawn for a server.
    pub draw: Option<u32>,
    /// The server that its request names as the first. It comes before all, but for what only the owner can answer.
    pub prefer: Option<ServerIndex>,
    /// All servers, the fastest first; see [`reorder`].
    pub fastest: &'f [ServerIndex],
}

/// The servers that may answer, best first: the MCP servers by tier, then the tool's REST server, or before them if the
/// tool says so; or as the tool's routing has it.
#[inline(never)]
pub fn chain(registry: &Registry, route: Route<'_>, lot: Lot<'_>) -> Vec<ServerIndex> {
    let (mut servers, rest) = match route {
        Route::Tool(tool) => (tool.mcp.clone(), tool.rest.as_ref()),
        Route::Issuer(Some(tool)) => (tool.mcp.clone(), None),
        Route::Begin | Route::AnyMcp | Route::Issuer(None) => (registry.mcp_servers(), None),
        Route::Only(server) => (vec![server], None),
    };
    if let Some(direct) = rest {
        servers.insert(if direct.first { 0 } else { servers.len() }, direct.server);
    }
    if let Some(routing) = route.routing(registry) {
        arrange(&mut servers, routing, lot);
    }
    if let Some(prefer) = lot.prefer {
        pull(&mut servers, prefer, 0);
    }
    if let Some(owner) = lot.owner {
        let is_mcp = |server: &ServerIndex| rest.is_none_or(|direct| direct.server != *server);
        let first_of_mcp = servers.iter().position(is_mcp).unwrap_or_default();
        pull(&mut servers, owner, first_of_mcp);
    }
    servers
}

/// Puts the servers of a call into the order that its routing wants.
#[inline(never)]
fn arrange(servers: &mut [ServerIndex], routing: &Routing, lot: Lot<'_>) {
    match &routing.by {
        By::Tier => {}
        By::Weight { shares, .. } => {
            if let Some(drawn) = lot.draw.and_then(|draw| drawn(shares, servers, draw)) {
                pull(servers, drawn, 0);
            }
        }
        By::Cost(order) => {
            // Pulled from behind, the cheapest comes to stand at the front.
            order.iter().rev().for_each(|server| pull(servers, *server, 0));
        }
        By::Latency => {
            lot.fastest.iter().rev().for_each(|server| pull(servers, *server, 0));
            if let Some(tried) = lot.draw.and_then(|draw| tried_out(servers, draw)) {
                pull(servers, tried, 0);
            }
        }
    }
}

/// Puts all servers in order by how long they take, in ms, as far as that is known, by their positions in the registry. `order` is
/// the order so far; empty at first.
///
/// The order of tiers holds, REST servers last, until a server takes less than half the time of one before it. It holds again when
/// that is no longer faster by a tenth. Between the two everything stays as it is, so the order does not follow what is
/// chance in single answers.
pub fn reorder(order: &mut Vec<ServerIndex>, registry: &Registry, times: &[Option<f32>]) {
    let rank = |at: ServerIndex| registry.server(at).map(|server| (server.kind == ServerKind::Rest, server.tier, at.0));
    if order.is_empty() {
        order.extend(registry.indexed_servers().map(|(at, _)| at));
        sort_short(order, |at| rank(*at));
    }
    let time = |at: ServerIndex| Some(times.get(usize::from(at.0)).copied()?? + 1.0);
    let overtakes = |before: ServerIndex, server: ServerIndex| {
        let needs = if rank(server) < rank(before) { 0.9 } else { 2.0 };
        time(before).zip(time(server)).is_some_and(|(before, own)| own * needs < before)
    };
    for end in 1..order.len() {
        for at in (1..=end).rev() {
            match order.get_mut(at.saturating_sub(1)..=at) {
                Some([before, server]) if overtakes(*before, *server) => std::mem::swap(before, server),
                _ => break,
            }
        }
    }
}

/// The server that a call tries out, if it is one of those that do.
fn tried_out(servers: &[ServerIndex], draw: u32) -> Option<ServerIndex> {
    let places = u64::try_from(servers.len()).ok()?.saturating_mul(TRIED_OUT);
    let place = u64::from(draw).wrapping_mul(places) >> 32;
    servers.get(usize::try_from(place).ok()?).copied()
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

/// The server that the operator's order, or the request, names first, whatever its breaker and the kill switch say. `lot` has no
/// owner: the session that the client is in is no matter here.
#[inline(never)]
pub fn first_choice(registry: &Registry, route: Route<'_>, lot: Lot<'_>) -> Option<ServerIndex> {
    if lot.prefer.is_some() || route.routing(registry).is_some() {
        return chain(registry, route, lot).first().copied();
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
