//! The key under which an answer is kept.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

/// What keys and check sums are made under: random bytes that all VMs of a process agree on, so that nobody outside can aim
/// at a place of the table or at another's key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 16]);

/// A question that answers are kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(pub u128);

impl Secret {
    /// A keyed hash (SipHash-2-4 with 128 bits) of these parts, each with its length before it: no other parts have the same.
    #[inline(never)]
    pub(super) fn hash(&self, parts: &[&[u8]]) -> u128 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        for part in parts {
            hasher.write(&(part.len() as u64).to_le_bytes());
            hasher.write(part);
        }
        hasher.finish128().as_u128()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Key {
    /// The key of a question that is made of these parts. Whoever asks has them in a fixed order.
    pub fn of(secret: &Secret, parts: &[&[u8]]) -> Self {
        Key(secret.hash(parts))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn other_parts_have_another_key(
            one in proptest::collection::vec("[ab]{0,3}", 0..5), other in proptest::collection::vec("[ab]{0,3}", 0..5)
        ) {
            let key = |parts: &[String]| {
                Key::of(&Secret([7; 16]), &parts.iter().map(String::as_bytes).collect::<Vec<_>>())
            };
            prop_assert_eq!(key(&one) == key(&other), one == other);
        }
    }

    #[test]
    fn another_process_has_other_keys() {
        assert_ne!(Key::of(&Secret([1; 16]), &[b"a"]), Key::of(&Secret([2; 16]), &[b"a"]));
        assert_eq!(format!("{:?}", Secret([65; 16])), "Secret(..)");
    }
}
