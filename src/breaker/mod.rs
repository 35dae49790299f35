//! The circuit breaker: one record per server in the host's shared data, seen and changed by every worker.
//!
//! [`step`] decides, without I/O: a record and an event give a new record. [`codec`] is the record's wire form.
//! [`Breaker`] ties both to the host's [`crate::shared_data`] by compare-and-swap, and is all that the filter needs to know.
//!
//! Two rules carry the design. Every admitted call takes a [`Ticket`] with the epoch of the record that admitted it, and
//! a result of an older epoch is dropped, so that a late answer decides nothing. The probe of a half-open breaker is a
//! lease that runs out, so that a call which never reports (its VM trapped, its client left) cannot block recovery.
//!
//! A healthy server costs no host call per call: a worker relies on what it saw for [`VIEW_MS`], see [`CachedView`].
//!
//! Whatever goes wrong in here, the call is let through: a broken breaker must not be an outage of its own.

mod cached_view;
pub mod codec;
mod counters;
mod draws;
mod driver;
mod fingerprint;
mod last_resort;
mod policy;
mod record;
mod results;
mod shared_record;
pub mod step;
mod window;

pub use cached_view::{CachedView, VIEW_MS};
pub use counters::{Counters, Event};
pub use driver::{Admission, Breaker, FLUSH_AFTER_MS, Look};
pub(crate) use fingerprint::fnv1a_64;
pub use policy::{LastResort, Mode, Policy, Ramp, Slow};
pub use record::{Lease, Reason, Record, State, Ticket};
pub use results::{CallResult, Delta, Outcome, ProbeResult};
pub use step::{Moment, Refusal, Transition, View};
pub use window::{Bucket, Counts, Window};

#[cfg(test)]
mod tests;
