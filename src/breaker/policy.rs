//! When a breaker trips and how it recovers.

use std::time::Duration;

use super::codec::fnv1a_32;
use crate::registry::reader::{Node, show_duration};

/// The numbers behind every decision. Times are milliseconds, rates are shares from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// Open after this many failures in a row; `None`: the run does not trip.
    pub consecutive: Option<u16>,
    /// Open at this failure rate of the window; `None`: the rate does not trip.
    pub failure_rate: Option<f64>,
    /// Fewest calls in the window for a rate to mean anything.
    pub min_calls: u32,
    /// Which calls are slow, and how many of them trip; `None`: no call is.
    pub slow: Option<Slow>,
    /// Number of buckets of the window.
    pub buckets: u8,
    /// Width of a bucket.
    pub bucket_ms: u16,
    /// First open period. It doubles each time the breaker opens again.
    pub base_open_ms: u64,
    /// Longest open period, before jitter.
    pub max_open_ms: u64,
    /// Share of the open period that is added at random, so that replicas do not probe in step.
    pub jitter: f64,
    /// Healthy time that undoes one doubling of the open period.
    pub decay_ms: u64,
    /// Time a probe has to report. Must exceed the longest timeout of a call to the server.
    pub lease_ms: u64,
    /// Probes of one half-open period that may fail to report before it counts as a failure.
    pub max_lost: u8,
    /// Good probes, one after another, that close the breaker.
    pub probe_successes: u8,
}

/// The slow call rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slow {
    /// A call is slow if it takes longer than this.
    pub after_ms: u64,
    /// Open at this share of slow calls in the window.
    pub rate: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            consecutive: Some(5),
            failure_rate: Some(0.5),
            min_calls: 10,
            slow: None,
            buckets: 10,
            bucket_ms: 1_000,
            base_open_ms: 5_000,
            max_open_ms: 120_000,
            jitter: 0.25,
            decay_ms: 60_000,
            lease_ms: 31_000,
            max_lost: 1,
            probe_successes: 1,
        }
    }
}

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);

impl Policy {
    /// Reads the `breaker` mapping; what it does not say has its default. `consecutive`, `failure_rate` and `jitter` are
    /// turned off by 0, `slow` by leaving it out. The window is rounded down to ten equal buckets of whole milliseconds.
    pub fn read(node: &Node) -> Option<Policy> {
        let table = node.table()?;
        let default = Policy::default();
        let integer = |key, default: u64, min, max| match table.optional(key) {
            Some(node) => node.integer(min, max),
            None => Some(default),
        };
        let number = |key, default: f64| match table.optional(key) {
            Some(node) => node.number(0.0, 1.0),
            None => Some(default),
        };
        let time = |key, default: u64, min, max| match table.optional(key) {
            Some(node) => node.duration(min, max).and_then(|d| u64::try_from(d.as_millis()).ok()),
            None => Some(default),
        };

        let consecutive = integer("consecutive", 5, 0, 1_000);
        let failure_rate = number("failure_rate", 0.5);
        let min_calls = integer("min_calls", default.min_calls.into(), 1, 10_000);
        let window = time("window", 10_000, Duration::from_secs(1), Duration::from_secs(600));
        let slow = time("slow", 0, MS, HOUR);
        let slow_rate = number("slow_rate", 0.5);
        let base_open = time("base_open", default.base_open_ms, Duration::from_millis(100), HOUR);
        let max_open = time("max_open", default.max_open_ms, Duration::from_millis(100), HOUR);
        let jitter = number("jitter", default.jitter);
        let decay = time("decay", default.decay_ms, Duration::from_secs(1), HOUR);
        let lease = time("lease", default.lease_ms, Duration::from_millis(100), HOUR);
        let max_lost = integer("max_lost", default.max_lost.into(), 0, 100);
        let probe_successes = integer("probe_successes", default.probe_successes.into(), 1, 100);

        let (slow_at, slow_rate_at) = (table.optional("slow"), table.optional("slow_rate"));
        let open_at = table.optional("base_open").or(table.optional("max_open"));
        table.done();

        let slow = match (slow?, slow_rate?) {
            (0, _) => None,
            (after_ms, rate) => Some(Slow { after_ms, rate }),
        };
        let policy = Policy {
            consecutive: u16::try_from(consecutive?).ok().filter(|limit| *limit > 0),
            failure_rate: failure_rate.map(|rate| Some(rate).filter(|rate| *rate > 0.0))?,
            min_calls: u32::try_from(min_calls?).ok()?,
            slow,
            buckets: default.buckets,
            bucket_ms: u16::try_from(window?.checked_div(default.buckets.into())?).ok()?,
            base_open_ms: base_open?,
            max_open_ms: max_open?,
            jitter: jitter?,
            decay_ms: decay?,
            lease_ms: lease?,
            max_lost: u8::try_from(max_lost?).ok()?,
            probe_successes: u8::try_from(probe_successes?).ok()?,
        };
        let mut sound = true;
        if let (None, Some(rate)) = (&slow_at, &slow_rate_at) {
            rate.refuse_with("has no effect without slow", "set slow to the time above which a call is slow");
            sound = false;
        }
        if slow.is_some_and(|slow| slow.rate == 0.0) {
            slow_rate_at
                .as_ref()
                .unwrap_or(node)
                .refuse_with("must be above 0", "to have no slow calls leave slow out");
            sound = false;
        }
        if policy.base_open_ms > policy.max_open_ms {
            let [base, max] =
                [policy.base_open_ms, policy.max_open_ms].map(|ms| show_duration(Duration::from_millis(ms)));
            open_at.as_ref().unwrap_or(node).refuse_with(
                format!("base_open ({base}) must not be longer than max_open ({max})"),
                "set both, or lower base_open",
            );
            sound = false;
        }
        if policy.consecutive.is_none() && policy.failure_rate.is_none() && policy.slow.is_none() {
            node.refuse_with("nothing can open this breaker", "set consecutive or failure_rate above 0");
            sound = false;
        }
        sound.then_some(policy)
    }

