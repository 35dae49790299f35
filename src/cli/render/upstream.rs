//! What clusters are put together from: how a name is resolved, TLS, HTTP and its filters; and the two kinds of cluster
//! that stand for no server.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::extension::{extension, typed};
use super::socket_address;
use crate::registry::Url;

/// Idle connections are closed before the address translators and balancers in between forget them silently.
const CONNECTION_IDLE: &str = "60s";

/// The certificate authorities of Debian, Ubuntu, Alpine and Envoy's own images.
const SYSTEM_CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The name and the type of a cluster's HTTP options.
const PROTOCOL_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// Where connections are refused at once: nothing listens on this port (tcpmux), and what did would need the server's
/// certificate.
pub(super) const REFUSES: (&str, u16) = ("127.0.0.1", 1);

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

/// The end of every chain of upstream filters.
fn upstream_codec() -> Value {
    extension(
        "envoy.filters.http.upstream_codec",
        "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
        json!({}),
    )
}

/// STRICT_DNS in the form that is not deprecated: every address of the name is a host of the cluster.
pub(super) fn by_name() -> Value {
    extension(
        "envoy.clusters.dns",
        "envoy.extensions.clusters.dns.v3.DnsCluster",
        // IPv6 only where there is no IPv4 address: many sidecars have no IPv6 route.
        json!({"dns_lookup_family": "V4_PREFERRED", "respect_dns_ttl": true}),
    )
}

/// TLS with a certificate that must be for the URL's host. The name is checked explicitly: the `host` header is set by
/// the attempt filter, after the connection has been chosen.
pub(super) fn tls(url: &Url, ca_file: Option<&str>) -> Value {
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

/// The URL's host as an address, when it is one.
pub(super) fn ip(url: &Url) -> Option<IpAddr> {
    url.host.parse().ok()
}
