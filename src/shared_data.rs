//! What the host keeps for all workers of the process.

/// The host's key-value store, shared by all workers of the process.
pub trait SharedData {
    /// The value under `key` with its token; `None` if there is none. A deleted key may also show as an empty value.
    ///
    /// # Errors
    /// If the host refuses.
    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError>;

    /// Writes `value` if nobody has written since the read that gave `token`.
    ///
    /// # Errors
    /// If somebody has, or if the host refuses.
    fn set(&self, key: &str, value: &[u8], token: u32) -> Result<(), SetError>;
}

/// The host refused a read or a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostError;

/// Why a write did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetError {
    /// Somebody else has written since the read.
    CasMismatch,
    /// The host refused.
    Host,
}

/// The host takes any token for a key that does not exist, and only the right one for a key that does. So of two workers
/// that create a value with this token only the first succeeds; token 0 would overwrite without asking.
pub const CREATE: u32 = 0xFFFF_FFFF;

/// Shared data in memory, for tests.
#[cfg(test)]
pub mod memory {
    use std::cell::RefCell;
    use std::collections::HashMap;

    use super::{HostError, SetError, SharedData};

    /// Values with their tokens.
    #[derive(Default)]
    pub struct Store(pub RefCell<HashMap<String, (Vec<u8>, u32)>>);

    impl SharedData for Store {
        fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
            Ok(self.0.borrow().get(key).cloned())
        }

        fn set(&self, key: &str, value: &[u8], token: u32) -> Result<(), SetError> {
            let mut all = self.0.borrow_mut();
            if all.get(key).is_some_and(|(_, known)| *known != token) {
                return Err(SetError::CasMismatch);
            }
            let next = all.get(key).map_or(1, |(_, known)| known + 1);
            all.insert(key.to_owned(), (value.to_vec(), next));
            Ok(())
        }
    }
}
