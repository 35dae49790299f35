//! A plugin's root context: reads its role and its registry, and makes the contexts of its streams.

use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use serde_json::Value;

use super::attempt::{Attempt, Drill, Place};
use super::endpoints::Endpoints;
use super::gate::Gate;
use super::keeper::Keeper;
use super::prober::{self, Bystander, Prober};
use super::vm::{self, Vm};
use super::{clock, host};
use crate::registry::{CredentialIndex, ServerIndex};
use crate::wiring::{self, key};

/// How often a gate's VM flushes pending breaker results.
const FLUSH_PERIOD: Duration = Duration::from_millis(200);

/// What a plugin does; its configuration says so.
enum Role {
    /// Filter on the listener.
    Gate(Rc<Vm>, Endpoints),
    /// Upstream filter on one server's cluster.
    Attempt(Place),
    /// Upstream filter on the drill's cluster: it stands for any server.
    Drill(Place),
    /// Upstream filter on one credential's cluster.
    Keeper(Rc<Vm>, CredentialIndex),
    /// Acts without a request.
    Prober(Prober),
}

/// The root context. Without a role only until it is configured: Envoy sends no stream before.
#[derive(Default)]
pub struct Root {
    role: Option<Role>,
}

impl Root {
    fn configure(&mut self) -> Result<(), String> {
        // All JSON is read from text: a reader of bytes beside that would be a second copy of the parser in the module.
        let configuration = host::plugin_configuration();
        let configuration: Value = std::str::from_utf8(&configuration)
            .map_err(|error| error.to_string())
            .and_then(|text| serde_json::from_str(text).map_err(|error| error.to_string()))
            .map_err(|error| format!("the plugin configuration is not JSON: {error}"))?;
        let text = |key: &str| configuration.get(key).and_then(Value::as_str);
        let identity = text(key::IDENTITY).and_then(|hex| u64::from_str_radix(hex, 16).ok());
        let vm = Vm::of(configuration.get(key::REGISTRY).unwrap_or(&Value::Null), identity).map_err(|problems| {
            problems.iter().map(|problem| format!("registry: {problem}")).collect::<Vec<_>>().join("\n")
        })?;
        self.role = Some(match text(key::ROLE).and_then(wiring::Role::parse) {
            Some(wiring::Role::Gate) => {
                vm.is_gates.set(true);
                Role::Gate(Rc::clone(&vm), Endpoints::new(vm))
            }
            Some(wiring::Role::Attempt) => {
                let id = text(key::SERVER).ok_or("server: is required for the role attempt")?;
                let found = vm.registry.server_by_id(id).map(|(server, _)| server);
                let server = found.ok_or_else(|| format!("server: {id:?}: is not in the registry"))?;
                Role::Attempt(Place { vm, server, probe_pass: vm::probe_pass().into() })
            }
            Some(wiring::Role::Drill) => Role::Drill(Place { vm, server: ServerIndex(0), probe_pass: "".into() }),
            Some(wiring::Role::Keeper) => {
                let id = text(key::CREDENTIAL).ok_or("credential: is required for the role keeper")?;
                let found = vm.registry.credential_by_id(id);
                Role::Keeper(vm, found.ok_or_else(|| format!("credential: {id:?}: is not in the registry"))?)
            }
            Some(wiring::Role::Prober) => Role::Prober(Prober::new(vm, text(key::PLACEMENT) == Some(key::LISTENER))),
            None => {
                let roles = wiring::Role::ALL.map(wiring::Role::as_str).join(", ");
                return Err(format!("role: {:?}: must be one of {roles}", text(key::ROLE)));
            }
        });
        Ok(())
    }
}

impl Context for Root {
    /// No tick comes any more.
    fn on_done(&mut self) -> bool {
        if let Some(Role::Gate(vm, _)) = &self.role {
            vm.metrics.flush();
        }
        true
    }

    fn on_http_call_response(&mut self, token: u32, headers: usize, size: usize, _trailers: usize) {
        match &mut self.role {
            Some(Role::Prober(prober)) => {
                prober.answer(token, headers > 0, size, clock::now_ms());
                prober.tell();
            }
            Some(Role::Gate(_, endpoints)) => endpoints.answer(token, headers > 0, size, clock::now_ms()),
            _ => {}
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        if let Err(problem) = self.configure() {
            log::error!("configuration refused: {problem}");
            return false;
        }
        match &self.role {
            Some(Role::Gate(..)) => self.set_tick_period(FLUSH_PERIOD),
            Some(Role::Prober(prober)) => {
                prober.start(clock::now_ms());
                self.set_tick_period(prober::PERIOD);
            }
            _ => {}
        }
        true
    }

    fn on_tick(&mut self) {
        match &mut self.role {
            Some(Role::Gate(vm, endpoints)) => {
                let now = clock::now_ms();
                vm.reset_breakers(now);
                vm.crossing.tick(now);
                vm::flush_all(now);
                endpoints.tick(now);
                vm.metrics.tick(now);
            }
            Some(Role::Prober(prober)) => {
                prober.tick(clock::now_ms());
                prober.tell();
            }
            _ => {}
        }
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        match self.role.as_ref()? {
            Role::Gate(vm, _) => Some(Box::new(Gate::new(Rc::clone(vm)))),
            Role::Attempt(place) => Some(Box::new(Attempt::new(place.clone()))),
            Role::Drill(place) => Some(Box::new(Drill::new(place.clone()))),
            Role::Keeper(vm, credential) => Some(Box::new(Keeper::new(Rc::clone(vm), *credential))),
            Role::Prober(_) => Some(Box::new(Bystander)),
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
