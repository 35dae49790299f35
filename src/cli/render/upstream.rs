//! What clusters are put together from: how a name is resolved, TLS, HTTP and its filters; and the two kinds of cluster
//! that stand for no server.

use std::net::IpAddr;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::extension::{extension, typed};
use super::socket_address;
use crate::registry::{HttpVersion, TlsSettings, Url};

/// The certificate authorities of Debian, Ubuntu, Alpine and Envoy's own images.
pub(in crate::cli) const SYSTEM_CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";

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
        put("transport_socket", tls(url, None, &TlsSettings::default(), None));
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

/// How a cluster speaks HTTP, with these upstream filters and this `envoy.config.core.v3.HttpProtocolOptions`.
pub(super) fn http_options(mut filters: Vec<Value>, version: HttpVersion, tls: bool, common: Value) -> Value {
    filters.push(upstream_codec());

    let mut options = Map::new();
    options.insert("common_http_protocol_options".to_owned(), common);
    let (key, codecs) = match (version, tls) {
        // HTTP/2 where the server offers it (ALPN).
        (HttpVersion::Auto, true) => {
            ("auto_config", json!({"http_protocol_options": {}, "http2_protocol_options": {}}))
        }
        (HttpVersion::Auto, false) | (HttpVersion::Http1, _) => {
            ("explicit_http_config", json!({"http_protocol_options": {}}))
        }
        (HttpVersion::Http2, _) => ("explicit_http_config", json!({"http2_protocol_options": {}})),
    };
    options.insert(key.to_owned(), codecs);
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

/// TLS with a certificate that must be for the URL's host, or for what the settings say instead. The name is checked
/// explicitly: the `host` header is set by the attempt filter, after the connection has been chosen. `own` is the name of
/// the secret with Envoy's own certificate.
pub(super) fn tls(url: &Url, ca_file: Option<&str>, settings: &TlsSettings, own: Option<&str>) -> Value {
    let host = settings.server_name.as_ref().unwrap_or(&url.host);
    let mut context = Map::new();
    if host.parse::<IpAddr>().is_err() {
        // RFC 6066: an address is not a server name.
        context.insert("sni".to_owned(), json!(host));
    }
    let names = if settings.names.is_empty() { std::slice::from_ref(host) } else { &settings.names };
    let mut common = json!({
        "validation_context": {
            "trusted_ca": {"filename": ca_file.unwrap_or(SYSTEM_CA_FILE)},
            "match_typed_subject_alt_names": names.iter().map(|name| subject(name)).collect::<Vec<_>>(),
        },
    });
    if let (Some(common), Some(file), Some(name)) = (common.as_object_mut(), &settings.client_certificate, own) {
        let secret = json!({"name": name, "sds_config": sds_file(file)});
        common.insert("tls_certificate_sds_secret_configs".to_owned(), json!([secret]));
    }
    context.insert("common_tls_context".to_owned(), common);
    extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        Value::Object(context),
    )
}

/// Matches one name of a certificate, of the kind that it looks like.
fn subject(name: &str) -> Value {
    let kind = match name {
        _ if name.parse::<IpAddr>().is_ok() => "IP_ADDRESS",
        _ if name.contains("://") => "URI",
        _ => "DNS",
    };
    json!({"san_type": kind, "matcher": {"exact": name}})
}

/// A file with a secret, watched together with its directory: a mounted Kubernetes secret changes by a symbolic link beside it.
pub(super) fn sds_file(file: &str) -> Value {
    let directory = match Path::new(file).parent().and_then(Path::to_str) {
        None | Some("") => ".",
        Some(directory) => directory,
    };
    json!({
        "path_config_source": {"path": file, "watched_directory": {"path": directory}},
        "resource_api_version": "V3",
    })
}

/// The URL's host as an address, when it is one.
pub(super) fn ip(url: &Url) -> Option<IpAddr> {
    url.host.parse().ok()
}
