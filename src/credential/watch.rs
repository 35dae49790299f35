//! Watches a credential from one report to the next: what has happened to its tokens, and how urgent it is to replace one.

use super::audit::Event;
use super::{AgePolicy, Fingerprint, Report, Severity, Slot, SlotReport, Validity};

/// One credential under watch.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// Per slot the token last seen.
    seen: [Option<LastSeen>; 2],
}

#[derive(Debug, Clone, Copy)]
struct LastSeen {
    fingerprint: Fingerprint,
    /// Whether its end, and its violation of the policy, have been told.
    expired: bool,
    violates: bool,
}

impl Watch {
    /// Takes note of `report`. Answers what has happened since the one before, each thing once.
    pub fn update(
        &mut self,
        report: &Report,
        now_s: u64,
        policy: &AgePolicy,
    ) -> Vec<(Slot, Event, Option<Fingerprint>)> {
        let mut events = Vec::new();
        for ((slot, found), seen) in Slot::BOTH.into_iter().zip(&report.0).zip(&mut self.seen) {
            let before = seen.map(|seen| seen.fingerprint);
            let Some(found) = found else {
                if before.is_some() {
                    events.push((slot, Event::Emptied, before));
                }
                *seen = None;
                continue;
            };
            let fingerprint = found.fingerprint();
            if before != Some(fingerprint) {
                let event = if before.is_some() { Event::Changed } else { Event::Loaded };
                events.push((slot, event, Some(fingerprint)));
                *seen = None;
            }
            let seen = seen.get_or_insert(LastSeen { fingerprint, expired: false, violates: false });
            let mut tell = |told: &mut bool, is: bool, event| {
                if is && !*told {
                    events.push((slot, event, Some(fingerprint)));
                }
                *told = is;
            };
            let lifetime = found.lifetime();
            tell(&mut seen.expired, lifetime.validity(now_s) == Validity::Expired, Event::Expired);
            tell(&mut seen.violates, lifetime.violates_age(now_s, policy) == Some(true), Event::PolicyViolated);
        }
        events
    }
}

impl Report {
    /// How urgently the credential needs a new token: at once if none may be sent, else as [`Severity::of_all`] says.
    pub fn severity(&self, now_s: u64, policy: &AgePolicy) -> Option<Severity> {
        let lifetimes: Vec<_> = self.tokens().map(SlotReport::lifetime).collect();
        if lifetimes.iter().all(|lifetime| lifetime.validity(now_s) != Validity::Valid) {
            return Some(Severity::Critical);
        }
        Severity::of_all(&lifetimes, now_s, policy)
    }

    /// Whether a token is known to break the age policy; one that has ended already no longer does.
    pub fn violates_age(&self, now_s: u64, policy: &AgePolicy) -> bool {
        let valid = self.tokens().map(SlotReport::lifetime).filter(|life| life.validity(now_s) != Validity::Expired);
        valid.into_iter().any(|life| life.violates_age(now_s, policy) == Some(true))
    }

    fn tokens(&self) -> impl Iterator<Item = &SlotReport> {
        self.0.iter().flatten()
    }
}
