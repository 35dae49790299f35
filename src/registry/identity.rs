//! Tells registries apart.

/// A number made from the text of a registry, the same for all its slices.
pub fn of(wire: &impl std::fmt::Display) -> u64 {
    // FNV-1a.
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    wire.to_string().bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The number as operators see it.
pub fn shown(identity: u64) -> String {
    format!("{identity:016x}")
}
