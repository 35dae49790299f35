//! The whole filter, natively, on an emulated host: see `host`.

mod host;
mod host_semantics;

use dualpath as _;
