//! End to end: stub upstreams, the real Envoy, the built module.
//!
//! Every test has its own stubs and its own Envoy. `make e2e TEST=name` runs one, with what it needs built before:
//! Envoy is found through `ENVOY`, `build/tools` or the `PATH`, the module through `DUALPATH_WASM` or in `build`.

mod authorization;
mod breaker;
mod budgets;
mod chaos;
mod clients;
mod credentials;
mod documentation;
mod drill;
mod edges;
mod envoy_handle;
mod failover;
mod gate;
mod identity;
mod kubernetes;
mod leaks;
mod outages;
mod policy;
mod probes;
mod rotation;
mod secret_servers;
mod sessions;
mod streams;
mod stubs;
mod upheavals;
mod world;
