//! What the rendered bootstrap must say, rule by rule; that Envoy takes it is checked in `tests/rendered_bootstrap.rs`.

mod ways;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::{bootstrap, document, to_yaml};
use crate::breaker::Policy;
use crate::credential::{AgePolicy, Declared};
use crate::failure::Overrides;
use crate::network::Network;
use crate::registry::{
    Audit, CallLog, ClientAuthorization, Credential, CredentialIndex, Endpoint, EnvoySettings, ErrorStatus,
    FailoverSettings, FailureSettings, Id, Limits, Listener, Permission, Prices, ProberPlacement, Registry, Server,
    ServerIndex, ServerKind, SlotSource, Source, Tier, Upstream, Url, slice,
};

fn url(tls: bool, host: &str, port: u16) -> Url {
    Url { tls, host: host.to_owned(), port, path: "/mcp".to_owned() }
}

fn slot(source: Source) -> SlotSource {
    SlotSource { source, declared: Declared::default() }
}

fn server(id: &str, kind: ServerKind, url: Url) -> Server {
    Server {
        id: Id::new(id).unwrap(),
        kind,
        tier: Tier::Primary,
        url,
        query: String::new(),
        dialect: crate::failure::Dialect::None,
        normalise: false,
        credential: Some(CredentialIndex(0)),
        ca_file: None,
        connect_timeout: Duration::from_millis(250),
        timeout: Duration::from_secs(30),
        attempts: 1,
        most_calls: None,
        concurrency: None,
        breaker: Policy::default(),
        protocol: crate::mcp::ProtocolVersion::V2025_11_25,
        probe: None,
        rules: Vec::new(),
        on: Overrides::default(),
        trust_annotations: false,
        upstream: Upstream::of(kind),
        offers: crate::registry::Abilities::default(),
        price: None,
    }
}

/// Two MCP servers, one REST server, one credential with a secret file and an environment variable.
fn registry() -> Registry {
    Registry {
        longest_timeout: Duration::from_secs(30),
        listener: Listener {
            address: "127.0.0.1".to_owned(),
            port: 10000,
            path: "/mcp".to_owned(),
            expose_headers: false,
            allowed_origins: Vec::new(),
            allowed_tools: crate::registry::AllowedTools::default(),
            client_timeout: None,
            client_authorization: ClientAuthorization::Drop,
            query: crate::registry::ClientQuery::Refuse,
            error_status: ErrorStatus::Jsonrpc,
        },
        envoy: EnvoySettings::default(),
        limits: Limits { request_body: 1 << 20, response_body: 4 << 20, held: 64 << 20, rated: false },
        cache: crate::registry::CacheSettings::default(),
        caches_by_caller: false,
        failure: FailureSettings::default(),
        tracing: None,
        status_page: None,
        failover: FailoverSettings::default(),
        discovery: crate::registry::Discovery::default(),
        routing: crate::registry::RoutingSettings::default(),
        drill: None,
        audit: Audit::default(),
        log: CallLog::default(),
        prices: Prices::default(),
        environment: None,
        credentials: vec![Credential {
            id: Id::new("pat").unwrap(),
            header: "authorization".to_owned(),
            prefix: "Bearer ".to_owned(),
            headers: vec![],
            slots: [
                Some(slot(Source::SdsFile("/etc/dualpath/pat-a.yaml".to_owned()))),
                Some(slot(Source::Environment("PAT_B".to_owned()))),
            ],
            policy: AgePolicy::default(),
        }],
        servers: vec![
            server("first", ServerKind::Mcp, url(true, "mcp.example.com", 443)),
            server("second", ServerKind::Mcp, url(false, "127.0.0.1", 8080)),
            server("direct", ServerKind::Rest, url(true, "10.0.0.7", 8443)),
        ]
        .into(),
        tools: Vec::new().into(),
        rates: Vec::new(),
    }
}

fn wire() -> Value {
    json!({"version": 1, "limits": {"request_body": 18_446_744_073_709_551_615_u64}, "servers": [{"id": "first"}]})
}

fn rendered(registry: &Registry) -> Value {
    bootstrap(registry, &wire())
}

