//! Ways to a server: TLS with an authority of one's own, HTTP/2, client certificates, several endpoints, a forward proxy. And
//! whatever fails on the way, the call goes on.

use std::time::{Duration, Instant};

use dualpath::cli::rules::groups;
use dualpath::registry::Registry;
use dualpath_lab::envoy::free_ports;
use dualpath_lab::metrics::Metrics;
use dualpath_lab::stub::{Behaviour, Stub};
use serde_json::json;

use crate::front::{Front, PEER, PROTOCOL, Proxy, Speaks, certificate, write_client_certificate};
use crate::world::{Options, World, since};

/// Gives the stub's place in the registry to a front of it, which is there before its server.
async fn front(speaks: Speaks) -> (Front, u16) {
    let (server, _) = free_ports().expect("ports");
    (Front::start(speaks, server).await, server)
}

/// The server at this place of the registry, behind a front with TLS.
fn behind_tls(options: &mut Options, at: usize, front: &Front, path: &str) {
    options.set(&format!("/servers/{at}/url"), json!(format!("https://{}{path}", front.addr())));
    options.set(&format!("/servers/{at}/ca_file"), json!(certificate("ca.pem")));
    options.set(&format!("/servers/{at}/tls/server_name"), json!("mcp.internal"));
}

const MCP: &str = "/api/v2/databases/D/schemas/S/mcp-servers/one";

