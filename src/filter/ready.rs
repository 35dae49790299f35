//! The pages that say whether calls find a path now, at the port of the metrics. The gate's VM of the same thread knows it.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::clock;
use super::gate::BreakersAt;
use super::host::{self, Headers};
use super::vm::{self, Vm};
use crate::call::admission::Breakers;
use crate::call::ready;
use crate::drill::Orders;
use crate::registry::ServerIndex;

/// The context of one request; with the identity of the registry.
pub struct Ready(pub u64);

impl Context for Ready {}

impl HttpContext for Ready {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let path = Headers::Request.get(":path").and_then(|path| String::from_utf8(path).ok()).unwrap_or_default();
        let is_get = Headers::Request.get(":method").is_some_and(|method| method == b"GET");
        let Some(task) = ready::asked(&path).filter(|_| is_get) else { return Action::Continue };
        let (status, body) = match vm::of_gate(self.0) {
            Some(vm) => page(&vm, task),
            None => (503, String::new()),
        };
        host::reply(status, &[("content-type", "application/json"), ("cache-control", "no-store")], body.as_bytes());
        Action::Pause
    }
}

fn page(vm: &Vm, task: Option<&str>) -> (u16, String) {
    let drill = Orders::default();
    let mut breakers =
        BreakersAt { vm, now: clock::now_ms(), random: 0, replayable: false, drill: &drill, last_resort: None };
    let mut is_up = |server: ServerIndex| {
        !breakers.hand(server).is_off() && breakers.barred(server).is_none() && breakers.look(server).admits
    };
    let up: Vec<_> = vm.registry.indexed_servers().map(|(at, _)| is_up(at)).collect();
    let is_up = |server: ServerIndex| up.get(usize::from(server.0)).is_some_and(|up| *up);
    ready::answer(&vm.registry, task, &is_up, &|tool| !vm.mcp_enabled || vm.is_task_off(tool))
}
