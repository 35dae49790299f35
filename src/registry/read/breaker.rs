//! Reads the `breaker` mapping of the registry.

use std::time::Duration;

use crate::breaker::{Mode, Policy, Slow};
use crate::wire::{Node, Table, show_duration};

const MS: Duration = Duration::from_millis(1);
const TENTH: Duration = Duration::from_millis(100);
const HOUR: Duration = Duration::from_secs(3_600);
/// A lease outlives the longest timeout that a call may have.
const LONGEST_LEASE: Duration = Duration::from_secs(2 * 3_600);

/// The mapping, as long as it is read.
struct Wire<'t, 'v> {
    table: &'t Table<'v>,
    /// Whether nothing was wrong so far.
    sound: bool,
}

impl Wire<'_, '_> {
    /// Reads what stands under `key`, if anything does.
    fn read<T>(&mut self, key: &'static str, knob: &mut T, how: impl FnOnce(&Node) -> Option<T>) {
        let Some(node) = self.table.optional(key) else { return };
        match how(&node) {
            Some(value) => *knob = value,
            None => self.sound = false,
        }
    }
}

fn whole<T: TryFrom<u64>>(min: u64, max: u64) -> impl Fn(&Node) -> Option<T> {
    move |node| T::try_from(node.integer(min, max)?).ok()
}

fn number(min: f64, max: f64) -> impl Fn(&Node) -> Option<f64> {
    move |node| node.number(min, max)
}

fn time(min: Duration, max: Duration) -> impl Fn(&Node) -> Option<u64> {
    move |node| u64::try_from(node.duration(min, max)?.as_millis()).ok()
}

fn off_at_0<T: Default + PartialOrd>(read: impl Fn(&Node) -> Option<T>) -> impl Fn(&Node) -> Option<Option<T>> {
    move |node| Some(Some(read(node)?).filter(|value| *value > T::default()))
}

impl Policy {
    /// Reads a `breaker` mapping; what it does not say is as in `base`. `consecutive`, `failure_rate`, `jitter` and `ramp`
    /// are turned off by 0, `slow` by leaving it out. The window is rounded down to ten equal buckets of whole
    /// milliseconds.
    #[inline(never)]
    pub fn read(node: &Node, base: &Policy) -> Option<Policy> {
        let table = node.table()?;
        let policy = Policy::values(&table, base).filter(|policy| policy.makes_sense(&table));
        table.done();
        policy
    }

    /// What each key says, whether it goes together or not.
    fn values(table: &Table, base: &Policy) -> Option<Policy> {
        let mut policy = *base;
        let mut slow = base.slow.unwrap_or(Slow { after_ms: 0, rate: 0.5 });
        let mut wire = Wire { table, sound: true };
        wire.read("consecutive", &mut policy.consecutive, off_at_0(whole(0, 1_000)));
        wire.read("failure_rate", &mut policy.failure_rate, off_at_0(number(0.0, 1.0)));
        wire.read("min_calls", &mut policy.min_calls, whole(1, 10_000));
        wire.read("window", &mut policy.bucket_ms, |node| {
            let window_ms = time(Duration::from_secs(1), Duration::from_secs(600))(node)?;
            u16::try_from(window_ms.checked_div(base.buckets.into())?).ok()
        });
        wire.read("slow", &mut slow.after_ms, time(MS, HOUR));
        wire.read("slow_rate", &mut slow.rate, number(0.0, 1.0));
        wire.read("base_open", &mut policy.base_open_ms, time(TENTH, HOUR));
        wire.read("growth", &mut policy.growth, number(1.0, 10.0));
        wire.read("max_open", &mut policy.max_open_ms, time(TENTH, HOUR));
        wire.read("jitter", &mut policy.jitter, number(0.0, 1.0));
        wire.read("decay", &mut policy.decay_ms, time(Duration::from_secs(1), HOUR));
        wire.read("lease", &mut policy.lease_ms, time(TENTH, LONGEST_LEASE));
        wire.read("max_lost", &mut policy.max_lost, whole(0, 100));
        wire.read("probe_successes", &mut policy.probe_successes, whole(1, 100));
        wire.read("ramp", &mut policy.ramp.ms, time(Duration::ZERO, HOUR));
        wire.read("ramp_min_share", &mut policy.ramp.min_share, number(0.0, 1.0));
        wire.read("ramp_aggression", &mut policy.ramp.aggression, whole(1, 10));
        let last_resort = &mut policy.last_resort;
        wire.read("last_resort_success_rate", &mut last_resort.success_rate, number(0.01, 1.0));
        wire.read("last_resort_aggression", &mut last_resort.aggression, whole(1, 10));
        wire.read("last_resort_max_rejection", &mut last_resort.max_rejection, number(0.0, 1.0));
        wire.read("last_resort_concurrency", &mut last_resort.concurrency, whole(1, 100_000));
        wire.read("mode", &mut policy.mode, |node| {
            let chosen = node.one_of(&Mode::NAMED.map(|(name, _)| name))?;
            Mode::NAMED.get(chosen).map(|(_, mode)| *mode)
        });
        wire.read("enforce_percent", &mut policy.enforce_percent, whole(0, 100));
        wire.read("reset_id", &mut policy.reset_id, whole(0, u32::MAX.into()));
        policy.slow = Some(slow).filter(|slow| slow.after_ms > 0);
        wire.sound.then_some(policy)
    }

    /// Notes what contradicts itself, where it is written.
    fn makes_sense(&self, table: &Table) -> bool {
        let written = |keys: &[&'static str]| keys.iter().find_map(|key| table.optional(key));
        let mut sound = true;
        let mut refuse = |keys: &[&'static str], rule: &str, hint: &str| {
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
