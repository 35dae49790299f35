//! Dualpath keeps MCP tool calls answered inside an Envoy sidecar.
//!
//! The core (everything but `filter` and `cli`) is pure: it takes the time and an event and returns a decision.
//! `filter` is the host shell, the only place that names `proxy_wasm`.

// A trap in the module takes every request of its worker with it, so nothing that ships may be able to panic.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::unimplemented,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::get_unwrap,
        clippy::unwrap_in_result,
        clippy::arithmetic_side_effects
    )
)]
#![warn(missing_docs)]

pub mod annotations;
pub mod breaker;
pub mod budget;
pub mod cache;
pub mod call;
#[cfg(feature = "cli")]
pub mod cli;
pub mod concurrency;
pub mod credential;
pub mod discovery;
pub mod drill;
pub mod failure;
pub mod health;
pub mod held;
pub mod history;
pub mod json;
pub mod jsonrpc;
pub mod mcp;
pub mod network;
pub mod probe;
pub mod random;
pub mod registry;
pub mod runtime;
pub mod shared_data;
pub mod sse;
pub mod telemetry;
pub mod translate;
pub mod usage;
pub mod wire;
pub mod wiring;

#[cfg(feature = "filter")]
mod filter;
