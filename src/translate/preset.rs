//! Mappings that come with Dualpath, in the form that an operator writes: copy one into a registry and change it.
//!
//! `snowflake.sql` sends the statement as it is. The managed MCP server's own `read_only` setting does not exist in the
//! SQL API: what a statement may do is decided by the role of the credential, or by `with: {role: ...}`.
//!
//! `snowflake.agent` asks for a stream, as an agent works for minutes and a silent connection is cut by somebody on the way.

use std::sync::LazyLock;

use super::Mapping;
use super::read::read_templates;
use super::with::With;
use crate::json::Value;
use crate::wire::Node;
use crate::wire::Problems;

/// Names, and what follows `rest:` after `server` in a tool that would spell the preset out.
const PRESETS: [(&str, &str); 6] = [
    ("snowflake.agent", include_str!("presets/snowflake.agent.json")),
    ("snowflake.analyst", include_str!("presets/snowflake.analyst.json")),
    ("snowflake.complete", include_str!("presets/snowflake.complete.json")),
    ("snowflake.embed", include_str!("presets/snowflake.embed.json")),
    ("snowflake.search", include_str!("presets/snowflake.search.json")),
    ("snowflake.sql", include_str!("presets/snowflake.sql.json")),
];

/// The same, as trees: a thousand tools may name one of them.
static TREES: LazyLock<[Value; 6]> = LazyLock::new(|| PRESETS.map(|(_, json)| Value::parse(json).unwrap_or_default()));

/// The preset that `node` names.
pub(super) fn find(node: &Node<'_>) -> Option<&'static Value> {
    let names = PRESETS.map(|(name, _)| name);
    TREES.get(node.one_of(&names)?)
}

/// The preset `wire`, with the constants of the mapping that names it.
pub(super) fn read(wire: &Value, with: &With<'_>) -> Option<Mapping> {
    // Problems with the operator's constants go to the operator's problems; a preset has none of its own.
    let own = Problems::default();
    let table = Node::root(wire, &own).table()?;
    read_templates(&table, with)
}

#[cfg(test)]
mod tests;
