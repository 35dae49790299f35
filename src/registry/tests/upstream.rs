//! How servers are reached: what may be said of that, and what may not.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::*;
use super::{full, problems, with};

/// The second server of the file is `first`, which is https.
const SERVER: &str = "/servers/1";

fn upstream(key: &str, value: Value) -> Upstream {
    let registry = with(full(), &format!("{SERVER}/{key}"), value);
    let registry = Registry::from_wire(&registry).unwrap_or_else(|problems| panic!("{problems:#?}"));
    registry.servers[1].upstream.clone()
}

#[track_caller]
fn assert_refused(server: &str, key: &str, value: Value, expected: &[&str]) {
    let found: Vec<_> =
        problems(&with(full(), &format!("{server}/{key}"), value)).iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn endpoints_have_the_port_of_the_url_and_equal_shares_of_one_priority_unless_they_say_otherwise() {
    let written = json!([
        {"address": "10.0.0.7"},
        {"address": "MCP-B.internal:8443", "weight": 3, "priority": 1, "region": "eu-central-1"},
        {"address": "[2001:db8::7]"},
    ]);
    let read = upstream("endpoints", written).endpoints;
    let endpoint = |host: &str, port, weight, priority, region: Option<&str>| ServerEndpoint {
        host: host.to_owned(),
        port,
        weight,
        priority,
        region: region.map(str::to_owned),
    };
    let expected = [
        endpoint("10.0.0.7", 443, 1, 0, None),
        endpoint("mcp-b.internal", 8443, 3, 1, Some("eu-central-1")),
        endpoint("2001:db8::7", 443, 1, 0, None),
    ];
    assert_eq!(read, expected);
}

#[test]
fn a_pool_has_the_seeds_numbers_where_a_connection_carries_many_calls_and_elsewhere_limits_no_call() {
    let pool = |kind, http| Pool::of(kind, http);
    for (kind, connections) in [(ServerKind::Mcp, 20), (ServerKind::Rest, 10)] {
        let many = pool(kind, HttpVersion::Http2);
        assert_eq!((many.connections, many.idle), (connections, Duration::from_secs(300)));
        for http in [HttpVersion::Auto, HttpVersion::Http1] {
            let one = pool(kind, http);
            assert_eq!(
                (one.connections, one.idle),
                (16_384, Duration::from_secs(4)),
                "uvicorn and Node close after 5 s"
            );
        }
        assert_eq!(many.lifetime, Duration::from_secs(3600));
    }
    assert_eq!(upstream("http", json!("http2")).pool, pool(ServerKind::Mcp, HttpVersion::Http2));
    let own = upstream("pool", json!({"idle": "90s", "preconnect": 1.5}));
    let default = pool(ServerKind::Mcp, HttpVersion::Auto);
    assert_eq!(own.pool, Pool { idle: Duration::from_secs(90), preconnect: 1.5, ..default });
}

#[test]
fn problems_of_endpoints() {
    let address = |address: &str| json!([{"address": address}]);
    let hint = "\n    hint: a host name or an IP address, and a port where it is not that of the URL";
    for (written, rule) in [
        ("a b", "must be an address with a host name or an IP address"),
        ("h.example:0", "must be an address with a port from 1 to 65535"),
        ("[::1", "must be an address whose IPv6 address stands in brackets"),
    ] {
        let problem = format!("servers[1].endpoints[0].address: \"{written}\": {rule}{hint}");
        assert_refused(SERVER, "endpoints", address(written), &[&problem]);
    }
    assert_refused(
        SERVER,
        "endpoints",
        json!([]),
        &[
            "servers[1].endpoints: [0 elements]: must have 1 to 64 entries\n    hint: without the key, calls go to the host of the URL",
        ],
    );
    let twice = json!([{"address": "10.0.0.7"}, {"address": "10.0.0.7:443"}]);
    let problem = "servers[1].endpoints[1]: {address}: must be another address than endpoints[0]";
    assert_refused(SERVER, "endpoints", twice, &[problem]);
    let wrong = json!([{"address": "10.0.0.7", "weight": 0, "priority": 16, "region": "a b", "zone": "a"}]);
    let expected = [
        "servers[1].endpoints[0].weight: 0: must be a whole number from 1 to 1000",
        "servers[1].endpoints[0].priority: 16: must be a whole number from 0 to 15",
        "servers[1].endpoints[0].region: \"a b\": must be a name of at most 64 visible ASCII characters",
        "servers[1].endpoints[0].zone: (not shown): is not a known key\n    hint: known here: address, weight, priority, region",
    ];
    assert_refused(SERVER, "endpoints", wrong, &expected);
}

/// `second` is an http server on this machine with a credential: its token would leave the machine in the clear.
#[test]
fn a_server_on_this_machine_has_no_endpoint_elsewhere() {
    let rule = "must be on this machine, as the host of the URL is";
    let problem = format!("servers[0].endpoints[0].address: \"10.0.0.7\": {rule}");
    assert_refused("/servers/0", "endpoints", json!([{"address": "10.0.0.7"}]), &[&problem]);
    let here = with(full(), "/servers/0/endpoints", json!([{"address": "[::1]:8080"}, {"address": "localhost"}]));
    assert!(problems(&here).is_empty());
}

#[test]
fn problems_of_tls_and_of_proxies() {
    assert_refused(
        "/servers/0",
        "tls",
        json!({"server_name": "a.internal"}),
        &["servers[0].tls: {server_name}: must not be given for an http server"],
    );
    assert_refused(
        SERVER,
        "tls",
        json!({"server_name": "10.0.0.7", "names": ["a b", ""], "client_certificate": {"sds_file": "secret", "key": "x"}}),
        &[
            "servers[1].tls.server_name: \"10.0.0.7\": must be a host name, without a port",
            "servers[1].tls.names[0]: \"a b\": must be a name as certificates have it: a host name, an IP address or a URI",
            "servers[1].tls.names[1]: \"\": must be a non-empty string",
            "servers[1].tls.client_certificate.sds_file: (not shown): must be the path of a file, with a / in it or ending in .yaml, .yml or .json\n    hint: the path only, never the secret: /etc/dualpath/pat-a.yaml",
            "servers[1].tls.client_certificate.key: (not shown): must not be given: a registry never holds a secret\n    hint: name its source in a slot, such as sds_file",
        ],
    );
    assert_refused(
        SERVER,
        "proxy",
        json!("http://me:hunter2@proxy.example:3128"),
        &[
            "servers[1].proxy: (not shown): must not have a user name or password\n    hint: a proxy that asks for one can't be used",
        ],
    );
    assert_refused(
        SERVER,
        "proxy",
        json!("http://proxy.example/p"),
        &["servers[1].proxy: \"http://proxy.example/p\": must be the URL of a proxy, without a path"],
    );
    assert_refused(
        "/servers/0",
        "proxy",
        json!("http://proxy.example"),
        &[
            "servers[0].proxy: \"http://proxy.example\": must not be given for an http server\n    hint: a tunnel (CONNECT) is for TLS",
        ],
    );
}

#[test]
fn problems_of_pools_and_of_balancing() {
    assert_refused(SERVER, "http", json!("h2"), &["servers[1].http: \"h2\": must be one of auto, http1, http2"]);
    assert_refused(
        SERVER,
        "pool",
        json!({"calls": 0, "connections": 0, "idle": "10ms", "lifetime": "2d", "preconnect": 4, "keepalive": "1500ms", "size": 20}),
        &[
            "servers[1].pool.calls: 0: must be a whole number from 1 to 100000",
            "servers[1].pool.connections: 0: must be a whole number from 1 to 1000000",
            "servers[1].pool.idle: \"10ms\": must be a duration from 100ms to 1d",
            "servers[1].pool.lifetime: \"2d\": must be a duration from 0ms to 1d",
            "servers[1].pool.preconnect: 4: must be a number from 1 to 3",
            "servers[1].pool.keepalive: \"1500ms\": must be a duration of whole seconds",
            "servers[1].pool.size: 20: is not a known key\n    hint: known here: calls, connections, pending, requests, retries, idle, lifetime, requests_per_connection, preconnect, keepalive",
        ],
    );
    assert_refused(
        SERVER,
        "balance",
        json!({"policy": "random", "slow_start": "1h", "eject_after": -1, "eject_for": "0s"}),
        &[
            "servers[1].balance.policy: \"random\": must be one of least_request, round_robin",
            "servers[1].balance.slow_start: \"1h\": must be a duration from 0ms to 15m",
            "servers[1].balance.eject_after: -1: must be a whole number from 0 to 1000",
            "servers[1].balance.eject_for: \"0s\": must be a duration from 1s to 15m",
        ],
    );
}
