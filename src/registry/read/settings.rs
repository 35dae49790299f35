//! Reads the small sections that stand alone: `envoy`, `limits` and `audit`.

use crate::registry::{Audit, EnvoySettings, Limits, ProberPlacement};
use crate::wire::{Node, or};

const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;

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
    #[inline(never)]
    pub(super) fn read(node: &Node) -> Option<Self> {
        let table = node.table()?;
        let default = Self::default();
        let wasm_file = or(table.optional("wasm_file"), default.wasm_file, Node::file_name);
        let admin_address = or(table.optional("admin_address"), default.admin_address, Node::address);
        let admin_port = or(table.optional("admin_port"), default.admin_port, Node::port);
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
        Limits { request_body: MIB, response_body: 4 * MIB, held: 64 * MIB }
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
        table.done();
        let limits = Limits { request_body: request_body?, response_body: response_body?, held: held? };
        if limits.held < limits.request_body {
            node.refuse("must have room in held for one request_body");
            return None;
        }
        Some(limits)
    }
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
