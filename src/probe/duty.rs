//! Which of several probers acts: the one that holds a lease in the data that they share.
//!
//! A prober acts only in a tick in which its own write of the lease succeeded, so between two writes of the record one of
//! them has acted and no other. One that is gone is replaced once its lease has run out.

use crate::shared_data::{CREATE, SharedData};

/// The key of the lease; the number is the version of its layout.
const KEY: &str = "prober1";

/// How long a holder that doesn't renew its lease keeps it, ms: a few ticks.
const LEASE_MS: u64 = 5_000;

/// An update of the configuration makes new probers, and Envoy keeps the old ones alive until their connections have
/// ended, ten minutes by default. The first of those that came to life so much later, ms, takes over: it knows the new
/// configuration. Less than this apart, they are of one update.
const GENERATION_MS: u64 = 10_000;

/// One of the probers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Random, to tell it from the others.
    id: u64,
    /// When it came to life, ms.
    born_ms: u64,
}

/// The lease, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Duty {
    holder: Candidate,
    until_ms: u64,
}

impl Candidate {
    /// A prober that comes to life at `now_ms`. `id` must be random.
    pub fn new(id: u64, now_ms: u64) -> Self {
        Candidate { id, born_ms: now_ms }
    }

    /// Whether this prober is to act now; to be asked in every tick. If the data can't be read or written it is not: what
    /// a prober does, calls do as well.
    pub fn is_on_duty(&self, store: &impl SharedData, now_ms: u64) -> bool {
        let Ok(found) = store.get(KEY) else { return false };
        let (bytes, token) = found.unwrap_or((Vec::new(), CREATE));
        if Duty::decode(&bytes).is_some_and(|duty| !self.may_take(&duty, now_ms)) {
            return false;
        }
        let duty = Duty { holder: *self, until_ms: now_ms.saturating_add(LEASE_MS) };
        store.set(KEY, &duty.encode(), token).is_ok()
    }

    fn may_take(&self, duty: &Duty, now_ms: u64) -> bool {
        let Duty { holder, until_ms } = *duty;
        // A lease that ends later than any that could be given now was written by another clock.
        let over = now_ms >= until_ms || until_ms > now_ms.saturating_add(LEASE_MS);
        holder == *self || over || self.born_ms >= holder.born_ms.saturating_add(GENERATION_MS)
    }
}

impl Duty {
    fn encode(&self) -> Vec<u8> {
        [self.holder.id, self.holder.born_ms, self.until_ms].map(u64::to_le_bytes).as_flattened().to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (numbers, []) = bytes.as_chunks::<8>() else { return None };
        let [id, born_ms, until_ms] = <[[u8; 8]; 3]>::try_from(numbers).ok()?.map(u64::from_le_bytes);
        Some(Duty { holder: Candidate { id, born_ms }, until_ms })
    }
}
