//! Where the endpoints of a server are, and how Envoy chooses among them.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::extension::extension;
use super::upstream::{REFUSES, by_name};
use super::{duration, proxy, socket_address};
use crate::registry::{Balance, BalancePolicy, Registry, Server, ServerEndpoint};

/// Endpoints of a priority are left only when none of them can be asked: as long as one of this many is well, it gets all
/// calls. Envoy's own 140 % would send a part of them on as soon as a third has failed.
const HEALTHY_ENOUGH: u32 = 100;

/// What a cluster has for its endpoints: type, addresses, balancing, ejection.
pub(super) fn put(cluster: &mut Map<String, Value>, registry: &Registry, server: &Server, name: &str) {
    let endpoints = server.endpoints();
    let named = server.upstream.proxy.is_none() && endpoints.iter().any(|at| at.host.parse::<IpAddr>().is_err());
    if named {
        cluster.insert("cluster_type".to_owned(), by_name());
    } else {
        cluster.insert("type".to_owned(), json!("STATIC"));
    }
    cluster.insert("load_assignment".to_owned(), assignment(registry, server, name, named));
    let several = endpoints.len() > 1;
    if several {
        let balance = &server.upstream.balance;
        cluster.insert("load_balancing_policy".to_owned(), json!({"policies": [policy(balance)]}));
        cluster.extend(ejection(balance).map(|ejection| ("outlier_detection".to_owned(), ejection)));
    }
    // A server's health is the breaker's business: Envoy must neither guess nor spread calls over unhealthy hosts. Only where
    // all endpoints of several are left out it asks them still, since it answers for a cluster without hosts by itself.
    let panic = u32::from(several);
    cluster.insert("common_lb_config".to_owned(), json!({"healthy_panic_threshold": {"value": panic}}));
}

/// The addresses by priority and region. Behind the last, for a name, one address more, which is used only while the names
/// have none: Envoy answers a request to a cluster without hosts itself and never retries it, whereas a refused connection is
/// failed over.
fn assignment(registry: &Registry, server: &Server, name: &str, named: bool) -> Value {
    let endpoints = server.endpoints();
    let own = registry.envoy.region.as_deref();
    let rank = |at: &ServerEndpoint| (at.priority, own.is_some() && at.region.as_deref() != own);
    let mut ranks: Vec<_> = endpoints.iter().map(rank).collect();
    ranks.sort_unstable();
    ranks.dedup();
    let mut groups: Vec<(usize, Option<&str>, Vec<Value>)> = Vec::new();
    for (number, at) in endpoints.iter().enumerate() {
        let priority = ranks.iter().position(|known| *known == rank(at)).unwrap_or_default();
        let endpoint = endpoint(server, number, at);
        let region = at.region.as_deref();
        match groups.iter_mut().find(|group| (group.0, group.1) == (priority, region)) {
            Some(group) => group.2.push(endpoint),
            None => groups.push((priority, region, vec![endpoint])),
        }
    }
    groups.sort_by_key(|group| group.0);
    let mut localities: Vec<_> = groups.into_iter().map(locality).collect();
    if named {
        let refuses = json!({"endpoint": {"address": socket_address(REFUSES.0, REFUSES.1)}});
        localities.push(json!({"priority": ranks.len(), "lb_endpoints": [refuses]}));
    }
    let mut assignment = json!({"cluster_name": name, "endpoints": localities});
    if let (Some(assignment), true) = (assignment.as_object_mut(), endpoints.len() > 1) {
        let factor = HEALTHY_ENOUGH.saturating_mul(100);
        assignment.insert("policy".to_owned(), json!({"overprovisioning_factor": factor}));
    }
    assignment
}

/// An `envoy.config.endpoint.v3.LocalityLbEndpoints`.
fn locality((priority, region, endpoints): (usize, Option<&str>, Vec<Value>)) -> Value {
    let mut locality = Map::new();
    locality.extend(region.map(|region| ("locality".to_owned(), json!({"region": region}))));
    if priority > 0 {
        locality.insert("priority".to_owned(), json!(priority));
    }
    locality.insert("lb_endpoints".to_owned(), json!(endpoints));
    Value::Object(locality)
}

/// An `envoy.config.endpoint.v3.LbEndpoint`: the address itself, or the listener inside that has the proxy lead there.
fn endpoint(server: &Server, number: usize, at: &ServerEndpoint) -> Value {
    let address = match server.upstream.proxy {
        None => socket_address(&at.host, at.port),
        Some(_) => proxy::address(server, number),
    };
    let mut endpoint = json!({"endpoint": {"address": address}});
    if let (Some(endpoint), true) = (endpoint.as_object_mut(), server.upstream.endpoints.len() > 1) {
        endpoint.insert("load_balancing_weight".to_owned(), json!(at.weight));
    }
    endpoint
}

fn policy(balance: &Balance) -> Value {
    let (name, kind) = match balance.policy {
        BalancePolicy::LeastRequest => ("least_request", "LeastRequest"),
        BalancePolicy::RoundRobin => ("round_robin", "RoundRobin"),
    };
    let mut fields = Map::new();
    if !balance.slow_start.is_zero() {
        let window = json!({"slow_start_window": duration(balance.slow_start)});
        fields.insert("slow_start_config".to_owned(), window);
    }
    let policy = extension(
        &format!("envoy.load_balancing_policies.{name}"),
        &format!("envoy.extensions.load_balancing_policies.{name}.v3.{kind}"),
        Value::Object(fields),
    );
    json!({"typed_extension_config": policy})
}

/// An endpoint is left out for a while that can't be reached, or breaks off, and for nothing else: whether answers are good is
/// the breaker's business.
fn ejection(balance: &Balance) -> Option<Value> {
    (balance.eject_after > 0).then(|| {
        json!({
            "split_external_local_origin_errors": true,
            "consecutive_local_origin_failure": balance.eject_after,
            "enforcing_consecutive_local_origin_failure": 100,
            "enforcing_local_origin_success_rate": 0,
            "enforcing_consecutive_5xx": 0,
            "enforcing_consecutive_gateway_failure": 0,
            "enforcing_success_rate": 0,
            "enforcing_failure_percentage": 0,
            // How often it is looked whether the time is over.
            "interval": "1s",
            "base_ejection_time": duration(balance.eject_for),
            "max_ejection_percent": 100,
        })
    })
}
