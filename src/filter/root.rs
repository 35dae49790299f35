//! A plugin's root context: reads its role and its registry, and makes the contexts of its streams.

use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use super::attempt::{Attempt, Drill, Part, Site};
use super::endpoints::Endpoints;
use super::gate::Gate;
use super::keeper::Keeper;
use super::prober::{self, Bystander, Prober};
use super::ready::Ready;
use super::shared_data::EnvoySharedData;
use super::status::{Page, Status};
use super::vm::{self, Vm};
use super::{clock, crossing, host};
use crate::call::status::Guard;
use crate::json::{Malformed, Value};
use crate::registry::{CredentialIndex, Problem, Registry, identity};
use crate::wiring::{self, key};

/// How often a gate's VM flushes pending breaker results.
const FLUSH_PERIOD: Duration = Duration::from_millis(200);

/// What a plugin does; its configuration says so.
enum Duty {
    /// Filter on the listener.
    Gate(Rc<Vm>, Endpoints),
    /// Upstream filter on one server's cluster.
    Attempt(Site),
    /// Upstream filter on the drill's cluster: it stands for any server.
    Drill(Site),
    /// Upstream filter on one credential's cluster.
    Keeper(Rc<Vm>, CredentialIndex),
    /// Filter on the listener with the metrics; with the identity of the registry.
    Ready(u64),
    /// Filter on the listener with the page for operators.
    Status(Rc<Page>),
    /// Acts without a request.
    Prober(Box<Prober>),
}

/// The root context. Without a role only until it is configured: Envoy sends no stream before.
#[derive(Default)]
pub struct Root {
    role: Option<Duty>,
}

impl Root {
    fn configure(&mut self) -> Result<(), String> {
        let configuration = Value::parse_bytes(&host::plugin_configuration())
            .map_err(|Malformed| "the plugin configuration is not JSON".to_owned())?;
        let text = |key: &str| configuration.get(key).and_then(Value::as_str);
        let identity = text(key::IDENTITY).and_then(|hex| u64::from_str_radix(hex, 16).ok());
        let role = text(key::ROLE).and_then(wiring::Role::parse);
        let registry = configuration.get(key::REGISTRY).unwrap_or(&Value::Null);
        let refused = |problems: Vec<Problem>| {
            problems.iter().map(|problem| format!("registry: {problem}")).collect::<Vec<_>>().join("\n")
        };
        let vm = |part: &str| Vm::of(registry, identity, part).map_err(refused);
        self.role = Some(match role {
            Some(wiring::Role::Gate) => {
                let vm = vm("")?;
                vm.is_gates.set(true);
                Duty::Gate(Rc::clone(&vm), Endpoints::new(vm))
            }
            Some(role @ (wiring::Role::Attempt | wiring::Role::Drill)) => {
                // Read now, to be refused now; kept as text, as it is seldom needed.
                let read = Registry::from_json(registry).map_err(refused)?;
                let id = match text(key::SERVER) {
                    Some(id) => id,
                    None if role == wiring::Role::Drill => read.servers.first().map_or("", |server| server.id.as_str()),
                    None => return Err("server: is required for the role attempt".to_owned()),
                };
                let found = read.server_by_id(id).map(|(_, server)| server.id.clone());
                let identity = identity.unwrap_or_else(|| identity::of(registry));
                crossing::announce(identity, clock::now_ms());
                let site = Site {
                    server: found.ok_or_else(|| format!("server: {id:?}: is not in the registry"))?,
                    identity,
                    part: Rc::new(Part::new(registry)),
                    probe_pass: vm::probe_pass().into(),
                };
                if role == wiring::Role::Drill { Duty::Drill(site) } else { Duty::Attempt(site) }
            }
            Some(wiring::Role::Keeper) => {
                let id = text(key::CREDENTIAL).ok_or("credential: is required for the role keeper")?;
                let vm = vm(&format!("keeper {id}"))?;
                let found = vm.registry.credential_by_id(id);
                Duty::Keeper(vm, found.ok_or_else(|| format!("credential: {id:?}: is not in the registry"))?)
            }
            Some(wiring::Role::Ready) => Duty::Ready(identity.unwrap_or_else(|| identity::of(registry))),
            Some(wiring::Role::Status) => {
                let hosts = configuration.get(key::HOSTS).and_then(Value::as_array).unwrap_or(&[]);
                let hosts = hosts.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                let wants_token = configuration.get(key::TOKEN).and_then(Value::as_bool) == Some(true);
                let identity = identity.unwrap_or_else(|| identity::of(registry));
                Duty::Status(Rc::new(Page { identity, guard: Guard { hosts, wants_token } }))
            }
            Some(wiring::Role::Prober) => {
                Duty::Prober(Box::new(Prober::new(vm("prober")?, text(key::PLACEMENT) == Some(key::LISTENER))))
            }
            None => {
                let roles = wiring::Role::ALL.map(wiring::Role::as_str).join(", ");
                return Err(format!("role: {:?}: must be one of {roles}", text(key::ROLE)));
            }
        });
        Ok(())
    }
}

/// No tick comes any more.
impl Drop for Root {
    fn drop(&mut self) {
        if let Some(Duty::Gate(vm, _)) = &self.role {
            vm.info.end(&vm.metrics);
            vm.metrics.flush();
        }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, size: usize, _trailers: usize) {
        match &mut self.role {
            Some(Duty::Prober(prober)) => {
                prober.answer(token, headers > 0, size, clock::now_ms());
                prober.tell();
            }
            Some(Duty::Gate(_, endpoints)) => endpoints.answer(token, headers > 0, size, clock::now_ms()),
            _ => {}
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        if let Err(problem) = self.configure() {
            log::error!(
                "configuration refused: {problem}\n`dualpath check` shows it in the registry file, and the mend"
            );
            return false;
        }
        match &self.role {
            Some(Duty::Gate(..)) => self.set_tick_period(FLUSH_PERIOD),
            Some(Duty::Prober(prober)) => {
                prober.start(clock::now_ms());
                self.set_tick_period(prober::FIRST_PERIOD);
            }
            _ => {}
        }
        true
    }

    fn on_tick(&mut self) {
        match &mut self.role {
            Some(Duty::Gate(vm, endpoints)) => {
                let now = clock::now_ms();
                vm.reset_breakers(now);
                vm.follow_runtime();
                vm.crossing.tick(now);
                vm.credentials.tell(&EnvoySharedData, now);
                vm.look_for_moved_sessions();
                vm.look_for_lists(now);
                vm.look_for_times();
                vm::flush_all(now);
                endpoints.tick(now);
                vm.tell_held(now);
                vm.tell_limits(now);
                vm.info.tick(&vm.metrics);
                vm.stand();
                vm.metrics.tick(now);
            }
            Some(Duty::Prober(prober)) => {
                let is_begun = prober.tick(clock::now_ms());
                prober.tell();
                if is_begun {
                    self.set_tick_period(prober::PERIOD);
                }
            }
            _ => {}
        }
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        match self.role.as_ref()? {
            Duty::Gate(vm, _) => Some(Box::new(Gate::new(Rc::clone(vm)))),
            Duty::Attempt(site) => Some(Box::new(Attempt::new(site.clone()))),
            Duty::Drill(site) => Some(Box::new(Drill::new(site.clone()))),
            Duty::Keeper(vm, credential) => Some(Box::new(Keeper::new(Rc::clone(vm), *credential))),
            Duty::Ready(identity) => Some(Box::new(Ready(*identity))),
            Duty::Status(page) => Some(Box::new(Status(Rc::clone(page)))),
            Duty::Prober(_) => Some(Box::new(Bystander)),
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
