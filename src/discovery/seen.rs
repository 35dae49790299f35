//! What a worker keeps of the records: which server lists which tool of the registry, and the hashes of other names.

use super::{List, REVISION, hash, key};
use crate::registry::{Registry, ServerIndex};
use crate::shared_data::SharedData;

/// How often a worker looks whether a record has changed, ms.
const LOOK_EVERY_MS: u64 = 1_000;

/// The tool that a call names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called<'n> {
    /// The one at this position of the registry.
    At(usize),
    /// One that the registry doesn't know.
    Named(&'n str),
}

/// What a worker knows of all servers.
#[derive(Debug)]
pub struct Seen {
    /// By position in the registry; empty where nothing is discovered.
    servers: Vec<OfServer>,
    /// The revision that was read last.
    revision: Option<Vec<u8>>,
    /// Not before then is it looked at again, ms.
    next_ms: u64,
}

#[derive(Debug, Default)]
struct OfServer {
    key: String,
    until_ms: u64,
    changes: bool,
    /// By position in the registry: whether it lists that tool.
    tools: Vec<bool>,
    /// Hashes of the names that the registry doesn't know.
    others: Vec<u64>,
}

impl Seen {
    /// Nothing seen yet, of the servers of this registry.
    pub fn new(registry: &Registry) -> Self {
        let mut servers = Vec::new();
        if registry.discovery.enabled {
            for server in &registry.servers {
                servers.push(OfServer { key: key(server), ..OfServer::default() });
            }
        }
        Seen { servers, revision: None, next_ms: 0 }
    }

    /// Looks whether a record has changed, and reads them if so; for the tick. One host call a second while nothing does.
    pub fn look(&mut self, store: &impl SharedData, registry: &Registry, now_ms: u64) {
        if self.servers.is_empty() || now_ms < self.next_ms {
            return;
        }
        self.next_ms = now_ms.saturating_add(LOOK_EVERY_MS);
        let Ok(Some((revision, _))) = store.get(REVISION) else { return };
        if self.revision.as_ref() == Some(&revision) {
            return;
        }
        self.revision = Some(revision);
        for (server, (_, facts)) in self.servers.iter_mut().zip(registry.indexed_servers()) {
            let found = store.get(&server.key).ok().flatten().filter(|_| registry.discovers(facts));
            match found.and_then(|(bytes, _)| List::decode(&bytes)) {
                Some(list) => server.learn(&list, registry),
                None => server.until_ms = 0,
            }
        }
    }

    /// Whether a server is known not to have a tool. `owns_session`: the client is in a session of the server's, in which it
    /// may have more tools than it shows to us, if its list changes.
    pub fn lacks(&self, server: ServerIndex, tool: Called<'_>, owns_session: bool, now_ms: u64) -> bool {
        let Some(server) = self.servers.get(usize::from(server.0)) else { return false };
        let is_known = now_ms < server.until_ms && !(owns_session && server.changes);
        is_known
            && match tool {
                Called::At(position) => !server.tools.get(position).is_some_and(|listed| *listed),
                Called::Named(name) => {
                    let hash = hash(name);
                    !server.others.contains(&hash)
                }
            }
    }
}

impl OfServer {
    fn learn(&mut self, list: &List, registry: &Registry) {
        (self.until_ms, self.changes) = (list.until_ms, list.changes);
        self.others.clear();
        self.tools.clear();
        self.tools.resize(registry.tools.len(), false);
        for tool in &list.tools {
            let known = registry.indexed_tool(&tool.name).and_then(|(position, _)| self.tools.get_mut(position));
            match known {
                Some(listed) => *listed = true,
                None => self.others.push(tool.hash),
            }
        }
    }
}
