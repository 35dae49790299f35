//! When a server is probed.

use crate::breaker::{Moment, State, View};
use crate::failure::BreakerEffect;
use crate::registry::Probe;

/// One server's next probe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Not before this time, ms.
    not_before_ms: u64,
}

impl Schedule {
    /// Whether it is time: the breaker's open period is over, or a probe may have its lease; or, where the operator wants
    /// it, the server has done nothing of late that would show it well; or it has refused its token in a call, and a request
    /// without a client's part in it tells whether the token is at fault.
    pub fn is_due(&self, probe: &Probe, view: &View, token_doubted: impl FnOnce() -> bool, now_ms: u64) -> bool {
        let wanted = || match view.state {
            State::Closed => probe.idle && view.counts.ok == 0 || token_doubted(),
            State::Open | State::HalfOpen => view.retry_after_ms == 0,
        };
        now_ms >= self.not_before_ms && wanted()
    }

    /// Takes note of a probe that ended now, with this effect. One that decided nothing is not repeated at once: a server
    /// that refuses our credential must not be asked every second.
    ///
    /// Where nothing is in doubt, up to half of the interval is added at random: Envoys that were started together would
    /// otherwise ask together for ever.
    pub fn note(&mut self, probe: &Probe, view: &View, effect: BreakerEffect, Moment { now_ms, random }: Moment) {
        let undecided = effect == BreakerEffect::Neutral;
        let pause = if undecided || view.state == State::Closed { probe.interval } else { Default::default() };
        let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        let more = if undecided { 0 } else { u64::from(random).saturating_mul(pause >> 1) >> 32 };
        self.not_before_ms = now_ms.saturating_add(pause).saturating_add(more);
    }
}
