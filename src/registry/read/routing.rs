//! Reads `routing`. An order is read where it is used: only there it is known whose it is.

use super::headers::check_name;
use super::names::Names;
use super::offers::read_needs;
use super::permission;
use super::servers::WireServer;
use crate::registry::{Abilities, By, Permission, Routing, ServerIndex};
use crate::wire::{Id, Node, Table, or};

/// What `by` may say.
const BY: [&str; 4] = ["tier", "weight", "cost", "latency"];

/// The section, not read yet.
#[derive(Default)]
pub(super) struct WireSettings<'v> {
    /// The order for new sessions.
    pub sessions: Option<Node<'v>>,
    /// Whose requests may name a server.
    pub by_header: Option<Permission>,
    tasks: Option<Table<'v>>,
}

impl<'v> WireSettings<'v> {
    /// Reads which orders there are.
    pub fn read(node: &Node<'v>) -> Option<Self> {
        let table = node.table()?;
        let sessions = table.optional("sessions");
        let tasks = or(table.optional("tasks"), None, |node| node.table().map(Some));
        let by_header = or(table.optional("override"), None, permission::read);
        table.done();
        Some(WireSettings { sessions, tasks: tasks?, by_header: by_header? })
    }

    /// The order of a task's tools.
    pub fn of_task(&self, task: Option<&Id>) -> Option<Node<'v>> {
        self.tasks.as_ref()?.optional_named(task?.as_str())
    }

    /// Refuses the orders that nobody has asked for.
    pub fn done(self) {
        self.tasks.into_iter().for_each(Table::done);
    }
}

/// Whose calls are put in order.
pub(super) struct Candidates<'a, 'v> {
    /// Names of all servers.
    pub names: &'a Names<'v>,
    /// All servers, as they were read.
    pub servers: &'a [Option<WireServer<'v>>],
    /// The MCP servers that may answer, by tier. Those that don't offer what is needed are taken out.
    pub mcp: &'a mut Vec<ServerIndex>,
    /// The REST server that may.
    pub rest: Option<ServerIndex>,
    /// Whether the order is of these servers alone. Else it may name others.
    pub own: bool,
}

impl<'v> Candidates<'_, 'v> {
    /// Reads their order.
    #[inline(never)]
    pub fn read(mut self, node: &Node<'v>) -> Option<Routing> {
        let table = node.table()?;
        let by = or(table.optional("by"), 0, |node| node.one_of(&BY));
        let (weights, sticky) = (table.optional("weights"), table.optional("sticky"));
        let needs = or(table.optional("needs"), Abilities::default(), read_needs);
        table.done();
        let (by, needs) = (by?, needs?);
        if by != 1 {
            for unused in weights.iter().chain(&sticky) {
                unused.refuse_with("has no effect unless by is weight", "write by: weight beside it");
            }
        }
        self.leave_out(node, &needs);
        let by = match by {
            1 => {
                let shares = self.shares(node, weights.as_ref());
                By::Weight { sticky: or(sticky, None, read_sticky)?, shares: shares? }
            }
            2 => By::Cost(self.by_price(node)),
            3 => By::Latency,
            _ => By::Tier,
        };
        Some(Routing { by, needs })
    }

    fn server(&self, at: ServerIndex) -> Option<&WireServer<'v>> {
        self.servers.get(usize::from(at.0))?.as_ref()
    }

    fn lacks(&self, at: ServerIndex, needs: &Abilities) -> Option<&'static str> {
        self.server(at)?.offers.as_ref()?.lacks(needs)
    }

    fn leave_out(&mut self, node: &Node, needs: &Abilities) {
        let mut mcp = std::mem::take(self.mcp);
        let had_some = !mcp.is_empty();
        mcp.retain(|at| self.lacks(*at, needs).is_none());
        if let Some(key) = self.rest.and_then(|rest| self.lacks(rest, needs)) {
            node.refuse(["must not need what the REST server of the tool does not offer: ", key].concat());
        } else if had_some && mcp.is_empty() && self.rest.is_none() {
            node.refuse("must not need what none of its servers offers");
        }
        *self.mcp = mcp;
    }

    #[inline(never)]
    fn shares(&self, node: &Node, weights: Option<&Node<'v>>) -> Option<Vec<(ServerIndex, u16)>> {
        let entries = or(weights, Vec::new(), |node| Some(node.table()?.entries()))?;
        let (mut shares, mut total) = (Vec::new(), 0_u16);
        for (name, node) in entries {
            let weight = u16::try_from(node.integer(0, 1_000)?).ok()?;
            let at = ServerIndex(u16::try_from(self.names.under(name, &node)?).ok()?);
            total = total.saturating_add(weight);
            if self.mcp.contains(&at) || self.rest == Some(at) {
                shares.push((at, weight));
            } else if self.own {
                node.refuse("must be under the id of a server that may answer these calls");
            }
        }
        if total == 0 {
            node.refuse_with("must have weights, one of them above 0", "such as weights: {stable: 95, canary: 5}");
        }
        Some(shares)
    }

    /// All of them, the cheapest first; those of one price by tier.
    #[inline(never)]
    fn by_price(&self, node: &Node) -> Vec<ServerIndex> {
        let mut order: Vec<(u64, ServerIndex)> = Vec::new();
        for at in self.mcp.iter().copied().chain(self.rest) {
            let Some(server) = self.server(at) else { continue };
            if let Some(None) = server.price {
                let id = server.name().unwrap_or_default();
                node.refuse(["must not be by cost while a server of it has no price: ", id].concat());
            }
            // Prices are not negative, and such numbers are in the order of their bits.
            let price = server.price.flatten().map_or(0, |price| price.per_call.to_bits());
            let place = order.iter().position(|(other, _)| price < *other).unwrap_or(order.len());
            order.insert(place, (price, at));
        }
        order.into_iter().map(|(_, at)| at).collect()
    }
}

fn read_sticky(node: &Node) -> Option<Option<String>> {
    let name = node.string()?;
    check_name(name).map_err(|violation| node.violates(violation)).ok()?;
    if matches!(name, "authorization" | "cookie") {
        node.refuse_with("must not be a header that holds secrets", "name one that says who asks, such as x-user-id");
        return None;
    }
    Some(Some(name.to_owned()))
}
