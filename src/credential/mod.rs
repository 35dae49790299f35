//! The lifecycle of a credential: what is known of its two slots, which of them a call gets, and what is told of that.
//!
//! A credential is one secret with two places for it, slot a and slot b, so that a new token can be put beside the old
//! one while calls flow. Everything here is pure: secrets, clocks and randomness are parameters.

pub mod audit;
pub mod date;
mod endpoint;
mod fingerprint;
mod handed;
mod lifetime;
mod report;
mod secret;
mod slots;
mod testimony;
mod token;
mod watch;

pub use endpoint::secret_in;
pub use fingerprint::{Fingerprint, FingerprintKey};
pub use handed::{Defect, Handed};
pub use lifetime::{AgePolicy, Declared, Lifetime, Severity, Validity};
pub use report::{Report, SlotReport};
pub use secret::Secret;
pub use slots::{Availability, Cause, Now, Selection, Slot, SlotPair};
pub use testimony::{Seen, Testimony, Word};
pub use watch::Watch;

#[cfg(test)]
mod tests;
