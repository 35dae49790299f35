#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::time::Duration;

use serde_json::json;

use super::super::*;
use super::{full, with, without};
use crate::breaker::Mode;
use crate::credential::{AgePolicy, Declared};
use crate::failure::Dialect;
use crate::mcp::ProtocolVersion;
use crate::network::Network;

fn read(registry: serde_json::Value) -> Registry {
    Registry::from_wire(&registry).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let registry = read(json!({
        "version": 1,
        "credentials": [{"id": "pat", "slots": {"a": {"env": "PAT"}}}],
        "servers": [{"id": "s", "kind": "mcp", "url": "https://host.example", "credential": "pat"}],
        "tools": [{"name": "t", "task": "t"}]
    }));
    assert_eq!(registry.listener, Listener::default());
    assert_eq!(registry.envoy, EnvoySettings::default());
    assert_eq!(registry.limits, Limits { request_body: 1 << 20, response_body: 4 << 20, held: 64 << 20, rated: false });
    let credential = &registry.credentials[0];
    assert_eq!((credential.header.as_str(), credential.prefix.as_str()), ("authorization", "Bearer "));
    let source = Source::Environment("PAT".to_owned());
    assert_eq!(credential.slots, [Some(SlotSource { source, declared: Declared::default() }), None]);
    assert_eq!(credential.policy, AgePolicy::default());
    let server = &registry.servers[0];
    assert_eq!((server.tier, server.url.path.as_str()), (Tier::Primary, "/"));
    assert_eq!((server.connect_timeout, server.timeout), (Duration::from_secs(1), Duration::from_secs(30)));
    let tool = &registry.tools[0];
    assert_eq!(tool.replayable, Replayable::Annotations, "and no server is trusted by default");
    assert!(!server.trust_annotations);
    assert_eq!((server.attempts, registry.listener.client_timeout, tool.client_timeout), (1, None, None));
    assert_eq!(registry.listener.client_authorization, ClientAuthorization::Drop);
    assert_eq!(registry.failover, FailoverSettings::default());
    assert_eq!(registry.discovery, Discovery { enabled: true, every: Duration::from_secs(300) });
    assert!(tool.is_allowed && !registry.listener.allowed_tools.restricts());
    assert_eq!((tool.mcp.as_slice(), &tool.rest, tool.timeout), ([ServerIndex(0)].as_slice(), &None, None));
    assert_eq!(tool.listing, Listing::of(r#"{"name":"t","inputSchema":{"type":"object"}}"#.to_owned()));
}

#[test]
fn a_servers_query_is_kept_and_a_clients_is_put_behind_it() {
    let server = |url: &str| {
        let server = json!({"id": "s", "kind": "mcp", "url": url});
        read(json!({"version": 1, "servers": [server], "tools": []})).servers[0].clone()
    };
    let with = server("https://host.example/mcp?tenant=a&x=b@c/d?e");
    assert_eq!((with.url.path.as_str(), with.query.as_str()), ("/mcp", "tenant=a&x=b@c/d?e"));
    assert_eq!(with.target("", "y=1"), "/mcp?tenant=a&x=b@c/d?e&y=1");
    assert_eq!(server("https://host.example/mcp/?a").target("/health", ""), "/mcp/health?a");
    assert_eq!(server("https://host.example?a").target("", ""), "/?a");
    for none in ["https://host.example/mcp", "https://host.example/mcp?"] {
        assert_eq!((&*server(none).target("", ""), &*server(none).target("", "y")), ("/mcp", "/mcp?y"));
    }
}

#[test]
fn a_servers_dialect_is_its_hosts_unless_the_operator_says_otherwise() {
    let dialect = |url: &str, own: Option<&str>| {
        let mut server = json!({"id": "s", "kind": "rest", "url": url});
        if let Some(own) = own {
            server["dialect"] = json!(own);
        }
        read(json!({"version": 1, "servers": [server], "tools": []})).servers[0].dialect
    };
    let (theirs, proxy) = ("https://Org-Account.SnowflakeComputing.com/x", "http://127.0.0.1:8080");
    assert_eq!((dialect(theirs, None), dialect(theirs, Some("none"))), (Dialect::Snowflake, Dialect::None));
    assert_eq!((dialect(proxy, None), dialect(proxy, Some("snowflake"))), (Dialect::None, Dialect::Snowflake));
}

#[test]
fn a_clients_authorization_goes_only_where_no_credential_uses_its_header() {
    let receivers = |policy: &str, header: &str| {
        let mut full = full();
        full["listener"]["client_authorization"] = json!(policy);
        full["credentials"][0]["header"] = json!(header);
        let registry = read(full);
        let gets = |server: &&Server| registry.gets_client_authorization(server);
        registry.servers.iter().filter(gets).map(|server| server.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(receivers("drop", "authorization"), [""; 0]);
    assert_eq!(receivers("pass", "authorization"), ["rest"]);
    assert_eq!(receivers("rest_only", "authorization"), ["rest"]);
    assert_eq!(receivers("pass", "x-api-key"), ["second", "first", "rest"]);
    assert_eq!(receivers("rest_only", "x-api-key"), ["rest"]);
}

#[test]
fn the_failover_section_means_what_it_says() {
    let registry = read(full());
    let FailoverSettings { budget, back_off, access_log } = registry.failover;
    assert_eq!(access_log.as_deref(), Some("/dev/stdout"));
    assert_eq!((budget.deposit, budget.per_second, budget.capacity), (200, 5_000, 50_000));
    assert_eq!((back_off.base, back_off.max), (Duration::from_millis(100), Duration::from_secs(2)));
    assert_eq!((registry.servers[0].attempts, registry.servers[1].attempts), (1, 3));
    assert_eq!(registry.listener.client_timeout, Some(Duration::from_secs(60)));
    assert_eq!(registry.tools[0].client_timeout, Some(Duration::from_secs(45)));
}

#[test]
fn the_longest_time_of_an_attempt_is_that_of_the_slowest_server_or_tool() {
    let longest = |registry: serde_json::Value| read(registry).longest_timeout;
    assert_eq!(longest(full()), Duration::from_secs(30), "a server that says nothing");
    assert_eq!(longest(with(full(), "/servers/1/timeout", json!("31s"))), Duration::from_secs(31));
    assert_eq!(longest(with(full(), "/tools/0/timeout", json!("32s"))), Duration::from_secs(32));
}

#[test]
fn names_become_positions() {
    let registry = read(full());
    let credentials: Vec<_> = registry.servers.iter().map(|server| server.credential).collect();
    assert_eq!(credentials, [Some(CredentialIndex(0)), Some(CredentialIndex(0)), None]);
    let direct = registry.tools[0].rest.as_ref().map(|direct| (direct.server, direct.first));
    assert_eq!(direct, Some((ServerIndex(2), true)));
}

#[test]
fn a_tools_servers_are_in_order_of_tier_then_file_however_it_names_them() {
    let registry = read(full());
    assert_eq!(registry.tools[0].mcp, [ServerIndex(1), ServerIndex(0)]);
    assert_eq!(registry.tools[1].mcp, registry.mcp_servers(), "a tool that names none has all of them");
}

#[test]
fn a_tool_may_do_without_mcp_if_it_has_a_direct_path() {
    let registry = read(with(full(), "/tools/0/servers", json!([])));
    assert!(registry.tools[0].mcp.is_empty());
    assert!(registry.tools[0].rest.is_some());
}

#[test]
fn a_tool_is_listed_as_mcp_writes_it() {
    let listing = json!({
        "name": "search",
        "title": "Search",
        "description": "Finds.",
        "inputSchema": {"type": "object", "properties": {"query": {"type": "string"}}},
        "annotations": {"readOnlyHint": true}
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(read(full()).tools[0].listing.as_json()).unwrap(), listing);
}

#[test]
fn only_authorization_has_a_bearer_prefix_unless_it_is_asked_for() {
    let api_key = without(with(full(), "/credentials/0/header", json!("x-api-key")), "/credentials/0/prefix");
    assert_eq!(read(api_key).credentials[0].prefix, "");
}

#[test]
fn a_credential_may_go_over_plain_http_to_this_machine_only() {
    for host in ["127.0.0.1", "127.8.8.8", "[::1]", "localhost"] {
        read(with(full(), "/servers/0/url", json!(format!("http://{host}:8080/mcp"))));
    }
    for host in ["10.0.0.1", "host.example", "0.0.0.0", "localhost.example", "[::]"] {
        let registry = with(full(), "/servers/0/url", json!(format!("http://{host}:8080/mcp")));
        let problems = super::problems(&registry);
        assert_eq!(problems.len(), 1, "{host}");
        assert_eq!(problems[0].rule, "must be https, because a credential is sent there");
    }
}

#[test]
fn a_server_overrides_single_numbers_of_the_breakers_common_policy() {
    let mut registry = full();
    registry["breaker"] = json!({"consecutive": 8, "ramp": "30s"});
    registry["servers"][0]["breaker"] = json!({"ramp": "0s", "mode": "metrics_only"});
    let registry = read(registry);
    let policy = |id: &str| registry.server_by_id(id).map(|(_, server)| server.breaker).unwrap();
    let (own, common) = (policy("second"), policy("first"));
    assert_eq!((own.consecutive, own.ramp.ms, own.mode), (Some(8), 0, Mode::MetricsOnly));
    assert_eq!((common.consecutive, common.ramp.ms, common.mode), (Some(8), 30_000, Mode::Normal));
}

#[test]
fn a_probe_keeps_its_lease_for_as_long_as_the_slowest_call_may_take() {
    let mut registry = full();
    registry["servers"][0]["timeout"] = json!("2m");
    registry["tools"][0]["timeout"] = json!("1m");
    let registry = read(registry);
    let lease = |id: &str| registry.server_by_id(id).map(|(_, server)| server.breaker.lease_ms);
    assert_eq!(lease("second"), Some(121_000));
    assert_eq!(lease("first"), Some(61_000));
}

#[test]
fn drills_are_off_unless_switched_on_and_then_for_this_machine_only() {
    let drill = |drill| read(with(full(), "/drill", drill)).drill;
    assert_eq!(read(full()).drill, None);
    assert_eq!(drill(json!({})), None);
    assert_eq!(drill(json!({"sources": ["0.0.0.0/0"]})), None, "naming sources does not switch it on");
    let sources = |value| drill(value).map(|drill| drill.sources);
    let networks = |texts: &[&str]| Some(texts.iter().map(|text| Network::parse(text).unwrap()).collect());
    assert_eq!(sources(json!({"enabled": true})), networks(&["127.0.0.1/32", "::1/128"]));
    assert_eq!(sources(json!({"enabled": true, "sources": ["10.0.0.0/8"]})), networks(&["10.0.0.0/8"]));
}

/// The probe of the first server, an MCP server, or of the third, a REST server.
fn probe(server: usize, keys: serde_json::Value) -> Option<Probe> {
    let mut registry = full();
    registry["servers"][server].as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    read(registry).servers[server].probe.clone()
}

#[test]
fn an_mcp_server_is_probed_by_protocol_a_rest_server_only_if_told() {
    let request = |keys| probe(0, keys).map(|probe| probe.request);
    let handshake = |version| Some(ProbeRequest::Initialize(version));
    assert_eq!(request(json!({})), handshake(ProtocolVersion::V2025_11_25));
    assert_eq!(request(json!({"protocol": "2025-03-26"})), handshake(ProtocolVersion::V2025_03_26));
    assert_eq!(request(json!({"protocol": "2026-07-28"})), Some(ProbeRequest::Discover));
    assert_eq!(request(json!({"probe": {"method": "ping"}})), Some(ProbeRequest::Ping));
    assert_eq!(request(json!({"probe": {"method": "server/discover"}})), Some(ProbeRequest::Discover));
    assert_eq!(
        request(json!({"protocol": "2026-07-28", "probe": {"method": "initialize"}})),
        handshake(ProtocolVersion::V2025_11_25),
        "the newest version that has a handshake"
    );
    assert_eq!(request(json!({"probe": {"enabled": false}})), None);
    assert_eq!(probe(2, json!({})), None);
    assert_eq!(probe(2, json!({"probe": {"enabled": false}})), None);
}

#[test]
fn a_probe_has_the_documented_defaults() {
    let probe = probe(2, json!({"probe": {"path": "/health"}})).unwrap();
    assert_eq!((probe.timeout, probe.interval, probe.idle), (Duration::from_secs(3), Duration::from_secs(10), false));
    let expected = HttpProbe { method: "GET", path: "/health".to_owned(), body: None, expect_status: vec![200] };
    assert_eq!(probe.request, ProbeRequest::Http(expected));
}

#[test]
fn a_probes_body_is_sent_as_it_is_written() {
    let keys = json!({"probe": {"method": "POST", "path": "/q", "body": {"a": [1]}, "expect_status": [200, 429]}});
    let expected = HttpProbe {
        method: "POST",
        path: "/q".to_owned(),
        body: Some(r#"{"a":[1]}"#.to_owned()),
        expect_status: vec![200, 429],
    };
    assert_eq!(probe(2, keys).map(|probe| probe.request), Some(ProbeRequest::Http(expected)));
}

#[test]
fn a_probes_lease_outlives_its_timeout() {
    let mut registry = full();
    registry["tools"] = json!([]);
    registry["breaker"] = json!({"lease": "1s"});
    registry["servers"][1]["timeout"] = json!("1s");
    registry["servers"][1]["probe"] = json!({"timeout": "20s"});
    assert_eq!(read(registry).servers[1].breaker.lease_ms, 21_000);
}
