//! What all contexts of one VM (one worker's gate and attempts) have in common.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use super::cache::Cache;
use super::clock;
use super::crossing;
use super::hands::Hands;
use super::info::Info;
use super::limits::Limits;
use super::metrics::{Metric, Metrics};
use super::shared_data::EnvoySharedData;
use crate::annotations::Annotations;
use crate::breaker::{Breaker, Moment, State, Transition};
use crate::budget::Budget;
use crate::call::credentials::{Credentials, World};
use crate::call::route::reorder;
use crate::call::session;
use crate::call::session::ended;
use crate::call::session::moved::{self, Moved};
use crate::credential::{Fingerprint, FingerprintKey};
use crate::discovery::Seen;
use crate::failure::Class;
use crate::health::{self, Latency};
use crate::held::{Held, Holding, Total};
use crate::history;
use crate::json::Value;
use crate::registry::{Problem, Registry, Server, ServerIndex, identity};
use crate::shared_data::{CREATE, SharedData};
use crate::telemetry::{RegistryNames, first_of_tasks, standing};
use crate::wiring::MCP_SWITCH;

/// The state of one VM under one registry.
pub struct Vm {
    /// The registry, or the part of one that a server's attempts need.
    pub registry: Rc<Registry>,
    /// Tells registries apart: the parts of one have the same.
    pub identity: u64,
    /// What an attempt says at each server's address.
    authorities: Vec<String>,
    /// Whether the call's memory may be out of an attempt's reach.
    pub crossing: crossing::Lookout,
    /// The secrets of the environment, and what has been seen of the others.
    pub credentials: Credentials,
    /// What this VM holds, under whatever registries.
    pub held: Rc<Held>,
    /// The statistics, which all registries of this VM share.
    pub metrics: Rc<Metrics>,
    /// The names that this registry is counted under.
    pub names: RegistryNames,
    /// What operators are told of this registry.
    pub info: Info,
    /// Whether MCP servers may be used at all; the kill switch of the environment.
    pub mcp_enabled: bool,
    /// What operators have set since the start.
    pub(super) hands: Hands,
    /// What trusted servers have said of their tools.
    annotations: RefCell<Annotations>,
    /// Which server lists which tool.
    pub tools: RefCell<Seen>,
    /// All servers, the fastest first; empty where no call is routed by that.
    pub fastest: RefCell<Vec<ServerIndex>>,
    /// What is kept of answers; none where no tool has a cache.
    pub cache: Option<Cache>,
    /// What this worker may still spend on sending calls again.
    pub budget: RefCell<Budget>,
    /// How many calls each server may have under way in this worker.
    pub limits: Limits,
    /// A breaker per server, in the registry's order.
    breakers: RefCell<Vec<Breaker>>,
    /// What this worker may still spend on opening sessions.
    openings: RefCell<Budget>,
    /// What hides the session ids of clients in the shared data.
    key: FingerprintKey,
    /// Whether any session of this process has moved.
    any_moved: Cell<bool>,
    /// Whether a gate works under it, so that it has the whole registry, and every token.
    pub is_gates: Cell<bool>,
    /// Whether any calls are routed by how fast servers are.
    by_latency: bool,
    /// Whether the registry's resets have been looked after.
    resets_done: Cell<bool>,
    /// The next part of the counters that are there from the start.
    standing: Cell<usize>,
}

thread_local! {
    /// The registries that this VM runs under. Every root context brings its own copy of the text; contexts with the
    /// same text share one `Vm`, and with it the breakers' pending results. During an update there may be two.
    static VMS: RefCell<Vec<Registered>> = const { RefCell::new(Vec::new()) };
}

thread_local! {
    /// What this VM holds, and its share in what all hold.
    static HELD: (Rc<Held>, RefCell<Option<Total>>) = Default::default();
}

/// A registry that root contexts of this VM have brought, or a part of one.
struct Registered {
    identity: u64,
    part: String,
    vm: Weak<Vm>,
}

/// Sixteen random bytes that all VMs of this process agree on: the first that needs them makes them, the others find them
/// in the shared data.
fn agreed(key: &str) -> [u8; 16] {
    let read = || EnvoySharedData.get(key).ok().flatten().and_then(|(bytes, _)| bytes.try_into().ok());
    let made = || {
        let bytes = clock::random::<16>().unwrap_or_default();
        // Somebody else may have been first.
        let _ = EnvoySharedData.set(key, &bytes, CREATE);
        read().unwrap_or(bytes)
    };
    read().unwrap_or_else(made)
}

