//! Reads a server's `protocol` and `probe`.

use std::time::Duration;

use super::url::check_path;
use crate::failure::ServerKind;
use crate::mcp::ProtocolVersion;
use crate::registry::{HttpProbe, Probe, ProbeRequest};
use crate::wire::{Node, Table, or};

const TIMEOUT: Duration = Duration::from_secs(3);
const INTERVAL: Duration = Duration::from_secs(10);

/// A probe that is slower than this tells nothing about a server that people wait for.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST_INTERVAL: Duration = Duration::from_secs(3600);

/// The newest version that the MCP server speaks whose keys these are.
pub(super) fn read_protocol(server: &Table, kind: Option<ServerKind>) -> Option<ProtocolVersion> {
    let protocol_node = server.optional("protocol");
    if let (Some(ServerKind::Rest), Some(node)) = (kind, &protocol_node) {
        node.refuse("must not be given for a server of kind rest, which does not speak MCP");
    }
    or(protocol_node, ProtocolVersion::V2025_11_25, |node| {
        node.choose(&ProtocolVersion::ALL.map(ProtocolVersion::as_str), &ProtocolVersion::ALL)
    })
}

/// How the MCP server whose keys these are is probed, or the REST server. Without a `kind` that could be read, nothing
/// here can be judged; that problem has been noted.
#[inline(never)]
pub(super) fn read(
    server: &Table,
    kind: Option<ServerKind>,
    protocol: Option<ProtocolVersion>,
) -> Option<Option<Probe>> {
    let node = server.optional("probe");
    match (kind?, node) {
        (ServerKind::Mcp, None) => Some(Some(plain(automatic(protocol?)))),
        (ServerKind::Rest, None) => Some(None),
        (kind, Some(node)) => read_probe(&node, kind, protocol?),
    }
}

fn plain(request: ProbeRequest) -> Probe {
    Probe { request, timeout: TIMEOUT, interval: INTERVAL, idle: false }
}

fn read_probe(node: &Node, kind: ServerKind, protocol: ProtocolVersion) -> Option<Option<Probe>> {
    let table = node.table()?;
    let enabled = or(table.optional("enabled"), true, Node::boolean);
    let request = match kind {
        ServerKind::Mcp => mcp_request(&table, protocol),
        ServerKind::Rest => http_request(&table, enabled).map(ProbeRequest::Http),
    };
    let timeout = or(table.optional("timeout"), TIMEOUT, |node| node.duration(SHORTEST, LONGEST_TIMEOUT));
    let interval = or(table.optional("interval"), INTERVAL, |node| node.duration(SHORTEST, LONGEST_INTERVAL));
    let idle = or(table.optional("idle"), false, Node::boolean);
    table.done();
    if enabled == Some(false) {
        return Some(None);
    }
    Some(Some(Probe { request: request?, timeout: timeout?, interval: interval?, idle: idle? }))
}

fn mcp_request(table: &Table, protocol: ProtocolVersion) -> Option<ProbeRequest> {
    or(table.optional("method"), automatic(protocol), |node| {
        let handshake = ProbeRequest::Initialize(ProtocolVersion::negotiate(Some(protocol.as_str())));
        let requests = [automatic(protocol), ProbeRequest::Ping, handshake, ProbeRequest::Discover];
        requests.get(node.one_of(&["auto", "ping", "initialize", "server/discover"])?).cloned()
    })
}

/// What every server of this version answers, in a session or not.
fn automatic(protocol: ProtocolVersion) -> ProbeRequest {
    if protocol.is_stateless() { ProbeRequest::Discover } else { ProbeRequest::Initialize(protocol) }
}

fn http_request(table: &Table, enabled: Option<bool>) -> Option<HttpProbe> {
    let methods = ["GET", "HEAD", "POST"];
    let method = or(table.optional("method"), "GET", |node| node.choose(&methods, &methods));
    // A probe that is switched off needs no path.
    let path = if enabled == Some(false) { table.optional("path") } else { table.required("path") };
    let path = path.and_then(|node| {
        let path = node.string()?;
        check_path(path).map_err(|violation| node.violates(violation)).ok()?;
        Some(path.to_owned())
    });
    let body = or(table.optional("body"), None, |node| {
        if method.is_some_and(|method| method != "POST") {
            node.refuse_with("must not be given for a probe without a body", "set method to POST");
            return None;
        }
        Some(Some(node.value().to_string()))
    });
    let expect_status = or(table.optional("expect_status"), vec![200], |node| {
        let statuses = node.list()?;
        if statuses.is_empty() {
            node.refuse("must have at least one status");
            return None;
        }
        statuses.iter().map(|node| u16::try_from(node.integer(200, 599)?).ok()).collect()
    });
    Some(HttpProbe { method: method?, path: path?, body: body?, expect_status: expect_status? })
}
