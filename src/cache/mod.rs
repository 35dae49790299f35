//! Answers that are kept: what may be, under which key, where, and what is given again.
//!
//! Nothing here decides whether a call is answered from the cache; [`crate::call::cached`] does.
//!
//! * **What is asked** is a key of 128 bits ([`Key`]): a hash under a random key of the process, over the registry, the tool,
//!   whose answer it is, and the arguments in their one form ([`canonical`]). What can't be brought into that form exactly is
//!   not kept.
//! * **What is kept** ([`Kept`]) is the result of a call that succeeded whole, with its times. What the answer itself says of
//!   being kept (MCP's `ttlMs` and `cacheScope`) counts before the registry's word.
//! * **Where** is a table in the shared data ([`Table`]), seen by all workers of the process: a fixed number of sets with a
//!   fixed number of places and bytes each, since that store can't delete. Whatever is not exactly what was written is a miss.
//!
//! All times are of the monotonic clock, which is the same for all VMs of a process; the table does not outlive the process.

pub mod canonical;
mod entry;
mod kept;
mod key;
mod policy;
mod table;

pub use kept::{Kept, NotKept};
pub use key::{Key, Secret};
pub use policy::{CachePolicy, Scope};
pub use table::{SETS, Stored, Table, When, longest, note_purge, purged_ms};
