//! What the breaker has to tell besides its decisions.

use super::step::Refusal;

/// Events inside the breaker since they were last taken. The shell adds them to its metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Results of calls that an older epoch admitted; dropped.
    pub stale_results: u32,
    /// Verdicts of probes whose lease had gone to another call; dropped.
    pub fenced_verdicts: u32,
    /// Leases given to probes.
    pub probe_granted: u32,
    /// Probes that succeeded.
    pub probe_ok: u32,
    /// Probes that failed, were limited, or were slow.
    pub probe_failed: u32,
    /// Probes that ended without a verdict.
    pub probe_released: u32,
    /// Probes that never reported, as seen when their lease ran out.
    pub probe_lost: u32,
    /// Calls refused because the open period was not over.
    pub refused_open: u32,
    /// Calls refused because another call was the probe.
    pub refused_probe_in_flight: u32,
    /// Calls refused because the operator holds the breaker open.
    pub refused_forced_open: u32,
    /// Calls of last resort shed because too many have failed lately.
    pub refused_shed: u32,
    /// Calls of last resort refused because too many were under way.
    pub refused_crowded: u32,
    /// Refusals that did not hold, because the breaker is not or not fully enforced.
    pub not_enforced: u32,
    /// Calls of last resort that were let go.
    pub last_resort: u32,
    /// Calls that went elsewhere because the server had only just come back.
    pub ramp_diverted: u32,
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
    pub fn named(&self) -> [(&'static str, u32); 22] {
        [
            ("stale_results", self.stale_results),
            ("fenced_verdicts", self.fenced_verdicts),
            ("probe_granted", self.probe_granted),
            ("probe_ok", self.probe_ok),
            ("probe_failed", self.probe_failed),
            ("probe_released", self.probe_released),
            ("probe_lost", self.probe_lost),
            ("refused_open", self.refused_open),
            ("refused_probe_in_flight", self.refused_probe_in_flight),
            ("refused_forced_open", self.refused_forced_open),
            ("refused_shed", self.refused_shed),
            ("refused_crowded", self.refused_crowded),
            ("not_enforced", self.not_enforced),
            ("last_resort", self.last_resort),
            ("ramp_diverted", self.ramp_diverted),
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

impl Counters {
    /// Counts a refusal by its reason.
    pub(super) fn count_refusal(&mut self, reason: Refusal) {
        let counter = match reason {
            Refusal::Open => &mut self.refused_open,
            Refusal::ProbeInFlight => &mut self.refused_probe_in_flight,
            Refusal::ForcedOpen => &mut self.refused_forced_open,
            Refusal::Shed => &mut self.refused_shed,
            Refusal::Crowded => &mut self.refused_crowded,
        };
        bump(counter, 1);
    }
}

/// Adds to a counter, which stops at its maximum.
pub(super) fn bump(counter: &mut u32, by: u32) {
    *counter = counter.saturating_add(by);
}
