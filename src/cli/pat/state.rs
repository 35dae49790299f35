//! The state of a registry's credentials: which slots have tokens, how long those live, how urgent new ones are.

use super::Urgency;
use super::admin::AdminMetrics;
use super::look::{Found, World, look};
use crate::cli::credentials::{named_slots, source};
use crate::credential::{AgePolicy, Lifetime, Severity, Validity};
use crate::registry::{Credential, Registry, SlotSource};

/// The state of all credentials.
#[derive(Debug)]
pub struct PatStatus {
    /// When, in seconds since 1970.
    pub now_s: u64,
    /// The Envoy that was asked; `None` if files and environment variables were read.
    pub admin: Option<String>,
    /// In the registry's order.
    pub credentials: Vec<CredentialStatus>,
}

/// The state of one credential.
#[derive(Debug)]
pub struct CredentialStatus {
    /// Its name.
    pub id: String,
    /// What its tokens are held to.
    pub policy: AgePolicy,
    /// How urgently it needs a new token; `None` if no end is known.
    pub severity: Option<Severity>,
    /// Whether a token is older than the policy allows, or will be; `None` if that is not known.
    pub violates_age: Option<bool>,
    /// Whether a token may be sent; `None` if that is not known.
    pub usable: Option<bool>,
    /// Slot a, slot b, as far as the registry has them.
    pub slots: Vec<SlotStatus>,
    /// What a running Envoy tells of changes between slots, as text; empty otherwise.
    pub switches: Vec<(String, u64)>,
}

/// The state of one slot.
#[derive(Debug)]
pub struct SlotStatus {
    /// `a` or `b`.
    pub slot: &'static str,
    /// Where its secret comes from, for people.
    pub source: String,
    /// Whether there is a token.
    pub token: Token,
    /// What is known of its life.
    pub lifetime: Lifetime,
    /// Whole days until its end; `None` if that is unknown.
    pub days_left: Option<u64>,
    /// How urgently it has to be replaced; `None` if its end is unknown.
    pub severity: Option<Severity>,
    /// How often servers have refused it, if a running Envoy tells.
    pub rejected: Option<u64>,
    /// How often Envoy could not take what its place holds, if a running Envoy tells.
    pub update_failures: Option<u64>,
}

/// Whether a slot has a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// It has, and as far as is known it is valid.
    Present,
    /// It has, but its time is over.
    Expired,
    /// It has, but its time has not come.
    NotYet,
    /// It has, and a running Envoy does not send it: servers refused it, or its time is over or has not come.
    Withheld,
    /// It has none. Why.
    Missing(String),
    /// That cannot be found out. Why.
    Unreadable(String),
    /// Only a running Envoy gets to see it.
    Hidden,
}

/// The state of all credentials as their places show it at `now_s`.
pub fn of_files(registry: &Registry, now_s: u64, world: World) -> PatStatus {
    let credentials = registry.credentials.iter().map(|credential| {
        let slots = named_slots(credential).map(|(name, slot)| slot_of_files(credential, name, slot, now_s, world));
        CredentialStatus::of(credential, slots.collect(), now_s)
    });
    PatStatus { now_s, admin: None, credentials: credentials.collect() }
}

fn slot_of_files(
    credential: &Credential,
    name: &'static str,
    slot: &SlotSource,
    now_s: u64,
    world: World,
) -> SlotStatus {
    let policy = &credential.policy;
    let (token, lifetime) = match look(&slot.source, &format!("{}-{name}", credential.id), world) {
        Found::Token(handed) => {
            let lifetime = Lifetime::of(&handed, slot.declared);
            let token = match lifetime.validity(now_s) {
                Validity::Valid => Token::Present,
                Validity::Expired => Token::Expired,
                Validity::NotYet => Token::NotYet,
            };
            (token, lifetime)
        }
        // What is declared of a token that is not there is of no use.
        Found::Nothing(why) => (Token::Missing(why), Lifetime::default()),
        Found::Unreadable(why) => (Token::Unreadable(why), Lifetime::declared(slot.declared)),
        Found::Hidden => {
            let lifetime = Lifetime::declared(slot.declared);
            // Whatever is there, it is held to what is declared of it.
            let expired = lifetime.validity(now_s) == Validity::Expired;
            (if expired { Token::Expired } else { Token::Hidden }, lifetime)
        }
    };
    SlotStatus {
        slot: name,
        source: source(&slot.source),
        token,
        lifetime,
        days_left: lifetime.days_left(now_s, policy),
        severity: lifetime.severity(now_s, policy),
        rejected: None,
        update_failures: None,
    }
}

