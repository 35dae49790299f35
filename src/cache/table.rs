//! The table in the shared data: a fixed number of sets, each one value with a bounded number of entries and bytes. A set is
//! changed whole, by compare-and-swap, so no reader ever sees half of a change.
//!
//! In a set that is full the entry gives way that was used longest ago; what counts no longer goes first.

use super::entry::{Entry, HEAD, use_now, written};
use super::kept::Kept;
use super::key::{Key, Secret};
use crate::shared_data::{CREATE, SetError, SharedData};

/// How many sets there are.
pub const SETS: u32 = 256;

/// The version of the encoding.
const VERSION: u8 = 1;

/// A lost race is run again so often.
const TRIES: usize = 4;

/// That an entry was used is written at most so often, ms: each time its whole set is.
const USE_EVERY_MS: u64 = 10_000;

/// A time so far ahead of the clock, in ms, is none that any worker has written.
const SKEW_MS: u64 = 1_000;

/// Where the time of the last purge stands.
const PURGED: &str = "xp1";

/// Now, and since when answers count.
#[derive(Debug, Clone, Copy)]
pub struct When {
    /// The monotonic clock.
    pub now_ms: u64,
    /// What was asked for until then does not count; 0 = nothing was ever thrown away.
    pub purged_ms: u64,
}

impl When {
    fn counts(self, entry: Entry<'_>) -> bool {
        let asked = entry.asked_ms();
        (self.purged_ms == 0 || asked > self.purged_ms)
            && asked <= self.now_ms.saturating_add(SKEW_MS)
            && self.now_ms.saturating_sub(asked) < entry.keep_ms()
    }
}

/// What has become of an answer that was to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is kept.
    Kept,
    /// A newer one is there already.
    Older,
    /// It is longer than a set.
    TooLarge,
    /// Others were always faster, or the host refused.
    Lost,
}

/// The longest text that fits into a table of `memory` bytes.
pub fn longest(memory: u32) -> usize {
    set_bytes(memory).saturating_sub(HEAD).saturating_sub(1)
}

fn set_bytes(memory: u32) -> usize {
    usize::try_from(memory / SETS).unwrap_or_default()
}

/// One process's table, as one VM sees it.
#[derive(Debug)]
pub struct Table {
    secret: Secret,
    /// The most entries of a set.
    places: usize,
    /// The most bytes of a set.
    set_bytes: usize,
}

impl Table {
    /// A table of `memory` bytes and `slots` entries in all.
    pub fn new(secret: Secret, memory: u32, slots: u32) -> Self {
        let places = usize::try_from(slots / SETS).unwrap_or_default().max(1);
        Table { secret, places, set_bytes: set_bytes(memory) }
    }

    /// The key of a question; see [`Key::of`].
    pub fn key(&self, parts: &[&[u8]]) -> Key {
        Key::of(&self.secret, parts)
    }

    /// What is kept under `key` and still counts, fresh or not.
    pub fn find(&self, shared: &impl SharedData, key: Key, when: When) -> Option<Kept> {
        let name = name_of(key);
        let (mut bytes, token) = shared.get(&name).ok()??;
        let (entry, at) = place_of(&bytes, key)?;
        if !when.counts(entry) {
            return None;
        }
        let kept = entry.read(&self.secret)?;
        if when.now_ms.saturating_sub(entry.used_ms()) >= USE_EVERY_MS {
            use_now(bytes.get_mut(at..)?, when.now_ms);
            // Who comes too late lets it be: somebody else has written the set.
            let _ = shared.set(&name, &bytes, token);
        }
        Some(kept)
    }

    /// Keeps an answer.
    pub fn store(&self, shared: &impl SharedData, key: Key, kept: &Kept, when: When) -> Stored {
        let Some(new) = written(&self.secret, key, kept, when.now_ms) else { return Stored::TooLarge };
        let room = self.set_bytes.saturating_sub(1);
        if new.len() > room {
            return Stored::TooLarge;
        }
        let name = name_of(key);
        for _ in 0..TRIES {
            let (bytes, token) = match shared.get(&name) {
                Ok(found) => found.unwrap_or((Vec::new(), CREATE)),
                Err(_) => return Stored::Lost,
            };
            let mut entries: Vec<Entry<'_>> = entries(&bytes).filter(|entry| when.counts(*entry)).collect();
            let is_newer = |entry: &Entry<'_>| entry.key() == key && entry.asked_ms() > kept.asked_ms;
            if entries.iter().any(is_newer) {
                return Stored::Older;
            }
            entries.retain(|entry| entry.key() != key);
            while entries.len() >= self.places || size(&entries).saturating_add(new.len()) > room {
                let oldest = entries.iter().enumerate().min_by_key(|(_, entry)| (entry.used_ms(), entry.asked_ms()));
                let Some((oldest, _)) = oldest else { break };
                entries.swap_remove(oldest);
            }
            let mut set = Vec::with_capacity(size(&entries).saturating_add(new.len()).saturating_add(1));
            set.push(VERSION);
            entries.iter().for_each(|entry| set.extend_from_slice(entry.bytes()));
            set.extend_from_slice(&new);
            match shared.set(&name, &set, token) {
                Ok(()) => return Stored::Kept,
                Err(SetError::CasMismatch) => {}
                Err(SetError::Host) => return Stored::Lost,
            }
        }
        Stored::Lost
    }
}

/// Throws away what was asked for until `now_ms`: from then on it does not count, and its memory is given back.
pub fn note_purge(shared: &impl SharedData, now_ms: u64) {
    for _ in 0..TRIES {
        let token = shared.get(PURGED).ok().flatten().map_or(CREATE, |(_, token)| token);
        if shared.set(PURGED, &now_ms.to_le_bytes(), token) != Err(SetError::CasMismatch) {
            break;
        }
    }
    for set in 0..SETS {
        let name = name(set);
        if let Ok(Some((_, token))) = shared.get(&name) {
            let _ = shared.set(&name, &[], token);
        }
    }
}

/// When that was last done; 0 = never.
pub fn purged_ms(shared: &impl SharedData) -> u64 {
    let found = shared.get(PURGED).ok().flatten();
    found.and_then(|(bytes, _)| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn name(set: u32) -> String {
    ["x1:", &set.to_string()].concat()
}

fn name_of(key: Key) -> String {
    // The low bits say which set, as the hash is even in all of them.
    name(u32::from(key.0.to_le_bytes()[0]))
}

fn size(entries: &[Entry<'_>]) -> usize {
    entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.bytes().len()))
}

/// The entries in a set's bytes, up to the first that can't be read.
fn entries(bytes: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    let mut rest = bytes.strip_prefix(&[VERSION]).unwrap_or_default();
    std::iter::from_fn(move || {
        let (entry, behind) = Entry::first(rest)?;
        rest = behind;
        Some(entry)
    })
}

/// The entry with this key, and where it begins.
fn place_of(bytes: &[u8], key: Key) -> Option<(Entry<'_>, usize)> {
    let mut at = 1_usize;
    for entry in entries(bytes) {
        if entry.key() == key {
            return Some((entry, at));
        }
        at = at.checked_add(entry.bytes().len())?;
    }
    None
}

#[cfg(test)]
mod tests;
