//! Independent draws from the one random number that a call has.
//!
//! A call that an enforced breaker refuses may ask again as one of last resort. If both used the same draw, the second
//! answer would follow from the first.

use super::step::Moment;

/// What a draw decides. The way back to a server that returns takes the number as it is ([`Moment::draw`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Draw {
    /// Whether a refusal holds.
    Enforcement = 0x9E37_79B9,
    /// Whether a call of last resort is shed.
    Shedding = 0x7F4A_7C15,
}

impl Draw {
    /// The draw of `moment` for this, spread evenly over 0 up to, not including, 1.
    pub(super) fn of(self, moment: Moment) -> f64 {
        Moment { random: mix(moment.random ^ self as u32), ..moment }.draw()
    }
}

/// The finaliser of MurmurHash3: every bit of the input changes about half of the output's, and no two inputs meet.
fn mix(mut bits: u32) -> u32 {
    bits = (bits ^ (bits >> 16)).wrapping_mul(0x85EB_CA6B);
    bits = (bits ^ (bits >> 13)).wrapping_mul(0xC2B2_AE35);
    bits ^ (bits >> 16)
}
