//! JSON-RPC 2.0 as MCP uses it: a borrowed look at what a client sent and at what a server answered, and the
//! messages Dualpath writes itself.
//!
//! Looking never changes a message. What is forwarded are the bytes that arrived, and an `id` comes back exactly as
//! it was written: `1`, `1.0` and `"1"` are three different ids to some clients.

mod answer;
mod code;
mod id;
mod incoming;
mod object;
mod writer;

pub use answer::{Answer, text_of};
pub use code::ErrorCode;
pub use id::{OwnedId, RequestId};
pub use incoming::{Incoming, Invalid, Request, parse};
pub use writer::{Details, error, result};

pub(crate) use object::{Unreadable, members, members_once};

#[cfg(test)]
mod tests;
