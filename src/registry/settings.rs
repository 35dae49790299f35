//! Reads the sections that stand alone: `listener`, `envoy` and `limits`.

use std::net::IpAddr;

use super::model::{
    Audit, ClientAuthorization, EnvoySettings, Limits, Listener, ProberPlacement, Registry, Server, Url,
};
use super::url::check_path;
use crate::wire::{Node, Table, or};

const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;

const CLIENT_AUTHORIZATION: &str = "client_authorization";

impl Default for Listener {
    fn default() -> Self {
        Listener {
            address: "127.0.0.1".to_owned(),
            port: 10000,
            path: "/mcp".to_owned(),
            expose_headers: false,
            allowed_origins: Vec::new(),
            client_timeout: None,
            client_authorization: ClientAuthorization::Drop,
        }
    }
}

impl Listener {
    pub(super) fn read(node: &Node) -> Option<Self> {
        let table = node.table()?;
        let default = Self::default();
        let address = or(table.optional("address"), default.address, read_address);
        let port = or(table.optional("port"), default.port, read_port);
        let path = or(table.optional("path"), default.path, |node| {
            let path = node.string()?;
            check_path(path).map_err(|violation| node.violates(violation)).ok()?;
            Some(path.to_owned())
        });
        let expose_headers = or(table.optional("expose_headers"), default.expose_headers, Node::boolean);
        let allowed_origins = or(table.optional("allowed_origins"), default.allowed_origins, |node| {
            node.list()?.iter().map(read_origin).collect()
        });
        let client_timeout =
            or(table.optional("client_timeout"), default.client_timeout, |node| node.timeout().map(Some));
        let client_authorization = or(table.optional(CLIENT_AUTHORIZATION), default.client_authorization, |node| {
            let policies = [ClientAuthorization::Drop, ClientAuthorization::Pass, ClientAuthorization::RestOnly];
            node.choose(&["drop", "pass", "rest_only"], &policies)
        });
        table.done();
        Some(Listener {
            address: address?,
            port: port?,
            path: path?,
            expose_headers: expose_headers?,
            allowed_origins: allowed_origins?,
            client_timeout: client_timeout?,
            client_authorization: client_authorization?,
        })
    }
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

impl Default for EnvoySettings {
    fn default() -> Self {
        EnvoySettings {
            wasm_file: "build/dualpath.wasm".to_owned(),
            admin_address: "127.0.0.1".to_owned(),
            admin_port: 9901,
            prober: ProberPlacement::Bootstrap,
        }
    }
}

impl EnvoySettings {
    pub(super) fn read(node: &Node) -> Option<Self> {
        let table = node.table()?;
        let default = Self::default();
        let wasm_file = or(table.optional("wasm_file"), default.wasm_file, Node::file_name);
        let admin_address = or(table.optional("admin_address"), default.admin_address, read_address);
        let admin_port = or(table.optional("admin_port"), default.admin_port, read_port);
        let prober = or(table.optional("prober"), default.prober, |node| {
            let placements = [ProberPlacement::Bootstrap, ProberPlacement::Listener, ProberPlacement::Off];
            node.choose(&["bootstrap", "listener", "off"], &placements)
        });
        table.done();
        Some(EnvoySettings {
            wasm_file: wasm_file?,
            admin_address: admin_address?,
            admin_port: admin_port?,
            prober: prober?,
        })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits { request_body: MIB, response_body: 4 * MIB }
    }
}

impl Limits {
    pub(super) fn read(node: &Node) -> Option<Self> {
        let table = node.table()?;
        let default = Self::default();
        let read_size = |node: &Node| u32::try_from(node.bytes(KIB.into(), (16 * MIB).into())?).ok();
        let request_body = or(table.optional("request_body"), default.request_body, read_size);
        let response_body = or(table.optional("response_body"), default.response_body, read_size);
        table.done();
        Some(Limits { request_body: request_body?, response_body: response_body? })
    }
}

impl Audit {
    pub(super) fn read(node: &Node) -> Option<Self> {
        let table = node.table()?;
        let access_log = or(table.optional("access_log"), None, |node| node.file_name().map(Some));
        table.done();
        Some(Audit { access_log: access_log? })
    }
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
pub(super) fn check_sockets(table: &Table, listener: &Listener, envoy: &EnvoySettings) {
    let any = |address: &str| address.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
    let meet = listener.address == envoy.admin_address || any(&listener.address) || any(&envoy.admin_address);
    if meet && listener.port == envoy.admin_port {
        // The section that was left out has the default port; the problem is shown where something is written.
        let written = table.optional("listener").or_else(|| table.optional("envoy"));
        written
            .as_ref()
            .unwrap_or(table.node())
            .refuse(format!("must not use port {} for both the listener and Envoy's admin interface", listener.port));
    }
}

fn read_address(node: &Node) -> Option<String> {
    let address = node.string()?.parse::<IpAddr>();
    if address.is_err() {
        node.refuse_with("must be an IP address", "127.0.0.1 for this machine only, 0.0.0.0 for all interfaces");
    }
    address.ok().map(|ip| ip.to_string())
}

fn read_port(node: &Node) -> Option<u16> {
    u16::try_from(node.integer(1, u16::MAX.into())?).ok()
}