/// The value at a JSON pointer, which must be there.
#[track_caller]
fn at<'v>(tree: &'v Value, pointer: &str) -> &'v Value {
    tree.pointer(pointer).unwrap_or_else(|| panic!("nothing at {pointer}"))
}

const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

fn routes(tree: &Value) -> &[Value] {
    at(tree, &format!("{MANAGER}/route_config/virtual_hosts/0/routes")).as_array().unwrap()
}

fn route<'t>(tree: &'t Value, name: &str) -> &'t Value {
    let routes = routes(tree);
    routes.iter().find(|route| route["name"] == name).unwrap_or_else(|| panic!("no route {name} in {routes:#?}"))
}

fn specifier(route: &Value) -> &Value {
    at(route, "/route/inline_cluster_specifier_plugin/extension/typed_config/cluster_matcher")
}

/// Filter state -> cluster, as the route maps them.
fn choices(route: &Value) -> BTreeMap<String, String> {
    let map = at(specifier(route), "/matcher_tree/exact_match_map/map").as_object().unwrap();
    map.iter().map(|(state, action)| (state.clone(), cluster_of(action))).collect()
}

fn cluster_of(action: &Value) -> String {
    at(action, "/action/typed_config/cluster").as_str().unwrap().to_owned()
}

fn upstream_filters(tree: &Value, cluster: usize) -> Vec<Value> {
    let options = "typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    at(tree, &format!("/static_resources/clusters/{cluster}/{options}/http_filters")).as_array().unwrap().clone()
}

fn attempt(tree: &Value, cluster: usize) -> Value {
    let filters = upstream_filters(tree, cluster);
    at(&filters[filters.len() - 2], "/typed_config/config").clone()
}

fn gate(tree: &Value) -> &Value {
    at(tree, &format!("{MANAGER}/http_filters/0/typed_config/config"))
}

fn prober(tree: &Value) -> &Value {
    at(tree, "/bootstrap_extensions/0/typed_config/config")
}

fn configuration(plugin: &Value) -> Value {
    serde_json::from_str(at(plugin, "/configuration/value").as_str().unwrap()).unwrap()
}

#[test]
fn gate_and_attempts_share_one_vm_config() {
    let tree = rendered(&registry());
    for cluster in 0..3 {
        assert_eq!(at(&attempt(&tree, cluster), "/vm_config"), at(gate(&tree), "/vm_config"));
    }
}

#[test]
fn the_prober_has_a_vm_of_its_own() {
    let tree = rendered(&registry());
    assert_eq!(at(&tree, "/bootstrap_extensions/0/typed_config/singleton"), true);
    assert_ne!(at(prober(&tree), "/vm_config"), at(gate(&tree), "/vm_config"));
    assert_eq!(at(prober(&tree), "/vm_config/vm_id"), at(gate(&tree), "/vm_config/vm_id"), "one shared-data space");
}

#[test]
fn a_prober_on_the_listener_ticks_without_being_in_any_requests_way() {
    let mut registry = registry();
    registry.envoy.prober = ProberPlacement::Listener;
    let tree = rendered(&registry);
    assert_eq!(tree["bootstrap_extensions"].as_array().map(Vec::len), Some(1), "what listeners inside need");
    let filter = at(&tree, &format!("{MANAGER}/http_filters/0"));
    assert_eq!((&filter["name"], &filter["disabled"]), (&json!("dualpath.prober"), &json!(true)));
    let plugin = at(filter, "/typed_config/config");
    let read = configuration(plugin);
    assert_eq!((&read["role"], &read["placement"]), (&json!("prober"), &json!("listener")));
    let gate = at(&tree, &format!("{MANAGER}/http_filters/1/typed_config/config"));
    assert_ne!(at(plugin, "/vm_config"), at(gate, "/vm_config"), "its probes run through attempts");
    assert_eq!(at(plugin, "/vm_config/vm_id"), at(gate, "/vm_config/vm_id"), "one shared-data space");
}

#[test]
fn a_prober_that_is_off_is_nowhere() {
    let mut registry = registry();
    registry.envoy.prober = ProberPlacement::Off;
    assert!(!rendered(&registry).to_string().contains("prober"));
}

