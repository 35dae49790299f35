//! The record in the host's shared data: read, decide, write by compare-and-swap.

use super::cached_view::{CachedView, VIEW_MS};
use super::codec::{self, Decoded};
use super::counters::{Counters, Event};
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
    /// That record, if no look is needed for a while.
    view: Option<CachedView>,
    /// When it was seen that there is no record, which only a server that no call has been admitted to is without.
    absent_ms: Option<u64>,
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
    found: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
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
            view: None,
            absent_ms: None,
            last_ms: 0,
            repairs: (0, 0),
        }
    }

    /// The record as this worker saw it last, if it may still rely on that. No host call.
    pub(super) fn cached(&mut self, now_ms: u64) -> Option<CachedView> {
        self.note_time(now_ms);
        self.view.filter(|view| view.holds(now_ms))
    }

    /// Makes the next call look at the record.
    pub(super) fn forget_view(&mut self) {
        self.view = None;
    }

    /// Whether there was no record just now, so that there is nothing to look at. No host call.
    pub(super) fn is_absent(&mut self, now_ms: u64) -> bool {
        self.note_time(now_ms);
        self.absent_ms.is_some_and(|seen_ms| now_ms.saturating_sub(seen_ms) < VIEW_MS)
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
        mut change: impl FnMut(&Record) -> Step<A>,
    ) -> Result<Step<A>, Failed> {
        for _ in 0..tries {
            let loaded = self.load(store, moment.now_ms, epoch)?;
            let step = change(&loaded.record);
            let next = match &step.record {
                Some(next) => next,
                None if loaded.found == Origin::Record => return Ok(step),
                None => &loaded.record,
            };
            if loaded.found == Origin::Garbage {
                self.note_repair(moment.now_ms)?;
            }
            let written = store.set(&self.key, &codec::encode(next), loaded.token);
            (self.view, self.absent_ms) = (None, None);
            match written {
                Ok(()) => {
                    self.note_seen(next, moment.now_ms);
                    return Ok(step);
                }
                Err(SetError::CasMismatch) => self.counters.count(Event::WriteConflict),
                Err(SetError::Host) => {
                    self.counters.count(Event::HostError);
                    return Err(Failed::Host);
                }
            }
        }
        self.counters.count(Event::WriteGivenUp);
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
        self.note_time(now_ms);
        (self.view, self.absent_ms) = (None, None);
        let Ok(found) = store.get(&self.key) else {
            self.counters.count(Event::HostError);
            return Err(Failed::Host);
        };
        let (bytes, token) = found.unwrap_or((Vec::new(), CREATE));
        let record = match codec::decode(&bytes) {
            Decoded::Ok(record) if self.fits(&record) => record,
            Decoded::Newer(record) if self.fits(&record) => {
                self.counters.count(Event::NewerRecord);
                record
            }
            unusable => {
                let found = if unusable == Decoded::Absent { Origin::Nothing } else { Origin::Garbage };
                self.counters.add(Event::CorruptRecord, (found == Origin::Garbage).into());
                self.absent_ms = (found == Origin::Nothing).then_some(now_ms);
                return Ok(Loaded { record: Record::new(epoch, &self.policy, now_ms), token, found });
            }
        };
        self.note_seen(&record, now_ms);
        Ok(Loaded { record, token, found: Origin::Record })
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
        *count = count.saturating_add(1);
        if *count > MAX_REPAIRS { Err(Failed::Foreign) } else { Ok(()) }
    }

    /// Notices a clock that went back. Nothing that was seen before holds then.
    fn note_time(&mut self, now_ms: u64) {
        if now_ms < self.last_ms {
            self.counters.count(Event::ClockBackward);
            (self.view, self.absent_ms) = (None, None);
        }
        self.last_ms = now_ms;
    }

    fn note_seen(&mut self, record: &Record, now_ms: u64) {
        self.view = CachedView::of(record, &self.policy, now_ms);
        self.seen_epoch = record.epoch;
        self.seen_run = record.state == State::Closed && record.run > 0;
    }
}
