//! The end of an attempt: what it means, told to the breaker, the statistics, the router and the gate, once.

use super::super::clock;
use super::super::host::{self, Headers};
use super::super::mark::ANSWER_MARK;
use super::super::metrics::Metric;
use super::Attempt;
use crate::breaker::{CallResult, Moment, Outcome};
use crate::failure::{BreakerEffect, Class, Decisions, Verdict, decide, judge_no_answer};

/// Envoy's response flags "downstream connection terminated" and, for a stream of HTTP/2, "downstream remote reset".
const DOWNSTREAM_GONE: u64 = 0x4000 | 0x1000_0000;

impl Attempt {
    /// Settles an answered attempt while its response headers are held. `readable`: an MCP client could read the answer.
    pub(super) fn conclude(&mut self, verdict: Verdict, readable: bool) {
        self.settle(verdict.class, verdict.retry_after_ms);
        self.go_on(verdict);
        Headers::Response.set(ANSWER_MARK, self.mark(verdict.class, readable).encode().as_bytes());
    }

    /// What the policy says of an outcome of the planned tool on this server.
    pub(super) fn decisions(&self, class: Class) -> Decisions {
        // Nobody overrides what follows from success, so the usual case has no tool to look for.
        let tool = self.plan.as_ref().and_then(|plan| plan.tool.as_deref()).filter(|_| class != Class::Success);
        let tool = tool.and_then(|name| self.placement.vm.registry.tool(name)).map(|tool| &tool.on);
        decide(class, tool, self.placement.server().map(|server| &server.on))
    }

    /// Settles an attempt that ended without a (whole) answer.
    pub(super) fn settle_unanswered(&mut self) {
        if self.settled || self.plan.is_none() {
            return;
        }
        let flags = host::number(&["response", "flags"]);
        let details = host::attribute(&["response", "code_details"]).unwrap_or_default();
        let connection = host::attribute(&["upstream", "transport_failure_reason"]).unwrap_or_default();
        let gone = flags & DOWNSTREAM_GONE != 0 || details.starts_with(b"downstream_remote_disconnect");
        let sent = self.answered_after_ms.is_some() || connection.is_empty();
        let class = judge_no_answer(sent, gone).class;
        self.settle(class, None);
        self.stop_unanswered(class);
    }

    /// Tells breaker and statistics, the first time it is called.
    pub(super) fn settle(&mut self, class: Class, retry_after_ms: Option<u64>) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let Some(ticket) = self.plan.as_ref().and_then(|plan| plan.current()).map(|hop| hop.ticket) else { return };
        let now_ms = clock::now_ms();
        self.settle_credential(class, now_ms);
        let (vm, index) = (&self.placement.vm, self.placement.index);
        let name = vm.names.server(index);
        if let Some(class) = self.drill {
            // No attempt of the server's: neither its breaker nor anybody who counts attempts must hear of it.
            vm.metrics.count(Metric::Drills(name, class));
            vm.metrics.maintain(now_ms);
            return;
        }
        vm.metrics.count(Metric::Attempts(name, class));
        let decisions = self.decisions(class);
        if decisions.alert {
            vm.metrics.count(Metric::Alerts(name, class));
        }
        let outcome = match decisions.breaker {
            _ if self.was_hurried(class) => Outcome::Neutral,
            BreakerEffect::Success => Outcome::Success,
            BreakerEffect::Failure => Outcome::Failure,
            BreakerEffect::Limited => Outcome::Limited { retry_after_ms },
            BreakerEffect::Neutral if self.answered_after_ms.is_some() && class != Class::Cancelled => Outcome::Alive,
            BreakerEffect::Neutral => Outcome::Neutral,
        };
        // Without an answer there is nothing to be slow: that is a failure already.
        let result = CallResult { outcome, took_ms: self.answered_after_ms.unwrap_or_default() };
        let moment = Moment { now_ms, random: clock::random_u32() };
        let told = vm.with_breaker(index, |breaker, shared| breaker.report(shared, moment, ticket, result));
        if let Some(Some(transition)) = told {
            vm.announce(index, &transition);
        }
        vm.metrics.maintain(now_ms);
    }

    /// Whether the attempt ended because its client has less time than the operator gives the server, which is no fault of
    /// the server's.
    fn was_hurried(&self, class: Class) -> bool {
        let hurried = class == Class::Lost && self.plan.as_ref().is_some_and(|plan| plan.time.hurried);
        let took_ms = || clock::now_ms().saturating_sub(self.began_ms);
        hurried && self.plan.as_ref().is_some_and(|plan| took_ms() >= plan.time.per_try_ms)
    }
}
