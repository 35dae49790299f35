//! The module's configuration in each of its places.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::extension::{extension, text};
use super::json_text::readable;
use crate::registry::{CredentialIndex, Id, ProberPlacement, Registry, ServerIndex, Source, slice};
use crate::wiring::{self, MCP_SWITCH, PLUGIN, VM_ID, key};

/// Where the module runs, and for whom.
#[derive(Clone, Copy)]
pub(super) enum Placement<'r> {
    /// On the listener.
    Gate,
    /// On the cluster of this server.
    Attempt(&'r Id),
    /// On the drill's cluster.
    Drill,
    /// On the cluster of this credential.
    Keeper(&'r Id),
    /// On the listener with the metrics.
    Ready,
    /// On the listener with the page for operators.
    Status,
    /// On the main thread or on every thread, as the registry says.
    Prober,
}

impl Placement<'_> {
    fn name(self) -> &'static str {
        let role = match self {
            Placement::Gate => wiring::Role::Gate,
            Placement::Attempt(_) => wiring::Role::Attempt,
            Placement::Drill => wiring::Role::Drill,
            Placement::Keeper(_) => wiring::Role::Keeper,
            Placement::Ready => wiring::Role::Ready,
            Placement::Status => wiring::Role::Status,
            Placement::Prober => wiring::Role::Prober,
        };
        role.as_str()
    }

    /// The name of the HTTP filter.
    pub(super) fn filter_name(self) -> String {
        format!("dualpath.{}", self.name())
    }
}

/// The module as an HTTP filter.
pub(super) fn filter(registry: &Registry, wire: &Value, role: Placement) -> Value {
    extension(
        &role.filter_name(),
        "envoy.extensions.filters.http.wasm.v3.Wasm",
        json!({"config": config(registry, wire, role)}),
    )
}

/// The bootstrap extensions: the prober, if it runs there.
pub(super) fn bootstrap_probers(registry: &Registry, wire: &Value) -> Vec<Value> {
    if registry.envoy.prober != ProberPlacement::Bootstrap {
        return Vec::new();
    }
    vec![extension(
        "envoy.bootstrap.wasm",
        "envoy.extensions.wasm.v3.WasmService",
        json!({"config": config(registry, wire, Placement::Prober), "singleton": true}),
    )]
}

/// The listener's filters, which no request enters unless its route says so: the gate's do, and what else the listener serves
/// neither waits for the module nor ends with it. The prober, if it runs here, is to be configured, so that it lives and ticks.
pub(super) fn of_listener(registry: &Registry, wire: &Value) -> Vec<Value> {
    let prober = (registry.envoy.prober == ProberPlacement::Listener).then_some(Placement::Prober);
    let off = |role| {
        let mut filter = filter(registry, wire, role);
        if let Value::Object(filter) = &mut filter {
            filter.insert("disabled".to_owned(), json!(true));
        }
        filter
    };
    prober.into_iter().chain([Placement::Gate]).map(off).collect()
}

/// The `envoy.extensions.wasm.v3.PluginConfig` of `role`.
fn config(registry: &Registry, wire: &Value, role: Placement) -> Value {
    json!({
        "name": PLUGIN,
        "root_id": role.name(),
        "vm_config": vm_config(registry, role),
        "configuration": text(readable(&configuration(registry, wire, role))),
        // After a trap the worker gets a new VM. The default would answer 503 until the next change of configuration,
        // "fail open" would let requests pass without a credential.
        "failure_policy": "FAIL_RELOAD",
        // Without it a stream whose answer is held at its headers never gets a body, and hangs.
        "allow_on_headers_stop_iteration": true,
    })
}

/// What the module reads when it starts.
fn configuration(registry: &Registry, wire: &Value, role: Placement) -> Value {
    let mut configuration = Map::new();
    configuration.insert(key::ROLE.to_owned(), json!(role.name()));
    if let Placement::Attempt(server) = role {
        configuration.insert(key::SERVER.to_owned(), json!(server.as_str()));
    }
    if let (Placement::Prober, ProberPlacement::Listener) = (role, registry.envoy.prober) {
        configuration.insert(key::PLACEMENT.to_owned(), json!(key::LISTENER));
    }
    if let Placement::Keeper(credential) = role {
        configuration.insert(key::CREDENTIAL.to_owned(), json!(credential.as_str()));
    }
    if let Placement::Status = role {
        let page = registry.status_page.as_ref();
        configuration.insert(key::HOSTS.to_owned(), json!(page.map(|page| &page.hosts)));
        configuration.insert(key::TOKEN.to_owned(), json!(page.is_some_and(|page| page.token_file.is_some())));
    }
    let (identity, part) = (slice::shown(slice::identity(wire)), part(registry, wire, role));
    configuration.insert(key::IDENTITY.to_owned(), json!(identity));
    configuration.insert(key::REGISTRY.to_owned(), part);
    Value::Object(configuration)
}

/// What the role needs of the registry. Only the gate needs the whole.
fn part(registry: &Registry, wire: &Value, role: Placement) -> Value {
    match role {
        Placement::Gate => wire.clone(),
        Placement::Attempt(id) => {
            let server = registry.server_by_id(id.as_str()).map_or(ServerIndex(0), |(server, _)| server);
            slice::for_attempt(registry, wire, server)
        }
        // The facts of a drilled server are the gate's.
        Placement::Drill => slice::for_attempt(registry, wire, ServerIndex(0)),
        Placement::Keeper(id) => {
            let credential = registry.credential_by_id(id.as_str()).unwrap_or(CredentialIndex(0));
            slice::for_keeper(registry, wire, credential)
        }
        // They ask the gate of their thread.
        Placement::Ready | Placement::Status => Value::Null,
        Placement::Prober => slice::for_prober(registry, wire),
    }
}

/// The VM. Gate and attempts must have equal ones to share a VM per worker. The prober's differs by its configuration:
/// its calls run through attempts, and the SDK panics when a VM is entered a second time from within.
fn vm_config(registry: &Registry, role: Placement) -> Value {
    let mut vm = Map::new();
    vm.insert("vm_id".to_owned(), json!(VM_ID));
    vm.insert("runtime".to_owned(), json!("envoy.wasm.runtime.v8"));
    vm.insert("code".to_owned(), json!({"local": {"filename": registry.envoy.wasm_file}}));
    if let Placement::Prober = role {
        vm.insert("configuration".to_owned(), text(role.name().to_owned()));
    }
    vm.insert("environment_variables".to_owned(), json!({"host_env_keys": environment(registry)}));
    Value::Object(vm)
}

/// Names of the environment variables that the module may read. Envoy refuses a name given twice.
fn environment(registry: &Registry) -> BTreeSet<&str> {
    let slots = registry.credentials.iter().flat_map(|credential| credential.slots.iter().flatten());
    let secrets = slots.filter_map(|slot| match &slot.source {
        Source::Environment(name) => Some(name.as_str()),
        _ => None,
    });
    secrets.chain([MCP_SWITCH]).collect()
}
