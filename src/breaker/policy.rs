//! When a breaker trips and how it recovers.

use super::codec::fnv1a_32;
use super::window::Counts;

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
    /// First open period.
    pub base_open_ms: u64,
    /// Factor by which the open period grows each time the breaker opens again; at least 1.
    pub growth: f64,
    /// Longest open period, before jitter.
    pub max_open_ms: u64,
    /// Share of the open period that is added at random, so that replicas do not probe in step.
    pub jitter: f64,
    /// Healthy time that undoes one such growth.
    pub decay_ms: u64,
    /// Time a probe has to report. Must exceed the longest timeout of a call to the server.
    pub lease_ms: u64,
    /// Probes of one half-open period that may fail to report before it counts as a failure.
    pub max_lost: u8,
    /// Good probes, one after another, that close the breaker.
    pub probe_successes: u8,
    /// How calls come back to a server whose breaker has closed.
    pub ramp: Ramp,
    /// What bounds the calls that a server gets although its breaker refuses, because nobody else could answer them.
    pub last_resort: LastResort,
    /// Whether the breaker's decisions hold. Never stored in the record.
    pub mode: Mode,
    /// Share of the refusals that hold, in per cent: fewer than 100 for a breaker that is being introduced.
    pub enforce_percent: u8,
    /// Resets the breaker once, when a configuration comes with a higher number than any before; 0: it does not.
    pub reset_id: u32,
}

/// The way back to full traffic after closing. Each worker works it out from the record; nothing is written for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ramp {
    /// How long it takes; 0: all calls return at once.
    pub ms: u64,
    /// Share of the calls that comes back at once.
    pub min_share: f64,
    /// Above 1 the share grows faster at the beginning: it is the elapsed part of the time to the power of 1/aggression.
    pub aggression: u8,
}

/// How calls are shed that reach a refusing server as the last resort: Envoy's admission control, with each worker's own
/// results of the window, and a bound on how many are under way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LastResort {
    /// Success rate from which on nothing is shed; above 0.
    pub success_rate: f64,
    /// Above 1 calls are shed earlier: the probability is taken to the power of 1/aggression.
    pub aggression: u8,
    /// Highest probability with which a call is shed.
    pub max_rejection: f64,
    /// Calls under way at once, per worker.
    pub concurrency: u32,
}

/// An operator's hand on the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It decides.
    Normal,
    /// It counts and changes its state, but refuses nothing.
    MetricsOnly,
    /// It admits everything and records nothing.
    Disabled,
    /// It refuses everything, the last resort too, and records nothing.
    ForcedOpen,
}

impl Mode {
    /// Every mode, by its name in the registry.
    pub const NAMED: [(&str, Mode); 4] = [
        ("normal", Mode::Normal),
        ("metrics_only", Mode::MetricsOnly),
        ("disabled", Mode::Disabled),
        ("forced_open", Mode::ForcedOpen),
    ];

    /// Whether results are recorded.
    pub fn records(self) -> bool {
        matches!(self, Mode::Normal | Mode::MetricsOnly)
    }
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
            growth: 2.0,
            max_open_ms: 120_000,
            jitter: 0.25,
            decay_ms: 60_000,
            lease_ms: 31_000,
            max_lost: 1,
            probe_successes: 1,
            ramp: Ramp { ms: 10_000, min_share: 0.1, aggression: 1 },
            last_resort: LastResort { success_rate: 0.95, aggression: 1, max_rejection: 0.8, concurrency: 100 },
            mode: Mode::Normal,
            enforce_percent: 100,
            reset_id: 0,
        }
    }
}

impl Policy {
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
        let growth = self.growth.powi(i32::from(attempt.saturating_sub(1)));
        let period = ((self.base_open_ms as f64 * growth) as u64).min(self.max_open_ms);
        let jitter = period as f64 * self.jitter * (f64::from(random) / f64::from(u32::MAX));
        let asked = retry_after_ms.unwrap_or(0).min(self.max_open_ms).max(self.base_open_ms);
        period.saturating_add(jitter.round() as u64).max(asked)
    }

    /// Whether a call goes to a server that has been closed again for `elapsed_ms`, and not elsewhere if it can. `draw` is
    /// spread evenly from 0 to 1.
    ///
    /// The share is `max(min_share, (elapsed / time)^(1/aggression))`. Instead of the root the draw's power is taken, which
    /// compares the same and needs no logarithms in the module.
    #[allow(clippy::cast_precision_loss)]
    pub fn ramp_takes(&self, elapsed_ms: u64, draw: f64) -> bool {
        elapsed_ms >= self.ramp.ms
            || draw < self.ramp.min_share
            || draw.powi(self.ramp.aggression.into()) < elapsed_ms as f64 / self.ramp.ms as f64
    }

    /// Whether a call of last resort is shed, after calls of last resort that ended like `counts`. `draw` is spread evenly
    /// from 0 to 1.
    ///
    /// The probability is `max(0, (n - s / success_rate) / (n + 1))^(1/aggression)`, at most `max_rejection`.
    pub fn sheds(&self, counts: Counts, draw: f64) -> bool {
        let LastResort { success_rate, aggression, max_rejection, .. } = self.last_resort;
        let calls = f64::from(counts.total());
        let excess = (calls - f64::from(counts.ok) / success_rate) / (calls + 1.0);
        draw < max_rejection && draw.powi(aggression.into()) < excess
    }

    /// A hash of all the numbers, to see in a record which policy moved it. Of the bits, not of a text: every look at a
    /// server that has no record yet computes one.
    pub(super) fn fingerprint(&self) -> u32 {
        let Policy { consecutive, failure_rate, min_calls, slow, buckets, bucket_ms, .. } = *self;
        let Policy { base_open_ms, growth, max_open_ms, jitter, decay_ms, lease_ms, .. } = *self;
        let Policy { max_lost, probe_successes, ramp, .. } = *self;
        // What is off has a value that no number can have.
        let rate_bits = |rate: Option<f64>| rate.map_or(u64::MAX, f64::to_bits);
        let numbers: [u64; 18] = [
            consecutive.map_or(u64::MAX, u64::from),
            rate_bits(failure_rate),
            min_calls.into(),
            slow.map_or(u64::MAX, |slow| slow.after_ms),
            rate_bits(slow.map(|slow| slow.rate)),
            buckets.into(),
            bucket_ms.into(),
            base_open_ms,
            growth.to_bits(),
            max_open_ms,
            jitter.to_bits(),
            decay_ms,
            lease_ms,
            max_lost.into(),
            probe_successes.into(),
            ramp.ms,
            ramp.min_share.to_bits(),
            ramp.aggression.into(),
        ];
        fnv1a_32(numbers.map(u64::to_le_bytes).as_flattened())
    }
}
