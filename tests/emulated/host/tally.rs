//! Counts what crosses between host and module on this thread: the price of a call, in the order of what it costs.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// What has crossed since the tally was begun.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Callbacks: entries into the module.
    pub entries: usize,
    /// Host calls by name.
    pub calls: BTreeMap<&'static str, usize>,
    /// Host calls that went back into the module for memory.
    pub allocations: usize,
    /// Bytes that were copied into that memory.
    pub bytes: usize,
}

impl Tally {
    /// All host calls.
    pub fn host_calls(&self) -> usize {
        self.calls.values().sum()
    }
}

thread_local! {
    static TALLY: RefCell<Tally> = RefCell::default();
}

/// What crosses while `work` runs.
pub fn of(work: impl FnOnce()) -> Tally {
    TALLY.take();
    work();
    TALLY.take()
}

pub(super) fn host_call(name: &'static str) {
    TALLY.with_borrow_mut(|tally| *tally.calls.entry(name).or_default() += 1);
}

pub(super) fn entry() {
    TALLY.with_borrow_mut(|tally| tally.entries += 1);
}

pub(super) fn allocation(bytes: usize) {
    TALLY.with_borrow_mut(|tally| {
        tally.allocations += 1;
        tally.bytes += bytes;
    });
}