/// The key of this process's fingerprints. It is no secret's key to anything: it only keeps fingerprints of one process from
/// being compared with anything else.
fn fingerprint_key() -> FingerprintKey {
    FingerprintKey(agreed("ck1"))
}

/// Whether a token is the first that this process has seen in a place.
fn is_first(place: &str, token: Fingerprint) -> bool {
    let key = format!("cf1:{place}");
    let own = token.0.to_le_bytes();
    let read = || EnvoySharedData.get(&key).ok().flatten().map(|(bytes, _)| bytes == own);
    read().unwrap_or_else(|| {
        let _ = EnvoySharedData.set(&key, &own, CREATE);
        read().unwrap_or(true)
    })
}

/// What a request of the prober's bears, so that an attempt knows it from one that has slipped past the gate.
pub fn probe_pass() -> String {
    u128::from_le_bytes(agreed("pp1")).to_string()
}

impl Vm {
    /// The state for `registry`, made now unless another root context of this VM has made it. `whole` is the identity of the
    /// registry that this is a part of, and `part` tells its parts apart.
    pub fn of(registry: &Value, whole: Option<u64>, part: &str) -> Result<Rc<Vm>, Vec<Problem>> {
        let identity = whole.unwrap_or_else(|| identity::of(registry));
        // Without a name there are no parts: every place has the whole.
        let part = if whole.is_some() { part } else { "" };
        VMS.with_borrow_mut(|vms| {
            vms.retain(|known| known.vm.strong_count() > 0);
            let known = vms.iter().find(|known| known.identity == identity && known.part == part);
            if let Some(vm) = known.and_then(|known| known.vm.upgrade()) {
                return Ok(vm);
            }
            let vm = Rc::new(Vm::new(Registry::from_json(registry)?, identity));
            vms.push(Registered { identity, part: part.to_owned(), vm: Rc::downgrade(&vm) });
            Ok(vm)
        })
    }

    fn new(registry: Registry, identity: u64) -> Self {
        let environment = |name: &str| std::env::var(name).ok();
        let off = environment(MCP_SWITCH)
            .is_some_and(|v| matches!(v.to_ascii_lowercase().as_str(), "false" | "0" | "off" | "no"));
        let breakers = registry.servers.iter().map(|s| Breaker::new(s.id.as_str(), s.breaker)).collect();
        let metrics = Metrics::of_this_vm();
        let registry = Rc::new(registry);
        let world = World { wall_s: || clock::wall_time().as_secs(), is_first };
        let key = fingerprint_key();
        Vm {
            credentials: Credentials::new(Rc::clone(&registry), key, world, environment),
            openings: RefCell::new(Budget::new(session::BUDGET)),
            key,
            any_moved: Cell::new(false),
            names: metrics.names_of(&registry),
            info: Info::of(identity, &metrics),
            metrics,
            held: HELD.with(|(held, _)| Rc::clone(held)),
            mcp_enabled: !off,
            hands: Hands::default(),
            annotations: RefCell::new(Annotations::new(&registry)),
            tools: RefCell::new(Seen::new(&registry)),
            fastest: RefCell::default(),
            by_latency: registry.routes_by_latency(),
            cache: Cache::of(&registry, || agreed("xk1")),
            budget: RefCell::new(Budget::new(registry.failover.budget)),
            limits: Limits::of(&registry),
            breakers: RefCell::new(breakers),
            is_gates: Cell::new(false),
            resets_done: Cell::new(false),
            standing: Cell::new(first_of_tasks(&registry)),
            authorities: registry.servers.iter().map(|server| server.url.authority()).collect(),
            crossing: crossing::Lookout::begun(identity, clock::now_ms()),
            identity,
            registry,
        }
    }

    /// The authority that requests for a server have.
    pub fn authority(&self, server: ServerIndex) -> &str {
        self.authorities.get(usize::from(server.0)).map_or("", String::as_str)
    }

