//! Reads a server's `pool`.

use std::time::Duration;

use crate::json::Value;

use crate::registry::Pool;
use crate::wire::{Node, Table, or};

const LARGEST: u64 = 1_000_000;
const DAY: Duration = Duration::from_secs(86_400);

/// Reads a pool; what is left out is as in `default`.
pub(super) fn read(node: &Node, default: Pool) -> Option<Pool> {
    let Value::Object(_) = node.value() else { return None };
    let table = node.table()?;
    // Read where the module reads it.
    table.optional("calls");
    let connections = whole(&table, "connections", 1, default.connections);
    let pending = whole(&table, "pending", 1, default.pending);
    let requests = whole(&table, "requests", 1, default.requests);
    let retries = whole(&table, "retries", 1, default.retries);
    let idle = time(&table, "idle", Duration::from_millis(100), default.idle);
    let lifetime = time(&table, "lifetime", Duration::ZERO, default.lifetime);
    let requests_per_connection = whole(&table, "requests_per_connection", 0, default.requests_per_connection);
    let preconnect = or(table.optional("preconnect"), default.preconnect, |node| node.number(1.0, 3.0));
    let keepalive = or(table.optional("keepalive"), default.keepalive, read_keepalive);
    table.done();
    Some(Pool {
        connections: connections?,
        pending: pending?,
        requests: requests?,
        retries: retries?,
        idle: idle?,
        lifetime: lifetime?,
        requests_per_connection: requests_per_connection?,
        preconnect: preconnect?,
        keepalive: keepalive?,
    })
}

fn whole(table: &Table, key: &'static str, least: u64, default: u32) -> Option<u32> {
    or(table.optional(key), default, |node| u32::try_from(node.integer(least, LARGEST)?).ok())
}

fn time(table: &Table, key: &'static str, shortest: Duration, default: Duration) -> Option<Duration> {
    or(table.optional(key), default, |node| node.duration(shortest, DAY))
}

/// TCP counts in whole seconds.
fn read_keepalive(node: &Node) -> Option<Duration> {
    let time = node.duration(Duration::ZERO, Duration::from_secs(7200))?;
    if time.subsec_nanos() != 0 {
        node.refuse("must be a duration of whole seconds");
        return None;
    }
    Some(time)
}
