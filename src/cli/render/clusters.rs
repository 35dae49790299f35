//! A cluster per server, with the attempt filter in its upstream chain.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::extension::{extension, typed};
use super::wasm_plugin::{self, Role};
use super::{credentials, drill, duration, size, socket_address};
use crate::registry::{Registry, Server, Url};

/// Concurrent connections, requests and retries that a server may have. Envoy's defaults (1024, and 3 retries) would
/// refuse failover just when many calls need it, and such a refusal is not retried. Lower it only to protect a server.
const CONCURRENCY: u32 = 16_384;

/// Idle connections are closed before the address translators and balancers in between forget them silently.
const CONNECTION_IDLE: &str = "60s";

/// The certificate authorities of Debian, Ubuntu, Alpine and Envoy's own images.
const SYSTEM_CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The name and the type of a cluster's HTTP options.
const PROTOCOL_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// Where connections are refused at once: nothing listens on this port (tcpmux), and what did would need the server's
/// certificate.
const REFUSES: (&str, u16) = ("127.0.0.1", 1);

/// The clusters of all servers, in file order, each named by its server's id; and the drill's.
pub(super) fn clusters(registry: &Registry, wire: &Value) -> Vec<Value> {
    let servers = registry.servers.iter().map(|server| cluster(registry, wire, server));
    let secrets = credentials::keepers(registry, wire).into_iter().chain(credentials::clusters(registry));
    servers.chain(drill::cluster(registry, wire)).chain(secrets).collect()
}

fn cluster(registry: &Registry, wire: &Value, server: &Server) -> Value {
    let mut cluster = Map::new();
    let mut put = |key: &str, value: Value| cluster.insert(key.to_owned(), value);
    put("name", json!(server.id.as_str()));
    if ip(&server.url).is_some() {
        put("type", json!("STATIC"));
    } else {
        put("cluster_type", by_name());
    }
    put("connect_timeout", duration(server.connect_timeout));
    put("per_connection_buffer_limit_bytes", json!(size::connection_buffer(&registry.limits)));
    put("load_assignment", endpoints(server));
    if server.url.tls {
        put("transport_socket", tls(&server.url, server.ca_file.as_deref()));
    }
    put("circuit_breakers", circuit_breakers());
    // A server's health is the breaker's business: Envoy must neither guess nor spread calls over unhealthy hosts.
    put("common_lb_config", json!({"healthy_panic_threshold": {"value": 0}}));
    put(
        "upstream_connection_options",
        json!({"tcp_keepalive": {"keepalive_probes": 3, "keepalive_time": 30, "keepalive_interval": 10}}),
    );
    put("typed_extension_protocol_options", protocol_options(registry, wire, server));
    Value::Object(cluster)
}

/// A cluster for the proxy's own requests, without filters.
pub(super) fn plain(name: &str, url: &Url, http2: bool) -> Value {
    let endpoint = json!({"endpoint": {"address": socket_address(&url.host, url.port)}});
    let mut cluster = Map::new();
    let mut put = |key: &str, value: Value| cluster.insert(key.to_owned(), value);
    put("name", json!(name));
    if ip(url).is_some() {
        put("type", json!("STATIC"));
    } else {
        put("cluster_type", by_name());
    }
    put("connect_timeout", json!("2s"));
    put("load_assignment", json!({"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}));
    if url.tls {
        put("transport_socket", tls(url, None));
    }
    if http2 {
        let http2 = json!({"explicit_http_config": {"http2_protocol_options": {}}});
        put("typed_extension_protocol_options", json!({PROTOCOL_OPTIONS: typed(PROTOCOL_OPTIONS, http2)}));
    }
    Value::Object(cluster)
}

/// A cluster whose filters answer every request themselves.
pub(super) fn nowhere(name: &str, mut filters: Vec<Value>) -> Value {
    filters.push(upstream_codec());
    let options = json!({"explicit_http_config": {"http_protocol_options": {}}, "http_filters": filters});
    json!({
        "name": name,
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket_address(REFUSES.0, REFUSES.1)}}]}],
        },
        "typed_extension_protocol_options": {PROTOCOL_OPTIONS: typed(PROTOCOL_OPTIONS, options)},
    })
}

