//! The whole filter, natively, on an emulated host: see `host`.

mod annotations;
mod authorization;
mod bound;
mod breaker;
mod budgets;
mod callback_order;
mod credentials;
mod crossings;
mod door;
mod error_status;
mod failover;
mod failure_answers;
mod failure_policy;
mod fixture;
mod framing;
mod header_isolation;
mod held;
mod host;
mod host_semantics;
mod idempotency;
mod lost_sessions;
mod malformed_messages;
mod misleading_answers;
mod one_caller;
mod outcomes;
mod passage;
mod prober;
mod random_exchanges;
mod refused;
mod rest_first;
mod sessions;
mod statistics;
mod story;
mod wall_clock;
mod workers;

use dualpath as _;
