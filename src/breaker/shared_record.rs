//! The record in the host's shared data: read, decide, write by compare-and-swap.

use super::codec::{self, Decoded};
use super::counters::{Counters, bump};
use super::policy::Policy;
use super::record::{Record, State};
use super::step::{Moment, Step};
use crate::shared_data::{CREATE, SetError, SharedData};

/// More repairs of the record than this within [`REPAIR_PERIOD_MS`] mean that somebody else uses the key.
const MAX_REPAIRS: u32 = 10;
const REPAIR_PERIOD_MS: u64 = 60_000;

/// A worker's access to one server's record.
#[derive(Debug, Clone)]
pub(super) struct SharedRecord {
    pub(super) key: String,
    pub(super) policy: Policy,
    /// The epoch of the record last seen.
    pub(super) seen_epoch: u32,
    /// Whether that record had a run of failures.
    pub(super) seen_run: bool,
    pub(super) counters: Counters,
    last_ms: u64,
    /// Begin of the period in which repairs are counted, and their number.
    repairs: (u64, u32),
}

/// Why a record was not read or not changed.
pub(super) enum Failed {
    /// The host refused.
    Host,
    /// Other workers were first, every time.
    Conflict,
    /// Somebody else uses the key.
    Foreign,
}

struct Loaded {
    record: Record,
    token: u32,
    found: Found,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Record,
    Nothing,
    Garbage,
}

impl SharedRecord {
    /// The record of `server` under `policy`.
    pub(super) fn new(server: &str, policy: Policy) -> Self {
        SharedRecord {
            key: codec::key(server, policy.buckets, policy.bucket_ms),
            policy,
            seen_epoch: 0,
            seen_run: false,
            counters: Counters::default(),
            last_ms: 0,
            repairs: (0, 0),
        }
    }

    /// The record as it is; a closed one if there is none.
    pub(super) fn look(&mut self, store: &impl SharedData, now_ms: u64) -> Result<Record, Failed> {
        self.load(store, now_ms, self.seen_epoch).map(|loaded| loaded.record)
    }

    /// Reads, lets `change` decide, and writes; from the start if another worker wrote in between. A record that does not
    /// exist is created even if nothing changes, to fix its epoch.
    pub(super) fn update<A>(
        &mut self,
        store: &impl SharedData,
        moment: Moment,
        tries: u32,
        epoch: u32,
        change: impl Fn(&Record) -> Step<A>,
    ) -> Result<Step<A>, Failed> {
        for _ in 0..tries {
            let loaded = self.load(store, moment.now_ms, epoch)?;
            let step = change(&loaded.record);
            let next = match &step.record {
                Some(next) => next,
                None if loaded.found == Found::Record => return Ok(step),
                None => &loaded.record,
            };
            if loaded.found == Found::Garbage {
                self.note_repair(moment.now_ms)?;
            }
            match store.set(&self.key, &codec::encode(next), loaded.token) {
                Ok(()) => {
                    self.note_seen(next);
                    return Ok(step);
                }
                Err(SetError::CasMismatch) => bump(&mut self.counters.write_conflicts, 1),
                Err(SetError::Host) => {
                    bump(&mut self.counters.host_errors, 1);
                    return Err(Failed::Host);
                }
            }
        }
        bump(&mut self.counters.writes_given_up, 1);
        Err(Failed::Conflict)
    }

    /// Whether `number` is higher than the one stored under the record's key with this prefix, and is stored there now.
    pub(super) fn claim(&self, store: &impl SharedData, prefix: &str, number: u32) -> bool {
        let key = [prefix, &self.key].concat();
        let Ok(found) = store.get(&key) else { return false };
        let (bytes, token) = found.unwrap_or((Vec::new(), CREATE));
        let last = bytes.first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        number > last && store.set(&key, &number.to_le_bytes(), token).is_ok()
    }

    /// The record, or a new one of `epoch` where there is none. A corrupt value is replaced with the token it was read
    /// with, so that a good record written meanwhile survives.
    fn load(&mut self, store: &impl SharedData, now_ms: u64, epoch: u32) -> Result<Loaded, Failed> {
        if now_ms < self.last_ms {
            bump(&mut self.counters.clock_backward, 1);
        }
        self.last_ms = now_ms;
        let Ok(found) = store.get(&self.key) else {
            bump(&mut self.counters.host_errors, 1);
            return Err(Failed::Host);
        };
        let (bytes, token) = found.unwrap_or((Vec::new(), CREATE));
        let record = match codec::decode(&bytes) {
            Decoded::Ok(record) if self.fits(&record) => record,
            Decoded::Newer(record) if self.fits(&record) => {
                bump(&mut self.counters.newer_records, 1);
                record
            }
            unusable => {
                let found = if unusable == Decoded::Absent { Found::Nothing } else { Found::Garbage };
                bump(&mut self.counters.corrupt_records, (found == Found::Garbage).into());
                return Ok(Loaded { record: Record::new(epoch, &self.policy, now_ms), token, found });
            }
        };
        self.note_seen(&record);
        Ok(Loaded { record, token, found: Found::Record })
    }

    fn fits(&self, record: &Record) -> bool {
        record.window.bucket_ms == self.policy.bucket_ms
            && record.window.buckets.len() == usize::from(self.policy.buckets)
    }

    /// Allows a repair, unless there were too many of late.
    fn note_repair(&mut self, now_ms: u64) -> Result<(), Failed> {
        let (since_ms, count) = &mut self.repairs;
        if now_ms.abs_diff(*since_ms) >= REPAIR_PERIOD_MS {
            (*since_ms, *count) = (now_ms, 0);
        }
        bump(count, 1);
        if *count > MAX_REPAIRS { Err(Failed::Foreign) } else { Ok(()) }
    }

    fn note_seen(&mut self, record: &Record) {
        self.seen_epoch = record.epoch;
        self.seen_run = record.state == State::Closed && record.run > 0;
    }
}
