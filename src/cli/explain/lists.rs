//! What servers list, from a file: `explain` has no running Envoy whose discovery could say so.

use std::collections::BTreeMap;

use super::finding::no_server;
use crate::registry::{Registry, ServerIndex, ServerKind};

/// The names of the tools that servers list, by the servers' ids.
#[derive(Debug)]
pub(super) struct Lists(BTreeMap<String, Vec<String>>);

impl Lists {
    /// Reads them.
    ///
    /// # Errors
    /// If it is no mapping from ids of MCP servers to lists of names.
    pub fn read(text: &[u8], registry: &Registry) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|error| format!("--lists: {error}"))?;
        let lists: BTreeMap<String, Vec<String>> = serde_saphyr::from_str(text)
            .map_err(|error| format!("--lists: must be a mapping from ids to lists of names: {error}"))?;
        for id in lists.keys() {
            match registry.server_by_id(id) {
                Some((_, server)) if server.kind == ServerKind::Mcp => {}
                Some(_) => return Err(format!("--lists: {id} is a REST server, which lists no tools")),
                None => return Err(no_server(registry, "--lists", id)),
            }
        }
        Ok(Lists(lists))
    }

    /// Takes the servers out that are known not to list the tool, unless none of them does, and answers them.
    pub fn leave_out(&self, registry: &Registry, tool: &str, servers: &mut Vec<ServerIndex>) -> Vec<ServerIndex> {
        let list = |at: &ServerIndex| self.0.get(registry.server(*at)?.id.as_str());
        let has = |at: &ServerIndex| list(at).is_none_or(|list| list.iter().any(|name| name == tool));
        if !servers.iter().any(has) {
            return Vec::new();
        }
        let (left, out) = servers.drain(..).partition(|at| has(at));
        *servers = left;
        out
    }
}
