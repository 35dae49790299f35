//! The series that a VM has told Envoy of. Those of tools are bounded: a registry may name a thousand tools and a hundred
//! servers, and neither Envoy nor Prometheus should keep a series for each two of them.

use hashbrown::HashMap;

use super::Metric;

/// The most series of tools that one VM defines; what is beyond is counted together.
pub const MOST_OF_TOOLS: usize = 4096;

/// Series with their ids.
#[derive(Debug, Default)]
pub struct Series {
    ids: HashMap<Metric, u32>,
    of_tools: usize,
}

impl Series {
    /// The series that `metric` is told under: itself, or that of all other tools where there are too many. With its id,
    /// where it has one.
    #[must_use]
    pub fn find(&self, metric: Metric) -> (Metric, Option<u32>) {
        if let Some(id) = self.ids.get(&metric) {
            return (metric, Some(*id));
        }
        let is_full = self.of_tools >= MOST_OF_TOOLS;
        let shown = if is_full { metric.of_other_tools() } else { metric };
        (shown, self.ids.get(&shown).copied())
    }

    /// Notes the id of a series.
    pub fn define(&mut self, metric: Metric, id: u32) {
        let is_of_tool = metric != metric.of_other_tools();
        self.of_tools = self.of_tools.saturating_add(is_of_tool.into());
        self.ids.insert(metric, id);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}
