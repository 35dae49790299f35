//! The routes of the MCP endpoint. Which server an attempt goes to is decided by the filter, attempt by attempt.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::extension::{extension, typed};
use super::wasm_plugin::Placement;
use super::{discovery, duration, runtime, size, tracing};
use crate::call::flight::{LONGEST_POLL_S, POLLS, Pace};
use crate::registry::{Registry, Server, ServerKind};
use crate::wiring::{cluster, header, route, state};

/// What is retried without the filter asking for it where a call may run twice: also what a server may have seen.
const RETRY_ON: &str = "connect-failure,refused-stream,reset,reset-before-request,retriable-headers";

/// What is retried without the filter asking for it where a call must not: only what a server has certainly never seen.
const RETRY_ONCE_ON: &str = "connect-failure,refused-stream,reset-before-request,retriable-headers";

/// How long a stream may be silent. Event streams are, for long; clients that are gone are found by TCP keepalive.
const STREAM_IDLE: Duration = Duration::from_secs(3600);

/// What every route of the endpoint has. All that Dualpath needs of a listener stands here and not in the virtual host or the
/// connection manager, so that routes beside these are left as they are.
fn common(registry: &Registry, name: String, condition: Map<String, Value>) -> Map<String, Value> {
    let mut route = Map::new();
    let mut put = |key: &str, value: Value| route.insert(key.to_owned(), value);
    put("name", json!(name));
    put("match", Value::Object(condition));
    let removed: Vec<_> = header::REMOVED_BY_ROUTE.iter().chain(tracing::removed(registry)).collect();
    put("request_headers_to_remove", json!(removed));
    put("request_headers_to_add", header::SET_BY_ROUTE.iter().map(|(name, value)| set(name, value)).collect());
    put("response_headers_to_remove", json!(header::REMOVED_FROM_ANSWER));
    // The gate is off for every other route. Any configuration of a filter's own type switches it on; this filter reads none of a
    // route, which Envoy takes only where it is optional. Nothing at all would do as well, but not for istiod.
    let none = typed("envoy.extensions.filters.http.wasm.v3.Wasm", json!({}));
    let on = typed("envoy.config.route.v3.FilterConfig", json!({"config": none, "is_optional": true}));
    put("typed_per_filter_config", json!({Placement::Gate.filter_name(): on}));
    route
}

/// An `envoy.config.core.v3.HeaderValueOption` that takes the place of every value.
fn set(name: &str, value: &str) -> Value {
    json!({"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"})
}

/// The routes, in their order. They are for the endpoint's path, and for where OAuth looks for what a server demands.
pub(super) fn routes(registry: &Registry) -> Vec<Value> {
    let waits = registry.servers.iter().any(|server| server.attempts > 1);
    let paces = if waits { [Pace::Patient, Pace::Once, Pace::Usual].as_slice() } else { &[Pace::Once, Pace::Usual] };
    let mcp = paces.iter().map(|pace| mcp(registry, *pace));
    let direct_only = paces.iter().map(|pace| direct_only(registry, *pace));
    mcp.chain(direct_only).chain(with_slash(registry)).chain(discovery::routes(registry)).collect()
}

/// The route of the endpoint's path with a slash behind it, which some clients write: there the gate turns to the path without.
/// A pattern for both, in every route, would be matched anew whenever Envoy looks for a call's route, and costs more than the
/// path itself.
fn with_slash(registry: &Registry) -> Option<Value> {
    let path = path(registry);
    if path == "/" {
        return None;
    }
    let mut condition = Map::new();
    condition.insert("path".to_owned(), json!(format!("{path}/")));
    let mut route = common(registry, route::SLASH.to_owned(), condition);
    route.insert("request_body_buffer_limit".to_owned(), json!(size::stream(&registry.limits)));
    route.insert("direct_response".to_owned(), json!({"status": 404}));
    Some(Value::Object(route))
}

/// The route that may use every server, open while the kill switch is on.
fn mcp(registry: &Registry, pace: Pace) -> Value {
    let mut condition = condition(registry, pace);
    condition.insert("runtime_fraction".to_owned(), runtime::mcp_enabled());
    let mut route = common(registry, name(route::MCP, pace), condition);
    route.insert("request_body_buffer_limit".to_owned(), json!(size::stream(&registry.limits)));
    route.insert("route".to_owned(), action(registry, &registry.servers.iter().collect::<Vec<_>>(), pace));
    Value::Object(route)
}

/// The route that takes over while the kill switch is off: it names no MCP server, so none can be reached whatever the
/// filter chooses.
fn direct_only(registry: &Registry, pace: Pace) -> Value {
    let rest: Vec<_> = registry.servers.iter().filter(|server| server.kind == ServerKind::Rest).collect();
    let mut route = common(registry, name(route::DIRECT_ONLY, pace), condition(registry, pace));
    if rest.is_empty() {
        // Nothing to route to. What the gate does not answer itself ends here.
        route.insert("direct_response".to_owned(), json!({"status": 503}));
    } else {
        route.insert("request_body_buffer_limit".to_owned(), json!(size::stream(&registry.limits)));
        route.insert("route".to_owned(), action(registry, &rest, pace));
    }
    Value::Object(route)
}

fn name(route: &str, pace: Pace) -> String {
    match pace {
        Pace::Usual => route.to_owned(),
        Pace::Once => route::once(route),
        Pace::Patient => route::patient(route),
    }
}