impl CredentialStatus {
    fn of(credential: &Credential, slots: Vec<SlotStatus>, now_s: u64) -> Self {
        let policy = credential.policy;
        let lifetimes = slots.iter().filter(|slot| !matches!(slot.token, Token::Missing(_))).map(|slot| slot.lifetime);
        let lifetimes: Vec<_> = lifetimes.collect();
        let alive = lifetimes.iter().filter(|life| life.validity(now_s) != Validity::Expired);
        let ages: Vec<_> = alive.map(|life| life.violates_age(now_s, &policy)).collect();
        let violates_age = match ages.iter().flatten().max() {
            Some(false) if ages.contains(&None) => None,
            known => known.copied(),
        };
        let has = |tokens: &[fn(&Token) -> bool]| slots.iter().any(|slot| tokens.iter().any(|is| is(&slot.token)));
        let usable = match () {
            () if has(&[|token| *token == Token::Present]) => Some(true),
            () if has(&[|token| *token == Token::Hidden, |token| matches!(token, Token::Unreadable(_))]) => None,
            () => Some(false),
        };
        CredentialStatus {
            id: credential.id.to_string(),
            policy,
            severity: Severity::of_all(&lifetimes, now_s, &policy),
            violates_age,
            usable,
            slots,
            switches: Vec::new(),
        }
    }

    fn urgency(&self, strict: bool) -> Urgency {
        let urgency = match self.severity {
            Some(Severity::Critical) => Urgency::Critical,
            Some(Severity::Alert) => Urgency::Alert,
            Some(Severity::None) | None => Urgency::Fine,
        };
        let broken = self.violates_age == Some(true) || self.usable == Some(false);
        let unreadable = self.slots.iter().any(|slot| matches!(slot.token, Token::Unreadable(_)));
        let in_the_dark = strict && self.slots.iter().any(|slot| slot.is_unknown());
        let also = [(broken, Urgency::Critical), (unreadable, Urgency::Unknown), (in_the_dark, Urgency::Alert)];
        also.into_iter().filter(|(is, _)| *is).map(|(_, urgency)| urgency).fold(urgency, Urgency::max)
    }
}

impl SlotStatus {
    /// Whether there is, or may be, a token whose end nobody knows.
    pub fn is_unknown(&self) -> bool {
        self.days_left.is_none() && matches!(self.token, Token::Present | Token::Hidden)
    }
}

impl PatStatus {
    /// The most urgent of all credentials. `strict`: an unknown end is an alert.
    pub fn urgency(&self, strict: bool) -> Urgency {
        self.credentials.iter().map(|credential| credential.urgency(strict)).max().unwrap_or(Urgency::Fine)
    }
}

/// The state of all credentials as a running Envoy tells it.
pub fn of_envoy(registry: &Registry, now_s: u64, url: &str, seen: &AdminMetrics) -> PatStatus {
    let credentials = registry.credentials.iter().map(|credential| {
        let slots = named_slots(credential).map(|(name, slot)| slot_of_envoy(credential, name, slot, seen));
        let slots: Vec<_> = slots.collect();
        let (id, policy) = (credential.id.as_str(), credential.policy);
        CredentialStatus {
            id: id.to_owned(),
            policy,
            severity: seen.severity(id),
            violates_age: seen.violates_age(id),
            usable: (!slots.iter().any(|slot| matches!(slot.token, Token::Present | Token::Unreadable(_))))
                .then_some(false),
            slots,
            switches: seen.switches(id),
        }
    });
    PatStatus { now_s, admin: Some(url.to_owned()), credentials: credentials.collect() }
}

fn slot_of_envoy(credential: &Credential, name: &'static str, slot: &SlotSource, seen: &AdminMetrics) -> SlotStatus {
    let id = credential.id.as_str();
    let days_left = seen.days_left(id, name);
    SlotStatus {
        slot: name,
        source: source(&slot.source),
        token: match seen.has_token(id, name) {
            Some(true) if seen.is_sent(id, name) => Token::Present,
            Some(true) if days_left == Some(0) && seen.rejected(id, name) == 0 => Token::Expired,
            Some(true) => Token::Withheld,
            Some(false) => Token::Missing("this Envoy has seen none that a header can carry".to_owned()),
            None => Token::Unreadable("this Envoy has no metrics of this credential".to_owned()),
        },
        lifetime: Lifetime::default(),
        days_left,
        severity: None,
        rejected: Some(seen.rejected(id, name)),
        update_failures: Some(seen.update_failures(id, name)),
    }
}
