//! The prober: one context for the whole process, which keeps the gauges true while there is no traffic.

use super::metrics::Metric;
use super::vm::Vm;

/// Sets the state gauge of every server's breaker.
pub fn tick(vm: &Vm, now: u64) {
    for (index, server) in vm.registry.indexed_servers() {
        let state = vm.with_breaker(index, |breaker, shared| breaker.peek(shared, now).state);
        if let Some(state) = state {
            vm.metrics.record(Metric::BreakerState(server.id.as_str()), state as u64);
        }
    }
}