fn condition(registry: &Registry, pace: Pace) -> Map<String, Value> {
    let mut condition = Map::new();
    condition.insert("path".to_owned(), json!(path(registry)));
    if let Some(value) = pace.state() {
        let wanted = json!({"key": state::in_envoy(state::PACE), "string_match": {"exact": value}});
        condition.insert("filter_state".to_owned(), json!([wanted]));
    }
    condition
}

/// The endpoint's path, without a slash behind it.
fn path(registry: &Registry) -> &str {
    let path = registry.listener.path.as_str();
    path.strip_suffix('/').filter(|bare| !bare.is_empty()).unwrap_or(path)
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
        Pace::Usual | Pace::Once => (Duration::from_millis(1), Duration::from_millis(10)),
        Pace::Patient => (back_off.base, back_off.max),
    };
    let mut policy = json!({
        "retry_on": if pace.is_strict() { RETRY_ONCE_ON } else { RETRY_ON },
        "retriable_headers": [{"name": header::FAILOVER, "present_match": true}],
        // As many as any call may need: the attempt filter stops one that must not follow.
        "num_retries": most_retries(registry, servers),
        // The gate sets a shorter one where a call has less time. It ends with the headers of the answer, which are held until the
        // first event or the whole JSON body has been judged.
        "per_try_timeout": duration(Duration::from_millis(registry.longest_timeout_ms())),
        // Every retry asks the filter state again, so that it can go to another cluster.
        "refresh_cluster_on_retry": true,
        "retry_back_off": {"base_interval": duration(base), "max_interval": duration(max)},
    });
    if let (Some(policy), true) =
        (policy.as_object_mut(), servers.iter().any(|server| server.upstream.endpoints.len() > 1))
    {
        // What comes back to the same server goes to another of its endpoints.
        let previous = extension(
            "envoy.retry_host_predicates.previous_hosts",
            "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
            json!({}),
        );
        policy.insert("retry_host_predicate".to_owned(), json!([previous]));
        policy.insert("host_selection_retry_max_attempts".to_owned(), json!(3));
    }
    let polls = servers.iter().any(|server| server.kind == ServerKind::Rest);
    if let (Some(policy), true) = (policy.as_object_mut(), polls || servers.iter().any(|server| server.attempts > 1)) {
        // What the attempt filter asks to wait for a server that has asked for fewer calls, or is at work on one.
        let longest = if polls { back_off.max.max(Duration::from_secs(LONGEST_POLL_S)) } else { back_off.max };
        policy.insert(
            "rate_limited_retry_back_off".to_owned(),
            json!({"reset_headers": [{"name": header::WAIT}], "max_interval": duration(longest)}),
        );
    }
    policy
}

/// One for each server but the first, one for each other credential slot, what the most patient server gets more, one
/// for a server whose session has to be opened anew, and as often as an API may be asked that has accepted a call.
fn most_retries(registry: &Registry, servers: &[&Server]) -> usize {
    let slots = registry.indexed_servers().filter(|(at, _)| registry.has_two_slots(*at)).count();
    let again = servers.iter().map(|server| usize::from(server.attempts.saturating_sub(1))).max().unwrap_or_default();
    let sessions = usize::from(servers.iter().any(|server| server.kind == ServerKind::Mcp));
    let polls = if servers.iter().any(|server| server.kind == ServerKind::Rest) { POLLS } else { 0 };
    servers
        .len()
        .saturating_sub(1)
        .saturating_add(slots)
        .saturating_add(again)
        .saturating_add(sessions)
        .max(1)
        .saturating_add(polls)
}

/// The cluster is the one that the filter state names. Where it names none that this route knows, it is the one that most
/// calls go to first, so that the gate need not say so.
fn by_filter_state(registry: &Registry, servers: &[&Server]) -> Value {
    let ids = servers.iter().map(|server| server.id.as_str()).chain(registry.drill.as_ref().map(|_| cluster::DRILL));
    let map: Map<_, _> = ids.map(|id| (id.to_owned(), choose(id))).collect();
    let usual = registry.usual_server().and_then(|at| registry.server(at));
    let usual = servers.iter().find(|server| usual.is_some_and(|usual| usual.id == server.id)).or(servers.first());
    let mut on_no_match = usual.map(|server| choose(server.id.as_str()));
    let direct: Map<_, _> = servers
        .iter()
        .filter(|server| server.kind == ServerKind::Rest)
        .map(|server| (server.id.to_string(), choose(server.id.as_str())))
        .collect();
    if direct.len() == servers.len() && direct.len() > 1 {
        // Of several REST servers only one knows the tool.
        let by_direct = matcher(state::DIRECT, direct, on_no_match);
        on_no_match = Some(json!({"matcher": by_direct}));
    }
    extension(
        "envoy.router.cluster_specifier_plugin.matcher",
        "envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier",
        json!({"cluster_matcher": matcher(state::NEXT, map, on_no_match)}),
    )
}

/// Chooses by the filter state of this name.
fn matcher(name: &str, map: Map<String, Value>, on_no_match: Option<Value>) -> Value {
    json!({
        "matcher_tree": {
            "input": extension(
                "envoy.matching.inputs.filter_state",
                "envoy.extensions.matching.common_inputs.network.v3.FilterStateInput",
                json!({"key": state::in_envoy(name)}),
            ),
            "exact_match_map": {"map": map},
        },
        "on_no_match": on_no_match,
    })
}

fn choose(cluster: &str) -> Value {
    let cluster_action = "envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction";
    json!({"action": extension("cluster", cluster_action, json!({"cluster": cluster}))})
}
