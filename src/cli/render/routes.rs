//! The routes of the MCP endpoint. Which server an attempt goes to is decided by the filter, attempt by attempt.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::extension::extension;
use super::{duration, runtime, size};
use crate::registry::{Registry, Server, ServerKind};
use crate::wiring::{cluster, header, route, state};

/// What is retried without the filter asking for it: only what a server has certainly never seen.
const RETRY_ON: &str = "connect-failure,refused-stream,reset-before-request,retriable-headers";

/// How long a stream may be silent. Event streams are, for long; clients that are gone are found by TCP keepalive.
const STREAM_IDLE: Duration = Duration::from_secs(3600);

/// The one virtual host. Paths other than the endpoint's get 404 from Envoy.
pub(super) fn configuration(registry: &Registry) -> Value {
    json!({
        "name": "mcp",
        "virtual_hosts": [{
            "name": "mcp",
            "domains": ["*"],
            "include_request_attempt_count": true,
            "request_headers_to_remove": removed_headers(),
            "routes": routes(registry),
        }],
    })
}

/// Request headers that end at this Envoy. The removal comes before the upstream filters.
fn removed_headers() -> Vec<&'static str> {
    // The client's address, set by the connection manager: it is no concern of the servers.
    let mut removed = vec!["x-envoy-external-address"];
    // The injector of an empty slot leaves a header of this name alone: a client must not fill the slot.
    removed.extend(header::SLOTS);
    removed
}

/// How long the router waits before a retry. Envoy knows one back-off per route, so there is a route for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// The next attempt goes to another server: there is nothing to wait for.
    Instant,
    /// All attempts go to one server, which needs time.
    Patient,
}

fn routes(registry: &Registry) -> Vec<Value> {
    let waits = registry.servers.iter().any(|server| server.attempts > 1);
    let paces = if waits { [Pace::Patient, Pace::Instant].as_slice() } else { &[Pace::Instant] };
    let mcp = paces.iter().map(|pace| mcp(registry, *pace));
    mcp.chain(paces.iter().map(|pace| direct_only(registry, *pace))).collect()
}

/// The route that may use every server, open while the kill switch is on.
fn mcp(registry: &Registry, pace: Pace) -> Value {
    let mut condition = condition(registry, pace);
    condition.insert("runtime_fraction".to_owned(), runtime::mcp_enabled());
    json!({
        "name": name(route::MCP, pace),
        "match": condition,
        "request_body_buffer_limit": size::request_buffer(&registry.limits),
        "route": action(registry, &registry.servers.iter().collect::<Vec<_>>(), pace),
    })
}

/// The route that takes over while the kill switch is off: it names no MCP server, so none can be reached whatever the
/// filter chooses.
fn direct_only(registry: &Registry, pace: Pace) -> Value {
    let rest: Vec<_> = registry.servers.iter().filter(|server| server.kind == ServerKind::Rest).collect();
    let mut route = Map::new();
    route.insert("name".to_owned(), json!(name(route::DIRECT_ONLY, pace)));
    route.insert("match".to_owned(), Value::Object(condition(registry, pace)));
    if rest.is_empty() {
        // Nothing to route to. What the gate does not answer itself ends here.
        route.insert("direct_response".to_owned(), json!({"status": 503}));
    } else {
        route.insert("request_body_buffer_limit".to_owned(), json!(size::request_buffer(&registry.limits)));
        route.insert("route".to_owned(), action(registry, &rest, pace));
    }
    Value::Object(route)
}

fn name(route: &str, pace: Pace) -> String {
    match pace {
        Pace::Instant => route.to_owned(),
        Pace::Patient => route::patient(route),
    }
}

fn condition(registry: &Registry, pace: Pace) -> Map<String, Value> {
    let mut condition = Map::new();
    condition.insert("path".to_owned(), json!(registry.listener.path));
    if pace == Pace::Patient {
        let patient = json!({"key": state::in_envoy(state::PACE), "string_match": {"exact": state::PATIENT}});
        condition.insert("filter_state".to_owned(), json!([patient]));
    }
    condition
}

fn action(registry: &Registry, servers: &[&Server], pace: Pace) -> Value {
    json!({
        "inline_cluster_specifier_plugin": {"extension": by_filter_state(registry, servers)},
        // An answer may be an event stream without end; attempts have a time limit of their own.
        "timeout": "0s",
        "idle_timeout": duration(STREAM_IDLE),
        "retry_policy": retry_policy(registry, servers, pace),
    })
}

fn retry_policy(registry: &Registry, servers: &[&Server], pace: Pace) -> Value {
    let back_off = registry.failover.back_off;
    let (base, max) = match pace {
        Pace::Instant => (Duration::from_millis(1), Duration::from_millis(10)),
        Pace::Patient => (back_off.base, back_off.max),
    };
    let mut policy = json!({
        "retry_on": RETRY_ON,
        "retriable_headers": [{"name": header::FAILOVER, "present_match": true}],
        // The gate sets the exact number per call, with x-envoy-max-retries.
        "num_retries": servers.len().saturating_sub(1).max(1),
        // The gate sets a shorter one per call. It ends with the headers of the answer, which are held until the
        // first event or the whole JSON body has been judged.
        "per_try_timeout": duration(longest_timeout(registry)),
        // Every retry asks the filter state again, so that it can go to another cluster.
        "refresh_cluster_on_retry": true,
        "retry_back_off": {"base_interval": duration(base), "max_interval": duration(max)},
    });
    if let (Some(policy), true) = (policy.as_object_mut(), servers.iter().any(|server| server.attempts > 1)) {
        // What the attempt filter asks to wait for a server that has asked for fewer calls.
        policy.insert(
            "rate_limited_retry_back_off".to_owned(),
            json!({"reset_headers": [{"name": header::WAIT, "format": "SECONDS"}], "max_interval": duration(back_off.max)}),
        );
    }
    policy
}

/// The cluster is the one that the filter state names; without a plan, the direct path.
fn by_filter_state(registry: &Registry, servers: &[&Server]) -> Value {
    let ids = servers.iter().map(|server| server.id.as_str()).chain(registry.drill.as_ref().map(|_| cluster::DRILL));
    let map: Map<_, _> = ids.map(|id| (id.to_owned(), choose(id))).collect();
    let fallback = servers.iter().find(|server| server.kind == ServerKind::Rest).or(servers.first());
    extension(
        "envoy.router.cluster_specifier_plugin.matcher",
        "envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier",
        json!({
            "cluster_matcher": {
                "matcher_tree": {
                    "input": extension(
                        "envoy.matching.inputs.filter_state",
                        "envoy.extensions.matching.common_inputs.network.v3.FilterStateInput",
                        json!({"key": state::in_envoy(state::NEXT)}),
                    ),
                    "exact_match_map": {"map": map},
                },
                "on_no_match": fallback.map(|server| choose(server.id.as_str())),
            },
        }),
    )
}

fn choose(cluster: &str) -> Value {
    let cluster_action = "envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction";
    json!({"action": extension("cluster", cluster_action, json!({"cluster": cluster}))})
}

fn longest_timeout(registry: &Registry) -> Duration {
    let servers = registry.servers.iter().map(|server| server.timeout);
    let tools = registry.tools.iter().filter_map(|tool| tool.timeout);
    servers.chain(tools).max().unwrap_or(Duration::ZERO)
}
