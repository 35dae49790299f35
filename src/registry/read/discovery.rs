//! Reads `discovery`.

use std::time::Duration;

use crate::registry::Discovery;
use crate::wire::{Node, or};

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(86_400);

impl Default for Discovery {
    fn default() -> Self {
        Discovery { enabled: true, every: Duration::from_secs(300) }
    }
}

impl Discovery {
    #[inline(never)]
    pub(super) fn read(node: &Node) -> Option<Self> {
        let table = node.table()?;
        let default = Self::default();
        let enabled = or(table.optional("enabled"), default.enabled, Node::boolean);
        let every = or(table.optional("every"), default.every, |node| node.duration(SHORTEST, LONGEST));
        table.done();
        Some(Discovery { enabled: enabled?, every: every? })
    }
}
