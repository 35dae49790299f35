//! The registry: one file that says which servers there are, how to reach them and which tools they offer.
//!
//! [`Registry::from_wire`] reads it in two stages. First each entity is read from the wire form with [`crate::wire`],
//! its references to others still text; then the references are resolved and the rules that span entities are checked. What
//! comes out are types that cannot hold nonsense; what is wrong comes out as [`Problem`]s, all of them at once.

mod allowed;
pub mod identity;
mod model;
mod named;
mod read;
#[cfg(any(test, feature = "cli"))]
pub mod slice;
#[cfg(test)]
pub(crate) mod tests;

pub use crate::failure::ServerKind;
pub use crate::wire::{Id, Problem};
pub use allowed::AllowedTools;
pub use model::*;
pub use named::{HasName, Named};
#[cfg(feature = "cli")]
pub use read::mappings;
