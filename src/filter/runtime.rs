//! What operators have set by keys of Envoy's runtime. A module can't ask for one, so the prober asks the admin interface for
//! all of them and leaves in the shared data what concerns Dualpath, where the tick of every worker finds it. No call
//! looks for it.

use std::rc::Rc;
use std::time::Duration;

use super::cache::Cache;
use super::host::{self, Body, Headers};
use super::metrics::Metric;
use super::shared_data::EnvoySharedData;
use super::vm::Vm;
use crate::breaker::Breaker;
use crate::cache;
use crate::call::status::SWITCH;
use crate::json::Value;
use crate::registry::{Registry, ServerIndex};
use crate::runtime::{self, Hand};
use crate::shared_data::{CREATE, SharedData};
use crate::wiring::cluster;

/// How long the admin interface may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long it is left alone after it has failed, ms.
const PAUSE_MS: u64 = 5_000;

/// The largest runtime that is read, in bytes.
const LARGEST: usize = 1 << 20;

impl Vm {
    /// What is set for a server.
    pub fn hand_of(&self, server: ServerIndex) -> Hand {
        self.hands.at(usize::from(server.0))
    }

    /// Whether MCP is switched off for the task of the tool at this position.
    pub fn is_task_off(&self, tool: usize) -> bool {
        self.hands.at(self.registry.servers.len().saturating_add(tool)).is_off()
    }

    /// Follows what has been set since the last time.
    pub fn follow_runtime(&self) {
        let Some((record, token)) = EnvoySharedData.get(runtime::RECORD).ok().flatten() else { return };
        if !self.hands.is_news(token) {
            return;
        }
        self.cache.iter().for_each(Cache::look_for_purge);
        let servers = self.registry.servers.iter().map(|server| Hand::read(&record, server.id.as_str(), false));
        let tools = self.registry.tools.iter().map(|tool| Hand::read(&record, tool.task.as_str(), true));
        let hands: Vec<_> = servers.chain(tools).collect();
        for (at, hand) in hands.iter().enumerate() {
            let before = self.hands.at(at);
            if *hand != before {
                self.show(at, *hand, before);
            }
        }
        self.hands.take(hands);
    }

    /// Lets a breaker have its mode, and the gauges their values.
    fn show(&self, at: usize, hand: Hand, before: Hand) {
        let Some(server) = self.registry.servers.get(at) else {
            let tool = at.saturating_sub(self.registry.servers.len());
            return self.metrics.record(Metric::McpOff(self.names.task(tool)), hand.is_off().into());
        };
        let index = ServerIndex(u16::try_from(at).unwrap_or(u16::MAX));
        self.with_breaker(index, |breaker, _| breaker.set_mode(hand.mode().unwrap_or(server.breaker.mode)));
        for (at, state) in Hand::STATES.into_iter().enumerate() {
            if hand.is_in(at) != before.is_in(at) {
                self.metrics.record(Metric::Override(self.names.server(index), state), hand.is_in(at).into());
            }
        }
    }
}

/// The prober's watch over Envoy's runtime.
pub struct RuntimeWatch {
    vm: Rc<Vm>,
    /// The request under way.
    asked: Option<u32>,
    /// When it is asked for again, if there is no answer.
    next_ms: u64,
    /// Whether the last request failed, so that it is one line in the log.
    is_failing: bool,
    /// The kill switch as it was last.
    switch: Option<String>,
}

impl RuntimeWatch {
    /// A watch that has seen nothing yet.
    pub fn new(vm: Rc<Vm>) -> Self {
        RuntimeWatch { vm, asked: None, next_ms: 0, is_failing: false, switch: None }
    }

    /// Asks for the runtime, unless it is being asked for.
    pub fn tick(&mut self, now: u64) {
        if now < self.next_ms {
            return;
        }
        self.next_ms = now.saturating_add(PAUSE_MS);
        let headers = [(":method", "GET"), (":path", "/runtime"), (":authority", "dualpath")];
        let headers = headers.map(|(name, value)| (name, value.to_owned()));
        self.asked = host::dispatch(cluster::ADMIN, &headers, b"", PATIENCE).ok();
        if self.asked.is_none() {
            self.fail();
        }
    }

    /// Takes the answer, if `token` belongs to this.
    pub fn answer(&mut self, token: u32, any: bool, size: usize, now: u64) -> bool {
        if self.asked != Some(token) {
            return false;
        }
        self.asked = None;
        let is_good = any && Headers::Dispatched.status() == Some(200) && size <= LARGEST;
        let body = if is_good { Body::Dispatched.read(0, size) } else { Vec::new() };
        match Value::parse_bytes(&body).ok() {
            Some(runtime) => {
                (self.next_ms, self.is_failing) = (0, false);
                self.leave_switch(&runtime);
                self.leave(&runtime, now);
            }
            None => self.fail(),
        }
        true
    }

    fn fail(&mut self) {
        if !std::mem::replace(&mut self.is_failing, true) {
            log::warn!(
                "Envoy's admin interface does not show its runtime: dualpath.server.*, dualpath.task.* and dualpath.cache.* stay as they are"
            );
        }
    }

    /// Leaves the kill switch for the page of operators, if it is another than before. Envoy itself acts on it.
    fn leave_switch(&mut self, runtime: &Value) {
        let switch = runtime::switch(runtime);
        if self.switch.as_deref() == Some(switch) {
            return;
        }
        let token = EnvoySharedData.get(SWITCH).ok().flatten().map_or(CREATE, |(_, token)| token);
        let _ = EnvoySharedData.set(SWITCH, switch.as_bytes(), token);
        self.switch = Some(switch.to_owned());
    }

    /// Leaves for the workers what is set, if it is something else than before.
    fn leave(&self, runtime: &Value, now_ms: u64) {
        let is_limited = !self.vm.mcp_enabled || runtime::is_mcp_limited(runtime);
        self.vm.metrics.record(Metric::KillSwitch, is_limited.into());
        let record = runtime::record(runtime);
        let Ok(found) = EnvoySharedData.get(runtime::RECORD) else { return };
        let (before, token) = found.unwrap_or((Vec::new(), CREATE));
        if before != record && runtime::is_purge_since(runtime, &before) {
            // Before the record, by which workers see that there is news.
            cache::note_purge(&EnvoySharedData, now_ms);
        }
        if before == record || EnvoySharedData.set(runtime::RECORD, &record, token).is_err() {
            return;
        }
        log::warn!("runtime: what is set for servers, tasks and the cache has changed, and is now:");
        let mut without_effect = 0_u64;
        runtime::each(runtime, &mut |key, value, setting| {
            let server = setting.as_ref().and_then(|setting| self.vm.registry.server_by_id(setting.name));
            let is_known = match setting {
                Some(setting) if setting.is_of_task() => is_task(&self.vm.registry, setting.name),
                Some(setting) if setting.is_purge() => true,
                _ => server.is_some(),
            };
            without_effect = without_effect.saturating_add((!is_known).into());
            log::warn!("{}{key}={value}", if is_known { "" } else { "(no such key, value, server or task) " });
            if let (Some((index, _)), Some(setting)) = (server, setting)
                && setting.is_reset_since(&before)
            {
                self.vm.reset(index, now_ms, Breaker::reset);
            }
        });
        self.vm.metrics.record(Metric::RuntimeIgnored, without_effect);
        self.vm.follow_runtime();
    }
}

/// Whether a tool has the task. What was rendered by an earlier release names the prober no tool, so it knows of no task.
fn is_task(registry: &Registry, task: &str) -> bool {
    registry.tools.is_empty() || registry.tools.iter().any(|tool| tool.task.as_str() == task)
}
