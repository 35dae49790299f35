//! The whole filter, natively, on an emulated host: see `host`.

mod annotations;
mod authorization;
mod breaker;
mod budgets;
mod clock;
mod credentials;
mod discipline;
mod failover;
mod fixture;
mod framing;
mod host;
mod host_semantics;
mod hostile;
mod interruptions;
mod lies;
mod outcomes;
mod policy;
mod prober;
mod random;
mod rest_first;
mod statistics;
mod workers;

use dualpath as _;
