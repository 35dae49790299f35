//! What the gate counts of a call at its end, beside how it ended.

use super::super::metrics::Metric;
use super::{Gate, Phase};
use crate::call::Task;
use crate::call::account::Account;
use crate::call::answer::{class_of, server_of};
use crate::call::message::is_limited;
use crate::call::story::Told;
use crate::failure::Class;
use crate::telemetry::{AnsweredBy, CallStatus, Name};

impl Gate {
    /// Counts the call of a tool: what came of it, how long it took, how long its answer is.
    pub(super) fn count_tool(&self, end: Account, took_ms: u64) {
        if !self.known.kind.is_some_and(|kind| is_limited(kind, self.known.task)) {
            return;
        }
        let tool = if let Task::Tool(at) = self.known.task { self.vm.names.tool(at) } else { Name::OTHER };
        let (class, server) = match &self.phase {
            Phase::Sent(_, call) => {
                let call = call.borrow();
                let server = server_of(&call, &self.vm.registry).filter(|_| end.mode != AnsweredBy::Gate);
                (class_of(&call), server.map_or(Name::OTHER, |(at, _)| self.vm.names.server(at)))
            }
            _ if end.status == CallStatus::Failed => (Class::NotSent, Name::OTHER),
            // It names a tool that is not allowed, say.
            _ => (Class::Caller, Name::OTHER),
        };
        let class = if end.status == CallStatus::Cancelled { Class::Cancelled } else { class };
        let metrics = &self.vm.metrics;
        metrics.count(Metric::ToolCalls(tool, server, class, end.mode));
        metrics.record(Metric::ToolLatency(tool, end.mode), took_ms);
        let bytes = self.known.own_bytes.unwrap_or(self.known.answer_bytes);
        if bytes > 0 {
            metrics.record(Metric::ToolBytes(tool), bytes as u64);
        }
    }

    /// Counts that another server than the first choice has answered, and why.
    #[inline(never)]
    pub(super) fn count_fallback(&self) {
        let Phase::Sent(_, call) = &self.phase else { return };
        let call = call.borrow();
        let names = &self.vm.names;
        let from = self.known.first_choice.map_or(Name::OTHER, |first| names.server(first));
        let to = server_of(&call, &self.vm.registry).map_or(Name::OTHER, |(at, _)| names.server(at));
        let reason = Told::of(&call, self.known.first_choice).why_not_first();
        self.vm.metrics.count(Metric::Fallback(from, to, reason));
    }
}
