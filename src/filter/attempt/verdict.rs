//! The end of an attempt: what it means, told to the breaker, the statistics, the router and the gate, once.

use super::super::clock;
use super::super::host::{self, Headers};
use super::super::mark::{ANSWER_MARK, FAILOVER_MARK};
use super::super::metrics::Metric;
use super::Attempt;
use crate::breaker::{CallResult, Moment, Outcome};
use crate::failure::{BreakerEffect, Class, Decisions, Verdict, decide, judge_no_answer, may_fail_over};
use crate::plan::Owner;

/// Envoy's response flags "downstream connection terminated" and, for a stream of HTTP/2, "downstream remote reset".
const DOWNSTREAM_GONE: u64 = 0x4000 | 0x1000_0000;

impl Attempt {
    /// Settles an answered attempt while its response headers are held. `readable`: an MCP client could read the answer.
    pub(super) fn conclude(&mut self, verdict: Verdict, readable: bool) {
        self.settle(verdict.class, verdict.retry_after_ms);
        if self.goes_on(verdict.class) {
            Headers::Response.set(FAILOVER_MARK, verdict.class.as_str().as_bytes());
        }
        Headers::Response.set(ANSWER_MARK, self.mark(verdict.class, readable).encode().as_bytes());
    }

    /// Whether another attempt follows, and sees to it that it goes to the right place.
    fn goes_on(&self, class: Class) -> bool {
        let goes_on = self.would_go_on(class);
        if let (true, true, Some(plan)) = (goes_on, self.tries_other_slot(class), &self.plan) {
            host::set_filter_state("next", self.server_id().as_bytes());
            host::set_filter_state("plan", &plan.clone().with_other_slot().encode());
        }
        goes_on
    }

    /// Whether another attempt would follow this outcome.
    pub(super) fn would_go_on(&self, class: Class) -> bool {
        self.plan.as_ref().is_some_and(|plan| {
            let class_here = self.class_here(class);
            let failover = self.decisions(class_here).failover;
            self.tries_other_slot(class)
                || (plan.next().is_some() && may_fail_over(class_here, failover, plan.replay, false))
        })
    }

    /// Whether that attempt would go to this server again, with its other credential slot.
    fn tries_other_slot(&self, class: Class) -> bool {
        self.other_slot && self.decisions(class).other_slot_first
    }

    /// What the policy says of an outcome of the planned tool on this server.
    pub(super) fn decisions(&self, class: Class) -> Decisions {
        // Nobody overrides what follows from success, so the usual case has no tool to look for.
        let tool = self.plan.as_ref().and_then(|plan| plan.tool.as_deref()).filter(|_| class != Class::Success);
        let tool = tool.and_then(|name| self.placement.vm.registry.tool(name)).map(|tool| &tool.on);
        decide(class, tool, self.placement.server().map(|server| &server.on))
    }

    /// A server that doesn't know a session which another server has opened has not executed anything: for the failover
    /// that is as good as not having been asked. (A session of the gate's ends here, though: its client is to begin one
    /// with a server now that there is one.)
    fn class_here(&self, class: Class) -> Class {
        match self.plan.as_ref().map(|plan| &plan.session_owner) {
            Some(Owner::Server(owner)) if class == Class::Session && owner != self.server_id() => Class::NotSent,
            _ => class,
        }
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
        self.settle(judge_no_answer(sent, gone).class, None);
    }

    /// Tells breaker and statistics, the first time it is called.
    pub(super) fn settle(&mut self, class: Class, retry_after_ms: Option<u64>) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let Some(ticket) = self.plan.as_ref().and_then(|plan| plan.current()).map(|hop| hop.ticket) else { return };
        let (vm, index) = (&self.placement.vm, self.placement.index);
        if let Some(server) = self.placement.server() {
            vm.metrics.count(Metric::Attempts(server.id.as_str(), class));
        }
        let decisions = self.decisions(class);
        if let (true, Some(server)) = (decisions.alert, self.placement.server()) {
            vm.metrics.count(Metric::Alerts(server.id.as_str(), class));
        }
        let outcome = match decisions.breaker {
            BreakerEffect::Success => Outcome::Success,
            BreakerEffect::Failure => Outcome::Failure,
            BreakerEffect::Limited => Outcome::Limited { retry_after_ms },
            BreakerEffect::Neutral if self.answered_after_ms.is_some() && class != Class::Cancelled => Outcome::Alive,
            BreakerEffect::Neutral => Outcome::Neutral,
        };
        // Without an answer there is nothing to be slow: that is a failure already.
        let result = CallResult { outcome, took_ms: self.answered_after_ms.unwrap_or_default() };
        let moment = Moment { now_ms: clock::now_ms(), random: clock::random_u32() };
        let told = vm.with_breaker(index, |breaker, shared| breaker.report(shared, moment, ticket, result));
        if let Some(Some(transition)) = told {
            vm.announce(index, &transition);
        }
    }
}
