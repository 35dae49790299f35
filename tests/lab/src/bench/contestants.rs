//! What is compared: ways to stand between client and server, all in front of the same server.

use std::path::{Path, PathBuf};

use super::rendered::{Registry, Size, USUAL};

/// The credential that every contestant but the bare proxy and the modules without work puts into its requests.
pub(super) const PAT: &str = "bench-pat-0123456789abcdef0123456789abcdef0123456789abcdef";

/// One of them. Its name is also that of its listener, and the suffix of all that it has for itself in a shared Envoy.
#[derive(Debug, Clone)]
pub(super) struct Contestant {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// How it stands there.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// A proxy without filters.
    Bare,
    /// The filters that Envoy brings: it reads the call, puts the credential in, and ejects a failing host.
    Native,
    /// A script that puts the credential in and reads the bodies.
    Lua,
    /// This module, which does nothing, in both of Dualpath's placements.
    Noop(PathBuf),
    /// This module under the configuration that Dualpath renders for a registry.
    Rendered(PathBuf, Registry),
}

/// The modules.
#[derive(Debug, Clone)]
pub(super) struct Modules {
    pub(super) dualpath: PathBuf,
    pub(super) noop: PathBuf,
    pub(super) other: Option<PathBuf>,
}

pub(super) const BARE: &str = "bare";
pub(super) const NATIVE: &str = "native";
pub(super) const LUA: &str = "lua";
pub(super) const NOOP: &str = "noop";
pub(super) const CONFIG_ONLY: &str = "config_only";
pub(super) const DUALPATH: &str = "dualpath";
pub(super) const OTHER: &str = "other";
pub(super) const FAILING: &str = "failing";

/// What the main comparison is between, in the order of the table.
pub(super) fn compared(modules: &Modules) -> Vec<Contestant> {
    let mut all = vec![
        Contestant { name: BARE, kind: Kind::Bare },
        Contestant { name: NATIVE, kind: Kind::Native },
        Contestant { name: LUA, kind: Kind::Lua },
        Contestant { name: NOOP, kind: Kind::Noop(modules.noop.clone()) },
        sized(CONFIG_ONLY, &modules.noop, USUAL),
        sized(DUALPATH, &modules.dualpath, USUAL),
    ];
    all.extend(modules.other.as_deref().map(|other| sized(OTHER, other, USUAL)));
    all
}

/// A module under Dualpath's configuration for a registry of this size.
pub(super) fn sized(name: &'static str, module: &Path, size: Size) -> Contestant {
    Contestant { name, kind: Kind::Rendered(module.to_owned(), Registry::Sized(size)) }
}

/// One line for the table.
pub(super) fn describe(name: &str) -> &'static str {
    match name {
        BARE => "bare proxy",
        NATIVE => "native: mcp, credential_injector, outlier detection",
        LUA => "Lua: sets a header, reads both bodies",
        NOOP => "no-op wasm, downstream and upstream",
        CONFIG_ONLY => "no-op wasm under Dualpath's configuration",
        DUALPATH => "Dualpath",
        _ => "the other module under Dualpath's configuration",
    }
}
