//! The prober's part in discovery: it has servers list their tools, keeps what they list in the shared data, and tells of
//! servers that differ. What is said and what it means is [`crate::discovery`]'s.

use std::rc::Rc;
use std::time::Duration;

use super::host::{self, Body, Headers};
use super::metrics::Metric;
use super::shared_data::EnvoySharedData;
use super::vm::Vm;
use crate::discovery::{Heard, KINDS, List, Next, REVISION, Walk, drift, key};
use crate::probe::{self, Message};
use crate::registry::{Server, ServerIndex};
use crate::shared_data::SharedData;
use crate::wiring::header;

/// How long each answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many servers are asked at a time.
const AT_ONCE: usize = 8;

/// After a failure a server is asked again so soon, ms, then after twice that, and so on up to the registry's period.
const RETRY_MS: u64 = 2_000;

/// Overwrites whatever is there.
const ANY: u32 = 0;

/// So many differences are named in the log.
const NAMED: usize = 8;

/// The discovery of all servers of a registry.
pub struct Discoverer {
    vm: Rc<Vm>,
    /// What requests bear.
    pass: String,
    /// In the registry's order.
    servers: Vec<OfServer>,
}

#[derive(Default)]
struct OfServer {
    /// Not before then is it asked, ms.
    next_ms: u64,
    failures: u32,
    under_way: Option<(u32, Walk)>,
    /// What it lists, as long as that counts.
    list: Option<Rc<List>>,
    /// The differences that have been logged.
    told: String,
}

impl Discoverer {
    /// One that knows nothing yet.
    pub fn new(vm: Rc<Vm>, pass: String) -> Self {
        let servers = vm.registry.servers.iter().map(|_| OfServer::default()).collect();
        Discoverer { vm, pass, servers }
    }

    /// Asks the servers whose time has come; `is_well` says which of them are worth it.
    pub fn tick(&mut self, is_well: &mut dyn FnMut(ServerIndex) -> bool, now: u64) {
        let vm = Rc::clone(&self.vm);
        let mut under_way = self.servers.iter().filter(|server| server.under_way.is_some()).count();
        let mut is_over = false;
        for ((index, facts), server) in vm.registry.indexed_servers().zip(&mut self.servers) {
            is_over |= server.list.take_if(|list| now >= list.until_ms).is_some();
            if under_way >= AT_ONCE
                || server.under_way.is_some()
                || now < server.next_ms
                || !vm.registry.discovers(facts)
            {
                continue;
            }
            if !is_well(index) {
                continue;
            }
            let (walk, message) = Walk::begin(facts);
            server.ask(&vm, index, facts, walk, message, &self.pass, now);
            under_way = under_way.saturating_add(1);
        }
        if is_over {
            self.compare();
        }
    }

    /// Takes the answer to a request of these, if it is one. `any`: there is one, if only headers.
    pub fn answer(&mut self, token: u32, any: bool, size: usize, now: u64) {
        let vm = Rc::clone(&self.vm);
        let is_it = |server: &OfServer| server.under_way.as_ref().is_some_and(|(of, _)| *of == token);
        let Some(at) = self.servers.iter().position(is_it) else { return };
        let Some((index, facts)) = vm.registry.indexed_servers().nth(at) else { return };
        let Some(server) = self.servers.get_mut(at) else { return };
        let Some((_, mut walk)) = server.under_way.take() else { return };
        let limit = usize::try_from(vm.registry.limits.response_body).unwrap_or(usize::MAX);
        let body = if any && size > 0 { Body::Dispatched.read(0, size.min(limit)) } else { Vec::new() };
        let session = Headers::Dispatched.get("mcp-session-id").and_then(|id| String::from_utf8(id).ok());
        let status = Headers::Dispatched.status().unwrap_or_default();
        let heard = any.then_some(Heard { status, session: session.as_deref(), body: &body });
        let page = walk.page_under_way();
        let next = walk.go_on(facts, heard, vm.registry.discovery.every, now);
        if let (Some(page), Next::Ask(_) | Next::Done(..)) = (page, &next) {
            vm.with_annotations(|annotations, shared| annotations.learn(shared, index, page, &body, now));
        }
        match next {
            Next::Ask(message) => server.ask(&vm, index, facts, walk, message, &self.pass, now),
            Next::Done(list, again_ms) => {
                say_farewell(facts, walk.session(), &self.pass);
                (server.failures, server.next_ms) = (0, now.saturating_add(again_ms));
                vm.metrics.count(Metric::ToolLists(vm.names.server(index), "whole"));
                let _ = EnvoySharedData.set(&key(facts), &list.encode(), ANY);
                let _ = EnvoySharedData.set(REVISION, &[now.to_le_bytes(), (at as u64).to_le_bytes()].concat(), ANY);
                server.list = Some(Rc::new(list));
                self.compare();
            }
            Next::Failed => {
                say_farewell(facts, walk.session(), &self.pass);
                server.fail(&vm, index, now);
            }
        }
    }

