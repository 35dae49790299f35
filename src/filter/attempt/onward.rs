//! Where a call goes after this attempt, if anywhere, and whether it can be afforded.

use super::super::clock;
use super::super::host::{self, Headers};
use super::super::mark::{FAILOVER_MARK, WAIT_MARK};
use super::Attempt;
use crate::failure::{Class, Verdict, may_fail_over};
use crate::plan::{Onward, Owner, Plan, Refusal, Stop};
use crate::wiring::state;

impl Attempt {
    /// Where the call would go after this outcome; `None` if this is its end.
    pub(super) fn onward(&self, verdict: Verdict) -> Option<Onward> {
        let plan = self.plan.as_ref()?;
        if self.has_other_slot() && self.decisions(verdict.class).other_slot_first {
            return Some(Onward::OtherSlot);
        }
        let class = self.class_here(verdict.class);
        if !may_fail_over(class, self.decisions(class).failover, plan.replay, false) {
            return None;
        }
        if plan.next().is_some() {
            return Some(Onward::Next);
        }
        let waits = plan.again > 0 && matches!(verdict.class, Class::NotSent | Class::Overload);
        (waits && self.wait_s(plan, verdict.retry_after_ms).is_some()).then_some(Onward::Again)
    }

    /// Has the router send the call on after an answer, or notes why not.
    pub(super) fn go_on(&self, verdict: Verdict) {
        let (Some(plan), Some(onward)) = (&self.plan, self.onward(verdict)) else { return };
        let wait_s = if onward == Onward::Again { self.wait_s(plan, verdict.retry_after_ms) } else { None };
        let wait_s = wait_s.unwrap_or_default();
        if self.stops(plan, verdict.class, onward, wait_s) {
            return;
        }
        let here = match onward {
            Onward::Next => None,
            Onward::OtherSlot => Some(plan.clone().with_other_slot()),
            Onward::Again => Some(plan.clone().repeated()),
        };
        if let Some(plan) = here {
            host::set_filter_state(state::NEXT, plan.destination().unwrap_or_default().as_bytes());
            host::set_filter_state(state::PLAN, &plan.encode());
        }
        if wait_s > 0 {
            Headers::Response.set(WAIT_MARK, wait_s.to_string().as_bytes());
        }
        Headers::Response.set(FAILOVER_MARK, verdict.class.as_str().as_bytes());
    }

    /// After an attempt without an answer the router goes on by itself; this ends the plan where it must not.
    pub(super) fn stop_unanswered(&self, class: Class) {
        if let (Some(plan), Some(onward)) = (&self.plan, self.onward(class.into())) {
            self.stops(plan, class, onward, 0);
        }
    }

    /// Whether the call would be sent on after this answer, if it were to be decided now.
    pub(super) fn would_go_on(&self, verdict: Verdict) -> bool {
        let (Some(plan), Some(onward)) = (&self.plan, self.onward(verdict)) else { return false };
        self.refusal(plan, verdict.class, onward, 0).is_none()
    }

    /// Pays for the attempt that would follow. Where that can't be done, or would take too long, the plan ends here.
    fn stops(&self, plan: &Plan, class: Class, onward: Onward, wait_s: u64) -> bool {
        let Some(why) = self.refusal(plan, class, onward, wait_s) else {
            if self.costs(class, onward) {
                self.placement.vm.budget.borrow_mut().spend();
            }
            return false;
        };
        let lost = self.class_here(class).may_have_been_executed();
        host::set_filter_state(state::PLAN, &plan.clone().stopped(Stop { why, lost }).encode());
        true
    }

    fn refusal(&self, plan: &Plan, class: Class, onward: Onward, wait_s: u64) -> Option<Refusal> {
        let now = clock::now_ms();
        // The router adds up to a half.
        if !plan.time.allows_another(now, wait_s.saturating_mul(1_500)) {
            return Some(Refusal::NoTime);
        }
        let affordable = !self.costs(class, onward) || self.placement.vm.budget.borrow_mut().allows(now);
        (!affordable).then_some(Refusal::Budget)
    }

    fn costs(&self, class: Class, onward: Onward) -> bool {
        match onward {
            Onward::OtherSlot => false,
            // What was certainly not executed is no work done twice.
            Onward::Next => self.class_here(class).may_have_been_executed(),
            // But a server that asks for fewer calls gets more.
            Onward::Again => class == Class::Overload,
        }
    }

    /// How many seconds the router is to wait before it asks this server again; 0 = as long as its route says, `None` = it
    /// is not worth waiting for.
    fn wait_s(&self, plan: &Plan, retry_after_ms: Option<u64>) -> Option<u64> {
        let longest = self.placement.vm.registry.failover.back_off.max.as_secs();
        let asked = retry_after_ms.map_or(0, |ms| ms.div_ceil(1000));
        // Envoy takes whole seconds; only the patient route has a back-off of its own.
        let wait = if plan.patient { asked } else { asked.max(1) };
        (wait <= longest || wait == 0).then_some(wait)
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
}
