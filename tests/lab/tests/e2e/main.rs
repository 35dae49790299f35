//! End to end: stub upstreams, the real Envoy, the built module.
//!
//! Every test has its own stubs and its own Envoy. `make e2e TEST=name` runs one, with what it needs built before:
//! Envoy is found through `ENVOY`, `build/tools` or the `PATH`, the module through `DUALPATH_WASM` or in `build`.

mod accepted;
#[path = "../../../documentation/blocks.rs"]
mod blocks;

mod attach;
mod authorization;
mod breaker;
mod budgets;
mod byte_identity;
mod cache;
mod call_log;
mod chaos;
mod concurrency;
mod credentials;
mod discovery;
mod documentation;
mod drill;
mod dynamic;
mod endpoints;
mod envoy_handle;
mod error_status;
mod failover;
mod failover_log;
mod failure_policy;
mod front;
mod gate;
mod idempotency;
mod kubernetes;
mod memory;
mod metrics;
mod operator;
mod outages;
mod panels;
mod probes;
mod rate;
mod rotation;
mod routing;
mod runbooks;
mod runtime;
mod secret_servers;
mod sessions;
mod streams;
mod stubs;
mod token_leaks;
mod untrusted_clients;
mod unusual_messages;
mod updates_and_crashes;
mod world;
