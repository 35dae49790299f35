//! One state of the model: the shared record, and what every worker is doing.
//!
//! The shipped steps and codec work on absolute times and ever growing numbers. So that the states are finitely many, each
//! is brought to a normal form in which only what the code can tell apart is left: times relative to now, epochs and
//! leases in their order, workers in no order.

use std::collections::BTreeSet;

use dualpath::breaker::codec::{Decoded, decode, encode};
use dualpath::breaker::{Bucket, CachedView, Lease, Outcome, Reason, Record, State as Breaker, Ticket, VIEW_MS};

/// One tick of the clock, ms: a worker's view of a healthy record holds in the next tick, and not in the one after.
pub const TICK: u64 = VIEW_MS - 1;
/// The time, always.
pub const NOW: u64 = 1_000_000;
/// Ticks that may pass between a worker's read and its write.
pub const OLDEST: u8 = 1;
/// So many ticks after the breaker was last closed no worker may take it to be closed.
pub const TOO_LATE: u8 = 2;

/// What a worker is doing between two calls of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// A call asks to be admitted; so many writes have failed.
    Admit(u8),
    /// The loser of a race looks whether the call may go.
    Peek,
    /// A call reports.
    Report(Ticket, Outcome),
}

/// An operation that has read the record and not written yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub work: Work,
    /// What it read.
    pub read: Option<Vec<u8>>,
    /// Whether nobody has written since.
    pub current: bool,
    /// Ticks since it began; it works with the time of its beginning.
    pub age: u8,
}

/// What a worker remembers of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    pub view: CachedView,
    /// Whether a failure of its own has come after it.
    pub failed: bool,
}

/// One worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Worker {
    /// Kept for as long as the protocol may use it.
    pub memory: Option<Memory>,
    pub operation: Option<Operation>,
    /// Calls under way.
    pub calls: Vec<Ticket>,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The record in shared data.
    pub stored: Option<Vec<u8>>,
    /// Failures in a row as a list of all written results would have them.
    pub run: u16,
    /// Ticks since the breaker was last closed; no more are counted than a view may last.
    pub away: u8,
    pub workers: Vec<Worker>,
}

/// The record that `bytes` are.
pub fn record(bytes: &[u8]) -> Record {
    match decode(bytes) {
        Decoded::Ok(record) => record,
        other => panic!("no record: {other:?}"),
    }
}

impl State {
    /// The state of the breaker; closed without a record.
    pub fn breaker(&self) -> Breaker {
        self.stored.as_deref().map_or(Breaker::Closed, |bytes| record(bytes).state)
    }

    /// Lets one tick pass.
    pub fn tick(&mut self) {
        let earlier = |bytes: &mut Vec<u8>| {
            let mut record = record(bytes);
            record.since_ms -= TICK;
            record.deadline_ms = record.deadline_ms.saturating_sub(TICK);
            *bytes = encode(&record);
        };
        self.stored.iter_mut().for_each(earlier);
        for operation in self.workers.iter_mut().filter_map(|worker| worker.operation.as_mut()) {
            operation.age += 1;
            operation.read.iter_mut().for_each(earlier);
        }
        for memory in self.workers.iter_mut().filter_map(|worker| worker.memory.as_mut()) {
            memory.view.seen_ms = memory.view.seen_ms.saturating_sub(TICK);
        }
        self.away = if self.breaker() == Breaker::Closed { 0 } else { (self.away + 1).min(TOO_LATE) };
    }

