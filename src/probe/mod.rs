//! Synthetic probes: asks a server whether it is well when no call does, so that a dead server which nobody calls comes
//! back without a user's call being risked on it.
//!
//! [`request`] is what is sent, [`judge`] what the answer means, and [`Schedule`] when it is time. A probe takes the lease
//! of the server's breaker as a live call would, so there is one probe at a time however many workers and probers there
//! are. What the answer means is judged by [`crate::failure`], as an attempt's is: a lost session or a refused credential
//! says nothing about the server, and gives the lease back.
//!
//! A probe is no attempt ([`crate::call::attempt`]), though the same judges read its answer and the same rule tells the
//! breaker. An attempt exists for a client: it settles by the first that its client must get now, be that a notification or
//! a sign of life, and decides where the call goes on. A probe has nobody to pass anything to and nowhere to go on to; it is
//! decided by the first answer to its id, whatever comes before, and by a status of the operator's where it is plain HTTP.
//! To drive the attempt's machine, the prober would have to make up a call, a flight and a budget, and then to ignore when
//! that machine settles.
//!
//! [`Candidate`] is for probers of which there are several: it tells each whether it is the one on duty.

mod begun;
mod duty;
mod judge;
mod request;
mod schedule;
#[cfg(test)]
mod tests;

pub use begun::{has_begun, note_begun};
pub use duty::Candidate;
pub use judge::{FirstAnswer, Reply, judge};
pub use request::{Message, farewell, is_answer, list, notification, request};
pub use schedule::Schedule;
