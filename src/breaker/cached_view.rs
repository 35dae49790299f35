//! What a worker remembers of the record that it read or wrote last, to spare the next calls a read.
//!
//! Only a healthy server is remembered, and only for [`VIEW_MS`]. The price: for that long a worker may send calls to a
//! server whose breaker another worker has just opened. Their results show the epoch of the view, so they are dropped as
//! stale and decide nothing. Whatever a worker learns of a failure itself makes it look again at once.

use super::policy::Policy;
use super::record::{Record, State};

/// How long a record that was seen closed is taken to be so still, ms. A busy worker saves nearly all its reads with that; with
/// ten times as much, `make soak` saw calls fail for want of failover budget: what goes to a server that another worker's
/// failures have just put out has to be paid for.
pub const VIEW_MS: u64 = 2;

/// A record that needs no look for a while: closed, with all calls back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachedView {
    /// The epoch that calls are admitted in.
    pub epoch: u32,
    /// When the record was looked at, ms.
    pub seen_ms: u64,
}

impl CachedView {
    /// What may be remembered of a record seen at `now_ms`. Nothing of one that is open or half-open, where every call
    /// needs a decision, nor of a server that is coming back: its share of the calls grows. Nor of one whose last calls
    /// failed: the next failure of any worker may open the breaker, and every call that is sent there meanwhile costs a
    /// failover (`make soak` ran out of budget so).
    pub fn of(record: &Record, policy: &Policy, now_ms: u64) -> Option<Self> {
        let steady = record.run == 0 && record.ramping_ms(policy, now_ms).is_none();
        let healthy = record.state == State::Closed && steady;
        healthy.then_some(CachedView { epoch: record.epoch, seen_ms: now_ms })
    }

    /// Whether it may be relied on. Not if the clock went back since.
    pub fn holds(&self, now_ms: u64) -> bool {
        now_ms.checked_sub(self.seen_ms).is_some_and(|age_ms| age_ms < VIEW_MS)
    }
}
