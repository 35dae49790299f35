//! The Envoy handle, with a bootstrap that needs no module.

use std::sync::Arc;

use dualpath_lab::client::Client;
use dualpath_lab::envoy::{Envoy, Settings, free_ports};
use dualpath_lab::scratch::Scratch;
use dualpath_lab::stub::{Config, Stub};
use serde_json::json;

fn plain_proxy(listener: u16, admin: u16, upstream: u16) -> String {
    let address = |port| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let http_connection_manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "plain",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}]}]},
        "http_filters": [{"name": "router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
    });
    json!({
        "admin": {"address": address(admin)},
        "layered_runtime": {"layers": [{"name": "admin", "admin_layer": {}}]},
        "static_resources": {
            "listeners": [{"name": "in", "address": address(listener), "filter_chains": [{"filters": [
                {"name": "http", "typed_config": http_connection_manager}]}]}],
            "clusters": [{"name": "upstream", "type": "STATIC", "load_assignment": {"cluster_name": "upstream",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(upstream)}}]}]}}],
        },
    })
    .to_string()
}

#[tokio::test]
async fn envoy_serves_counts_obeys_and_cleans_up() {
    let stub = Stub::start(Config::mcp("one")).await.expect("a stub");
    let (listener, admin) = free_ports().expect("ports");
    let scratch = Arc::new(Scratch::new().expect("a directory"));
    let bootstrap = plain_proxy(listener, admin, stub.addr.port());
    let envoy = Envoy::start(&bootstrap, scratch, (listener, admin), &Settings::default()).await.expect("Envoy");
    let reply = Client::new(envoy.addr(), "/mcp").search("q").await;
    assert_eq!(reply.served_by().as_deref(), Some("one"));

    let (metrics, counted) = envoy
        .metrics_until(|m| m.sum("envoy_cluster_upstream_rq_total", &[("envoy_cluster_name", "upstream")]) == 1.0)
        .await
        .expect("metrics");
    assert!(counted, "{metrics:?}");

    envoy.modify_runtime("some.key", "7").await.expect("runtime");
    assert!(envoy.admin("/runtime").await.expect("runtime").contains("some.key"));
    assert!(envoy.logs().contains("starting main dispatch loop"), "{}", envoy.logs());

    let dir = envoy.scratch().path().to_owned();
    drop(envoy);
    assert!(!dir.exists());
    assert!(Client::new(([127, 0, 0, 1], listener).into(), "/mcp").request("1", "ping", &json!({})).await.is_err());
}

#[tokio::test]
async fn a_bootstrap_that_envoy_refuses_is_reported_with_its_log() {
    let scratch = Arc::new(Scratch::new().expect("a directory"));
    let refused = Envoy::start("{\"no_such_field\": 1}", scratch, (1, 1), &Settings::default()).await;
    let message = refused.expect_err("a refusal").to_string();
    assert!(message.contains("no_such_field"), "{message}");
}
