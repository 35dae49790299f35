//! End to end: stub upstreams, the real Envoy, the built module.
//!
//! Every test has its own stubs and its own Envoy. Envoy is found through `ENVOY`, `build/tools/bin/envoy` or the `PATH`,
//! the module through `DUALPATH_WASM` or `build/dualpath.wasm`.

#[path = "e2e/authorization.rs"]
mod authorization;
#[path = "e2e/breaker.rs"]
mod breaker;
#[path = "e2e/budgets.rs"]
mod budgets;
#[path = "e2e/chaos.rs"]
mod chaos;
#[path = "e2e/clients.rs"]
mod clients;
#[path = "e2e/credentials.rs"]
mod credentials;
#[path = "e2e/documentation.rs"]
mod documentation;
#[path = "e2e/drill.rs"]
mod drill;
#[path = "e2e/edges.rs"]
mod edges;
#[path = "e2e/envoy_handle.rs"]
mod envoy_handle;
#[path = "e2e/failover.rs"]
mod failover;
#[path = "e2e/gate.rs"]
mod gate;
#[path = "e2e/identity.rs"]
mod identity;
#[path = "e2e/kubernetes.rs"]
mod kubernetes;
#[path = "e2e/leaks.rs"]
mod leaks;
#[path = "e2e/outages.rs"]
mod outages;
#[path = "e2e/policy.rs"]
mod policy;
#[path = "e2e/probes.rs"]
mod probes;
#[path = "e2e/rotation.rs"]
mod rotation;
#[path = "e2e/secret_servers.rs"]
mod secret_servers;
#[path = "e2e/sessions.rs"]
mod sessions;
#[path = "e2e/streams.rs"]
mod streams;
#[path = "e2e/stubs.rs"]
mod stubs;
#[path = "e2e/upheavals.rs"]
mod upheavals;
#[path = "e2e/world.rs"]
mod world;
