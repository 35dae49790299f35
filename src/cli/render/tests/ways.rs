//! How servers are reached: endpoints, TLS, versions of HTTP, forward proxies, pools.

use super::*;
use crate::registry::{Balance, HttpVersion, ServerEndpoint, TlsSettings};

const OPTIONS: &str = "/typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

fn cluster<'t>(tree: &'t Value, name: &str) -> &'t Value {
    let clusters = at(tree, "/static_resources/clusters").as_array().unwrap();
    clusters.iter().find(|cluster| cluster["name"] == name).unwrap_or_else(|| panic!("no cluster {name}"))
}

fn endpoint(host: &str, priority: u8, region: Option<&str>) -> ServerEndpoint {
    ServerEndpoint { host: host.to_owned(), port: 443, weight: 2, priority, region: region.map(str::to_owned) }
}

/// Priority, region and addresses of each group of endpoints.
fn groups(cluster: &Value) -> Vec<(u64, Option<String>, Vec<String>)> {
    let address =
        |endpoint: &Value| at(endpoint, "/endpoint/address/socket_address/address").as_str().unwrap().to_owned();
    let group = |group: &Value| {
        let region = group.pointer("/locality/region").and_then(Value::as_str).map(str::to_owned);
        let endpoints = group["lb_endpoints"].as_array().unwrap();
        (group["priority"].as_u64().unwrap_or(0), region, endpoints.iter().map(address).collect())
    };
    at(cluster, "/load_assignment/endpoints").as_array().unwrap().iter().map(group).collect()
}

/// As `(priority, region, addresses)`.
fn expected(groups: &[(u64, &str, &[&str])]) -> Vec<(u64, Option<String>, Vec<String>)> {
    let region = |region: &str| (!region.is_empty()).then(|| region.to_owned());
    let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    groups.iter().map(|group| (group.0, region(group.1), all(group.2))).collect()
}

#[test]
fn endpoints_are_grouped_by_priority_and_region_and_envoys_own_region_comes_first_within_a_priority() {
    let mut registry = registry();
    registry.servers[0].upstream.endpoints = vec![
        endpoint("10.0.0.1", 0, Some("us")),
        endpoint("10.0.0.2", 0, Some("eu")),
        endpoint("10.0.0.3", 0, Some("us")),
        endpoint("10.0.0.4", 7, Some("eu")),
        endpoint("10.0.0.5", 0, None),
    ];
    let tree = rendered(&registry);
    let first = cluster(&tree, "first");
    let together = [(0, "us", ["10.0.0.1", "10.0.0.3"].as_slice()), (0, "eu", &["10.0.0.2"]), (0, "", &["10.0.0.5"])];
    let last = (1, "eu", ["10.0.0.4"].as_slice());
    assert_eq!(groups(first), expected(&[together[0], together[1], together[2], last]), "priorities without a gap");
    assert!(tree["node"].get("locality").is_none());

    registry.envoy.region = Some("eu".to_owned());
    let tree = rendered(&registry);
    let first = cluster(&tree, "first");
    let (us, none) = ((1, "us", together[0].2), (1, "", together[2].2));
    assert_eq!(groups(first), expected(&[together[1], us, none, (2, "eu", last.2)]));
    assert_eq!(tree["node"]["locality"]["region"], "eu");
    assert_eq!(at(first, "/load_assignment/endpoints/0/lb_endpoints/0/load_balancing_weight"), 2);
}

