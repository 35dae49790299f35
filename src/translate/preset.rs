//! Mappings that come with Dualpath, in the form that an operator writes: copy one into a registry and change it.
//!
//! `snowflake.sql` sends the statement as it is. The managed MCP server's own `read_only` setting does not exist in the
//! SQL API: what a statement may do is decided by the role of the credential, or by `with: {role: ...}`.

use serde_json::Value;

use super::Mapping;
use super::read::read_templates;
use super::with::With;
use crate::wire::Node;
use crate::wire::Problems;

/// Names, and what follows `rest:` after `server` in a tool that would spell the preset out.
const PRESETS: [(&str, &str); 3] = [
    ("snowflake.complete", include_str!("presets/snowflake.complete.json")),
    ("snowflake.search", include_str!("presets/snowflake.search.json")),
    ("snowflake.sql", include_str!("presets/snowflake.sql.json")),
];

/// The preset that `node` names, with the constants of the mapping that names it.
pub(super) fn read(node: &Node<'_>, with: &With<'_>) -> Option<Mapping> {
    let names = PRESETS.map(|(name, _)| name);
    let (_, json) = PRESETS.get(node.one_of(&names)?)?;
    let wire: Value = serde_json::from_str(json).unwrap_or_default();
    // Problems with the operator's constants go to the operator's problems; a preset has none of its own.
    let own = Problems::default();
    let table = Node::root(&wire, &own).table()?;
    read_templates(&table, with)
}

#[cfg(test)]
mod tests;
