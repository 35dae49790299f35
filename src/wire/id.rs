//! The names that operators give.

use std::fmt;
use std::sync::Arc;

/// A name of the operator's: letters, digits, `-` and `_`, so that it fits a stat name, a header and a file name. A
/// clone is the same one in memory: every call has some.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(Arc<str>);

impl Id {
    /// The longest name allowed, in bytes.
    pub const MAX_LEN: usize = 63;

    /// A name, if it keeps the rule: `[a-z0-9]` first, then `[a-z0-9_-]`, at most 63 in all.
    pub fn new(text: &str) -> Option<Self> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let mut bytes = text.bytes();
        let first = bytes.next()?;
        let fits = legal(first) && bytes.all(|b| legal(b) || b == b'-' || b == b'_') && text.len() <= Self::MAX_LEN;
        fits.then(|| Id(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