/// A third of the hosts gone would send calls on to the next priority, which may be the address that refuses all.
#[test]
fn calls_leave_a_priority_only_when_none_of_its_endpoints_is_left() {
    let mut registry = registry();
    registry.servers[0].upstream.endpoints = vec![endpoint("10.0.0.1", 0, None), endpoint("far.example.com", 0, None)];
    let tree = rendered(&registry);
    let first = cluster(&tree, "first");
    assert_eq!(at(first, "/load_assignment/policy/overprovisioning_factor"), 10_000);
    let all = ["10.0.0.1", "far.example.com"];
    assert_eq!(groups(first), expected(&[(0, "", &all), (1, "", &["127.0.0.1"])]), "behind names, what refuses");
    assert_eq!(first["cluster_type"]["name"], "envoy.clusters.dns");
    assert_eq!(at(first, "/common_lb_config/healthy_panic_threshold/value"), 1, "rather any than an empty cluster");
    let single = cluster(&tree, "second");
    assert_eq!(at(single, "/common_lb_config/healthy_panic_threshold/value"), 0);
    assert!(single.get("outlier_detection").is_none() && single.get("load_balancing_policy").is_none());
}

#[test]
fn an_endpoint_is_left_out_for_failures_on_the_way_and_for_no_answer() {
    let mut registry = registry();
    registry.servers[1].upstream.endpoints = vec![endpoint("10.0.0.1", 0, None), endpoint("10.0.0.2", 0, None)];
    let detection = rendered(&registry)["static_resources"]["clusters"][1]["outlier_detection"].clone();
    assert_eq!(detection["consecutive_local_origin_failure"], 3);
    assert_eq!(detection["split_external_local_origin_errors"], true);
    for answers in ["consecutive_5xx", "consecutive_gateway_failure", "success_rate", "failure_percentage"] {
        assert_eq!(detection[format!("enforcing_{answers}")], 0, "{answers}");
    }
    let retries = at(route(&rendered(&registry), "mcp"), "/route/retry_policy").clone();
    assert_eq!(retries["retry_host_predicate"][0]["name"], "envoy.retry_host_predicates.previous_hosts");
    registry.servers[1].upstream.balance = Balance { eject_after: 0, ..Balance::default() };
    assert!(rendered(&registry)["static_resources"]["clusters"][1].get("outlier_detection").is_none());
}

#[test]
fn each_version_of_http_is_rendered_with_and_without_tls() {
    let codecs = |server: usize, http: HttpVersion| {
        let mut registry = registry();
        registry.servers[server].upstream.http = http;
        let tree = rendered(&registry);
        let options = at(&tree["static_resources"]["clusters"][server], OPTIONS).clone();
        let config = options.get("auto_config").or(options.get("explicit_http_config")).unwrap().clone();
        let config = config.as_object().unwrap();
        config.keys().map(|key| key.trim_end_matches("_protocol_options").to_owned()).collect::<Vec<_>>()
    };
    let (tls, clear) = (0, 1);
    assert_eq!(codecs(tls, HttpVersion::Auto), ["http", "http2"]);
    assert_eq!(codecs(clear, HttpVersion::Auto), ["http"]);
    for server in [tls, clear] {
        assert_eq!(codecs(server, HttpVersion::Http1), ["http"]);
        assert_eq!(codecs(server, HttpVersion::Http2), ["http2"]);
    }
}

#[test]
fn the_names_of_a_certificate_are_matched_as_what_they_look_like() {
    let mut registry = registry();
    let context = |settings: TlsSettings, registry: &mut Registry| {
        registry.servers[0].upstream.tls = settings;
        at(cluster(&rendered(registry), "first"), "/transport_socket/typed_config").clone()
    };
    let names = "/common_tls_context/validation_context/match_typed_subject_alt_names";
    let named = TlsSettings { server_name: Some("other.internal".to_owned()), ..TlsSettings::default() };
    let tls = context(named.clone(), &mut registry);
    assert_eq!(tls["sni"], "other.internal");
    assert_eq!(at(&tls, names), &json!([{"san_type": "DNS", "matcher": {"exact": "other.internal"}}]));

    let all = ["a.internal", "::1", "spiffe://internal/mcp"].map(str::to_owned).to_vec();
    let client_certificate = Some("/etc/dualpath/client.yaml".to_owned());
    let tls = context(TlsSettings { names: all, client_certificate, ..named }, &mut registry);
    assert_eq!(tls["sni"], "other.internal", "what is asked for may differ from what must be shown");
    let kinds: Vec<_> = at(&tls, names).as_array().unwrap().iter().map(|name| name["san_type"].clone()).collect();
    assert_eq!(kinds, ["DNS", "IP_ADDRESS", "URI"]);
    let secret = at(&tls, "/common_tls_context/tls_certificate_sds_secret_configs/0");
    assert_eq!(secret["name"], "first-client");
    assert_eq!(at(secret, "/sds_config/path_config_source/watched_directory/path"), "/etc/dualpath");
}

