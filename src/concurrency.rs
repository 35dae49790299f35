//! How many calls a server has under way at once, and how many it should have: found from how long it takes.
//!
//! A server that has no more hands doesn't say so: calls wait inside it, and answers take longer. So the limit follows the
//! gradient of the time that answers take, as Netflix's concurrency-limits does: as long as they take no longer than
//! `tolerance` times the norm, the limit grows by its square root; what is beyond takes it down in proportion. What differs
//! from Netflix's Gradient2 is the norm. That one averages all answers of the last minutes, and so takes a server that is
//! always overloaded for a normal one: its limit creeps up without end (`make sim`). Here a norm rises only while the server
//! is hardly used, or is down to its least number of calls; then nothing of ours waits in it. When it falls by much, a slow
//! spell is over, and the limit goes down for a moment to see how fast the server is now. What of a limit is not used is
//! given up by and by.
//!
//! Everything here is one worker's own: workers that share a server see the same times, so their limits come to equal shares
//! of what it can do.

mod found;

use std::cell::Cell;
use std::rc::Rc;

use crate::failure::Class;
use found::Found;

/// How a server's limit is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConcurrencyPolicy {
    /// The limit never goes below this.
    pub min: u32,
    /// Nor above this. The same as `min`: it is fixed.
    pub max: u32,
    /// How many times its norm an answer may take before the limit goes down, in thousandths.
    pub tolerance: u32,
}

/// What one worker knows of a server.
#[derive(Debug)]
pub struct Limit {
    policy: ConcurrencyPolicy,
    under_way: Cell<u32>,
    /// Calls that went elsewhere, or were the last resort, since that was last counted.
    over: Cell<u32>,
    found: Cell<Found>,
}

impl Limit {
    /// A limit that has seen nothing yet.
    pub fn new(policy: ConcurrencyPolicy) -> Self {
        Limit { policy, under_way: Cell::new(0), over: Cell::new(0), found: Cell::new(Found::new(&policy)) }
    }

    /// How many calls may be under way.
    pub fn limit(&self) -> u32 {
        self.found.get().limit()
    }

    /// How many are.
    pub fn under_way(&self) -> u32 {
        self.under_way.get()
    }

    /// Whether a call has gone there of late.
    pub fn is_used(&self) -> bool {
        self.found.get().most > 0
    }

    /// Whether another would be over the limit.
    pub fn is_full(&self) -> bool {
        self.under_way() >= self.limit()
    }

    /// Another call goes there. It is under way until what this gives is dropped.
    pub fn enter(self: &Rc<Self>) -> UnderWay {
        let now = self.under_way().saturating_add(1);
        self.under_way.set(now);
        let mut found = self.found.get();
        found.most = found.most.max(now);
        self.found.set(found);
        UnderWay(Rc::clone(self))
    }

    /// A call was over the limit.
    pub fn count_over(&self) {
        self.over.set(self.over.get().saturating_add(1));
    }

    /// How many were since this was last asked.
    pub fn take_over(&self) -> u32 {
        self.over.take()
    }

    /// A call ended so, after so long.
    pub fn ended(&self, class: Class, took_ms: u64, now_ms: u64) {
        let mut found = self.found.get();
        match class {
            Class::Success | Class::ToolError => found.answered(took_ms, self.under_way(), now_ms, &self.policy),
            // A connection that breaks at once says nothing of how busy a server is.
            Class::Lost if found.is_normal(took_ms) => {
                found.answered(took_ms, self.under_way(), now_ms, &self.policy);
            }
            Class::Overload => found.refused(now_ms, &self.policy),
            // What fails does so more quickly than it works, or more slowly, and says nothing of either.
            _ => return,
        }
        self.found.set(found);
    }
}

/// A call that is under way, until this is dropped: however it ends.
#[derive(Debug)]
pub struct UnderWay(Rc<Limit>);

impl UnderWay {
    /// What is known of its server.
    pub fn limit(&self) -> &Limit {
        &self.0
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests;
