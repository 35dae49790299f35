//! FNV-1a: short hashes of what a record holds and of what it is found under. They keep no secret.

/// Any change that is confined to one byte changes it, because each round is a bijection for a fixed input byte.
pub(super) fn fnv1a_32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811C_9DC5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The same with more bits, for keys that must not meet.
pub(crate) fn fnv1a_64(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}
