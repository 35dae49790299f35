//! When a breaker trips and how it recovers.

mod knobs;

use self::knobs::{Hashed, knobs};
use super::fingerprint::fnv1a_32;
use super::window::Counts;

knobs! {
    /// The numbers behind every decision. Times are milliseconds, rates are shares from 0 to 1.
    pub struct Policy;
    fingerprinted {
        /// Open after this many failures in a row; `None`: the run does not trip.
        consecutive: Option<u16> = Some(5),
        /// Open at this failure rate of the window; `None`: the rate does not trip.
        failure_rate: Option<f64> = Some(0.5),
        /// Fewest calls in the window for a rate to mean anything.
        min_calls: u32 = 10,
        /// Which calls are slow, and how many of them trip; `None`: no call is.
        slow: Option<Slow> = None,
        /// Number of buckets of the window.
        buckets: u8 = 10,
        /// Width of a bucket.
        bucket_ms: u16 = 1_000,
        /// First open period.
        base_open_ms: u64 = 5_000,
        /// Factor by which the open period grows each time the breaker opens again; at least 1.
        growth: f64 = 2.0,
        /// Longest open period, before jitter.
        max_open_ms: u64 = 120_000,
        /// Share of the open period that is added at random, so that replicas do not probe in step.
        jitter: f64 = 0.25,
        /// Healthy time that undoes one such growth.
        decay_ms: u64 = 60_000,
        /// Time a probe has to report. Must exceed the longest timeout of a call to the server.
        lease_ms: u64 = 31_000,
        /// Probes of one half-open period that may fail to report before it counts as a failure.
        max_lost: u8 = 1,
        /// Good probes, one after another, that close the breaker.
        probe_successes: u8 = 1,
        /// How calls come back to a server whose breaker has closed.
        ramp: Ramp = Ramp::default(),
    }
    others {
        /// What bounds the calls that a server gets although its breaker refuses, because nobody else could answer them.
        last_resort: LastResort = LastResort::default(),
        /// Whether the breaker's decisions hold. Never stored in the record.
        mode: Mode = Mode::Normal,
        /// Share of the refusals that hold, in per cent: fewer than 100 for a breaker that is being introduced.
        enforce_percent: u8 = 100,
        /// Resets the breaker once, when a configuration comes with a higher number than any before; 0: it does not.
        reset_id: u32 = 0,
    }
}

knobs! {
    /// The way back to full traffic after closing. Each worker works it out from the record; nothing is written for it.
    pub struct Ramp;
    fingerprinted {
        /// How long it takes; 0: all calls return at once.
        ms: u64 = 10_000,
        /// Share of the calls that comes back at once.
        min_share: f64 = 0.1,
        /// Above 1 the share grows faster at the beginning: it is the elapsed part of the time to the power of 1/aggression.
        aggression: u8 = 1,
    }
    others {}
}

knobs! {
    /// How calls are shed that reach a refusing server as the last resort: Envoy's admission control, with each worker's own
    /// results of the window, and a bound on how many are under way.
    pub struct LastResort;
    fingerprinted {}
    others {
        /// Success rate from which on nothing is shed; above 0.
        success_rate: f64 = 0.95,
        /// Above 1 calls are shed earlier: the probability is taken to the power of 1/aggression.
        aggression: u8 = 1,
        /// Highest probability with which a call is shed.
        max_rejection: f64 = 0.8,
        /// Calls under way at once, per worker.
        concurrency: u32 = 100,
    }
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
        let mut bytes = Vec::with_capacity(8 * 18);
        self.hash(&mut bytes);
        fnv1a_32(&bytes)
    }
}
