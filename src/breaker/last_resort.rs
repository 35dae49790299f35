//! The calls that a server gets although its breaker refuses, because nobody else could answer them.
//!
//! Refusing all of them for certain would be worse than letting some fail, so they are shed smoothly. Everything here is one
//! worker's own: it needs no write while the server is down, and a trap takes it along.

use super::draws::Draw;
use super::policy::Policy;
use super::results::{CallResult, Delta};
use super::step::{Moment, Refusal};
use super::window::{Counts, Window};

/// One worker's calls of last resort to one server.
#[derive(Debug, Clone, Default)]
pub(super) struct LastResortCalls {
    /// How they ended; `None` before the first.
    window: Option<Window>,
    /// When those that are under way began.
    under_way: Vec<u64>,
}

impl LastResortCalls {
    /// Lets a call go, or says why not. It should be [ended](Self::end); one that never is counts as under way for as long
    /// as a probe's lease.
    pub fn admit(&mut self, policy: &Policy, moment: Moment) -> Result<(), Refusal> {
        self.under_way.retain(|began_ms| moment.now_ms.abs_diff(*began_ms) < policy.lease_ms);
        if u32::try_from(self.under_way.len()).unwrap_or(u32::MAX) >= policy.last_resort.concurrency {
            return Err(Refusal::Crowded);
        }
        let counts = self.window.as_ref().map_or(Counts::default(), |window| window.counts(moment.now_ms));
        if policy.sheds(counts, Draw::Shedding.of(moment)) {
            return Err(Refusal::Shed);
        }
        self.under_way.push(moment.now_ms);
        Ok(())
    }

    /// A call that was let go at `began_ms` is over.
    pub fn end(&mut self, began_ms: u64) {
        if let Some(at) = self.under_way.iter().position(|began| *began == began_ms) {
            self.under_way.swap_remove(at);
        }
    }

    /// Counts how one ended.
    pub fn count(&mut self, result: CallResult, policy: &Policy, now_ms: u64) {
        let mut delta = Delta::default();
        delta.add(result, policy);
        self.window
            .get_or_insert_with(|| Window::new(policy.buckets, policy.bucket_ms, now_ms))
            .add(delta.counts, now_ms);
    }
}
