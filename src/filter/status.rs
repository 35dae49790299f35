//! The page for operators: asks whoever wants it for the token, and answers what the page shows. The page itself stands in
//! Envoy's configuration. The gate's VM of the same thread knows the breakers, the shared data the rest.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::clock;
use super::host::{self, Headers};
use super::prober::has_token;
use super::shared_data::EnvoySharedData;
use super::vm::{self, Vm};
use crate::call::credentials::{testimony, watched};
use crate::call::status::{self, Guard, HEADERS, Refused, ServerSeen};
use crate::health::Latency;
use crate::history::{Changes, LastProbe};
use crate::registry::{CredentialIndex, Server, ServerIndex};
use crate::shared_data::SharedData;
use crate::wiring::header;

/// The page of one listener.
pub struct Page {
    /// The identity of the registry.
    pub identity: u64,
    /// Whom it is for.
    pub guard: Guard,
}

/// The context of one request.
pub struct Status(pub Rc<Page>);

impl Context for Status {}

impl HttpContext for Status {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let [slot, _] = header::SLOTS;
        let [host, authorization, token] = [":authority", "authorization", slot].map(|name| Headers::Request.get(name));
        let guard = &self.0.guard;
        if let Err(refused) = guard.check(&host.unwrap_or_default(), authorization.as_deref(), token.as_deref()) {
            refuse(refused);
            return Action::Pause;
        }
        let path = Headers::Request.get(":path").unwrap_or_default();
        let method = Headers::Request.get(":method").unwrap_or_default();
        let is_json = path.split(|byte| *byte == b'?').next() == Some(status::JSON.as_bytes());
        if !is_json || !matches!(method.as_slice(), b"GET" | b"HEAD") {
            return Action::Continue;
        }
        let (status, body) = match vm::of_gate(self.0.identity) {
            Some(vm) => (200, vm.status()),
            // It has not begun, or has made place for another registry.
            None => (503, String::new()),
        };
        answer(status, &[("content-type", "application/json")], body.as_bytes());
        Action::Pause
    }
}

fn refuse(refused: Refused) {
    match refused {
        Refused::Host => {
            answer(403, &[("content-type", "text/plain")], b"this host is not named in status_page.hosts\n")
        }
        Refused::Token => {
            let ask = [("www-authenticate", "Basic realm=\"Dualpath: the token is the password\", charset=\"UTF-8\"")];
            answer(401, &ask, b"");
        }
    }
}

fn answer(status: u16, more: &[(&str, &str)], body: &[u8]) {
    host::reply(status, &[more, &HEADERS].concat(), body);
}

impl Vm {
    /// What the page shows.
    fn status(&self) -> String {
        self.follow_runtime();
        let now = clock::now_with(clock::now_ms());
        let changes = Changes::read(&EnvoySharedData);
        let (mut servers, mut credentials, mut tasks_off) = (Vec::new(), Vec::new(), Vec::new());
        for (index, server) in self.registry.indexed_servers() {
            servers.extend(self.seen(index, server, now.ms).map(|seen| seen.json(&changes)));
        }
        for (at, credential) in (0u16..).map(CredentialIndex).zip(&self.registry.credentials) {
            let users = self.registry.servers.iter().filter(|server| server.credential == Some(at));
            let said: Vec<_> = users.map(|server| testimony(&EnvoySharedData, server)).collect();
            let report = watched(&EnvoySharedData, credential);
            credentials.push(status::credential(credential, report.as_ref(), &said, now.wall_s));
        }
        for (at, tool) in self.registry.tools.iter().enumerate() {
            if self.is_task_off(at) {
                tasks_off.push(tool.task.as_str());
            }
        }
        let switch = EnvoySharedData.get(status::SWITCH).ok().flatten().map_or(Vec::new(), |(switch, _)| switch);
        let status = status::Status {
            now_s: now.wall_s,
            registry: self.identity,
            switch: std::str::from_utf8(&switch).unwrap_or_default(),
            mcp_enabled: self.mcp_enabled,
            tasks_off: &tasks_off,
            servers: &servers,
            credentials: &credentials,
            changes: &changes,
        };
        status.json()
    }

    fn seen<'r>(&self, index: ServerIndex, server: &'r Server, now_ms: u64) -> Option<ServerSeen<'r>> {
        let id = server.id.as_str();
        let look = |breaker: &mut crate::breaker::Breaker, shared: &EnvoySharedData| {
            (breaker.peek(shared, now_ms), breaker.policy().mode)
        };
        let (view, mode) = self.with_breaker(index, look)?;
        Some(ServerSeen {
            server,
            view,
            mode,
            hand: self.hand_of(index),
            latency: Latency::read(&EnvoySharedData, id),
            probe: LastProbe::read(&EnvoySharedData, id),
            has_token: has_token(&self.registry, server),
        })
    }
}