#[test]
fn the_drill_is_rendered_only_where_it_is_switched_on() {
    let mut registry = registry();
    assert!(!rendered(&registry).to_string().contains("drill"));
    registry.drill = Some(Permission { sources: vec![Network::parse("127.0.0.1/32").unwrap()] });
    let tree = rendered(&registry);
    for name in ["mcp", "mcp-once", "direct-only", "direct-only-once"] {
        let choices = choices(route(&tree, name));
        assert_eq!(choices.get("dualpath-drill").map(String::as_str), Some("dualpath-drill"), "also while MCP is off");
    }
    let clusters = at(&tree, "/static_resources/clusters").as_array().unwrap();
    let at_drill = clusters.iter().position(|cluster| cluster["name"] == "dualpath-drill").unwrap();
    let plugin = attempt(&tree, at_drill);
    assert_eq!(configuration(&plugin)["role"], "drill");
    assert_eq!(at(&plugin, "/vm_config"), at(gate(&tree), "/vm_config"), "it shares the attempts' VM");
    assert_eq!(upstream_filters(&tree, at_drill).len(), 2, "no secret goes there");
}

#[test]
fn the_registry_stands_in_the_bootstrap_once_and_every_other_plugin_gets_its_part() {
    let (registry, wire) = (registry(), wire());
    let tree = rendered(&registry);
    let identity = slice::shown(slice::identity(&wire));
    assert_eq!(configuration(gate(&tree)), json!({"role": "gate", "identity": identity, "registry": wire}));
    let part = slice::for_prober(&registry, &wire);
    assert_eq!(configuration(prober(&tree)), json!({"role": "prober", "identity": identity, "registry": part}));
    let part = slice::for_attempt(&registry, &wire, ServerIndex(1));
    let second = json!({"role": "attempt", "server": "second", "identity": identity, "registry": part});
    assert_eq!(configuration(&attempt(&tree, 1)), second);
}

#[test]
fn a_trap_neither_stops_the_worker_for_good_nor_lets_requests_pass() {
    let tree = rendered(&registry());
    for plugin in [gate(&tree), prober(&tree), &attempt(&tree, 0)] {
        assert_eq!(plugin["failure_policy"], "FAIL_RELOAD");
    }
}

#[test]
fn every_server_can_be_chosen_by_filter_state() {
    let tree = rendered(&registry());
    assert_eq!(at(specifier(route(&tree, "mcp")), "/matcher_tree/input/typed_config/key"), "wasm.next");
    let expected = ["direct", "first", "second"].map(|id| (id.to_owned(), id.to_owned()));
    assert_eq!(choices(route(&tree, "mcp")), BTreeMap::from(expected));
    let clusters = at(&tree, "/static_resources/clusters").as_array().unwrap();
    assert!(clusters.iter().map(|cluster| &cluster["name"]).take(3).eq(["first", "second", "direct"]));
}

#[test]
fn where_the_gate_names_no_server_the_one_that_most_calls_go_to_first_is_taken() {
    let tree = rendered(&registry());
    assert_eq!(cluster_of(at(specifier(route(&tree, "mcp")), "/on_no_match")), "first");
    assert_eq!(cluster_of(at(specifier(route(&tree, "direct-only")), "/on_no_match")), "direct");
}

/// The gate does not know yet that MCP is switched off, and the first REST server may not be the tool's.
#[test]
fn while_mcp_is_off_the_gate_can_name_which_of_several_rest_servers_knows_the_tool() {
    let mut registry = registry();
    let mut servers = registry.servers.to_vec();
    servers.push(Server { id: Id::new("another").unwrap(), ..registry.servers[2].clone() });
    registry.servers = servers.into();
    let tree = rendered(&registry);
    let fallback = at(specifier(route(&tree, "direct-only")), "/on_no_match/matcher");
    assert_eq!(at(fallback, "/matcher_tree/input/typed_config/key"), "wasm.direct");
    assert!(at(fallback, "/matcher_tree/exact_match_map/map").get("another").is_some());
    assert_eq!(cluster_of(at(fallback, "/on_no_match")), "direct");
}

