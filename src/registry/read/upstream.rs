//! Reads what a server says for Envoy alone: endpoints, balancing, HTTP, TLS, the forward proxy.

use std::time::Duration;

use super::pool;
use super::slots::{read_sds_file, refuse_secrets};
use super::url::parse_authority;
use crate::registry::{
    Balance, BalancePolicy, HttpVersion, Pool, ServerEndpoint, ServerKind, TlsSettings, Upstream, Url,
};
use crate::wire::{Node, Table, or};

/// More is a list that something else should keep, behind one name.
const MAX_ENDPOINTS: usize = 64;
const MAX_NAMES: usize = 16;

/// Reads the keys of a server that [`super::servers::RENDERED`] names.
pub(super) fn read(
    table: &Table,
    kind: Option<ServerKind>,
    url: Option<&Url>,
    pool: Option<&Node>,
) -> Option<Upstream> {
    let endpoints = or(table.optional("endpoints"), Vec::new(), |node| read_endpoints(node, url));
    let balance = or(table.optional("balance"), Balance::default(), read_balance);
    let http = or(table.optional("http"), HttpVersion::Auto, |node| {
        node.choose(&["auto", "http1", "http2"], &[HttpVersion::Auto, HttpVersion::Http1, HttpVersion::Http2])
    });
    let tls = or(table.optional("tls"), TlsSettings::default(), |node| read_tls(node, url));
    let proxy = or(table.optional("proxy"), None, |node| read_proxy(node, url).map(Some));
    let default = Pool::of(kind.unwrap_or(ServerKind::Mcp), http.unwrap_or(HttpVersion::Auto));
    let pool = or(pool, default, |node| pool::read(node, default));
    Some(Upstream { endpoints: endpoints?, balance: balance?, http: http?, tls: tls?, proxy: proxy?, pool: pool? })
}

/// Reads where something is, as a cloud or an operator calls it.
pub(super) fn read_region(node: &Node) -> Option<String> {
    const LONGEST: usize = 64;
    let name = node.string()?;
    if name.len() > LONGEST || !name.bytes().all(|b| b.is_ascii_graphic()) {
        node.refuse(format!("must be a name of at most {LONGEST} visible ASCII characters"));
        return None;
    }
    Some(name.to_owned())
}

fn read_endpoints(node: &Node, url: Option<&Url>) -> Option<Vec<ServerEndpoint>> {
    let nodes = node.list()?;
    if nodes.is_empty() || nodes.len() > MAX_ENDPOINTS {
        node.refuse_with(
            format!("must have 1 to {MAX_ENDPOINTS} entries"),
            "without the key, calls go to the host of the URL",
        );
        return None;
    }
    // Every one is read before the first failure counts, so that all problems are noted.
    let read: Vec<_> = nodes.iter().map(|node| read_endpoint(node, url)).collect();
    let read: Vec<_> = read.into_iter().collect::<Option<_>>()?;
    for (at, endpoint) in read.iter().enumerate() {
        let same = |other: &ServerEndpoint| other.host == endpoint.host && other.port == endpoint.port;
        if let (Some(first), Some(node)) = (read.iter().take(at).position(same), nodes.get(at)) {
            node.refuse(format!("must be another address than endpoints[{first}]"));
            return None;
        }
    }
    Some(read)
}

fn read_endpoint(node: &Node, url: Option<&Url>) -> Option<ServerEndpoint> {
    let table = node.table()?;
    let address = table.required("address").and_then(|node| read_address(&node, url));
    let weight = or(table.optional("weight"), 1, |node| u32::try_from(node.integer(1, 1000)?).ok());
    let priority = or(table.optional("priority"), 0, |node| u8::try_from(node.integer(0, 15)?).ok());
    let region = or(table.optional("region"), None, |node| read_region(node).map(Some));
    table.done();
    let (host, port) = address?;
    Some(ServerEndpoint { host, port, weight: weight?, priority: priority?, region: region? })
}

