//! The bytes of one entry of the table.
//!
//! | bytes | what |
//! |---|---|
//! | 0..16 | its key |
//! | 16..24 | when it was last used, or written |
//! | 24..32 | when it was asked for |
//! | 32..40 | how long it is fresh |
//! | 40..48 | how long it is kept |
//! | 48..56 | its own `ttlMs`; all bits set: none |
//! | 56..60, 60..64 | where its age, and where the rest of its `ttlMs` goes |
//! | 64..68 | length of its text |
//! | 68..84 | check sum of all the others but the time of the last use |
//! | 84.. | its text |
//!
//! Numbers are little endian, times ms of the monotonic clock.

use super::kept::Kept;
use super::key::{Key, Secret};

/// Bytes before the text.
pub(super) const HEAD: usize = 84;

const USED: std::ops::Range<usize> = 16..24;
const FACTS: std::ops::Range<usize> = 24..68;
const SUM: std::ops::Range<usize> = 68..HEAD;

/// An entry as it stands in its set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'b>(&'b [u8]);

impl<'b> Entry<'b> {
    /// The entry at the start of `bytes`, and what is behind it.
    pub fn first(bytes: &'b [u8]) -> Option<(Self, &'b [u8])> {
        let length = usize::try_from(u32::from_le_bytes(bytes.get(64..68)?.try_into().ok()?)).ok()?;
        let (entry, rest) = bytes.split_at_checked(HEAD.checked_add(length)?)?;
        Some((Entry(entry), rest))
    }

    /// Its bytes.
    pub fn bytes(self) -> &'b [u8] {
        self.0
    }

    /// Its key.
    pub fn key(self) -> Key {
        Key(self.0.first_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes)))
    }

    fn number(self, at: usize) -> u64 {
        let bytes = self.0.get(at..at.saturating_add(8)).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    }

    /// When it was last used.
    pub fn used_ms(self) -> u64 {
        self.number(16)
    }

    /// When it was asked for.
    pub fn asked_ms(self) -> u64 {
        self.number(24)
    }

    /// How long it is kept from then on.
    pub fn keep_ms(self) -> u64 {
        self.number(40)
    }

    /// What it keeps; `None` if it is not exactly what was written.
    pub fn read(self, secret: &Secret) -> Option<Kept> {
        let (head, text) = self.0.split_at_checked(HEAD)?;
        let sum = sum(secret, self.key(), head.get(FACTS)?, text);
        if head.get(SUM)? != sum.to_le_bytes() {
            return None;
        }
        let place = |at: usize| Some(u32::from_le_bytes(head.get(at..at.checked_add(4)?)?.try_into().ok()?));
        Some(Kept {
            asked_ms: self.asked_ms(),
            fresh_ms: self.number(32),
            keep_ms: self.keep_ms(),
            ttl_ms: Some(self.number(48)).filter(|ms| *ms != u64::MAX),
            meta_at: place(56)?,
            ttl_at: place(60)?,
            text: std::str::from_utf8(text).ok()?.to_owned(),
        })
    }
}

fn sum(secret: &Secret, key: Key, facts: &[u8], text: &[u8]) -> u128 {
    secret.hash(&[b"entry", &key.0.to_le_bytes(), facts, text])
}

/// The entry for `kept`; `None` if it is longer than any can be.
pub(super) fn written(secret: &Secret, key: Key, kept: &Kept, now_ms: u64) -> Option<Vec<u8>> {
    let length = u32::try_from(kept.text.len()).ok()?;
    let mut bytes = Vec::with_capacity(HEAD.checked_add(kept.text.len())?);
    bytes.extend_from_slice(&key.0.to_le_bytes());
    let ttl_ms = kept.ttl_ms.unwrap_or(u64::MAX);
    for number in [now_ms, kept.asked_ms, kept.fresh_ms, kept.keep_ms, ttl_ms] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for place in [kept.meta_at, kept.ttl_at, length] {
        bytes.extend_from_slice(&place.to_le_bytes());
    }
    let sum = sum(secret, key, bytes.get(FACTS)?, kept.text.as_bytes());
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(kept.text.as_bytes());
    Some(bytes)
}

/// Notes in the bytes of an entry that it is used now.
pub(super) fn use_now(entry: &mut [u8], now_ms: u64) {
    if let Some(place) = entry.get_mut(USED) {
        place.copy_from_slice(&now_ms.to_le_bytes());
    }
}
