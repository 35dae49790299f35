//! What the breaker has to tell besides its decisions.

use super::step::Refusal;

/// Defines [`Event`] with the name of each in metrics, so that an event stands in one place.
macro_rules! events {
    ($($(#[$doc:meta])* $event:ident = $name:literal,)*) => {
        /// Something that happens inside the breaker.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])* $event,)*
        }

        impl Event {
            /// Every event.
            pub const ALL: [Event; Event::COUNT] = [$(Event::$event,)*];
            /// How many there are.
            pub const COUNT: usize = [$($name,)*].len();

            /// The name that it has in metrics.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Event::$event => $name,)*
                }
            }
        }
    };
}

events! {
    /// A result of a call that an older epoch admitted; dropped.
    StaleResult = "stale_results",
    /// A result of a probe whose lease had gone to another call; dropped.
    FencedVerdict = "fenced_verdicts",
    /// A lease given to a probe.
    ProbeGranted = "probe_granted",
    /// A probe that succeeded.
    ProbeOk = "probe_ok",
    /// A probe that failed, was limited, or was slow.
    ProbeFailed = "probe_failed",
    /// A probe that ended without a verdict.
    ProbeReleased = "probe_released",
    /// A probe that never reported, as seen when its lease ran out.
    ProbeLost = "probe_lost",
    /// A call refused because the open period was not over.
    RefusedOpen = "refused_open",
    /// A call refused because another call was the probe.
    RefusedProbeInFlight = "refused_probe_in_flight",
    /// A call refused because the operator holds the breaker open.
    RefusedForcedOpen = "refused_forced_open",
    /// A call of last resort shed because too many have failed lately.
    RefusedShed = "refused_shed",
    /// A call of last resort refused because too many were under way.
    RefusedCrowded = "refused_crowded",
    /// A refusal that did not hold, because the breaker is not or not fully enforced.
    NotEnforced = "not_enforced",
    /// A call of last resort that was let go.
    LastResort = "last_resort",
    /// A call that went elsewhere because the server had only just come back.
    RampDiverted = "ramp_diverted",
    /// A read or a write that the host refused. The call was let through.
    HostError = "host_errors",
    /// A value under the key that is no record of this policy.
    CorruptRecord = "corrupt_records",
    /// A record read that a newer version wrote.
    NewerRecord = "newer_records",
    /// A write repeated because another worker was first.
    WriteConflict = "write_conflicts",
    /// A write given up after too many conflicts; its results wait for the next event or tick.
    WriteGivenUp = "writes_given_up",
    /// A result lost because an older, unwritten batch had to make room for it or the other way round.
    LostResult = "lost_results",
    /// The clock was seen to go back.
    ClockBackward = "clock_backward",
}

impl From<Refusal> for Event {
    fn from(reason: Refusal) -> Self {
        match reason {
            Refusal::Open => Event::RefusedOpen,
            Refusal::ProbeInFlight => Event::RefusedProbeInFlight,
            Refusal::ForcedOpen => Event::RefusedForcedOpen,
            Refusal::Shed => Event::RefusedShed,
            Refusal::Crowded => Event::RefusedCrowded,
        }
    }
}

/// How often each event has happened since the counters were last taken. The shell adds them to its metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters([u32; Event::COUNT]);

impl Counters {
    /// How often `event` has happened.
    pub fn get(&self, event: Event) -> u32 {
        self.0.get(event as usize).copied().unwrap_or(0)
    }

    /// Every counter with the name that its metric has.
    pub fn named(&self) -> [(&'static str, u32); Event::COUNT] {
        Event::ALL.map(|event| (event.as_str(), self.get(event)))
    }

    /// Counts an event.
    pub(super) fn count(&mut self, event: impl Into<Event>) {
        self.add(event.into(), 1);
    }

    /// Counts an event so many times. A counter stops at its maximum.
    pub(super) fn add(&mut self, event: Event, times: u32) {
        if let Some(counter) = self.0.get_mut(event as usize) {
            *counter = counter.saturating_add(times);
        }
    }
}
