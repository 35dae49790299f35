//! The failover budget: a token bucket that keeps a storm of failures from multiplying into a storm of attempts.
//!
//! Calls pay in, failovers of what a server has already been sent pay out. What is paid in while all is well is kept up
//! to the capacity, so that the first calls of an outage, before the breakers have opened, find enough there.

/// One token, in the unit of all amounts here.
pub const TOKEN: u32 = 1000;

/// The terms of a bucket. All amounts are thousandths of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetPolicy {
    /// What each call pays in.
    pub deposit: u32,
    /// What comes in per second without any call.
    pub per_second: u32,
    /// The most that is kept; a new bucket has it.
    pub capacity: u32,
    /// A failover is allowed while there is more than this.
    pub threshold: u32,
}

/// The bucket of one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    policy: BudgetPolicy,
    balance: u32,
    /// Up to when `per_second` has come in; `None` until the bucket is first used.
    filled_ms: Option<u64>,
}

impl Budget {
    /// A full bucket.
    pub fn new(policy: BudgetPolicy) -> Self {
        Budget { policy, balance: policy.capacity, filled_ms: None }
    }

    /// What is there, in thousandths of a token.
    pub fn balance(&self) -> u32 {
        self.balance
    }

    /// A call pays in.
    pub fn deposit(&mut self, now_ms: u64) {
        self.fill(now_ms);
        self.add(u64::from(self.policy.deposit));
    }

    /// Whether a failover is allowed now.
    pub fn allows(&mut self, now_ms: u64) -> bool {
        self.fill(now_ms);
        self.balance > self.policy.threshold
    }

    /// Takes a token out, or what there is of one.
    pub fn spend(&mut self) {
        self.balance = self.balance.saturating_sub(TOKEN);
    }

    fn fill(&mut self, now_ms: u64) {
        let elapsed = now_ms.saturating_sub(*self.filled_ms.get_or_insert(now_ms));
        let due = elapsed.saturating_mul(self.policy.per_second.into()).checked_div(1000).unwrap_or_default();
        if due > 0 {
            self.filled_ms = Some(now_ms);
            self.add(due);
        }
    }

    fn add(&mut self, amount: u64) {
        let sum = u64::from(self.balance).saturating_add(amount).min(self.policy.capacity.into());
        self.balance = u32::try_from(sum).unwrap_or(self.policy.capacity);
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// A whole token must be there, and `deposit` comes with each call.
    fn bucket(deposit: u32, per_second: u32, tokens: u32) -> Budget {
        Budget::new(BudgetPolicy { deposit, per_second, capacity: tokens * TOKEN, threshold: TOKEN - 1 })
    }

    /// How many of `times` failovers at `now_ms` are allowed.
    fn granted(budget: &mut Budget, now_ms: u64, times: u32) -> u32 {
        let mut granted = 0;
        for _ in 0..times {
            if budget.allows(now_ms) {
                budget.spend();
                granted += 1;
            }
        }
        granted
    }

    #[test]
    fn an_outage_finds_what_good_times_have_paid_in_and_no_more() {
        let mut budget = bucket(TOKEN, 0, 10);
        for _ in 0..100 {
            budget.deposit(0);
        }
        assert_eq!(granted(&mut budget, 0, 100), 10);
    }

    #[test]
    fn a_storm_gets_its_share_of_calls_and_the_reserve() {
        let mut budget = bucket(TOKEN / 5, 0, 10);
        let mut failovers = 0;
        for _ in 0..1000 {
            budget.deposit(0);
            failovers += granted(&mut budget, 0, 2);
        }
        assert!((205..=210).contains(&failovers), "{failovers}");
    }

    #[test]
    fn a_spent_bucket_fills_up_by_the_second_and_stops_at_its_capacity() {
        let mut budget = bucket(0, 2 * TOKEN, 10);
        assert_eq!(granted(&mut budget, 5_000, 20), 10);
        assert_eq!(granted(&mut budget, 5_499, 20), 0);
        assert_eq!(granted(&mut budget, 6_000, 20), 2);
        assert_eq!(granted(&mut budget, 600_000, 20), 10);
    }

    #[test]
    fn calls_in_quick_succession_do_not_keep_the_seconds_from_counting() {
        let mut budget = bucket(0, 100, 1);
        assert_eq!(granted(&mut budget, 0, 1), 1);
        let granted: u32 = (1..=10_000).map(|now| granted(&mut budget, now, 1)).sum();
        assert_eq!(granted, 1);
    }

    #[test]
    fn a_clock_that_stands_still_or_is_odd_takes_nothing_away() {
        let mut budget = bucket(0, TOKEN, 5);
        assert!(budget.allows(u64::MAX) && budget.allows(0) && budget.allows(u64::MAX));
        assert_eq!(budget.balance(), 5 * TOKEN);
    }
}
