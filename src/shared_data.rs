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
