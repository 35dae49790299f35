//! From one attempt of a plan to the next.

use super::Plan;
use crate::breaker::Ticket;

/// Why a call that could be sent again is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Refusal {
    /// The failover budget is used up.
    Budget,
    /// Another attempt could not end before the client stops waiting.
    NoTime,
}

impl Refusal {
    /// The value of the `reason` label in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::Budget => "budget",
            Refusal::NoTime => "no_time",
        }
    }
}

/// The end of a plan ahead of its last hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stop {
    /// Why.
    pub why: Refusal,
    /// Whether an attempt before may have executed the call.
    pub lost: bool,
}

/// Where a call goes after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onward {
    /// To the same server with its other credential slot.
    OtherSlot,
    /// To the next server.
    Next,
    /// To the same server once more, after a wait.
    Again,
}

impl Plan {
    /// The plan for an attempt that the router makes on its own, because the one under way has got no answer.
    pub fn successor(&self) -> Self {
        // Only a call that has one server from the start is waited with by the router itself.
        if self.patient && self.again > 0 { self.clone().repeated() } else { self.clone().advanced() }
    }

    /// The same plan, one hop further.
    pub fn advanced(self) -> Self {
        let cursor = self.cursor.saturating_add(1);
        Plan { cursor, other_slot: false, repeats: false, ..self.attempted() }
    }

    /// The same plan, at the same server once more with its other credential slot.
    pub fn with_other_slot(self) -> Self {
        Plan { other_slot: true, ..self.attempted() }
    }

    /// The same plan, at the same server once more.
    pub fn repeated(self) -> Self {
        let again = self.again.saturating_sub(1);
        Plan { again, repeats: true, ..self.attempted() }
    }

    /// The same plan, ended after the attempt under way.
    pub fn stopped(self, stop: Stop) -> Self {
        Plan { stop: Some(stop), ..self.advanced() }
    }

    /// Puts the ticket of an attempt that repeats one in the place of that one's.
    pub fn renew(&mut self, ticket: Ticket) {
        if let Some(hop) = self.hops.get_mut(usize::from(self.cursor)) {
            hop.ticket = ticket;
        }
    }

    /// What is left after an attempt that was not made, because the plan had ended.
    pub fn left(self) -> Self {
        self.attempted()
    }

    fn attempted(mut self) -> Self {
        self.attempts = self.attempts.saturating_add(1);
        self
    }
}
