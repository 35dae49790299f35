//! What a limit is found from: a window of answers after the other.

use super::ConcurrencyPolicy;

/// The limit is looked at after so long, in ms, and so many answers: one answer says nothing.
pub(super) const WINDOW_MS: u64 = 1_000;
pub(super) const FEWEST: u64 = 10;
/// Where a limit begins, within its bounds: as Netflix's.
const START: u32 = 20;
/// The unit of limits, factors and times in here.
const ONE: u64 = 1_000;

/// What has been found so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// In thousandths of a call.
    limit: u64,
    /// How long answers take when nothing of ours waits, in µs; 0 = not known.
    norm: u64,
    /// When the window began.
    since_ms: u64,
    /// Its answers, and how long they took together, in µs.
    answers: u64,
    took: u64,
    /// The most calls that were under way in it.
    pub most: u32,
    /// When the server said last that it has too many calls.
    cut_ms: Option<u64>,
}

impl Found {
    pub fn new(policy: &ConcurrencyPolicy) -> Self {
        let limit = u64::from(START.clamp(policy.min, policy.max)).saturating_mul(ONE);
        Found { limit, norm: 0, since_ms: 0, answers: 0, took: 0, most: 0, cut_ms: None }
    }

    /// The limit in whole calls.
    pub fn limit(&self) -> u32 {
        whole(self.limit)
    }

    /// An answer took so long, while so many calls are under way.
    pub fn answered(&mut self, took_ms: u64, under_way: u32, now_ms: u64, policy: &ConcurrencyPolicy) {
        if self.answers == 0 {
            self.since_ms = now_ms;
        }
        self.answers = self.answers.saturating_add(1);
        self.took = self.took.saturating_add(took_ms.saturating_mul(ONE));
        if self.answers >= FEWEST && now_ms.saturating_sub(self.since_ms) >= WINDOW_MS {
            self.close(policy);
            self.most = under_way;
        }
    }

    /// Whether so long is no less than the norm.
    pub fn is_normal(&self, took_ms: u64) -> bool {
        took_ms.saturating_mul(ONE) >= self.norm
    }

    /// The server says that it has too many calls: a tenth less, once in a window.
    pub fn refused(&mut self, now_ms: u64, policy: &ConcurrencyPolicy) {
        if self.cut_ms.is_none_or(|cut| now_ms.saturating_sub(cut) >= WINDOW_MS) {
            self.cut_ms = Some(now_ms);
            self.set_limit(self.limit.saturating_mul(9).checked_div(10).unwrap_or_default(), policy);
        }
    }

    fn close(&mut self, policy: &ConcurrencyPolicy) {
        let mean = self.took.checked_div(self.answers).unwrap_or_default().max(1);
        let is_pressed = u64::from(self.most).saturating_mul(2).saturating_mul(ONE) > self.limit;
        let is_least = whole(self.limit) <= policy.min;
        let has_recovered = mean.saturating_mul(4) < self.norm.saturating_mul(3);
        self.norm = match self.norm {
            0 => mean,
            // With so few calls it takes so long for other reasons than these.
            norm if has_recovered || is_least => norm.midpoint(mean),
            norm if mean < norm || !is_pressed => {
                norm.saturating_mul(7).saturating_add(mean).checked_div(8).unwrap_or(norm)
            }
            norm => norm,
        };
        let new = match (is_pressed, has_recovered) {
            (false, _) => self.unused(),
            (true, true) => self.with_less(),
            (true, false) => self.followed(mean, policy),
        };
        self.set_limit(new, policy);
        (self.answers, self.took) = (0, 0);
    }

    /// What is not used has not been tried either, so it is given up by and by, as TCP does (RFC 7661): down to twice of what
    /// is used, or to where a limit begins.
    fn unused(&self) -> u64 {
        let used = self.most.saturating_mul(2).max(START);
        let over = self.limit.saturating_sub(u64::from(used).saturating_mul(ONE));
        self.limit.saturating_sub(over.checked_div(8).unwrap_or_default())
    }

    /// The norm was too high, by something that is over. How much lower it is only shows once nothing of ours waits.
    fn with_less(&self) -> u64 {
        self.limit.saturating_mul(4).checked_div(5).unwrap_or_default()
    }

    /// The limit that follows from answers which take so long.
    fn followed(&self, mean: u64, policy: &ConcurrencyPolicy) -> u64 {
        let gradient = self.norm.saturating_mul(policy.tolerance.into()).checked_div(mean).unwrap_or(ONE);
        let gradient = gradient.clamp(ONE / 2, ONE);
        // No room to grow at half: then the server is to get fewer calls, down to the least.
        let growth = gradient.saturating_mul(2).saturating_sub(ONE);
        let room = self.limit.saturating_mul(ONE).isqrt().saturating_mul(growth);
        let new = self.limit.saturating_mul(gradient).saturating_add(room).checked_div(ONE).unwrap_or_default();
        // Down by half of the way: some of what is measured now began under an older limit.
        if new < self.limit { self.limit.midpoint(new) } else { new }
    }

    fn set_limit(&mut self, limit: u64, policy: &ConcurrencyPolicy) {
        let [min, max] = [policy.min, policy.max].map(|bound| u64::from(bound).saturating_mul(ONE));
        self.limit = limit.max(min).min(max);
    }
}

fn whole(thousandths: u64) -> u32 {
    u32::try_from(thousandths.checked_div(ONE).unwrap_or_default()).unwrap_or(u32::MAX)
}