    /// Brings the state to its normal form and answers that as bytes.
    pub fn normalise(&mut self) -> Vec<u8> {
        let mut records: Vec<Record> = self.records().map(|bytes| record(bytes)).collect();
        let tickets = self.workers.iter().flat_map(|worker| {
            let reporting = worker.operation.as_ref().and_then(|operation| match operation.work {
                Work::Report(ticket, _) => Some(ticket),
                Work::Admit(_) | Work::Peek => None,
            });
            worker.calls.iter().copied().chain(reporting)
        });
        let tickets: Vec<Ticket> = tickets.collect();
        let views = self.workers.iter().filter_map(|worker| Some(worker.memory.as_ref()?.view.epoch));
        let epochs: BTreeSet<u32> = records
            .iter()
            .map(|record| record.epoch)
            .chain(tickets.iter().map(|ticket| ticket.epoch))
            .chain(views)
            .collect();
        let leases: BTreeSet<u32> = records
            .iter()
            .map(|record| record.lease.0 >> 1)
            .chain(tickets.iter().filter_map(|ticket| ticket.lease).map(|lease| lease.0 >> 1))
            .collect();
        let epoch = |old: u32| epochs.iter().position(|epoch| *epoch == old).expect("collected") as u32 + 1;
        let lease = |old: Lease| {
            let number = leases.iter().position(|lease| *lease == old.0 >> 1).expect("collected") as u32 + 1;
            Lease(number << 1 | old.0 & 1)
        };
        let rename = |ticket: &mut Ticket| {
            ticket.epoch = epoch(ticket.epoch);
            ticket.lease = ticket.lease.map(lease);
        };
        let past = NOW - TICK * u64::from(OLDEST);
        for record in &mut records {
            record.epoch = epoch(record.epoch);
            record.lease = lease(record.lease);
            record.since_ms = record.since_ms.max(past);
            record.deadline_ms = record.deadline_ms.max(past);
            // Periods do not grow here, and no rate trips.
            record.attempt = record.attempt.min(1);
            record.reason = Reason::Created;
            record.window.head = 0;
            record.window.buckets.fill(Bucket::default());
        }
        let mut records = records.iter().map(encode);
        let mut renew = |bytes: &mut Option<Vec<u8>>| {
            if let Some(bytes) = bytes {
                *bytes = records.next().expect("as many as before");
            }
        };
        renew(&mut self.stored);
        for worker in &mut self.workers {
            if let Some(operation) = &mut worker.operation {
                renew(&mut operation.read);
                if let Work::Report(ticket, _) = &mut operation.work {
                    rename(ticket);
                }
            }
            if let Some(memory) = &mut worker.memory {
                memory.view.epoch = epoch(memory.view.epoch);
                memory.view.seen_ms = memory.view.seen_ms.max(NOW - TICK * u64::from(TOO_LATE));
            }
            worker.calls.iter_mut().for_each(rename);
            worker.calls.sort_by_key(|ticket| ticket.to_bits());
        }
        self.workers.sort_by_cached_key(|worker| {
            let mut bytes = Vec::new();
            worker.write(&mut bytes);
            bytes
        });
        // Only somebody who takes it to be closed cares since when it is not.
        if self.workers.iter().all(|worker| worker.memory.is_none() && worker.operation.is_none()) {
            self.away = if self.breaker() == Breaker::Closed { 0 } else { TOO_LATE };
        }
        let mut bytes = self.run.to_le_bytes().to_vec();
        bytes.push(self.away);
        write_record(&self.stored, &mut bytes);
        self.workers.iter().for_each(|worker| worker.write(&mut bytes));
        bytes
    }

    fn records(&self) -> impl Iterator<Item = &Vec<u8>> {
        let read = self.workers.iter().filter_map(|worker| worker.operation.as_ref()?.read.as_ref());
        self.stored.iter().chain(read)
    }
}

fn write_record(bytes: &Option<Vec<u8>>, out: &mut Vec<u8>) {
    out.push(bytes.is_some().into());
    out.extend(bytes.iter().flatten());
}

impl Worker {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.calls.len() as u8);
        out.extend(self.calls.iter().flat_map(|ticket| ticket.to_bits().to_le_bytes()));
        out.push(self.memory.is_some().into());
        if let Some(Memory { view, failed }) = &self.memory {
            out.extend(view.epoch.to_le_bytes());
            out.extend([((NOW - view.seen_ms) / TICK) as u8, (*failed).into()]);
        }
        let Some(operation) = &self.operation else { return out.push(0) };
        out.extend([1, operation.current.into(), operation.age]);
        match operation.work {
            Work::Admit(tries) => out.extend([0, tries]),
            Work::Peek => out.push(1),
            Work::Report(ticket, outcome) => {
                let outcome = match outcome {
                    Outcome::Success => 0,
                    Outcome::Failure => 1,
                    Outcome::Limited { .. } => 2,
                    Outcome::Alive => 3,
                    Outcome::Neutral => 4,
                    Outcome::Overdue { .. } => 5,
                };
                out.extend([2, outcome]);
                out.extend(ticket.to_bits().to_le_bytes());
            }
        }
        write_record(&operation.read, out);
    }
}
