//! Reads who may order something by a header: `drill`, and `routing.override`.

use crate::network::Network;
use crate::registry::Permission;
use crate::wire::{Node, or};

/// The sources that are allowed unless others are named: this machine.
const LOCAL: [&str; 2] = ["127.0.0.1/32", "::1/128"];

/// Whose requests may; `None` inside while nobody's may.
#[inline(never)]
pub(super) fn read(node: &Node) -> Option<Option<Permission>> {
    let table = node.table()?;
    let enabled = or(table.optional("enabled"), false, Node::boolean);
    let sources = or(table.optional("sources"), LOCAL.into_iter().filter_map(Network::parse).collect(), |node| {
        let nodes = node.list()?;
        if nodes.is_empty() {
            node.refuse_with("must have at least one network", "to allow none set enabled to false");
            return None;
        }
        // All of them first, so that every problem is noted.
        let networks: Vec<_> = nodes.iter().map(read_network).collect();
        networks.into_iter().collect::<Option<Vec<_>>>()
    });
    table.done();
    let sources = sources?;
    Some(enabled?.then_some(Permission { sources }))
}

fn read_network(node: &Node) -> Option<Network> {
    let network = Network::parse(node.string()?);
    if network.is_none() {
        node.refuse_with(
            "must be a network such as 10.0.0.0/8 or ::1/128",
            "a single address is a network with /32, or /128",
        );
    }
    network
}