    /// Works on what is known of trusted servers' tools; `None` where no server is trusted.
    pub fn with_annotations<T>(&self, work: impl FnOnce(&mut Annotations, &EnvoySharedData) -> T) -> Option<T> {
        let mut annotations = self.annotations.borrow_mut();
        annotations.are_in_use().then(|| work(&mut annotations, &EnvoySharedData))
    }

    /// Looks whether what servers list has changed.
    pub fn look_for_lists(&self, now_ms: u64) {
        self.tools.borrow_mut().look(&EnvoySharedData, &self.registry, now_ms);
    }

    /// Looks how fast servers are, where calls are routed by that.
    pub fn look_for_times(&self) {
        if !self.by_latency {
            return;
        }
        let time = |server: &Server| Latency::read(&EnvoySharedData, server.id.as_str()).steady();
        let times: Vec<_> = self.registry.servers.iter().map(time).collect();
        reorder(&mut self.fastest.borrow_mut(), &self.registry, &times);
    }

    /// Works on a server's breaker. `None` only for an index of another registry.
    pub fn with_breaker<T>(
        &self,
        server: ServerIndex,
        work: impl FnOnce(&mut Breaker, &EnvoySharedData) -> T,
    ) -> Option<T> {
        self.breakers.borrow_mut().get_mut(usize::from(server.0)).map(|breaker| work(breaker, &EnvoySharedData))
    }

    /// A number that tells a session's id from others, and from which it can't be found.
    pub fn hash(&self, session_id: &[u8]) -> u64 {
        self.key.hash(session_id)
    }

    /// Whether another session may be opened; it is paid for then.
    pub fn may_open_session(&self) -> bool {
        let mut openings = self.openings.borrow_mut();
        let allowed = openings.allows(clock::now_ms());
        if allowed {
            openings.spend();
        }
        allowed
    }

    /// Looks whether any session of this process has moved: from then on its gates ask where.
    pub fn look_for_moved_sessions(&self) {
        if !self.any_moved.get() {
            self.any_moved.set(moved::any(&EnvoySharedData));
        }
    }

    /// Whether any session of this process has moved, as far as this worker knows.
    pub fn has_moved_sessions(&self) -> bool {
        self.any_moved.get()
    }

    /// Where the session has moved that a client knows by this id.
    pub fn where_moved(&self, session_id: &[u8]) -> Option<Moved> {
        moved::find(&EnvoySharedData, self.key.hash(session_id))
    }

    /// Notes where it has moved: to a server and its id for the session.
    pub fn note_moved(&self, session_id: &[u8], to: (&str, &[u8])) {
        moved::note(&EnvoySharedData, self.key.hash(session_id), Some(to));
        self.any_moved.set(true);
    }

    /// Notes that its client has ended it.
    pub fn note_ended(&self, session_id: &[u8]) {
        moved::note(&EnvoySharedData, self.key.hash(session_id), None);
    }

    /// Notes that the client of a session with the gate has ended it.
    pub fn note_ended_here(&self, session_id: &[u8]) {
        ended::note(&EnvoySharedData, self.key.hash(session_id));
    }

    /// Whether a session that is the gate's by its id has been ended, here or where it had moved.
    pub fn has_ended_here(&self, session_id: &[u8]) -> bool {
        let hash = self.key.hash(session_id);
        ended::is_noted(&EnvoySharedData, hash) || self.any_moved.get() && moved::has_ended(&EnvoySharedData, hash)
    }

    /// Whether its client has ended it.
    pub fn has_ended(&self, session_id: &[u8]) -> bool {
        moved::has_ended(&EnvoySharedData, self.key.hash(session_id))
    }

    /// Writes what breakers have kept to write together, and counts what they have to tell.
    pub fn flush_breakers(&self, now_ms: u64) {
        for (index, server) in self.registry.indexed_servers() {
            let moment = Moment { now_ms, random: clock::random_u32() };
            let flushed = self.with_breaker(index, |breaker, shared| {
                (breaker.flush(shared, moment), breaker.take_counters(), breaker.take_answers())
            });
            let Some((transition, counters, (answers, together_ms))) = flushed else { continue };
            if answers > 0 {
                health::tell(&EnvoySharedData, server.id.as_str(), answers, together_ms);
            }
            if let Some(transition) = transition {
                self.announce(index, &transition, None);
            }
            for (event, times) in counters.named().into_iter().filter(|(_, times)| *times > 0) {
                self.metrics.add(Metric::BreakerEvents(self.names.server(index), event), times);
            }
        }
    }