    /// Whether a call that took `took_ms` is slow.
    pub fn is_slow(&self, took_ms: u64) -> bool {
        self.slow.is_some_and(|slow| took_ms > slow.after_ms)
    }

    /// Length of the open period number `attempt` (1 is the first), in ms. `random` is spread evenly over all of `u32`.
    ///
    /// The jitter is added after the cap, so that replicas at the cap spread out too. A server that names a time
    /// (`retry_after_ms`, held between the base and the maximum) is not asked earlier.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn open_period_ms(&self, attempt: u8, retry_after_ms: Option<u64>, random: u32) -> u64 {
        let doublings = 2u64.saturating_pow(u32::from(attempt.saturating_sub(1)));
        let period = self.base_open_ms.saturating_mul(doublings).min(self.max_open_ms);
        let jitter = period as f64 * self.jitter * (f64::from(random) / f64::from(u32::MAX));
        let asked = retry_after_ms.unwrap_or(0).min(self.max_open_ms).max(self.base_open_ms);
        period.saturating_add(jitter.round() as u64).max(asked)
    }

    /// A hash of all the numbers, to see in a record which policy moved it. Of the bits, not of a text: every look at a
    /// server that has no record yet computes one.
    pub(super) fn fingerprint(&self) -> u32 {
        let Policy { consecutive, failure_rate, min_calls, slow, buckets, bucket_ms, .. } = *self;
        let Policy { base_open_ms, max_open_ms, jitter, decay_ms, lease_ms, max_lost, probe_successes, .. } = *self;
        // What is off has a value that no number can have.
        let rate_bits = |rate: Option<f64>| rate.map_or(u64::MAX, f64::to_bits);
        let numbers: [u64; 14] = [
            consecutive.map_or(u64::MAX, u64::from),
            rate_bits(failure_rate),
            min_calls.into(),
            slow.map_or(u64::MAX, |slow| slow.after_ms),
            rate_bits(slow.map(|slow| slow.rate)),
            buckets.into(),
            bucket_ms.into(),
            base_open_ms,
            max_open_ms,
            jitter.to_bits(),
            decay_ms,
            lease_ms,
            max_lost.into(),
            probe_successes.into(),
        ];
        fnv1a_32(numbers.map(u64::to_le_bytes).as_flattened())
    }
}
