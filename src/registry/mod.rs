//! The registry: one file that says which servers there are, how to reach them and which tools they offer.
//!
//! Two stages: [`reader`] walks the wire form and notes every problem; what comes out are the types of [`model`],
//! which cannot hold nonsense.

mod model;
mod problem;
pub mod reader;

pub use model::*;
pub use problem::{Problem, Problems};