#[test]
fn the_kill_switch_route_names_no_mcp_server() {
    let tree = rendered(&registry());
    assert_eq!(at(route(&tree, "mcp"), "/match/runtime_fraction/runtime_key"), "dualpath.mcp_enabled");
    assert_eq!(at(&tree, "/layered_runtime/layers/0/static_layer/dualpath.mcp_enabled"), 100);

    let direct = route(&tree, "direct-only");
    assert_eq!(direct["match"], json!({"path": "/mcp"}));
    assert_eq!(choices(direct), BTreeMap::from([("direct".to_owned(), "direct".to_owned())]));
    assert_eq!(cluster_of(at(specifier(direct), "/on_no_match")), "direct");
}

#[test]
fn without_a_rest_server_the_kill_switch_route_reaches_nobody() {
    let mut registry = registry();
    registry.servers = registry.servers[..2].to_vec().into();
    let tree = rendered(&registry);
    assert_eq!(at(route(&tree, "direct-only"), "/direct_response/status"), 503);
    assert!(route(&tree, "direct-only").get("route").is_none());
}

#[test]
fn only_what_was_never_sent_is_retried_unasked_where_a_call_must_not_run_twice() {
    let tree = rendered(&registry());
    for name in ["mcp-once", "direct-only-once"] {
        let policy = at(route(&tree, name), "/route/retry_policy");
        assert_eq!(policy["retry_on"], "connect-failure,refused-stream,reset-before-request,retriable-headers");
        let pace = json!([{"key": "wasm.pace", "string_match": {"exact": "once"}}]);
        assert_eq!(at(route(&tree, name), "/match/filter_state"), &pace);
    }
    let policy = at(route(&tree, "mcp"), "/route/retry_policy");
    assert_eq!(policy["retry_on"], "connect-failure,refused-stream,reset,reset-before-request,retriable-headers");
    assert_eq!(policy["retriable_headers"], json!([{"name": "x-dualpath-failover", "present_match": true}]));
    assert_eq!(policy["refresh_cluster_on_retry"], true);
    let why = "two more servers, the other slot of each of three, a session, and eight questions for an accepted call";
    assert_eq!(policy["num_retries"], 14, "{why}");
}

#[test]
fn an_attempt_may_take_as_long_as_the_slowest_server_is_allowed_to() {
    let mut registry = registry();
    registry.servers[1].timeout = Duration::from_millis(90_500);
    // As the reader finds it.
    registry.longest_timeout = Duration::from_millis(90_500);
    let tree = rendered(&registry);
    assert_eq!(at(route(&tree, "mcp"), "/route/retry_policy/per_try_timeout"), "90.5s");
    assert_eq!(at(route(&tree, "mcp"), "/route/timeout"), "0s", "the stream itself may last");
}

/// Envoy's own defaults cut a stream off after 15 seconds, or once it is quiet for five minutes (pomerium#6288,
/// agents-at-scale-ark#1941).
#[test]
fn no_route_of_calls_cuts_off_a_stream_that_is_long_or_quiet() {
    let tree = rendered(&registry());
    let actions: Vec<_> = routes(&tree).iter().filter_map(|route| route.get("route")).collect();
    let calls: Vec<_> =
        actions.iter().filter(|action| action.get("inline_cluster_specifier_plugin").is_some()).collect();
    assert!(calls.len() > 1, "{actions:?}");
    for action in calls {
        assert_eq!((&action["timeout"], &action["idle_timeout"]), (&json!("0s"), &json!("3600s")));
    }
}

#[test]
fn a_stream_holds_more_than_the_limits_and_a_connection_little() {
    let tree = rendered(&registry());
    let bytes = |pointer: &str| at(&tree, pointer).as_u64().unwrap();
    let connections = ["listeners", "clusters"]
        .map(|of| bytes(&format!("/static_resources/{of}/0/per_connection_buffer_limit_bytes")));
    let stream = route(&tree, "mcp")["request_body_buffer_limit"].as_u64().unwrap();
    assert!(connections[0] <= 1 << 16, "every client may fill one");
    assert!(stream > (4 << 20) + connections[1], "an answer at its limit, and the next piece of it");
}

