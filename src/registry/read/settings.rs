//! Reads the small sections that stand alone: `envoy`, `limits`, `log` and `audit`.

use super::headers::check_name;
use crate::registry::{Admin, Audit, CallLog, EnvoySettings, Limits, ProberPlacement};
use crate::wire::{Node, Table, or};

const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;

impl Default for EnvoySettings {
    fn default() -> Self {
        EnvoySettings {
            wasm_file: "build/dualpath.wasm".to_owned(),
            admin: Admin::Port("127.0.0.1".to_owned(), 9901),
            metrics: None,
            #[cfg(feature = "cli")]
            runtime_files: None,
            prober: ProberPlacement::Bootstrap,
            #[cfg(feature = "cli")]
            region: None,
        }
    }
}

impl EnvoySettings {
    #[inline(never)]
    pub(super) fn read(node: &Node) -> Option<Self> {
        let table = node.table()?;
        let default = Self::default();
        let wasm_file = or(table.optional("wasm_file"), default.wasm_file, Node::file_name);
        let admin = read_admin(&table);
        let metrics = read_metrics(&table);
        let prober = or(table.optional("prober"), default.prober, |node| {
            let placements = [ProberPlacement::Bootstrap, ProberPlacement::Listener, ProberPlacement::Off];
            node.choose(&["bootstrap", "listener", "off"], &placements)
        });
        #[cfg(feature = "cli")]
        let region = or(table.optional("region"), None, |node| super::upstream::read_region(node).map(Some));
        #[cfg(feature = "cli")]
        let runtime_files = or(table.optional("runtime_files"), None, |node| node.file_name().map(Some));
        #[cfg(not(feature = "cli"))]
        table.pass_over(&["region", "runtime_files"]);
        table.done();
        Some(EnvoySettings {
            wasm_file: wasm_file?,
            admin: admin?,
            metrics: metrics?,
            #[cfg(feature = "cli")]
            runtime_files: runtime_files?,
            prober: prober?,
            #[cfg(feature = "cli")]
            region: region?,
        })
    }
}

/// What the address of a UNIX socket begins with; a path follows.
const SOCKET: &str = "unix://";

/// The longest path of a UNIX socket that Linux takes, in bytes.
const LONGEST_SOCKET: usize = 107;

fn read_admin(table: &Table) -> Option<Admin> {
    let (address, port) = (table.optional("admin_address"), table.optional("admin_port"));
    let socket = |node: &Node| node.value().as_str()?.strip_prefix(SOCKET).map(str::to_owned);
    if let Some((node, path)) = address.as_ref().and_then(|node| Some((node, socket(node)?))) {
        if let Some(port) = port {
            port.refuse("must not be given where admin_address is a UNIX socket");
            return None;
        }
        if !path.starts_with('/') || path.len() > LONGEST_SOCKET || path.chars().any(char::is_control) {
            node.refuse("must be unix:// with an absolute path of at most 107 bytes");
            return None;
        }
        return Some(Admin::Socket(path));
    }
    let address = or(address, "127.0.0.1".to_owned(), Node::address);
    let port = or(port, 9901, Node::port);
    Some(Admin::Port(address?, port?))
}

fn read_metrics(table: &Table) -> Option<Option<(String, u16)>> {
    let (address, port) = (table.optional("metrics_address"), table.optional("metrics_port"));
    let Some(port) = port else {
        return address.map_or(Some(None), |node| {
            node.refuse("must not be given without metrics_port");
            None
        });
    };
    let address = or(address, "127.0.0.1".to_owned(), Node::address);
    Some(Some((address?, port.port()?)))
}

impl Default for Limits {
    fn default() -> Self {
        Limits { request_body: MIB, response_body: 4 * MIB, held: 64 * MIB, rated: false }
    }
}

impl Limits {
    #[inline(never)]
    pub(super) fn read(node: &Node) -> Option<Self> {
        let table = node.table()?;
        let default = Self::default();
        let read_size = |node: &Node| u32::try_from(node.bytes(KIB.into(), (16 * MIB).into())?).ok();
        let request_body = or(table.optional("request_body"), default.request_body, read_size);
        let response_body = or(table.optional("response_body"), default.response_body, read_size);
        let most = |node: &Node| u32::try_from(node.bytes(MIB.into(), (512 * MIB).into())?).ok();
        let held = or(table.optional("held"), default.held, most);
        let rated =
            table.optional("rate").is_some_and(|node| node.value().as_array().is_none_or(|rates| !rates.is_empty()));
        table.done();
        let limits = Limits { request_body: request_body?, response_body: response_body?, held: held?, rated };
        if limits.held < limits.request_body {
            node.refuse("must have room in held for one request_body");
            return None;
        }
        Some(limits)
    }
}

impl CallLog {
    #[inline(never)]
    pub(super) fn read(node: &Node) -> Option<Self> {
        let table = node.table()?;
        let calls = or(table.optional("calls"), None, |node| node.file_name().map(Some));
        let caller_header = or(table.optional("caller_header"), None, |node| read_caller_header(node).map(Some));
        table.done();
        Some(CallLog { calls: calls?, caller_header: caller_header? })
    }
}

/// A header whose value is written down must not be one that carries a secret.
fn read_caller_header(node: &Node) -> Option<String> {
    let name = node.string()?;
    check_name(name).map_err(|violation| node.violates(violation)).ok()?;
    if matches!(name, "authorization" | "cookie") {
        node.refuse("must not be a header that carries a secret");
        return None;
    }
    Some(name.to_owned())
}

impl Audit {
    #[inline(never)]
    pub(super) fn read(node: &Node) -> Option<Self> {
        let table = node.table()?;
        let access_log = or(table.optional("access_log"), None, |node| node.file_name().map(Some));
        table.done();
        Some(Audit { access_log: access_log? })
    }
}
