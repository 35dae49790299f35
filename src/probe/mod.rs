//! Synthetic probes: asks a server whether it is well when no call does, so that a dead server which nobody calls comes
//! back without a user's call being risked on it.
//!
//! [`request`] is what is sent, [`judge`] what the answer means, and [`Schedule`] when it is time. A probe takes the lease
//! of the server's breaker as a live call would, so there is one probe at a time however many workers and probers there
//! are. What the answer means is judged by [`crate::failure`], as an attempt's is: a lost session or a refused credential
//! says nothing about the server, and gives the lease back.
//!
//! [`Candidate`] is for probers of which there are several: it tells each whether it is the one on duty.

mod duty;
mod judge;
mod request;
mod schedule;
#[cfg(test)]
mod tests;

pub use duty::Candidate;
pub use judge::{Reply, judge};
pub use request::{Message, farewell, request};
pub use schedule::Schedule;