fn read_address(node: &Node, url: Option<&Url>) -> Option<(String, u16)> {
    let text = node.string()?;
    if text.contains("://") {
        node.refuse_with("must be an address, not a URL", "such as 10.0.0.7:8443; the URL is the server's");
        return None;
    }
    let parsed = parse_authority(text);
    let Ok((host, port)) = parsed.map_err(|violation| {
        let rule = violation.rule.replacen("a URL", "an address", 1);
        node.refuse_with(rule, "a host name or an IP address, and a port where it is not that of the URL");
    }) else {
        return None;
    };
    let port = port.or(url.map(|url| url.port)).unwrap_or(443);
    let there = Url { tls: false, host, port, path: "/".to_owned() };
    // What a server on this machine may be sent in the clear, or in a demonstration, rests on its being here.
    if url.is_some_and(Url::is_loopback) && !there.is_loopback() {
        node.refuse("must be on this machine, as the host of the URL is");
        return None;
    }
    Some((there.host, port))
}

fn read_balance(node: &Node) -> Option<Balance> {
    const LONGEST: Duration = Duration::from_secs(900);
    let table = node.table()?;
    let default = Balance::default();
    let policy = or(table.optional("policy"), default.policy, |node| {
        node.choose(&["least_request", "round_robin"], &[BalancePolicy::LeastRequest, BalancePolicy::RoundRobin])
    });
    let slow_start =
        or(table.optional("slow_start"), default.slow_start, |node| node.duration(Duration::ZERO, LONGEST));
    let eject_after =
        or(table.optional("eject_after"), default.eject_after, |node| u32::try_from(node.integer(0, 1000)?).ok());
    let eject_for =
        or(table.optional("eject_for"), default.eject_for, |node| node.duration(Duration::from_secs(1), LONGEST));
    table.done();
    Some(Balance { policy: policy?, slow_start: slow_start?, eject_after: eject_after?, eject_for: eject_for? })
}

fn read_tls(node: &Node, url: Option<&Url>) -> Option<TlsSettings> {
    let table = node.table()?;
    let server_name = or(table.optional("server_name"), None, |node| read_server_name(node).map(Some));
    let names = or(table.optional("names"), Vec::new(), read_names);
    let client_certificate =
        or(table.optional("client_certificate"), None, |node| read_client_certificate(&node.veiled()).map(Some));
    table.done();
    if url.is_some_and(|url| !url.tls) {
        node.refuse("must not be given for an http server");
        return None;
    }
    Some(TlsSettings { server_name: server_name?, names: names?, client_certificate: client_certificate? })
}

fn read_server_name(node: &Node) -> Option<String> {
    match parse_authority(node.string()?) {
        // RFC 6066: an address is not a server name.
        Ok((host, None)) if host.parse::<std::net::IpAddr>().is_err() => Some(host),
        _ => {
            node.refuse("must be a host name, without a port");
            None
        }
    }
}

fn read_names(node: &Node) -> Option<Vec<String>> {
    let nodes = node.list()?;
    if nodes.is_empty() || nodes.len() > MAX_NAMES {
        node.refuse(format!("must have 1 to {MAX_NAMES} entries"));
        return None;
    }
    let read = |node: &Node| {
        let name = node.string()?;
        if name.len() > 255 || !name.bytes().all(|b| b.is_ascii_graphic()) {
            node.refuse("must be a name as certificates have it: a host name, an IP address or a URI");
            return None;
        }
        Some(name.to_owned())
    };
    let names: Vec<_> = nodes.iter().map(read).collect();
    names.into_iter().collect()
}

/// Somebody may put the key itself here, so nothing that stands here is shown.
fn read_client_certificate(node: &Node) -> Option<String> {
    let table = node.table()?;
    let file = table.required("sds_file").and_then(|node| read_sds_file(&node));
    refuse_secrets(&table);
    table.done();
    file
}

fn read_proxy(node: &Node, url: Option<&Url>) -> Option<Url> {
    let text = node.string()?;
    let node = if text.contains(['@', '?', '#']) { node.veiled() } else { *node };
    if text.contains('@') {
        node.refuse_with("must not have a user name or password", "a proxy that asks for one can't be used");
        return None;
    }
    let proxy = Url::parse(text).map_err(|violation| node.violates(violation)).ok()?;
    if proxy.path != "/" {
        node.refuse("must be the URL of a proxy, without a path");
        return None;
    }
    if url.is_some_and(|url| !url.tls) {
        node.refuse_with("must not be given for an http server", "a tunnel (CONNECT) is for TLS");
        return None;
    }
    Some(proxy)
}
