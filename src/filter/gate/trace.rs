//! The trace of a call, where the operator wants more than that it passes.

use super::super::clock;
use super::super::host::{self, Headers};
use super::Gate;
use crate::call::Call;
use crate::call::account::Account;
use crate::call::answer::class_of;
use crate::call::trace::{Context, PARENT, STATE};
use crate::failure::Class;
use crate::telemetry::CallStatus;
use crate::wiring::state::TAGS;

impl Gate {
    /// Gives the request the trace context that its message brings, or a new one. Envoy's own tracer has begun a trace already
    /// where it tells a collector; then that trace is told of the client's.
    #[inline(never)]
    pub(super) fn trace(&self, body: &[u8]) {
        let Some(tracing) = self.vm.registry.tracing.as_ref().filter(|tracing| tracing.propagates) else { return };
        if !tracing.exports && Headers::Request.get(PARENT).is_some() {
            return;
        }
        let of_message = Context::of_message(body);
        if tracing.exports {
            if let Some(context) = of_message {
                let [.., (_, client)] = TAGS;
                host::set_filter_state(client, context.parent.as_bytes());
            }
            return;
        }
        let begun = || {
            let (ids, span) = (clock::random_uuid(), clock::random_uuid());
            Context::begun(ids, span.first_chunk().copied().unwrap_or_default())
        };
        let Some(Context { parent, state }) = of_message.or_else(|| tracing.start.then(begun)) else { return };
        Headers::Request.set(PARENT, parent.as_bytes());
        if state.is_empty() {
            // Without its parent it belongs to no trace.
            Headers::Request.remove(STATE);
        } else {
            Headers::Request.set(STATE, state.as_bytes());
        }
    }

    /// Leaves for Envoy's tracer what came of a call.
    #[inline(never)]
    pub(super) fn tell_trace(&self, call: Option<&Call>) {
        if !self.vm.registry.tracing.as_ref().is_some_and(|tracing| tracing.exports) {
            return;
        }
        let Account { mode, status, .. } = self.known.end.unwrap_or(Account::of_gate(CallStatus::Refused));
        let class = call.map(class_of);
        let error = match (status, class) {
            (CallStatus::Success | CallStatus::Fallback, _) => "",
            (_, Some(Class::Success) | None) => "refused",
            (_, Some(class)) => class.as_str(),
        };
        let last = call.and_then(|call| call.flight.last());
        let server = last.and_then(|(hop, _)| hop.index);
        let now = clock::now_ms();
        let breaker = server.and_then(|at| self.vm.with_breaker(at, |breaker, shared| breaker.peek(shared, now)));
        let attempts = call.map_or(0, |call| call.flight.made().len()).to_string();
        let values = [
            self.known.tool(&self.vm.registry).unwrap_or_default(),
            error,
            mode.as_str(),
            last.map_or("", |(hop, _)| hop.server.as_str()),
            &attempts,
            breaker.map_or("", |view| view.state.as_str()),
        ];
        for ((_, name), value) in TAGS.iter().zip(values) {
            if !value.is_empty() {
                host::set_filter_state(name, value.as_bytes());
            }
        }
    }
}
