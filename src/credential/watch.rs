//! Watches a credential from one report to the next: what has happened to its tokens, and how urgent it is to replace one.

use super::audit::Event;
use super::{AgePolicy, Fingerprint, Lifetime, Report, Severity, Slot, Testimony, Validity};

/// One credential under watch.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// Per slot the token last seen.
    seen: [Option<LastSeen>; 2],
}

#[derive(Debug, Clone, Copy)]
struct LastSeen {
    fingerprint: Fingerprint,
    /// Whether its end, its violation of the policy, and its illegible date have been told.
    expired: bool,
    violates: bool,
    bad_date: bool,
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
                let event = match before {
                    _ if found.defect().is_some() => Event::Defective,
                    Some(_) => Event::Changed,
                    None => Event::Loaded,
                };
                events.push((slot, event, Some(fingerprint)));
                *seen = None;
            }
            let seen = seen.get_or_insert(LastSeen { fingerprint, expired: false, violates: false, bad_date: false });
            let mut tell = |told: &mut bool, is: bool, event| {
                if is && !*told {
                    events.push((slot, event, Some(fingerprint)));
                }
                *told = is;
            };
            let lifetime = found.lifetime();
            tell(&mut seen.bad_date, found.has_bad_date(), Event::BadDate);
            tell(&mut seen.expired, lifetime.validity(now_s) == Validity::Expired, Event::Expired);
            tell(&mut seen.violates, lifetime.violates_age(now_s, policy) == Some(true), Event::PolicyViolated);
        }
        events
    }
}

impl Report {
    /// How urgently the credential needs a new token: at once if none may be sent, else as [`Severity::of_all`] says of those
    /// that may. `is_condemned`: whether a server has refused a token for certain.
    pub fn severity(
        &self,
        now_s: u64,
        policy: &AgePolicy,
        is_condemned: impl Fn(Fingerprint) -> bool,
    ) -> Option<Severity> {
        let sent = self.0.iter().flatten().filter(|slot| slot.is_valid(now_s) && !is_condemned(slot.fingerprint()));
        let lifetimes: Vec<_> = sent.map(|slot| slot.lifetime()).collect();
        if lifetimes.is_empty() { Some(Severity::Critical) } else { Severity::of_all(&lifetimes, now_s, policy) }
    }

    /// The same for the server that is worst off, each having said something of the tokens. Without servers nobody can have
    /// refused anything.
    pub fn worst(&self, said: &[Testimony], now_s: u64, policy: &AgePolicy) -> Option<Severity> {
        let mut worst = None;
        for said in if said.is_empty() { &[Testimony::NONE] } else { said } {
            worst = worst.max(self.severity(now_s, policy, |token| said.condemns(token)));
        }
        worst
    }

    /// Whether a token is known to break the age policy; one that has ended already no longer does.
    pub fn violates_age(&self, now_s: u64, policy: &AgePolicy) -> bool {
        let mut valid = self.lifetimes().filter(|life| life.validity(now_s) != Validity::Expired);
        valid.any(|life| life.violates_age(now_s, policy) == Some(true))
    }

    fn lifetimes(&self) -> impl Iterator<Item = Lifetime> {
        self.0.iter().flatten().filter(|slot| slot.defect().is_none()).map(|slot| slot.lifetime())
    }
}
