//! Reads a server's `concurrency`.

use crate::concurrency::ConcurrencyPolicy;
use crate::wire::{Node, or};

/// More connections than Envoy opens to a server by itself; above that nothing is limited.
const MOST: u64 = 100_000;

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
#[inline(never)]
pub(super) fn read(node: &Node) -> Option<ConcurrencyPolicy> {
    let table = node.table()?;
    let calls = |node: &Node| u32::try_from(node.integer(1, MOST)?).ok();
    let min = or(table.optional("min"), 4, calls);
    let max = or(table.optional("max"), 200, calls);
    let tolerance = or(table.optional("tolerance"), 1_500, |node| {
        node.number(1.1, 10.0).map(|times| (times * 1_000.0).round() as u32)
    });
    table.done();
    let (min, max) = (min?, max?);
    if min > max {
        node.refuse_with(
            format!("min ({min}) must not be more than max ({max})"),
            "the same for both is a fixed limit",
        );
        return None;
    }
    Some(ConcurrencyPolicy { min, max, tolerance: tolerance? })
}
