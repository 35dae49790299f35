//! What has been counted and not been told to Envoy yet. A host call costs more than all else about a metric, so calls
//! count in memory and a tick tells the sums.

use hashbrown::HashMap;

use super::Metric;

/// The most values of histograms that are kept; a tick of a busy worker sees fewer.
const MOST_VALUES: usize = 1024;

/// So many counters are usual; what has grown for more is given back.
const MOST_ROOM: usize = 4096;

/// Sums of counters, and values of histograms, since they were last taken.
#[derive(Debug, Default)]
pub struct Pending {
    counts: HashMap<Metric, u64>,
    values: Vec<(Metric, u64)>,
}

impl Pending {
    /// Adds to a counter.
    pub fn add(&mut self, metric: Metric, times: u64) {
        let sum = self.counts.entry(metric).or_default();
        *sum = sum.saturating_add(times);
    }

    /// Adds a value to a histogram. `false` = it is full and must be taken now; the value is kept.
    #[must_use]
    pub fn record(&mut self, metric: Metric, value: u64) -> bool {
        self.values.push((metric, value));
        self.values.len() < MOST_VALUES
    }

    /// How much room there is for counters, which is gone through whenever they are taken.
    #[cfg(test)]
    pub fn room(&self) -> usize {
        self.counts.capacity()
    }

    /// Takes everything: counters' sums to `add`, histograms' values to `record`. What is kept of both is their memory.
    pub fn take(&mut self, mut add: impl FnMut(Metric, u64), mut record: impl FnMut(Metric, u64)) {
        self.counts.drain().for_each(|(metric, times)| add(metric, times));
        if self.counts.capacity() > MOST_ROOM {
            // After a burst of many tools every tick would go through the empty room.
            self.counts = HashMap::new();
        }
        self.values.drain(..).for_each(|(metric, value)| record(metric, value));
    }
}
