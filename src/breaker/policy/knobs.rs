//! The numbers of a policy: each stands once, with its meaning and its default.

use super::Slow;

/// Defines a part of a policy from its numbers. Those of `fingerprinted` move records, and are hashed in this order; those of
/// `others` are not in the fingerprint.
macro_rules! knobs {
    (
        $(#[$doc:meta])*
        pub struct $part:ident;
        fingerprinted { $($(#[$about:meta])* $knob:ident: $type:ty = $default:expr,)* }
        others { $($(#[$other_about:meta])* $other:ident: $other_type:ty = $other_default:expr,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct $part {
            $($(#[$about])* pub $knob: $type,)*
            $($(#[$other_about])* pub $other: $other_type,)*
        }

        impl Default for $part {
            fn default() -> Self {
                $part { $($knob: $default,)* $($other: $other_default,)* }
            }
        }

        impl $crate::breaker::policy::knobs::Hashed for $part {
            #[allow(unused_variables, reason = "a part may have nothing to hash")]
            fn hash(self, bytes: &mut Vec<u8>) {
                $($crate::breaker::policy::knobs::Hashed::hash(self.$knob, bytes);)*
            }
        }
    };
}

pub(super) use knobs;

/// What a fingerprint is made of: eight bytes for every number.
pub(super) trait Hashed {
    /// Adds the bytes.
    fn hash(self, bytes: &mut Vec<u8>);
}

impl Hashed for u64 {
    fn hash(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_le_bytes());
    }
}

macro_rules! hashed_as_u64 {
    ($($small:ty)*) => {$(
        impl Hashed for $small {
            fn hash(self, bytes: &mut Vec<u8>) {
                u64::from(self).hash(bytes);
            }
        }
    )*};
}

hashed_as_u64!(u8 u16 u32);

impl Hashed for f64 {
    fn hash(self, bytes: &mut Vec<u8>) {
        self.to_bits().hash(bytes);
    }
}

// What is off has a value that no number can have.
const OFF: u64 = u64::MAX;

impl Hashed for Option<u16> {
    fn hash(self, bytes: &mut Vec<u8>) {
        self.map_or(OFF, u64::from).hash(bytes);
    }
}

impl Hashed for Option<f64> {
    fn hash(self, bytes: &mut Vec<u8>) {
        self.map_or(OFF, f64::to_bits).hash(bytes);
    }
}

impl Hashed for Option<Slow> {
    fn hash(self, bytes: &mut Vec<u8>) {
        self.map_or(OFF, |slow| slow.after_ms).hash(bytes);
        self.map(|slow| slow.rate).hash(bytes);
    }
}
