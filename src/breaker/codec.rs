//! The record's wire form, version 1, little endian:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 1 | magic `0xCB` |
//! | 1 | 1 | schema |
//! | 2 | 1 | header length, where the buckets begin: 44 |
//! | 3 | 1 | state (low nibble), reason (high nibble) |
//! | 4 | 4 | epoch |
//! | 8 | 8 | time of the last change of state, ms |
//! | 16 | 8 | deadline, ms |
//! | 24 | 4 | lease |
//! | 28 | 4 | attempt, streak, lost, number of buckets; one byte each |
//! | 32 | 2 | run |
//! | 34 | 2 | bucket width, ms |
//! | 36 | 4 | policy fingerprint |
//! | 40 | 4 | number of the newest bucket |
//! | 44 | 6 each | buckets, newest first: ok, fail, slow; 2 bytes each |
//! | end - 4 | 4 | FNV-1a 32 of everything before |
//!
//! 108 bytes with ten buckets. A newer minor may lengthen the header and put bytes between buckets and checksum; both are
//! carried through unchanged, so that an old and a new module can share a record while one drains.

use super::fingerprint::{fnv1a_32, fnv1a_64};
use super::record::{Lease, Reason, Record, State};
use super::window::{Bucket, Window};

const MAGIC: u8 = 0xCB;
const HEADER: usize = 44;
const BUCKET: usize = 6;

/// What a value found in shared data turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// Nothing is stored.
    Absent,
    /// A record of this version.
    Ok(Record),
    /// A record of a newer minor version; encoding it keeps what this version does not understand.
    Newer(Record),
    /// Not a record.
    Corrupt(Corruption),
}

/// Why a value is not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corruption {
    /// Too short for a header.
    Short,
    /// Another first byte.
    Magic,
    /// The checksum does not match.
    Checksum,
    /// A schema, header or total length that no version writes.
    Length,
    /// A state that does not exist.
    State,
    /// No buckets, or buckets without width.
    Geometry,
}

impl Corruption {
    /// The name used in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Corruption::Short => "short",
            Corruption::Magic => "magic",
            Corruption::Checksum => "checksum",
            Corruption::Length => "length",
            Corruption::State => "state",
            Corruption::Geometry => "geometry",
        }
    }
}

/// The shared-data key of a server's record. The layout's major version and the window's geometry are part of it, so
/// that two policies with different windows never fight over one record.
pub fn key(server: &str, buckets: u8, bucket_ms: u16) -> String {
    let geometry = [&[buckets][..], &bucket_ms.to_le_bytes()].concat();
    format!("cb1:{:016x}", fnv1a_64(server.bytes().chain(geometry)))
}

/// Reads a stored value. Total: any bytes give an answer.
pub fn decode(bytes: &[u8]) -> Decoded {
    if bytes.is_empty() {
        return Decoded::Absent;
    }
    match read(bytes) {
        Ok(record) if record.schema > Record::SCHEMA => Decoded::Newer(record),
        Ok(record) => Decoded::Ok(record),
        Err(why) => Decoded::Corrupt(why),
    }
}

/// The record as bytes.
pub fn encode(record: &Record) -> Vec<u8> {
    let header = u8::try_from(HEADER.saturating_add(record.newer_header.len())).unwrap_or(u8::MAX);
    let buckets = u8::try_from(record.window.buckets.len()).unwrap_or(u8::MAX);
    let mut out = vec![MAGIC, record.schema, header, record.state as u8 | record.reason.number() << 4];
    out.extend(record.epoch.to_le_bytes());
    out.extend(record.since_ms.to_le_bytes());
    out.extend(record.deadline_ms.to_le_bytes());
    out.extend(record.lease.0.to_le_bytes());
    out.extend([record.attempt, record.streak, record.lost, buckets]);
    out.extend(record.run.to_le_bytes());
    out.extend(record.window.bucket_ms.to_le_bytes());
    out.extend(record.policy.to_le_bytes());
    out.extend(record.window.head.to_le_bytes());
    out.extend(&record.newer_header);
    for bucket in record.window.buckets.iter().take(buckets.into()) {
        out.extend([bucket.ok, bucket.fail, bucket.slow].into_iter().flat_map(u16::to_le_bytes));
    }
    out.extend(&record.newer_tail);
    out.extend(fnv1a_32(&out).to_le_bytes());
    out
}

fn read(bytes: &[u8]) -> Result<Record, Corruption> {
    let (body, checksum) = bytes.split_last_chunk::<4>().ok_or(Corruption::Short)?;
    if body.len() < HEADER {
        return Err(Corruption::Short);
    }
    let mut rest = Reader(body);
    let [magic, schema, header, state_reason] = rest.take()?;
    if magic != MAGIC {
        return Err(Corruption::Magic);
    }
    if fnv1a_32(body) != u32::from_le_bytes(*checksum) {
        return Err(Corruption::Checksum);
    }
    let state = match state_reason & 0xF {
        0 => State::Closed,
        1 => State::Open,
        2 => State::HalfOpen,
        _ => return Err(Corruption::State),
    };
    let epoch = u32::from_le_bytes(rest.take()?);
    let since_ms = u64::from_le_bytes(rest.take()?);
    let deadline_ms = u64::from_le_bytes(rest.take()?);
    let lease = Lease(u32::from_le_bytes(rest.take()?));
    let [attempt, streak, lost, count] = rest.take()?;
    let run = u16::from_le_bytes(rest.take()?);
    let bucket_ms = u16::from_le_bytes(rest.take()?);
    let policy = u32::from_le_bytes(rest.take()?);
    let head = u32::from_le_bytes(rest.take()?);
    if count == 0 || bucket_ms == 0 {
        return Err(Corruption::Geometry);
    }
    let newer_header = rest.split(usize::from(header).checked_sub(HEADER).ok_or(Corruption::Length)?)?.to_vec();
    let buckets = rest.split(usize::from(count).saturating_mul(BUCKET))?.chunks_exact(BUCKET).map(bucket).collect();
    let newer_tail = rest.0.to_vec();
    let grown = !newer_header.is_empty() || !newer_tail.is_empty();
    if schema < Record::SCHEMA || (schema == Record::SCHEMA && grown) {
        return Err(Corruption::Length);
    }
    let window = Window { bucket_ms, head, buckets };
    let reason = Reason::from_number(state_reason >> 4);
    Ok(Record {
        schema,
        state,
        reason,
        epoch,
        since_ms,
        deadline_ms,
        lease,
        attempt,
        streak,
        lost,
        run,
        policy,
        window,
        newer_header,
        newer_tail,
    })
}

fn bucket(bytes: &[u8]) -> Bucket {
    let mut numbers = bytes.as_chunks::<2>().0.iter().map(|number| u16::from_le_bytes(*number));
    let mut next = || numbers.next().unwrap_or(0);
    Bucket { ok: next(), fail: next(), slow: next() }
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Corruption> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Corruption::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn split(&mut self, length: usize) -> Result<&'b [u8], Corruption> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Corruption::Length)?;
        self.0 = rest;
        Ok(taken)
    }
}
