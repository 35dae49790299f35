//! Reads `cache` and `tools[].cache`, and what the two have to do with other sections.

use std::time::Duration;

use super::headers::check_name;
use crate::cache::{CachePolicy, SETS, Scope, longest};
use crate::registry::{CacheSettings, Registry};
use crate::wire::{Node, or};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The smallest table: 4 KiB for each of its sets.
const SMALLEST: u64 = MIB;

/// The longest time that an answer is kept.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

impl Default for CacheSettings {
    fn default() -> Self {
        CacheSettings { memory: 16 << 20, slots: 4096, caller_header: None }
    }
}

impl CacheSettings {
    #[inline(never)]
    pub(super) fn read(node: &Node) -> Option<Self> {
        let table = node.table()?;
        let default = Self::default();
        let memory =
            or(table.optional("memory"), default.memory, |node| u32::try_from(node.bytes(SMALLEST, 1024 * MIB)?).ok());
        let slots =
            or(table.optional("slots"), default.slots, |node| u32::try_from(node.integer(SETS.into(), 1 << 16)?).ok());
        let caller_header = or(table.optional("caller_header"), None, |node| {
            let name = node.string()?;
            check_name(name).map_err(|violation| node.violates(violation)).ok()?;
            if matches!(name, "authorization" | "cookie") {
                node.refuse_with(
                    "must not be a header that ends at the listener",
                    "what a client authenticates with counts by itself where nothing else tells who calls",
                );
                return None;
            }
            Some(Some(name.to_owned()))
        });
        table.done();
        Some(CacheSettings { memory: memory?, slots: slots?, caller_header: caller_header? })
    }
}

/// Reads a tool's `cache`.
#[inline(never)]
pub(super) fn read_policy(node: &Node) -> Option<CachePolicy> {
    let table = node.table()?;
    let time = |node: &Node| {
        let time = node.duration(Duration::ZERO, LONGEST)?;
        u64::try_from(time.as_millis()).ok()
    };
    let ttl_ms = table.required("ttl").and_then(|node| time(&node));
    let stale_ms = or(table.optional("stale_if_error"), 0, time);
    let scope = or(table.optional("scope"), Scope::Caller, |node| {
        node.choose(&["caller", "session", "shared"], &[Scope::Caller, Scope::Session, Scope::Shared])
    });
    let max_size = or(table.optional("max_size"), 32 << 10, |node| u32::try_from(node.bytes(KIB, 4 * MIB)?).ok());
    table.done();
    let policy = CachePolicy { ttl_ms: ttl_ms?, stale_ms: stale_ms?, scope: scope?, max_size: max_size? };
    if policy.ttl_ms == 0 && policy.stale_ms == 0 {
        node.refuse_with("must keep answers for some time", "give ttl, stale_if_error or both a time");
        return None;
    }
    Some(policy)
}

/// What a tool's `cache` has to do with the listener and the size of the table. `tools` are the tools as they are written.
#[inline(never)]
pub(super) fn check(registry: &Registry, tools: &[Node]) {
    let most = longest(registry.cache.memory);
    for (tool, node) in registry.tools.iter().zip(tools) {
        let written = node.table().and_then(|table| table.optional("cache"));
        let (Some(policy), Some(node)) = (&tool.cache, written) else { continue };
        if usize::try_from(policy.max_size).is_ok_and(|size| size > most) {
            node.refuse_with(
                format!(
                    "max_size must not be more than the {most} bytes that fit into one of 256 parts of cache.memory"
                ),
                "give cache.memory more than 256 times max_size",
            );
        }
        let servers = tool.mcp.iter().copied().chain(tool.rest.iter().map(|rest| rest.server));
        let shown: Vec<_> = servers
            .filter_map(|at| registry.server(at))
            .filter(|server| registry.gets_client_authorization(server))
            .map(|server| server.id.as_str())
            .collect();
        if policy.scope == Scope::Shared && !shown.is_empty() {
            node.refuse_with(
                format!("must not be shared: what a client authenticates with reaches {}", shown.join(", ")),
                "their answers are for one client; scope: caller keeps them apart",
            );
        }
    }
}
