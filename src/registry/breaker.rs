//! Reads the `breaker` mapping of the registry.

use std::time::Duration;

use crate::breaker::{LastResort, Mode, Policy, Ramp, Slow};
use crate::wire::{Node, Table, show_duration};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);

impl Policy {
    /// Reads a `breaker` mapping; what it does not say is as in `base`. `consecutive`, `failure_rate`, `jitter` and `ramp`
    /// are turned off by 0, `slow` by leaving it out. The window is rounded down to ten equal buckets of whole
    /// milliseconds.
    pub fn read(node: &Node, base: &Policy) -> Option<Policy> {
        let table = node.table()?;
        let policy = Policy::values(&table, base).filter(|policy| policy.makes_sense(&table));
        table.done();
        policy
    }

    /// What each key says, whether it goes together or not.
    fn values(table: &Table, base: &Policy) -> Option<Policy> {
        let integer = |key, default: u64, min, max| match table.optional(key) {
            Some(node) => node.integer(min, max),
            None => Some(default),
        };
        let number = |key, default: f64, min, max| match table.optional(key) {
            Some(node) => node.number(min, max),
            None => Some(default),
        };
        let time = |key, default: u64, min, max| match table.optional(key) {
            Some(node) => node.duration(min, max).and_then(|d| u64::try_from(d.as_millis()).ok()),
            None => Some(default),
        };
        let small = |key, default: u8, min, max| u8::try_from(integer(key, default.into(), min, max)?).ok();

        let consecutive = integer("consecutive", base.consecutive.unwrap_or(0).into(), 0, 1_000);
        let failure_rate = number("failure_rate", base.failure_rate.unwrap_or(0.0), 0.0, 1.0);
        let min_calls = integer("min_calls", base.min_calls.into(), 1, 10_000);
        let window = u64::from(base.bucket_ms).saturating_mul(base.buckets.into());
        let window = time("window", window, Duration::from_secs(1), Duration::from_secs(600));
        let slow = time("slow", base.slow.map_or(0, |slow| slow.after_ms), MS, HOUR);
        let slow_rate = number("slow_rate", base.slow.map_or(0.5, |slow| slow.rate), 0.0, 1.0);
        let base_open = time("base_open", base.base_open_ms, Duration::from_millis(100), HOUR);
        let growth = number("growth", base.growth, 1.0, 10.0);
        let max_open = time("max_open", base.max_open_ms, Duration::from_millis(100), HOUR);
        let jitter = number("jitter", base.jitter, 0.0, 1.0);
        let decay = time("decay", base.decay_ms, Duration::from_secs(1), HOUR);
        let lease = time("lease", base.lease_ms, Duration::from_millis(100), HOUR);
        let max_lost = small("max_lost", base.max_lost, 0, 100);
        let probe_successes = small("probe_successes", base.probe_successes, 1, 100);
        let ramp = time("ramp", base.ramp.ms, Duration::ZERO, HOUR);
        let ramp_min_share = number("ramp_min_share", base.ramp.min_share, 0.0, 1.0);
        let ramp_aggression = small("ramp_aggression", base.ramp.aggression, 1, 10);
        let success_rate = number("last_resort_success_rate", base.last_resort.success_rate, 0.01, 1.0);
        let aggression = small("last_resort_aggression", base.last_resort.aggression, 1, 10);
        let max_rejection = number("last_resort_max_rejection", base.last_resort.max_rejection, 0.0, 1.0);
        let concurrency = integer("last_resort_concurrency", base.last_resort.concurrency.into(), 1, 100_000);
        let mode = match table.optional("mode") {
            Some(node) => node.one_of(&Mode::NAMED.map(|(name, _)| name)).and_then(|at| Mode::NAMED.get(at)),
            None => Mode::NAMED.iter().find(|(_, mode)| *mode == base.mode),
        };
        let enforce_percent = small("enforce_percent", base.enforce_percent, 0, 100);
        let reset_id = integer("reset_id", base.reset_id.into(), 0, u32::MAX.into());

        let slow = match (slow?, slow_rate?) {
            (0, _) => None,
            (after_ms, rate) => Some(Slow { after_ms, rate }),
        };
        Some(Policy {
            consecutive: u16::try_from(consecutive?).ok().filter(|limit| *limit > 0),
            failure_rate: failure_rate.map(|rate| Some(rate).filter(|rate| *rate > 0.0))?,
            min_calls: u32::try_from(min_calls?).ok()?,
            slow,
            buckets: base.buckets,
            bucket_ms: u16::try_from(window?.checked_div(base.buckets.into())?).ok()?,
            base_open_ms: base_open?,
            growth: growth?,
            max_open_ms: max_open?,
            jitter: jitter?,
            decay_ms: decay?,
            lease_ms: lease?,
            max_lost: max_lost?,
            probe_successes: probe_successes?,
            ramp: Ramp { ms: ramp?, min_share: ramp_min_share?, aggression: ramp_aggression? },
            last_resort: LastResort {
                success_rate: success_rate?,
                aggression: aggression?,
                max_rejection: max_rejection?,
                concurrency: u32::try_from(concurrency?).ok()?,
            },
            mode: mode?.1,
            enforce_percent: enforce_percent?,
            reset_id: u32::try_from(reset_id?).ok()?,
        })
    }

    /// Notes what contradicts itself, where it is written.
    fn makes_sense(&self, table: &Table) -> bool {
        let written = |keys: &[&str]| keys.iter().find_map(|key| table.optional(key));
        let mut sound = true;
        let mut refuse = |keys: &[&str], rule: &str, hint: &str| {
            written(keys).as_ref().unwrap_or(table.node()).refuse_with(rule, hint);
            sound = false;
        };
        if self.slow.is_none() && table.optional("slow_rate").is_some() {
            refuse(&["slow_rate"], "has no effect without slow", "set slow to the time above which a call is slow");
        }
        if self.slow.is_some_and(|slow| slow.rate == 0.0) {
            refuse(&["slow_rate"], "must be above 0", "to have no slow calls leave slow out");
        }
        if self.base_open_ms > self.max_open_ms {
            let [base, max] = [self.base_open_ms, self.max_open_ms].map(|ms| show_duration(Duration::from_millis(ms)));
            let rule = format!("base_open ({base}) must not be longer than max_open ({max})");
            refuse(&["base_open", "max_open"], &rule, "set both, or lower base_open");
        }
        if self.consecutive.is_none() && self.failure_rate.is_none() && self.slow.is_none() {
            refuse(&[], "nothing can open this breaker", "set consecutive or failure_rate above 0");
        }
        if self.ramp.ms == 0 && written(&["ramp_min_share", "ramp_aggression"]).is_some() {
            refuse(
                &["ramp_min_share", "ramp_aggression"],
                "has no effect while ramp is 0s",
                "set ramp, or leave it out",
            );
        }
        if !self.mode.records() && table.optional("enforce_percent").is_some() {
            refuse(&["enforce_percent"], "has no effect in this mode", "set mode to normal or metrics_only");
        }
        sound
    }
}
