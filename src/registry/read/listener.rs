//! Reads `listener`, and what its rules have to do with other sections.

use std::net::IpAddr;

use super::url::check_path;
use crate::registry::{
    Admin, AllowedTools, ClientAuthorization, ClientQuery, EnvoySettings, ErrorStatus, Listener, Registry, Server, Url,
};
use crate::wire::{Node, Table, or};

const MAX_PATTERNS: usize = 1000;

const CLIENT_AUTHORIZATION: &str = "client_authorization";

impl Default for Listener {
    fn default() -> Self {
        Listener {
            address: "127.0.0.1".to_owned(),
            port: 10000,
            path: "/mcp".to_owned(),
            expose_headers: false,
            allowed_origins: own_origins("127.0.0.1", 10000),
            allowed_tools: AllowedTools::default(),
            client_timeout: None,
            client_authorization: ClientAuthorization::Drop,
            query: ClientQuery::Refuse,
            error_status: ErrorStatus::Jsonrpc,
        }
    }
}

impl Listener {
    #[inline(never)]
    pub(super) fn read(node: &Node) -> Option<Self> {
        let table = node.table()?;
        let default = Self::default();
        let address = or(table.optional("address"), default.address, Node::address);
        let port = or(table.optional("port"), default.port, Node::port);
        let path = or(table.optional("path"), default.path, |node| {
            let path = node.string()?;
            check_path(path).map_err(|violation| node.violates(violation)).ok()?;
            Some(path.to_owned())
        });
        let expose_headers = or(table.optional("expose_headers"), default.expose_headers, Node::boolean);
        let allowed_origins =
            or(table.optional("allowed_origins"), Vec::new(), |node| node.list()?.iter().map(read_origin).collect());
        let client_timeout =
            or(table.optional("client_timeout"), default.client_timeout, |node| node.timeout().map(Some));
        let client_authorization = or(table.optional(CLIENT_AUTHORIZATION), default.client_authorization, |node| {
            let policies = [ClientAuthorization::Drop, ClientAuthorization::Pass, ClientAuthorization::RestOnly];
            node.choose(&["drop", "pass", "rest_only"], &policies)
        });
        let error_status = or(table.optional("error_status"), default.error_status, |node| {
            node.choose(&["jsonrpc", "http"], &[ErrorStatus::Jsonrpc, ErrorStatus::Http])
        });
        let query = or(table.optional("query"), default.query, |node| {
            let policies = [ClientQuery::Refuse, ClientQuery::Drop, ClientQuery::Forward];
            node.choose(&["refuse", "drop", "forward"], &policies)
        });
        let allowed_tools = or(table.optional("allowed_tools"), default.allowed_tools, read_allowed_tools);
        table.done();
        let (address, port, mut allowed_origins) = (address?, port?, allowed_origins?);
        allowed_origins.extend(own_origins(&address, port));
        Some(Listener {
            address,
            port,
            path: path?,
            expose_headers: expose_headers?,
            allowed_origins,
            allowed_tools: allowed_tools?,
            client_timeout: client_timeout?,
            client_authorization: client_authorization?,
            query: query?,
            error_status: error_status?,
        })
    }
}

/// Names of tools, and patterns of them. Anything that some server may call a tool is a name.
#[inline(never)]
fn read_allowed_tools(node: &Node) -> Option<AllowedTools> {
    let nodes = node.list()?;
    if nodes.is_empty() || nodes.len() > MAX_PATTERNS {
        node.refuse_with("must have 1 to 1000 names or patterns", "to allow every tool leave it out");
        return None;
    }
    let mut patterns = Vec::new();
    for node in nodes {
        patterns.push(node.string()?.to_owned());
    }
    Some(AllowedTools::only(patterns))
}

/// The origins of a listener that only this machine can reach. A page from there is one that this machine serves itself.
fn own_origins(address: &str, port: u16) -> Vec<String> {
    if !address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
        return Vec::new();
    }
    let port = if port == 80 { String::new() } else { format!(":{port}") };
    ["http://127.0.0.1", "http://localhost", "http://[::1]"].map(|host| [host, &port].concat()).into()
}

/// An origin as browsers send it: compared byte for byte, so it has to be written the same way.
fn read_origin(node: &Node) -> Option<String> {
    let text = node.string()?;
    let url = Url::parse(text).map_err(|violation| node.violates(violation)).ok()?;
    let scheme = if url.tls { "https" } else { "http" };
    let origin = format!("{scheme}://{}", url.authority());
    if origin != text {
        node.refuse_with("must be an origin as browsers send it", format!("did you mean {origin}?"));
        return None;
    }
    Some(origin)
}

/// What a client sends must not travel in the clear either. `listener` is the section that `registry` has it from.
pub(super) fn refuse_clear_authorization(registry: &Registry, listener: &Node) {
    let open = |server: &&Server| !server.url.tls && !server.url.is_loopback();
    let receivers = registry.servers.iter().filter(|server| registry.gets_client_authorization(server));
    let named: Vec<_> = receivers.filter(open).map(|server| server.id.as_str()).collect();
    if let (false, Some(node)) = (named.is_empty(), listener.table().and_then(|t| t.optional(CLIENT_AUTHORIZATION))) {
        node.refuse_with(
            format!("must not send what clients authenticate with over http, as it would to {}", named.join(", ")),
            "http is allowed only to this machine: 127.0.0.1, [::1] or localhost",
        );
    }
}

/// Two listeners cannot share a socket.
pub(super) fn check_sockets(table: &Table, listener: &Listener, envoy: &EnvoySettings, page: Option<(&str, u16)>) {
    let mut taken = vec![("the listener", "listener.port", listener.address.as_str(), listener.port)];
    if let Admin::Port(address, port) = &envoy.admin {
        taken.push(("Envoy's admin interface", "envoy.admin_port", address, *port));
    }
    if let Some((address, port)) = &envoy.metrics {
        taken.push(("the metrics", "envoy.metrics_port", address, *port));
    }
    if let Some((address, port)) = page {
        taken.push(("the status page", "status_page.port", address, port));
    }
    let any = |address: &str| address.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
    let mut rest = taken.iter();
    while let Some((one, key, address, port)) = rest.next() {
        for (other, its_key, its_address, its_port) in rest.clone() {
            if port != its_port || !(address == its_address || any(address) || any(its_address)) {
                continue;
            }
            // The section that was left out has the default port; the problem is shown where something is written.
            let written = table.optional("listener").or_else(|| table.optional("envoy"));
            written.as_ref().unwrap_or(table.node()).refuse_with(
                format!("must not use port {port} for both {one} and {other}"),
                format!("change {key} or {its_key}"),
            );
        }
    }
}
