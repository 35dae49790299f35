//! JSON (RFC 8259), as the module reads and writes it: text in, text out.
//!
//! A reader of its own, although the command line has `serde_json`: of that the module would carry one copy for each type that
//! is read, the printing of floating-point numbers with 20 KiB of tables, and the wording of errors that nobody sees: 90 KiB in
//! all. What it must read is little. A value that is only passed on is a [`Raw`], the text as it stands; numbers are never more than
//! their digits. Tests compare it with `serde_json`.

mod raw;
mod reader;
#[cfg(test)]
mod tests;
mod value;
mod writer;

pub use raw::Raw;
pub use reader::{Malformed, Reader};
pub use value::{Map, Value};
pub use writer::{Object, array, quoted, write_quoted};