#[test]
fn behind_a_proxy_every_endpoint_is_a_tunnel_of_its_own_and_no_name_is_looked_up_here() {
    let mut registry = registry();
    registry.servers[0].upstream.endpoints =
        vec![endpoint("far.example.com", 0, None), endpoint("2001:db8::1", 1, None)];
    registry.servers[0].upstream.proxy = Some(url(false, "proxy.example.com", 3128));
    let tree = rendered(&registry);
    let first = cluster(&tree, "first");
    assert_eq!(first["type"], "STATIC");
    assert!(first.get("upstream_connection_options").is_none(), "there is no socket");
    let listeners = at(&tree, "/static_resources/listeners").as_array().unwrap();
    let targets = [("dualpath-proxy-first-0", "far.example.com:443"), ("dualpath-proxy-first-1", "[2001:db8::1]:443")];
    for (priority, (name, target)) in targets.into_iter().enumerate() {
        let leads = format!("/load_assignment/endpoints/{priority}/lb_endpoints/0/endpoint/address");
        assert_eq!(at(first, &leads)["envoy_internal_address"]["server_listener_name"], name);
        let listener = listeners.iter().find(|listener| listener["name"] == name).expect("the listener");
        let tunnel = at(listener, "/filter_chains/0/filters/0/typed_config");
        assert_eq!(tunnel["tunneling_config"]["hostname"], target);
        assert_eq!(tunnel["cluster"], "dualpath-proxy-first");
    }
    assert_eq!(cluster(&tree, "dualpath-proxy-first")["cluster_type"]["name"], "envoy.clusters.dns");
    assert_eq!(at(first, "/transport_socket/typed_config/sni"), "mcp.example.com", "TLS is with the server");
}

#[test]
fn what_only_a_proxy_needs_is_not_there_without_one() {
    assert!(!rendered(&registry()).to_string().contains("dualpath-proxy"));
}

#[test]
fn a_pool_is_rendered_as_it_is_written() {
    let mut registry = registry();
    let pool = &mut registry.servers[0].upstream.pool;
    (pool.connections, pool.pending, pool.requests, pool.retries) = (1, 2, 3, 4);
    (pool.idle, pool.lifetime) = (Duration::from_millis(1500), Duration::ZERO);
    (pool.requests_per_connection, pool.preconnect, pool.keepalive) = (5, 1.5, Duration::from_secs(6));
    let tree = rendered(&registry);
    let first = cluster(&tree, "first");
    let limits = json!({"max_connections": 1, "max_pending_requests": 2, "max_requests": 3, "max_retries": 4});
    assert_eq!(at(first, "/circuit_breakers/thresholds/0"), &limits);
    let common = at(at(first, OPTIONS), "/common_http_protocol_options");
    assert_eq!(common, &json!({"idle_timeout": "1.5s", "max_requests_per_connection": 5}));
    assert_eq!(at(first, "/preconnect_policy/per_upstream_preconnect_ratio"), 1.5);
    assert_eq!(at(first, "/upstream_connection_options/tcp_keepalive/keepalive_time"), 6);

    let second = cluster(&tree, "second");
    let common = at(at(second, OPTIONS), "/common_http_protocol_options");
    assert_eq!(common, &json!({"idle_timeout": "4s", "max_connection_duration": "3600s"}), "the defaults");
    assert!(second.get("preconnect_policy").is_none());
}
