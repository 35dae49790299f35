//! Reading a tree of JSON values (whatever it was written in) with every problem noted: what the registry and the
//! mappings of its tools are read with. Nothing here knows what is read.

mod id;
mod order;
mod problem;
pub mod query;
mod reader;
mod suggest;
mod token_like;
mod units;

pub use id::Id;
pub use order::{sort, sort_short};
#[cfg(feature = "cli")]
pub use problem::Mapping;
pub use problem::{Problem, Problems, Violation};
pub use reader::{Node, Table, VEIL, or};
pub use suggest::suggest;
pub use token_like::looks_like_a_token;
pub use units::{parse_duration, show_duration};
