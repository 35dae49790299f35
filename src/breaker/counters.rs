//! What the breaker has to tell besides its decisions.

/// Events inside the breaker since they were last taken. The shell adds them to its metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Results of calls that an older epoch admitted; dropped.
    pub stale_results: u32,
    /// Verdicts of probes whose lease had gone to another call; dropped.
    pub fenced_verdicts: u32,
    /// Reads and writes that the host refused. The call was let through.
    pub host_errors: u32,
    /// Values under the key that are no record of this policy.
    pub corrupt_records: u32,
    /// Records read that a newer version wrote.
    pub newer_records: u32,
    /// Writes repeated because another worker was first.
    pub write_conflicts: u32,
    /// Writes given up after too many conflicts; their results wait for the next event or tick.
    pub writes_given_up: u32,
    /// Results lost because an older, unwritten batch had to make room for them or the other way round.
    pub lost_results: u32,
    /// Times that the clock was seen to go back.
    pub clock_backward: u32,
}

impl Counters {
    /// Every counter with the name that its metric has.
    pub fn named(&self) -> [(&'static str, u32); 9] {
        [
            ("stale_results", self.stale_results),
            ("fenced_verdicts", self.fenced_verdicts),
            ("host_errors", self.host_errors),
            ("corrupt_records", self.corrupt_records),
            ("newer_records", self.newer_records),
            ("write_conflicts", self.write_conflicts),
            ("writes_given_up", self.writes_given_up),
            ("lost_results", self.lost_results),
            ("clock_backward", self.clock_backward),
        ]
    }
}

/// Adds to a counter, which stops at its maximum.
pub(super) fn bump(counter: &mut u32, by: u32) {
    *counter = counter.saturating_add(by);
}
