//! Whether gate and attempts may be without memory in common, because an update has brought another module or another
//! registry: then the gate writes each call down for its attempts ([`crate::call::handover`]).
//!
//! Every root context announces what it is of when it is configured, which is before any request meets it. A record in the
//! shared data names the newest announced, and counts how often that has changed. Each change first makes a key under
//! which nobody has looked before but every gate looks from then on, once per call: a look that finds nothing costs a
//! tenth of a read. So a gate knows of a newcomer before the newcomer can get a call of its. When the old ones must have
//! gone, gates go on to look under the next key.

use std::cell::RefCell;

use super::abi;
use super::shared_data::EnvoySharedData;
use crate::shared_data::{CREATE, SetError, SharedData};

/// For so long after a change calls are written down, in ms. Envoy drains what it replaces for 10 minutes at most, if its
/// `--drain-time-s` is not raised.
const LASTS_MS: u64 = 900_000;

/// Where the record lies.
const RECORD: &str = "xr1";

/// What tells the builds of this module apart.
pub const BUILD: &str = env!("DUALPATH_BUILD");

/// A lost race is run again so often.
const TRIES: usize = 8;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Record {
    /// How often the newest has changed.
    changes: u32,
    /// What the newest is of.
    newest: u64,
    /// When that changed, monotonic ms; 0: it was the first.
    since_ms: u64,
}

impl Record {
    fn read() -> (Option<Record>, u32) {
        let Ok(Some((bytes, token))) = EnvoySharedData.get(RECORD) else { return (None, CREATE) };
        (Record::decode(&bytes), token)
    }

    fn decode(bytes: &[u8]) -> Option<Record> {
        let (changes, rest) = bytes.split_first_chunk()?;
        let (newest, rest) = rest.split_first_chunk()?;
        let (since_ms, _) = rest.split_first_chunk()?;
        Some(Record {
            changes: u32::from_le_bytes(*changes),
            newest: u64::from_le_bytes(*newest),
            since_ms: u64::from_le_bytes(*since_ms),
        })
    }

    fn write(self, token: u32) -> Result<(), SetError> {
        let bytes = [&self.changes.to_le_bytes()[..], &self.newest.to_le_bytes(), &self.since_ms.to_le_bytes()];
        EnvoySharedData.set(RECORD, &bytes.concat(), token)
    }

    /// The number of changes that are over.
    fn settled(self, now_ms: u64) -> u32 {
        let lasts = self.since_ms != 0 && now_ms.saturating_sub(self.since_ms) < LASTS_MS;
        self.changes.saturating_sub(u32::from(lasts))
    }
}

/// A gate's look at it.
#[derive(Debug)]
pub struct Lookout {
    /// The key that is looked for: nobody makes it before the next change.
    key: RefCell<String>,
}

impl Lookout {
    /// Announces what is of `registry` and of this build.
    pub fn begun(registry: u64, now_ms: u64) -> Self {
        announce(registry, now_ms);
        let watch = Lookout { key: RefCell::default() };
        watch.tick(now_ms);
        watch
    }

    /// Looks whether a change is over.
    pub fn tick(&self, now_ms: u64) {
        *self.key.borrow_mut() = key(Record::read().0.map_or(0, |record| record.settled(now_ms)));
    }

    /// Whether a call has to be written down now.
    pub fn is_on(&self) -> bool {
        matches!(abi::shared_data(&self.key.borrow()), Ok(Some(_)))
    }
}

/// Announces what is of the registry with this identity and of this build.
pub fn announce(registry: u64, now_ms: u64) {
    change(Some(registry ^ u64::from_str_radix(BUILD, 16).unwrap_or_default()), now_ms);
}

/// Has calls written down from now on, because an attempt was reached by one that it can't find.
pub fn demand(now_ms: u64) {
    change(None, now_ms);
}

fn key(changes: u32) -> String {
    format!("x{changes}")
}

fn change(identity: Option<u64>, now_ms: u64) {
    for _ in 0..TRIES {
        let (found, token) = Record::read();
        let next = match found {
            None => Record { newest: identity.unwrap_or_default(), ..Record::default() },
            Some(record) if identity == Some(record.newest) => return,
            Some(record) => {
                // First the key: who finds the record has to find it too.
                let _ = EnvoySharedData.set(&key(record.changes), b"1", CREATE);
                Record {
                    changes: record.changes.wrapping_add(1),
                    newest: identity.unwrap_or(record.newest),
                    since_ms: now_ms.max(1),
                }
            }
        };
        if next.write(token) != Err(SetError::CasMismatch) {
            return;
        }
    }
}