#[test]
fn a_name_without_an_address_is_a_refused_connection_not_an_empty_cluster() {
    let tree = rendered(&registry());
    let endpoints = at(&tree, "/static_resources/clusters/0/load_assignment/endpoints");
    assert!(endpoints[0].get("priority").is_none());
    assert_eq!(endpoints[1]["priority"], 1, "only while the name has no address");
    assert_eq!(
        at(&endpoints[1], "/lb_endpoints/0/endpoint/address/socket_address"),
        &json!({"address": "127.0.0.1", "port_value": 1})
    );
}

#[test]
fn https_servers_check_the_certificate_name() {
    let tree = rendered(&registry());
    let context = at(&tree, "/static_resources/clusters/0/transport_socket/typed_config");
    assert_eq!(context["sni"], "mcp.example.com");
    let validation = at(context, "/common_tls_context/validation_context");
    let name = json!([{"san_type": "DNS", "matcher": {"exact": "mcp.example.com"}}]);
    assert_eq!(validation["match_typed_subject_alt_names"], name);
    assert!(at(validation, "/trusted_ca/filename").as_str().unwrap().starts_with("/etc/ssl/"));
}

#[test]
fn an_address_is_checked_as_an_address_and_never_sent_as_sni() {
    let mut registry = registry();
    registry.servers[2].ca_file = Some("/etc/dualpath/ca.pem".to_owned());
    let tree = rendered(&registry);
    let context = at(&tree, "/static_resources/clusters/2/transport_socket/typed_config");
    assert!(context.get("sni").is_none());
    let validation = at(context, "/common_tls_context/validation_context");
    let name = json!([{"san_type": "IP_ADDRESS", "matcher": {"exact": "10.0.0.7"}}]);
    assert_eq!(validation["match_typed_subject_alt_names"], name);
    assert_eq!(at(validation, "/trusted_ca/filename"), "/etc/dualpath/ca.pem");
}

#[test]
fn plain_servers_have_no_tls_and_addresses_are_not_looked_up() {
    let tree = rendered(&registry());
    let [first, second] = [0, 1].map(|n| at(&tree, &format!("/static_resources/clusters/{n}")));
    assert_eq!(first["cluster_type"]["name"], "envoy.clusters.dns");
    assert_eq!(second["type"], "STATIC");
    assert!(second.get("transport_socket").is_none());
}

#[test]
fn injectors_stand_before_the_attempt_and_the_codec_ends_the_chain() {
    let tree = rendered(&registry());
    let names: Vec<_> = upstream_filters(&tree, 0).iter().map(|filter| filter["name"].clone()).collect();
    assert_eq!(names, ["dualpath.slot_a", "dualpath.attempt", "envoy.filters.http.upstream_codec"]);
}

#[test]
fn the_secret_of_the_server_before_is_overwritten() {
    let tree = rendered(&registry());
    let injector = &upstream_filters(&tree, 0)[0]["typed_config"];
    assert_eq!(injector["overwrite"], true);
    let generic = at(injector, "/credential/typed_config");
    assert_eq!(generic["header"], "x-dualpath-slot-a");
    assert_eq!(at(generic, "/credential/name"), "pat-a");
    let source = at(generic, "/credential/sds_config/path_config_source");
    assert_eq!(source["watched_directory"]["path"], "/etc/dualpath");
}

#[test]
fn a_client_cannot_fill_an_empty_slot() {
    let tree = rendered(&registry());
    for route in routes(&tree) {
        let removed = at(route, "/request_headers_to_remove");
        for header in ["x-dualpath-slot-a", "x-dualpath-slot-b"] {
            assert!(removed.as_array().unwrap().contains(&json!(header)), "{removed}");
        }
    }
}