/// The end of every chain of upstream filters.
fn upstream_codec() -> Value {
    extension(
        "envoy.filters.http.upstream_codec",
        "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
        json!({}),
    )
}

/// STRICT_DNS in the form that is not deprecated: every address of the name is a host of the cluster.
fn by_name() -> Value {
    extension(
        "envoy.clusters.dns",
        "envoy.extensions.clusters.dns.v3.DnsCluster",
        // IPv6 only where there is no IPv4 address: many sidecars have no IPv6 route.
        json!({"dns_lookup_family": "V4_PREFERRED", "respect_dns_ttl": true}),
    )
}

/// The server, and for a name one address more, which is used only while the name has none: Envoy answers a request to
/// a cluster without hosts itself and never retries it, whereas a refused connection is failed over.
fn endpoints(server: &Server) -> Value {
    let only = |host: &str, port| json!([{"endpoint": {"address": socket_address(host, port)}}]);
    let mut endpoints = vec![json!({"lb_endpoints": only(&server.url.host, server.url.port)})];
    if ip(&server.url).is_none() {
        endpoints.push(json!({"priority": 1, "lb_endpoints": only(REFUSES.0, REFUSES.1)}));
    }
    json!({"cluster_name": server.id.as_str(), "endpoints": endpoints})
}

fn circuit_breakers() -> Value {
    json!({
        "thresholds": [{
            "max_connections": CONCURRENCY,
            "max_pending_requests": CONCURRENCY,
            "max_requests": CONCURRENCY,
            "max_retries": CONCURRENCY,
        }],
    })
}

/// TLS with a certificate that must be for the URL's host. The name is checked explicitly: the `host` header is set by
/// the attempt filter, after the connection has been chosen.
fn tls(url: &Url, ca_file: Option<&str>) -> Value {
    let host = &url.host;
    let san_type = if ip(url).is_some() { "IP_ADDRESS" } else { "DNS" };
    let mut context = Map::new();
    if ip(url).is_none() {
        // RFC 6066: an address is not a server name.
        context.insert("sni".to_owned(), json!(host));
    }
    context.insert(
        "common_tls_context".to_owned(),
        json!({
            "validation_context": {
                "trusted_ca": {"filename": ca_file.unwrap_or(SYSTEM_CA_FILE)},
                "match_typed_subject_alt_names": [{"san_type": san_type, "matcher": {"exact": host}}],
            },
        }),
    );
    extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        Value::Object(context),
    )
}

/// Protocol and upstream filters: the secrets of both slots, the attempt, the codec.
fn protocol_options(registry: &Registry, wire: &Value, server: &Server) -> Value {
    let mut filters =
        server.credential.and_then(|at| registry.credential(at)).map(credentials::injectors).unwrap_or_default();
    filters.push(wasm_plugin::filter(registry, wire, Role::Attempt(&server.id)));
    http_options(filters, server.url.tls)
}

/// How a cluster speaks HTTP, with these upstream filters.
pub(super) fn http_options(mut filters: Vec<Value>, tls: bool) -> Value {
    filters.push(upstream_codec());

    let mut options = Map::new();
    options.insert("common_http_protocol_options".to_owned(), json!({"idle_timeout": CONNECTION_IDLE}));
    if tls {
        // HTTP/2 where the server offers it (ALPN).
        let both = json!({"http_protocol_options": {}, "http2_protocol_options": {}});
        options.insert("auto_config".to_owned(), both);
    } else {
        options.insert("explicit_http_config".to_owned(), json!({"http_protocol_options": {}}));
    }
    options.insert("http_filters".to_owned(), Value::Array(filters));
    json!({PROTOCOL_OPTIONS: typed(PROTOCOL_OPTIONS, Value::Object(options))})
}

/// The URL's host as an address, when it is one.
fn ip(url: &Url) -> Option<IpAddr> {
    url.host.parse().ok()
}
