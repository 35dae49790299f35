//! The test laboratory: stub upstreams that fail on command, an Envoy process that cleans up after itself, and a client
//! that reads answers event by event. The end-to-end tests, the demo and the benchmark are built from these.
//!
//! Nothing here ships in the module, so a broken expectation may panic: it ends a test or a demo, not a worker.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_in_result,
    clippy::arithmetic_side_effects
)]

pub mod bench;
pub mod chaos;
pub mod client;
pub mod demo;
pub mod envoy;
pub mod http;
pub mod registry;
pub mod scratch;
pub mod sds;
pub mod soak;
pub mod stage;
pub mod stub;
pub mod traffic;
pub mod xds;

pub use crate::cli::metrics;
