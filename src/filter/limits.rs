//! The limits of a registry's servers: how many calls each may have under way in this worker.

use std::cell::RefCell;
use std::rc::Rc;

use super::clock;
use super::metrics::{Metric, Metrics};
use super::shared_data::EnvoySharedData;
use crate::concurrency::Limit;
use crate::held::Total;
use crate::registry::{Registry, ServerIndex};
use crate::telemetry::RegistryNames;

/// The limits, by the servers' positions; empty where no server has one.
pub struct Limits(Vec<Option<Told>>);

/// A limit, and what the others know of it.
struct Told {
    limit: Rc<Limit>,
    /// Of all workers; `None` before the first tick.
    total: RefCell<Option<Total>>,
}

impl Limits {
    /// Those that `registry` wants.
    pub fn of(registry: &Registry) -> Self {
        if registry.servers.iter().all(|server| server.concurrency.is_none()) {
            return Limits(Vec::new());
        }
        let limit = |policy| Told { limit: Rc::new(Limit::new(policy)), total: RefCell::default() };
        Limits(registry.servers.iter().map(|server| server.concurrency.map(limit)).collect())
    }

    /// A server's.
    pub fn get(&self, server: ServerIndex) -> Option<&Rc<Limit>> {
        Some(&self.0.get(usize::from(server.0))?.as_ref()?.limit)
    }

    /// Tells of all of them. The gauges are sums over all workers.
    pub fn tell(&self, registry: &Registry, names: &RegistryNames, metrics: &Metrics, now_ms: u64) {
        for ((at, server), told) in registry.indexed_servers().zip(&self.0) {
            let Some(Told { limit, total }) = told else { continue };
            let name = names.server(at);
            match limit.take_over() {
                0 => {}
                times => metrics.add(Metric::ConcurrencyOver(name), times),
            }
            let mut total = total.borrow_mut();
            if total.is_none() && !limit.is_used() {
                // A thread that no call comes to, such as Envoy's main one, has a VM as well.
                continue;
            }
            let total = total.get_or_insert_with(|| {
                let me = clock::random().map_or(0, u64::from_le_bytes);
                Total::of(format!("cl1:{}", server.id), me)
            });
            // Two numbers in one, so that one table has both.
            let both = u64::from(limit.limit()) << 32 | u64::from(limit.under_way());
            if let Some(sum) = total.tell(&EnvoySharedData, both, now_ms) {
                metrics.record(Metric::ConcurrencyLimit(name), sum >> 32);
                metrics.record(Metric::ConcurrencyUnderWay(name), sum & u64::from(u32::MAX));
            }
        }
    }
}
