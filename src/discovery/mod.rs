//! What each MCP server can do, known before a call asks: the prober has it list its tools (`discovery` in the registry).
//!
//! [`Walk`] is the conversation with one server, [`List`] what came of it. A complete list lies in the host's shared data,
//! one record per server, and counts for as long as the server says (`ttlMs`), or as long as the registry does. [`Seen`] is
//! what a worker keeps of the records, so that planning a call costs no look at them. [`drift`] tells in what two servers
//! differ that are to stand in for each other.
//!
//! A list only ever narrows where a call goes, and only while it is whole and fresh: one that could not be had, is too long
//! to be kept or is too old changes nothing.

mod drift;
mod list;
mod seen;
#[cfg(test)]
mod tests;
mod walk;

pub use drift::{KINDS, drift};
pub use list::{List, REVISION, key};
pub use seen::{Called, Seen};
pub use walk::{Heard, Next, Walk};

/// FNV-1a of a text, 64 bits: names and schemas are compared by it.
fn hash(text: &str) -> u64 {
    crate::breaker::fnv1a_64(text.bytes())
}