/// A header of the last call that a stub saw.
fn seen(stub: &Stub, header: &str) -> String {
    let received = stub.received();
    let call = received.iter().rfind(|received| received.rpc_method.as_deref() != Some("initialize"));
    let found = call.and_then(|call| call.headers.iter().find(|(name, _)| name == header));
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_server_is_spoken_to_in_the_version_of_http_that_the_registry_says() {
    let (h2c, first) = front(Speaks::H2c).await;
    let (tls, second) = front(Speaks::Tls).await;
    let (old, third) = front(Speaks::Tls).await;
    let world = World::start_with(|options| {
        options.primary.port = first;
        options.set("/servers/0/url", json!(format!("http://{}{MCP}", h2c.addr())));
        options.set("/servers/0/http", json!("http2"));
        options.secondary.port = second;
        behind_tls(options, 1, &tls, MCP);
        options.rest.port = third;
        behind_tls(options, 2, &old, "");
        options.set("/servers/2/http", json!("http1"));
    })
    .await;
    assert_eq!(world.client.search("a").await.served_by().as_deref(), Some("primary"));
    assert_eq!(seen(&world.primary, PROTOCOL), "HTTP/2", "h2c");
    world.primary.set(Behaviour::status(503));
    assert_eq!(world.client.search("b").await.served_by().as_deref(), Some("secondary"));
    assert_eq!(seen(&world.secondary, PROTOCOL), "HTTP/2", "what a server with TLS offers");
    world.secondary.set(Behaviour::status(503));
    assert_eq!(world.client.search("c").await.served_by().as_deref(), Some("rest"));
    assert_eq!(seen(&world.rest, PROTOCOL), "HTTP/1.1", "though it offers HTTP/2");
}

#[tokio::test]
async fn a_server_with_a_certificate_for_another_name_gets_nothing_and_the_call_goes_on() {
    let (first, one) = front(Speaks::Tls).await;
    let (second, two) = front(Speaks::Tls).await;
    let world = World::start_with(|options| {
        options.primary.port = one;
        behind_tls(options, 0, &first, MCP);
        options.set("/servers/0/tls/names", json!(["spiffe://internal/another"]));
        options.secondary.port = two;
        behind_tls(options, 1, &second, MCP);
        options.set("/servers/1/tls/names", json!(["other.internal", "spiffe://internal/mcp"]));
    })
    .await;
    let reply = world.client.call("sql", json!({"sql": "select 1"})).await;
    assert_eq!(reply.served_by().as_deref(), Some("secondary"), "{}", reply.response_text());
    assert!(world.primary.received().is_empty(), "neither call nor token");
    let (metrics, told) = world
        .envoy
        .metrics_until(|metrics| {
            metrics.sum("dualpath_attempts_total", &[("server", "primary"), ("outcome", "not_sent")]) > 0.0
        })
        .await
        .expect("metrics");
    assert!(told, "{metrics:?}");
}

#[tokio::test]
async fn a_client_certificate_comes_from_an_sds_file() {
    let (first, one) = front(Speaks::MutualTls).await;
    let (second, two) = front(Speaks::MutualTls).await;
    let world = World::start_with(|options| {
        options.primary.port = one;
        behind_tls(options, 0, &first, MCP);
        options.secondary.port = two;
        behind_tls(options, 1, &second, MCP);
        let file = write_client_certificate(&options.scratch, "secondary-client");
        options.set("/servers/1/tls/client_certificate", json!({"sds_file": file}));
    })
    .await;
    let reply = world.client.search("a").await;
    assert_eq!(reply.served_by().as_deref(), Some("secondary"), "the primary's front wants a certificate too");
    assert_eq!(seen(&world.secondary, PEER), "CN=dualpath-client");
    assert!(world.primary.received().is_empty());
}

/// Of two endpoints the first is gone: the call that finds that out goes to the next server, the ones after it to the second
/// endpoint, and none fails.
#[tokio::test]
async fn calls_go_to_a_servers_second_endpoint_while_the_first_is_gone() {
    let (gone, _) = free_ports().expect("ports");
    let (there, _) = free_ports().expect("ports");
    let world = World::start_with(|options| {
        options.primary.port = there;
        let endpoints = [(gone, 0), (there, 1)];
        let endpoints =
            endpoints.map(|(port, priority)| json!({"address": format!("127.0.0.1:{port}"), "priority": priority}));
        options.set("/servers/0/endpoints", json!(endpoints));
        options.set("/servers/0/balance", json!({"eject_after": 1, "eject_for": "60s"}));
    })
    .await;
    let before = world.calls();
    let first = world.client.call("sql", json!({"sql": "select 1"})).await;
    assert_eq!(first.served_by().as_deref(), Some("secondary"), "{}", first.response_text());
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let reply = world.client.call("sql", json!({"sql": "select 1"})).await;
        assert_eq!(reply.status(), 200, "{}", reply.response_text());
        if reply.served_by().as_deref() == Some("primary") {
            break;
        }
        assert!(Instant::now() < deadline, "the first endpoint was never left out");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..10 {
        let reply = world.client.call("sql", json!({"sql": "select 1"})).await;
        assert_eq!(reply.served_by().as_deref(), Some("primary"));
    }
    assert_eq!(since(before, world.calls())[0], 11);
}

/// Envoy would answer by itself, and never retry, if it had no endpoint left.
#[tokio::test]
async fn a_server_all_of_whose_endpoints_are_left_out_still_fails_over() {
    let ports = [(); 2].map(|()| free_ports().expect("ports").0);
    let world = World::start_with(|options| {
        options.set("/servers/0/endpoints", json!(ports.map(|port| json!({"address": format!("127.0.0.1:{port}")}))));
        options.set("/servers/0/balance", json!({"eject_after": 1, "eject_for": "60s"}));
    })
    .await;
    for _ in 0..20 {
        let reply = world.client.call("sql", json!({"sql": "select 1"})).await;
        assert_eq!(reply.served_by().as_deref(), Some("secondary"), "{}", reply.response_text());
    }
}

#[tokio::test]
async fn a_forward_proxy_resolves_the_name_and_a_refusal_of_it_sends_the_call_on() {
    let (tls, server) = front(Speaks::Tls).await;
    let proxy = Proxy::start(tls.addr()).await;
    let world = World::start_with(|options| {
        options.primary.port = server;
        behind_tls(options, 0, &tls, MCP);
        // No name that is known here.
        options.set("/servers/0/url", json!(format!("https://mcp.internal:8443{MCP}")));
        options.set("/servers/0/proxy", json!(format!("http://{}", proxy.addr)));
        // Every call needs a tunnel of its own.
        options.set("/servers/0/http", json!("http1"));
        options.set("/servers/0/pool/requests_per_connection", json!(1));
    })
    .await;
    let reply = world.client.search("a").await;
    assert_eq!(reply.served_by().as_deref(), Some("primary"), "{}", reply.response_text());
    assert_eq!(proxy.asked()[0], "CONNECT mcp.internal:8443 HTTP/1.1");
    proxy.refuse();
    let before = world.calls();
    let reply = world.client.call("sql", json!({"sql": "select 1"})).await;
    assert_eq!(reply.served_by().as_deref(), Some("secondary"), "{}", reply.response_text());
    assert_eq!(since(before, world.calls()), [0, 1, 0]);
}

/// What the recording rules read is what Envoy has, for each server; and this one has so many connections in use.
async fn rules_find(world: &World, server: &str, in_use: f64) {
    let registry = Registry::from_wire(world.registry.tree()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let rules = groups(&registry, "runbooks.md")["groups"][0]["rules"].to_string().replace('\\', "");
    let metrics = world.envoy.metrics().await.expect("metrics");
    let mut stats = 0;
    for part in rules.split("envoy_cluster_upstream_").skip(1) {
        let (stat, rest) = part.split_once("{envoy_cluster_name=~\"").expect("a choice of clusters");
        let (clusters, _) = rest.split_once('"').expect("its end");
        for cluster in clusters.split('|') {
            let name = format!("envoy_cluster_upstream_{stat}");
            assert!(metrics.value(&name, &[("envoy_cluster_name", cluster)]).is_some(), "{name} of {cluster}");
            stats += 1;
        }
    }
    assert!(stats > 0, "{rules}");
    for stat in ["cx_active", "rq_active"] {
        let name = format!("envoy_cluster_upstream_{stat}");
        assert_eq!(metrics.value(&name, &[("envoy_cluster_name", server)]), Some(in_use), "{stat}");
    }
}

/// The first server hangs: what it has room for waits for it, and what it has none for is answered at once.
#[tokio::test]
async fn a_full_pool_sends_the_call_to_the_next_server_at_once() {
    let world = World::start_with(|options| {
        options.concurrency = 1;
        options.set("/servers/0/pool", json!({"calls": 2, "connections": 2}));
        options.set("/servers/0/timeout", json!("20s"));
    })
    .await;
    world.primary.set(Behaviour::Delay { ms: 3000 });
    let client = world.client.clone();
    let slow = [1, 2].map(|_| {
        tokio::spawn({
            let client = client.clone();
            async move { client.call("sql", json!({"sql": "select 1"})).await }
        })
    });
    let deadline = Instant::now() + Duration::from_secs(5);
    while world.calls()[0] < 2 {
        assert!(Instant::now() < deadline, "two calls reach the first server");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    rules_find(&world, "primary", 2.0).await;
    for _ in 0..5 {
        let reply = client.call("sql", json!({"sql": "select 1"})).await;
        assert_eq!(reply.served_by().as_deref(), Some("secondary"), "{}", reply.response_text());
        assert!(reply.took < Duration::from_millis(1000), "{:?}", reply.took);
    }
    for call in slow {
        assert_eq!(call.await.expect("a call").served_by().as_deref(), Some("primary"));
    }
    assert_eq!(world.calls(), [2, 5, 0]);
}

/// Without `calls`, Envoy's own limits answer: the client is told that nothing was sent, and the breaker nothing.
#[tokio::test]
async fn what_envoy_itself_has_no_room_for_is_told_as_not_sent_and_is_no_fault_of_the_server() {
    let world = World::start_with(|options| {
        options.concurrency = 1;
        options.set("/breaker", json!({"consecutive": 1}));
        options.set("/servers/0/pool", json!({"connections": 1, "pending": 1}));
        options.set("/servers/0/timeout", json!("20s"));
    })
    .await;
    world.primary.set(Behaviour::Delay { ms: 2000 });
    let call = || {
        let client = world.client.clone();
        tokio::spawn(async move { client.call("sql", json!({"sql": "select 1"})).await })
    };
    // One after the other: a call that has no connection yet waits as well.
    let answered = call();
    let deadline = Instant::now() + Duration::from_secs(5);
    while world.calls()[0] < 1 {
        assert!(Instant::now() < deadline, "a call reaches the first server");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let queued = call();
    let waits = "envoy_cluster_upstream_rq_pending_active";
    let is_queued = |metrics: &Metrics| metrics.sum(waits, &[("envoy_cluster_name", "primary")]) == 1.0;
    let (_, held) = world.envoy.metrics_until(is_queued).await.expect("metrics");
    assert!(held, "the second call waits for the connection");
    let refused = world.client.call("sql", json!({"sql": "select 1"})).await;
    assert_eq!(refused.error()["data"]["reason"], "NO_PATH", "{}", refused.response_text());
    for call in [answered, queued] {
        assert_eq!(
            call.await.expect("a call").served_by().as_deref(),
            Some("primary"),
            "its breaker has stayed closed"
        );
    }
}
