//! What servers list, from a file: `explain` has no running Envoy whose discovery could say so.

use std::collections::BTreeMap;

use super::finding::no_server;
use crate::cli::load::{parse, read_text};
use crate::cli::shown;
use crate::registry::{Id, Registry, ServerIndex, ServerKind};
use crate::wire::VEIL;

/// The names of the tools that servers list, by the servers' ids.
#[derive(Debug)]
pub(super) struct Lists(BTreeMap<String, Vec<String>>);

impl Lists {
    /// Reads them.
    ///
    /// # Errors
    /// If it is no mapping from ids of MCP servers to lists of names.
    pub fn of(file: &str, registry: &Registry) -> Result<Self, String> {
        let text = read_text(file).map_err(|error| format!("--lists {error}"))?;
        Lists::read(file, &text, registry)
    }

    /// Reads them from `text`, which is in `file`.
    pub fn read(file: &str, text: &str, registry: &Registry) -> Result<Self, String> {
        // Nothing of the file is shown: another may have been named in its place, even one with a token.
        let read = parse(file, text).map_err(|error| format!("--lists {error}"))?;
        let lists: BTreeMap<String, Vec<String>> = serde_json::from_value(read).map_err(|_| {
            let file = shown::file(file);
            format!("--lists {file}: must be a mapping from ids of servers to lists of tools: one: [search, sql]")
        })?;
        for id in lists.keys() {
            match registry.server_by_id(id) {
                Some((_, server)) if server.kind == ServerKind::Mcp => {}
                Some(_) => return Err(format!("--lists: {id} is a REST server, which lists no tools")),
                None => {
                    let id = if Id::new(id).is_some() { id } else { VEIL };
                    return Err(no_server(registry, "--lists", id));
                }
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
