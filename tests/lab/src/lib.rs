//! The test laboratory: stub upstreams that fail on command, an Envoy process that cleans up after itself, and a client
//! that reads answers event by event. The end-to-end tests, the demo and the benchmark are built from these.
//!
//! A package of its own, since nothing here ships in the module. So a broken expectation may panic: it ends a test or a demo,
//! not a worker.
#![warn(missing_docs)]

pub mod bench;
pub mod chaos;
pub mod client;
pub mod demo;
pub mod envoy;
mod gzip;
pub mod http;
pub mod image;
pub mod load;
pub mod panels;
pub mod pools;
pub mod prometheus;
pub mod registry;
pub mod report_speed;
pub mod scratch;
pub mod sds;
pub mod soak;
pub mod stage;
pub mod stub;
pub mod traffic;
pub mod xds;

use std::path::{Path, PathBuf};

pub use dualpath::cli::metrics;

/// A file of the source tree or of what is built in it, wherever a test runs.
pub fn in_tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