    /// Tells in what each server differs from the first whose list counts.
    fn compare(&mut self) {
        let vm = Rc::clone(&self.vm);
        let order = vm.registry.mcp_servers();
        let list_of =
            |servers: &[OfServer], at: ServerIndex| servers.get(usize::from(at.0))?.list.as_ref().map(Rc::clone);
        let preferred = order.iter().find_map(|at| Some((*at, list_of(&self.servers, *at)?)));
        for at in order {
            let list = list_of(&self.servers, at);
            let name = vm.names.server(at);
            vm.metrics.record(Metric::ToolsListed(name), list.as_ref().map_or(0, |list| list.tools.len()) as u64);
            // Of a server whose list does not count any more nothing is known, and Envoy keeps a gauge for ever.
            let found = match (&preferred, &list) {
                (Some((_, preferred)), Some(list)) => drift(preferred, list),
                _ => Vec::new(),
            };
            for kind in KINDS {
                let tools = found.iter().filter(|(of, _)| *of == kind).count();
                vm.metrics.record(Metric::ToolDrift(name, kind), tools as u64);
            }
            let mut line = String::new();
            for part in found.iter().take(NAMED).flat_map(|(kind, tool)| [" ", kind, " ", tool, ","]) {
                line.push_str(part);
            }
            let first = preferred.as_ref().map(|(first, _)| *first);
            let server = self.servers.get_mut(usize::from(at.0)).filter(|server| list.is_some() && server.told != line);
            if let Some(server) = server {
                let [id, first] = [Some(at), first].map(|at| name_of(&vm, at));
                log::warn!("tools of {id} that are not as those of {first}:{} {} in all", shown(&line), found.len());
                server.told = line;
            }
        }
    }
}

impl OfServer {
    #[allow(clippy::too_many_arguments)]
    fn ask(&mut self, vm: &Vm, at: ServerIndex, facts: &Server, walk: Walk, message: Message, pass: &str, now: u64) {
        let Message { mut headers, body } = message;
        headers.push((header::PROBE, pass.to_owned()));
        match host::dispatch(facts.id.as_str(), &headers, body.as_bytes(), PATIENCE) {
            Ok(token) => self.under_way = Some((token, walk)),
            Err(_) => self.fail(vm, at, now),
        }
    }

    fn fail(&mut self, vm: &Vm, at: ServerIndex, now: u64) {
        vm.metrics.count(Metric::ToolLists(vm.names.server(at), "failed"));
        let every = u64::try_from(vm.registry.discovery.every.as_millis()).unwrap_or(u64::MAX);
        let pause = RETRY_MS.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.next_ms = now.saturating_add(pause.min(every));
    }
}

/// A text as it may stand in a log: a server may call a tool anything.
fn shown(text: &str) -> String {
    let bytes = text.bytes().map(|byte| if matches!(byte, b' '..=b'~') { byte } else { b'?' });
    String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
}

fn name_of(vm: &Vm, at: Option<ServerIndex>) -> &str {
    at.and_then(|at| vm.registry.server(at)).map_or("", |server| server.id.as_str())
}

/// Closes the session that was opened to list: a server keeps one until it is told, or for hours.
fn say_farewell(server: &Server, session: Option<&str>, pass: &str) {
    if let Some(session) = session {
        let Message { mut headers, body } = probe::farewell(server, session.to_owned());
        headers.push((header::PROBE, pass.to_owned()));
        // Its answer is of no interest, nor is whether there is one.
        let _ = host::dispatch(server.id.as_str(), &headers, body.as_bytes(), PATIENCE);
    }
}
