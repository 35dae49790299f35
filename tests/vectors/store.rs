//! Shared data in memory, as proxy-wasm-cpp-host implements it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use dualpath::shared_data::{HostError, SetError, SharedData};

/// A value with its token.
pub type Entry = Option<(Vec<u8>, u32)>;

/// The host's map. Tokens come from one counter; an absent key takes any token, and token 0 overwrites without asking.
#[derive(Default)]
pub struct Store {
    map: RefCell<HashMap<String, (Vec<u8>, u32)>>,
    last_token: Cell<u32>,
}

impl SharedData for Store {
    fn get(&self, key: &str) -> Result<Entry, HostError> {
        Ok(self.map.borrow().get(key).cloned())
    }

    fn set(&self, key: &str, value: &[u8], token: u32) -> Result<(), SetError> {
        let mut map = self.map.borrow_mut();
        if map.get(key).is_some_and(|(_, current)| token != 0 && token != *current) {
            return Err(SetError::CasMismatch);
        }
        self.last_token.set(self.last_token.get() + 1);
        map.insert(key.to_owned(), (value.to_vec(), self.last_token.get()));
        Ok(())
    }
}

/// The store as one worker sees it: its next read may be one that it made earlier.
pub struct Stale<'s> {
    pub store: &'s Store,
    pub snapshot: RefCell<Option<Entry>>,
}

impl SharedData for Stale<'_> {
    fn get(&self, key: &str) -> Result<Entry, HostError> {
        match self.snapshot.take() {
            Some(entry) => Ok(entry),
            None => self.store.get(key),
        }
    }

    fn set(&self, key: &str, value: &[u8], token: u32) -> Result<(), SetError> {
        self.store.set(key, value, token)
    }
}
