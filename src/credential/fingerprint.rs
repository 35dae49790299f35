//! What may be told of a secret: a number that tells two secrets apart and from which neither can be found.

use std::fmt;

use siphasher::sip::SipHasher24;

use super::Secret;

/// The key of a process. With another key the same secret has another fingerprint, so that nobody can compare a list of
/// guesses with an audit trail.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FingerprintKey(pub [u8; 16]);

/// A keyed hash (SipHash-2-4) of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub u64);

impl FingerprintKey {
    /// The fingerprint of `secret` under this key.
    pub fn of(self, secret: &Secret) -> Fingerprint {
        Fingerprint(self.hash(secret.reveal()))
    }

    /// The same of anything: a number that nobody can aim at who does not know the key.
    pub fn hash(self, bytes: &[u8]) -> u64 {
        SipHasher24::new_with_key(&self.0).hash(bytes)
    }
}

impl Fingerprint {
    /// The fingerprint that is written so.
    pub fn parse(hex: &[u8]) -> Option<Self> {
        u64::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok().map(Fingerprint)
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(..)")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