/// What stands beside a route would hold for the other routes of a listener that Dualpath is attached to.
#[test]
fn all_that_is_needed_of_a_listener_is_its_routes_and_a_filter_that_is_off_elsewhere() {
    for prober in [ProberPlacement::Bootstrap, ProberPlacement::Listener] {
        let mut registry = registry();
        registry.envoy.prober = prober;
        let tree = rendered(&registry);
        let host = at(&tree, &format!("{MANAGER}/route_config/virtual_hosts/0")).as_object().unwrap();
        assert_eq!(host.keys().collect::<Vec<_>>(), ["name", "domains", "routes"]);
        let filters = at(&tree, &format!("{MANAGER}/http_filters")).as_array().unwrap();
        let (router, own) = filters.split_last().unwrap();
        assert_eq!(at(router, "/typed_config").as_object().unwrap().len(), 1, "the router as everybody has it");
        assert!(own.iter().all(|filter| filter["disabled"] == true), "{own:?}");
        for route in routes(&tree) {
            let on = at(route, "/typed_per_filter_config/dualpath.gate");
            let envoys = "type.googleapis.com/envoy.config.route.v3.FilterConfig";
            // istiod takes no configuration without a type.
            let none = json!({"@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"});
            assert_eq!(on, &json!({"@type": envoys, "config": none, "is_optional": true}));
        }
    }
}

#[test]
fn oauth_is_discovered_at_the_server_that_clients_authenticate_with_and_only_if_they_do() {
    let ours = |tree: &Value| routes(tree).iter().filter(|route| route["name"] == "dualpath-discovery").count();
    assert_eq!(ours(&rendered(&registry())), 0);
    let mut passing = registry();
    passing.listener.client_authorization = ClientAuthorization::Pass;
    passing.servers[1].credential = None;
    // Of the server's own requests, and not of these.
    passing.servers[1].query = "tenant=a".to_owned();
    let tree = rendered(&passing);
    assert_eq!(ours(&tree), 6);
    let resource =
        routes(&tree).iter().find(|route| route["match"]["path"] == "/.well-known/oauth-protected-resource/mcp");
    let action = &resource.unwrap()["route"];
    let server = &passing.servers[1];
    assert_eq!(action["prefix_rewrite"], format!("/.well-known/oauth-protected-resource{}", server.url.path));
    assert_eq!(action["host_rewrite_literal"], server.url.authority());
    let clusters = at(&tree, "/static_resources/clusters").as_array().unwrap();
    let cluster = clusters.iter().find(|cluster| cluster["name"] == action["cluster"]).unwrap();
    assert!(!cluster.to_string().contains("dualpath.attempt"), "no credential is put in");
    assert_eq!(cluster["transport_socket"], clusters[1]["transport_socket"]);
    passing.listener.client_authorization = ClientAuthorization::RestOnly;
    assert_eq!(ours(&rendered(&passing)), usize::from(passing.servers[2].credential.is_none()) * 6);
}

/// The clusters that are not servers, by name.
fn secret_clusters(tree: &Value) -> BTreeMap<&str, &Value> {
    let clusters = at(tree, "/static_resources/clusters").as_array().unwrap();
    let named = clusters.iter().map(|cluster| (cluster["name"].as_str().unwrap(), cluster));
    named.filter(|(name, _)| name.starts_with("dualpath-secret-")).collect()
}

#[test]
fn a_secret_server_is_a_cluster_of_http_2_that_the_injector_asks() {
    let mut registry = registry();
    registry.credentials[0].slots[0] = Some(slot(Source::SdsGrpc(url(true, "sds.example.com", 8443))));
    let tree = rendered(&registry);
    let config = at(&upstream_filters(&tree, 0)[0], "/typed_config/credential/typed_config/credential").clone();
    assert_eq!(config["name"], "pat-a");
    assert_eq!(at(&config, "/sds_config/api_config_source/api_type"), "GRPC");
    let service = "/sds_config/api_config_source/grpc_services/0/envoy_grpc/cluster_name";
    assert_eq!(at(&config, service), "dualpath-secret-pat-a");
    let clusters = secret_clusters(&tree);
    assert_eq!(clusters.keys().copied().collect::<Vec<_>>(), ["dualpath-secret-pat-a"]);
    let cluster = clusters["dualpath-secret-pat-a"];
    let options = "/typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    assert!(at(cluster, options).pointer("/explicit_http_config/http2_protocol_options").is_some(), "gRPC is HTTP/2");
    assert_eq!(at(cluster, "/transport_socket/typed_config/sni"), "sds.example.com");
}

