//! How long a token lives, and when somebody should do something about it.

use super::Handed;
use super::date::DAY_S;
use super::token::{self, Claims};

/// What is said of a token: by the registry of the one that a slot has at first, or beside the token itself. Seconds since
/// 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Declared {
    /// When it was issued. Where the registry says so it is not used before that.
    pub issued_s: Option<u64>,
    /// When it ends.
    pub expires_s: Option<u64>,
}

/// How old tokens may get, and how long before their end the operator is warned. Seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgePolicy {
    /// A token that is valid for longer than this violates the policy; it is used all the same.
    pub max_age_s: u64,
    /// So long before its end a token should be replaced.
    pub alert_s: u64,
    /// So long before its end it is urgent.
    pub critical_s: u64,
}

impl Default for AgePolicy {
    /// 90 days, 7 days, 1 day.
    fn default() -> Self {
        AgePolicy { max_age_s: 90 * DAY_S, alert_s: 7 * DAY_S, critical_s: DAY_S }
    }
}

/// What is known of a token's life. Seconds since 1970; `None` is unknown, which is never taken for fresh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// When it was issued.
    pub issued_s: Option<u64>,
    /// From when on it is valid.
    pub not_before_s: Option<u64>,
    /// When it ends.
    pub expires_s: Option<u64>,
}

/// Whether a token may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// As far as is known.
    Valid,
    /// Its time has not come.
    NotYet,
    /// Its time is over.
    Expired,
}

/// How urgently a token has to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Not yet.
    None,
    /// Within the policy's alert time.
    Alert,
    /// Within its critical time, or expired.
    Critical,
}

impl Severity {
    /// The name used in metrics and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::None => "none",
            Severity::Alert => "alert",
            Severity::Critical => "critical",
        }
    }

    /// How urgently a credential whose tokens have these lifetimes needs a new one: as urgently as the best of them, because
    /// while a new token is beside it an old one may end in peace. One that has ended counts only where there is no other.
    /// `None` while none of those that count tells when it ends.
    pub fn of_all(lifetimes: &[Lifetime], now_s: u64, policy: &AgePolicy) -> Option<Severity> {
        let severity = |lifetime: &Lifetime| lifetime.severity(now_s, policy);
        let alive = || lifetimes.iter().filter(|lifetime| lifetime.validity(now_s) != Validity::Expired);
        if alive().next().is_some() {
            alive().filter_map(severity).min()
        } else {
            lifetimes.iter().filter_map(severity).min()
        }
    }
}

impl Lifetime {
    /// The lifetime of a token: what is told beside it, else what the registry declares, else what it says of itself.
    pub fn of(handed: &Handed, declared: Declared) -> Self {
        Lifetime::from(handed.told, declared, token::claims(&handed.secret))
    }

    /// As far as the operator declares it, of a token that nobody has looked at.
    pub fn declared(declared: Declared) -> Self {
        Lifetime::from(Declared::default(), declared, Claims::default())
    }

    fn from(told: Declared, declared: Declared, claims: Claims) -> Self {
        Lifetime {
            issued_s: told.issued_s.or(declared.issued_s).or(claims.issued_s),
            // A token's own issue date may be some seconds ahead of this machine's clock; that keeps nobody from using it.
            not_before_s: claims.not_before_s.max(declared.issued_s.filter(|_| told.issued_s.is_none())),
            expires_s: told.expires_s.or(declared.expires_s).or(claims.expires_s),
        }
    }

    /// When it has to be replaced: at its end; where that is not known, when it is as old as the policy allows. It may be
    /// sent after that.
    pub fn due_s(&self, policy: &AgePolicy) -> Option<u64> {
        self.expires_s.or_else(|| self.issued_s.map(|issued| issued.saturating_add(policy.max_age_s)))
    }

    /// Whether it may be sent at `now_s`.
    pub fn validity(&self, now_s: u64) -> Validity {
        if self.expires_s.is_some_and(|end| now_s >= end) {
            Validity::Expired
        } else if self.not_before_s.is_some_and(|begin| now_s < begin) {
            Validity::NotYet
        } else {
            Validity::Valid
        }
    }

    /// Whole days until it has to be replaced, 0 on the last day and afterwards; `None` if that is not known.
    pub fn days_left(&self, now_s: u64, policy: &AgePolicy) -> Option<u64> {
        self.due_s(policy)?.saturating_sub(now_s).checked_div(DAY_S)
    }

    /// How urgently it has to be replaced; `None` if that is not known.
    pub fn severity(&self, now_s: u64, policy: &AgePolicy) -> Option<Severity> {
        let left = self.due_s(policy)?.saturating_sub(now_s);
        Some(if left <= policy.critical_s {
            Severity::Critical
        } else if left <= policy.alert_s {
            Severity::Alert
        } else {
            Severity::None
        })
    }

    /// Whether it is older than the policy allows, or will be before it ends; `None` if too little is known.
    pub fn violates_age(&self, now_s: u64, policy: &AgePolicy) -> Option<bool> {
        match (self.issued_s, self.expires_s) {
            (Some(issued), end) => Some(end.unwrap_or(now_s).max(now_s).saturating_sub(issued) > policy.max_age_s),
            // Even if it had been issued this moment, it would live for too long.
            (None, Some(end)) if end.saturating_sub(now_s) > policy.max_age_s => Some(true),
            (None, _) => None,
        }
    }
}
