//! Reads `failover`: how much is spent on sending calls again, and how long the same server is waited for.

use std::time::Duration;

use crate::budget::{BudgetPolicy, TOKEN};
use crate::registry::{BackOff, FailoverSettings};
use crate::wire::{Node, Table, or, show_duration};

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(300);

impl Default for BackOff {
    fn default() -> Self {
        BackOff { base: Duration::from_millis(500), max: Duration::from_secs(5) }
    }
}

impl Default for FailoverSettings {
    fn default() -> Self {
        FailoverSettings {
            // A server whose breaker holds at the default share of failed calls, half, sends on less than one attempt per
            // call, however many servers there are: 1/2 + 1/4 + ... < 1.
            budget: BudgetPolicy {
                deposit: TOKEN,
                per_second: TOKEN.saturating_mul(10),
                capacity: TOKEN.saturating_mul(100),
                threshold: TOKEN.saturating_sub(1),
            },
            back_off: BackOff::default(),
            access_log: None,
        }
    }
}

impl FailoverSettings {
    #[inline(never)]
    pub(super) fn read(node: &Node) -> Option<Self> {
        let table = node.table()?;
        let default = Self::default();
        let budget = or(table.optional("budget"), default.budget, |node| read_budget(node, default.budget));
        let back_off = or(table.optional("back_off"), default.back_off, read_back_off);
        let access_log = or(table.optional("access_log"), None, |node| node.file_name().map(Some));
        table.done();
        Some(FailoverSettings { budget: budget?, back_off: back_off?, access_log: access_log? })
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn read_budget(node: &Node, default: BudgetPolicy) -> Option<BudgetPolicy> {
    let table = node.table()?;
    let tokens = |node: &Node, min, max| u32::try_from(node.integer(min, max)?).ok()?.checked_mul(TOKEN);
    let deposit = or(table.optional("ratio"), default.deposit, |node| {
        node.number(0.0, 10.0).map(|ratio| (ratio * f64::from(TOKEN)).round() as u32)
    });
    let per_second = or(table.optional("min_per_second"), default.per_second, |node| tokens(node, 0, 10_000));
    let capacity = or(table.optional("reserve"), default.capacity, |node| tokens(node, 1, 100_000));
    table.done();
    let (deposit, per_second) = (deposit?, per_second?);
    if deposit == 0 && per_second == 0 {
        node.refuse_with("must let something in again", "set ratio or min_per_second above 0");
        return None;
    }
    Some(BudgetPolicy { deposit, per_second, capacity: capacity?, ..default })
}

fn read_back_off(node: &Node) -> Option<BackOff> {
    let table = node.table()?;
    let default = BackOff::default();
    let time = |table: &Table, key, default| or(table.optional(key), default, |node| node.duration(SHORTEST, LONGEST));
    let (base, max) = (time(&table, "base", default.base), time(&table, "max", default.max));
    table.done();
    let back_off = BackOff { base: base?, max: max? };
    if back_off.base > back_off.max {
        let [base, max] = [back_off.base, back_off.max].map(show_duration);
        node.refuse_with(format!("base ({base}) must not be longer than max ({max})"), "set both, or lower base");
        return None;
    }
    Some(back_off)
}