    /// Resets the breakers that the registry says are to be reset, unless that has been done. For the tick, not for the
    /// configuration: Envoy configures a plugin that it then throws away, to see whether it can be.
    pub fn reset_breakers(&self, now_ms: u64) {
        if self.resets_done.replace(true) {
            return;
        }
        for (index, _) in self.registry.indexed_servers().filter(|(_, server)| server.breaker.reset_id != 0) {
            self.reset(index, now_ms, Breaker::reset_once);
        }
    }

    /// Resets a server's breaker by one of its ways to do that.
    pub fn reset(
        &self,
        server: ServerIndex,
        now_ms: u64,
        reset: fn(&mut Breaker, &EnvoySharedData, Moment) -> Option<Transition>,
    ) {
        let moment = Moment { now_ms, random: clock::random_u32() };
        if let Some(Some(transition)) = self.with_breaker(server, |breaker, shared| reset(breaker, shared, moment)) {
            self.announce(server, &transition, None);
        }
    }

    /// Goes on to define the tasks' counters that are to be there before they count anything, a few with each tick.
    pub fn stand(&self) {
        let part = self.standing.get();
        if standing(part, &self.registry, &self.names, &mut |metric| self.metrics.stand(metric)) {
            self.standing.set(part.saturating_add(1));
        }
    }

    /// Counts what there was no room for, and tells how much all VMs hold.
    pub fn tell_held(&self, now_ms: u64) {
        for what in Holding::ALL {
            match self.held.take_refusals(what) {
                0 => {}
                times => self.metrics.add(Metric::HeldRefused(what), times),
            }
        }
        let bytes = self.held.bytes() as u64;
        let total = HELD.with(|(_, total)| {
            let mut total = total.borrow_mut();
            let total = total.get_or_insert_with(|| Total::new(clock::random().map_or(0, u64::from_le_bytes)));
            total.tell(&EnvoySharedData, bytes, now_ms)
        });
        if let Some(total) = total {
            self.metrics.record(Metric::Held, total);
        }
    }

    /// Tells how many calls the servers may have under way, and have.
    pub fn tell_limits(&self, now_ms: u64) {
        self.limits.tell(&self.registry, &self.names, &self.metrics, now_ms);
    }

    /// Tells of a breaker's transition. Only the worker whose write won gets one, so it is told once per process. `class`: what
    /// the attempt or the probe came to that decided it.
    pub fn announce(&self, server: ServerIndex, transition: &Transition, class: Option<Class>) {
        let name = self.names.server(server);
        let Some(server) = self.registry.server(server) else { return };
        let id = server.id.as_str();
        log::warn!(
            "breaker of {id}: {} -> {} ({}; failures in a row {}, attempt {}, for {} ms, epoch {})",
            transition.from.as_str(),
            transition.to.as_str(),
            transition.reason.as_str(),
            transition.run,
            transition.attempt,
            transition.period_ms,
            transition.epoch
        );
        self.metrics.count(Metric::Transitions(name, transition.from, transition.to));
        self.metrics.record(Metric::BreakerState(name), transition.to as u64);
        if transition.to == State::Open {
            self.metrics.record(Metric::OpenPeriod(name), transition.period_ms);
        }
        history::note(&EnvoySharedData, clock::wall_time().as_secs(), id, transition, class);
        // Rare, and what an operator looks for first: not even a trap is to lose it.
        self.metrics.flush();
    }
}

/// The state that a gate of this VM works under, for the registry of this identity.
pub fn of_gate(identity: u64) -> Option<Rc<Vm>> {
    let is_it = |vm: &Rc<Vm>| vm.identity == identity && vm.is_gates.get();
    VMS.with_borrow(|vms| vms.iter().filter_map(|known| known.vm.upgrade()).find(is_it))
}

/// Writes what the breakers of all registries of this VM have kept to write together.
pub fn flush_all(now_ms: u64) {
    let vms: Vec<_> = VMS.with_borrow(|vms| vms.iter().filter_map(|known| known.vm.upgrade()).collect());
    vms.iter().for_each(|vm| vm.flush_breakers(now_ms));
}
