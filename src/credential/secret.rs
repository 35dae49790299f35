//! A secret in memory. Nothing in here can print one.

use std::fmt;

/// A token, key or password.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// A secret, unless `bytes` are empty once white space at both ends is taken off, as files and shells leave some.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let trimmed = bytes.trim_ascii();
        (!trimmed.is_empty()).then(|| Secret(trimmed.into()))
    }

    /// The header value that carries the secret.
    pub fn header_value(&self, prefix: &str) -> Vec<u8> {
        [prefix.as_bytes(), &self.0].concat()
    }

    /// Whether a header can carry it: visible ASCII characters only.
    pub fn fits_a_header(&self) -> bool {
        self.0.iter().all(u8::is_ascii_graphic)
    }

    /// Whether it is JSON that a token stands in.
    pub(super) fn is_json(&self) -> bool {
        self.0.starts_with(b"{")
    }

    /// Whether these bytes are this secret, once white space is taken off.
    pub fn is(&self, bytes: &[u8]) -> bool {
        *self.0 == *bytes.trim_ascii()
    }

    /// The secret itself, for those who read its claims or hash it.
    pub(super) fn reveal(&self) -> &[u8] {
        &self.0
    }
}