#[test]
fn a_token_endpoint_is_a_cluster_without_filters_and_needs_no_injector() {
    let mut registry = registry();
    let endpoint = Endpoint {
        url: url(false, "127.0.0.1", 8200),
        field: None,
        every: Duration::from_secs(60),
        timeout: Duration::from_secs(5),
    };
    registry.credentials[0].slots = [None, Some(slot(Source::Endpoint(endpoint)))];
    let tree = rendered(&registry);
    assert_eq!(upstream_filters(&tree, 0).len(), 2, "only the attempt and the codec");
    let clusters = secret_clusters(&tree);
    assert_eq!(clusters.keys().copied().collect::<Vec<_>>(), ["dualpath-secret-pat-b"]);
    let cluster = clusters["dualpath-secret-pat-b"];
    assert!(cluster.get("transport_socket").is_none());
    assert!(cluster.get("typed_extension_protocol_options").is_none());
    let address = at(cluster, "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address");
    assert_eq!(address, &json!({"address": "127.0.0.1", "port_value": 8200}));
}

#[test]
fn a_server_without_a_credential_has_no_injector() {
    let mut registry = registry();
    registry.servers[0].credential = None;
    assert_eq!(upstream_filters(&rendered(&registry), 0).len(), 2);
}

#[test]
fn the_module_sees_each_variable_of_slots_and_switch_once() {
    let mut registry = registry();
    let credential = registry.credentials[0].clone();
    registry.credentials.push(credential);
    let tree = rendered(&registry);
    let keys = at(gate(&tree), "/vm_config/environment_variables/host_env_keys");
    assert_eq!(keys, &json!(["MCP_SNOWFLAKE_ENABLED", "PAT_B"]));
}

#[test]
fn the_file_says_where_it_comes_from_and_reads_back_as_the_same_tree() {
    let text = document(&registry(), &wire(), "envoy/registry.yaml\nnode: evil").unwrap();
    assert!(text.contains("generated by `dualpath render envoy/registry.yaml"), "{text}");
    let back: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(back, rendered(&registry()));
}

#[test]
fn plugin_configurations_stay_readable_in_yaml() {
    let text = to_yaml(&rendered(&registry())).unwrap();
    assert!(text.contains("value: |-\n"), "a literal block");
    assert!(text.lines().all(|line| line.len() < 200));
    assert!(text.contains("18446744073709551615"), "numbers stay exact");
}

#[test]
fn limits_of_calls_come_right_behind_the_gate_and_not_at_all_without_any() {
    use crate::registry::{Caller, Rate};
    let filters = |registry: &Registry| {
        let rendered = rendered(registry);
        at(&rendered, &format!("{MANAGER}/http_filters")).as_array().unwrap().clone()
    };
    let names = |filters: &[Value]| filters.iter().map(|filter| filter["name"].clone()).collect::<Vec<_>>();
    let mut registry = registry();
    assert_eq!(names(&filters(&registry)), ["dualpath.gate", "envoy.filters.http.router"]);
    let rate = |tool: &str, caller| Rate { tool: tool.to_owned(), calls: 60, per: Duration::from_secs(60), caller };
    let header = || Caller::Header("x-user-id".to_owned());
    registry.rates = vec![rate("sql", Caller::All), rate("sql", header()), rate("search", header())];
    let filters = filters(&registry);
    assert_eq!(names(&filters), ["dualpath.gate", "dualpath.rate", "envoy.filters.http.router"]);
    let rate = &filters[1]["typed_config"];
    assert_eq!(rate["rate_limits"].as_array().map(Vec::len), Some(2), "one for each way to count");
    let entries: Vec<_> = rate["descriptors"].as_array().unwrap().iter().map(|one| one["entries"].clone()).collect();
    let tool = |name: &str| json!({"key": "tool", "value": name});
    let user = json!({"key": "x-user-id"});
    assert_eq!(entries, [json!([tool("sql")]), json!([tool("sql"), user]), json!([tool("search"), user])]);
    let bucket = json!({"max_tokens": 60, "tokens_per_fill": 60, "fill_interval": "60s"});
    assert_eq!(rate["descriptors"][0]["token_bucket"], bucket);
}
