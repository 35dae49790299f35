//! What may be told of a credential's slots without telling a secret: how the one who sees the tokens informs those who
//! keep the metrics and those who choose servers.

use serde::{Deserialize, Serialize};

use super::{Defect, Fingerprint, Lifetime, Slot, SlotPair, Validity};

/// Both slots, as they are now; `None` is an empty one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report(pub [Option<SlotReport>; 2]);

/// A slot's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotReport {
    fingerprint: u64,
    issued_s: Option<u64>,
    not_before_s: Option<u64>,
    expires_s: Option<u64>,
    defect: Option<Defect>,
    bad_date: bool,
}

impl SlotReport {
    /// The token.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(self.fingerprint)
    }

    /// What is wrong with what the slot holds, so that it is as good as empty.
    pub fn defect(&self) -> Option<Defect> {
        self.defect
    }

    /// Whether a date stands beside the token that is none.
    pub fn has_bad_date(&self) -> bool {
        self.bad_date
    }

    /// Whether it may be sent, as far as servers have not refused it.
    pub fn is_valid(&self, now_s: u64) -> bool {
        self.defect.is_none() && self.lifetime().validity(now_s) == Validity::Valid
    }

    /// How long it lives.
    pub fn lifetime(&self) -> Lifetime {
        Lifetime { issued_s: self.issued_s, not_before_s: self.not_before_s, expires_s: self.expires_s }
    }
}

impl Report {
    /// Version of the encoding.
    const VERSION: u8 = 2;

    /// What `pair` holds.
    pub fn of(pair: &SlotPair) -> Self {
        Report(Slot::BOTH.map(|slot| {
            let Lifetime { issued_s, not_before_s, expires_s } = pair.lifetime(slot)?;
            let fingerprint = pair.fingerprint(slot)?.0;
            let (defect, bad_date) = (pair.defect(slot), pair.has_bad_date(slot));
            Some(SlotReport { fingerprint, issued_s, not_before_s, expires_s, defect, bad_date })
        }))
    }

    /// The report as bytes; empty if it can't be encoded, which [`Report::decode`] takes as no report.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![Self::VERSION]).unwrap_or_default()
    }

    /// The report in `bytes`; `None` for anything that this version has not written.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (_, rest) = bytes.split_first().filter(|(version, _)| **version == Self::VERSION)?;
        let (report, tail) = postcard::take_from_bytes(rest).ok()?;
        tail.is_empty().then_some(report)
    }

    /// Whether a slot has this token.
    pub fn holds(&self, token: Fingerprint) -> bool {
        self.0.iter().flatten().any(|slot| slot.fingerprint == token.0)
    }

    /// Whether a slot has a token that `pair` has not seen and that may be sent.
    pub fn has_news_for(&self, pair: &SlotPair, now_s: impl Fn() -> u64) -> bool {
        Slot::BOTH.into_iter().zip(&self.0).any(|(slot, report)| {
            report
                .as_ref()
                .is_some_and(|report| pair.fingerprint(slot) != Some(report.fingerprint()) && report.is_valid(now_s()))
        })
    }
}
