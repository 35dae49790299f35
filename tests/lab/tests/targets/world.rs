//! Two MCP stubs, a REST stub, a registry of them, and what must hold wherever Envoy's configuration comes from.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dualpath_lab::client::Client;
use dualpath_lab::in_tree;
use dualpath_lab::registry::Builder;
use dualpath_lab::scratch::Scratch;
use dualpath_lab::stub::{Config, Stub};
use dualpath_lab::traffic::{Outcome, Traffic};
use serde_json::json;

use crate::plane::until;
use crate::proxy::Proxy;
use crate::rendered::runs;

const PRIMARY_PAT: &str = "pat-of-primary-51f2aa";
const SECONDARY_PAT: &str = "pat-of-secondary-0c9e17";

/// The environment variable of Envoy that has the primary's secret.
pub const ENVIRONMENT: (&str, &str) = ("LAB_PAT_PRIMARY", PRIMARY_PAT);

pub struct World {
    pub primary: Stub,
    pub secondary: Stub,
    pub rest: Stub,
    /// A server that is not Dualpath's, at `/mcp` of another host.
    pub own: Stub,
    pub registry: Builder,
    pub scratch: Arc<Scratch>,
}

impl World {
    /// With the endpoint at this port, where the target has one.
    pub async fn start(port: u16) -> World {
        let scratch = Arc::new(Scratch::new().expect("a directory"));
        let start = async |config| Stub::start(config).await.expect("a stub");
        let primary = start(Config::mcp("primary").token(PRIMARY_PAT)).await;
        let secondary = start(Config::mcp("secondary").token(SECONDARY_PAT)).await;
        let (rest, own) = (start(Config::rest("rest")).await, start(Config::mcp("own")).await);
        let secret = scratch.write_secret("pat.json", "pat-secondary-a", SECONDARY_PAT).expect("a secret file");
        let log = scratch.path().join("failover.log");
        let registry = Builder::new(&module())
            .set("/listener/port", json!(port))
            .set("/failover/access_log", json!(log))
            .set(
                "/breaker",
                json!({"consecutive": 3, "failure_rate": 0, "base_open": "300ms", "max_open": "300ms", "jitter": 0}),
            )
            .credential("pat-primary", json!({"a": {"env": ENVIRONMENT.0}}))
            .credential("pat-secondary", json!({"a": {"sds_file": secret}}))
            .mcp("primary", "primary", &primary.url("/mcp"), Some("pat-primary"))
            .mcp("secondary", "secondary", &secondary.url("/mcp"), Some("pat-secondary"))
            .rest("rest", &rest.url(""), None)
            .stub_tools(Some("rest"));
        World { primary, secondary, rest, own, registry, scratch }
    }
}

/// From MCP to MCP to REST within single requests, and back when the prober has found the servers well.
pub async fn fails_over_and_returns(world: &World, proxy: &Proxy, client: &Client) {
    let served_by = async |server: &str| {
        for _ in 0..10 {
            let reply = client.search("q").await;
            assert_eq!(reply.served_by().as_deref(), Some(server), "{}", reply.answer.text());
        }
    };
    served_by("primary").await;
    world.primary.stop().await.expect("stop");
    served_by("secondary").await;
    world.secondary.stop().await.expect("stop");
    let before = world.rest.calls();
    served_by("rest").await;
    assert_eq!(world.rest.calls(), before + 10, "translated to the API's calls");
    for server in ["primary", "secondary"] {
        // By its label: without the tags of the bootstrap there is none.
        proxy
            .until_metrics("an open breaker", |metrics| {
                metrics.value("cortex_circuit_breaker_state", &[("server", server)]).is_some_and(|state| state > 0.0)
            })
            .await;
    }
    world.primary.resume().expect("resume");
    world.secondary.resume().expect("resume");
    // Nobody calls: the prober closes them.
    for server in ["primary", "secondary"] {
        proxy
            .until_metrics("a closed breaker", |metrics| {
                metrics.value("cortex_circuit_breaker_state", &[("server", server)]) == Some(0.0)
            })
            .await;
    }
    settles(client, "primary").await;
    until("the log of failovers", async || {
        std::fs::read_to_string(world.scratch.path().join("failover.log")).is_ok_and(|log| log.contains("secondary"))
    })
    .await;
}

/// Waits until this server gets every call: a worker hears of a change a moment after another, and a ramp takes its time.
async fn settles(client: &Client, server: &'static str) {
    until(server, async || {
        for _ in 0..40 {
            if client.search("q").await.served_by().as_deref() != Some(server) {
                return false;
            }
        }
        true
    })
    .await;
}

/// Other registries under load, the last with another server that calls go to first; `apply` hands them to the control plane.
pub async fn a_change_loses_nothing(world: &mut World, proxy: &Proxy, client: &Client, apply: impl AsyncFn(&Builder)) {
    let traffic = Traffic::start(client, 4, Duration::from_millis(2));
    traffic.next(50).await;
    let transitions = proxy.metrics().await.sum("dualpath_breaker_transitions_total", &[]);
    let changed = |consecutive: u32| world.registry.clone().set("/breaker/consecutive", json!(consecutive));
    let spare =
        changed(6).mcp("spare", "primary", &world.own.url("/mcp"), None).set("/servers/0/tier", json!("tertiary"));
    for (registry, server) in [(changed(4), "primary"), (changed(5), "primary"), (spare, "own")] {
        apply(&registry).await;
        proxy.until_running("the new registry", |running| runs(running, &registry)).await;
        settles(client, server).await;
        world.registry = registry;
    }
    let outcomes = traffic.outcomes();
    drop(traffic);
    let began = outcomes.iter().map(|call| call.sent).min().expect("calls");
    let is_well = |call: &&Outcome| matches!(call.answered_by.as_deref(), Ok("primary" | "own")) && call.attempts == 1;
    let others = outcomes.iter().filter(|call| !is_well(call));
    let others: Vec<_> = others.map(|call| (call.sent - began, &call.answered_by, call.attempts)).collect();
    assert!(others.is_empty(), "{} of {}: {others:#?}", others.len(), outcomes.len());
    let after = proxy.metrics().await.sum("dualpath_breaker_transitions_total", &[]);
    assert_eq!(transitions, after, "no breaker has moved");
    println!("{} calls during three changes of the registry, none lost", outcomes.len());
}

/// The kill switch and the keys of one server, by the admin interface.
pub async fn runtime_keys_work(proxy: &Proxy, client: &Client) {
    let served_by = async |server: &'static str| settles(client, server).await;
    proxy.set_runtime("dualpath.mcp_enabled", "0").await;
    served_by("rest").await;
    proxy.set_runtime("dualpath.mcp_enabled", "100").await;
    served_by("primary").await;
    // The prober reads it from the admin interface, which it has to find.
    proxy.set_runtime("dualpath.server.primary.enabled", "false").await;
    served_by("secondary").await;
    proxy.set_runtime("dualpath.server.primary.enabled", "").await;
    served_by("primary").await;
}

/// The built module, as an absolute path.
pub fn module() -> PathBuf {
    built("DUALPATH_WASM", "build/dualpath.wasm")
}

/// The operator's tool.
pub fn dualpath() -> PathBuf {
    built("DUALPATH", "build/dualpath")
}

fn built(variable: &str, usual: &str) -> PathBuf {
    let path = std::env::var_os(variable).map_or_else(|| in_tree(usual), PathBuf::from);
    path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}; `make targets` builds it", path.display()))
}
