//! The host's shared data in memory, with faults on demand.

use std::cell::{Cell, RefCell};

use super::super::*;
use crate::shared_data::{HostError, SetError, SharedData};

/// Shared data for one breaker: the record, and whatever else it keeps.
#[derive(Debug, Default, Clone)]
pub struct Store {
    pub entry: RefCell<Option<(Vec<u8>, u32)>>,
    /// The value of the one other key.
    pub other: RefCell<Option<(Vec<u8>, u32)>>,
    pub calls: Cell<u32>,
    /// Answers of the next writes; `Ok` lets the write happen.
    pub faults: RefCell<Vec<SetError>>,
    /// Whether reads fail.
    pub unreadable: Cell<bool>,
}

impl Store {
    pub fn holding(bytes: &[u8], token: u32) -> Self {
        Store { entry: RefCell::new(Some((bytes.to_vec(), token))), ..Store::default() }
    }

    pub fn record(&self) -> Record {
        match codec::decode(&self.entry.borrow().clone().unwrap_or_default().0) {
            codec::Decoded::Ok(record) | codec::Decoded::Newer(record) => record,
            other => panic!("no record: {other:?}"),
        }
    }

    pub fn write(&self, value: &[u8], token: u32) -> Result<(), SetError> {
        write(&self.entry, value, token)
    }
}

fn write(entry: &RefCell<Option<(Vec<u8>, u32)>>, value: &[u8], token: u32) -> Result<(), SetError> {
    let mut entry = entry.borrow_mut();
    let current = entry.as_ref().map(|(_, token)| *token);
    if current.is_some_and(|current| token != 0 && token != current) {
        return Err(SetError::CasMismatch);
    }
    *entry = Some((value.to_vec(), current.unwrap_or(0) + 1));
    Ok(())
}

impl SharedData for Store {
    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
        if key.starts_with("reset:") {
            return Ok(self.other.borrow().clone());
        }
        self.calls.set(self.calls.get() + 1);
        if self.unreadable.get() { Err(HostError) } else { Ok(self.entry.borrow().clone()) }
    }

    fn set(&self, key: &str, value: &[u8], token: u32) -> Result<(), SetError> {
        if key.starts_with("reset:") {
            return write(&self.other, value, token);
        }
        self.calls.set(self.calls.get() + 1);
        match self.faults.borrow_mut().pop() {
            Some(fault) => Err(fault),
            None => self.write(value, token),
        }
    }
}
