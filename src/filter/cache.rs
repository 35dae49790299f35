//! The cache of a VM: the table in Envoy's shared data, and since when what stands there counts.

use std::cell::Cell;

use super::shared_data::EnvoySharedData;
use crate::cache::{Kept, Key, Secret, Stored, Table, When, purged_ms};
use crate::registry::Registry;

/// The cache, as one VM sees it.
pub struct Cache {
    /// The table.
    pub table: Table,
    purged_ms: Cell<u64>,
}

impl Cache {
    /// The one that `registry` wants, if any tool does; none without a source of randomness for its keys.
    pub fn of(registry: &Registry, secret: impl FnOnce() -> [u8; 16]) -> Option<Self> {
        if registry.tools.iter().all(|tool| tool.cache.is_none()) {
            return None;
        }
        let secret = Some(secret()).filter(|secret| *secret != [0; 16])?;
        let table = Table::new(Secret(secret), registry.cache.memory, registry.cache.slots);
        Some(Cache { table, purged_ms: Cell::new(purged_ms(&EnvoySharedData)) })
    }

    /// Looks whether an operator has thrown everything away.
    pub fn look_for_purge(&self) {
        self.purged_ms.set(purged_ms(&EnvoySharedData));
    }

    fn when(&self, now_ms: u64) -> When {
        When { now_ms, purged_ms: self.purged_ms.get() }
    }

    /// What is kept under `key`, fresh or not.
    pub fn find(&self, key: Key, now_ms: u64) -> Option<Kept> {
        self.table.find(&EnvoySharedData, key, self.when(now_ms))
    }

    /// Keeps an answer.
    pub fn store(&self, key: Key, kept: &Kept, now_ms: u64) -> Stored {
        self.table.store(&EnvoySharedData, key, kept, self.when(now_ms))
    }
}
