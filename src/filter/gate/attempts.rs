//! The attempts of a call that has ended, as far as the gate can tell from the plan they left behind.

use super::super::host;
use super::super::mark::Mark;
use crate::failure::judge_no_answer;
use crate::plan::Plan;
use crate::wiring::state;

/// Envoy's response flags for a request that never left: no healthy host, no connection, too many requests under way, no
/// route, no cluster.
const NOT_SENT: u64 = 0x2 | 0x20 | 0x80 | 0x100 | 0x100_0000;

/// The plan as the last attempt left it: for the one after it, whether that is made or not.
pub(super) fn plan_left() -> Option<Plan> {
    host::filter_state(state::PLAN).and_then(|bytes| Plan::decode(&bytes))
}

/// The servers that were asked, in order, each once.
pub(super) fn asked() -> Vec<String> {
    let Some(plan) = plan_left() else { return Vec::new() };
    let made = host::number(&["upstream", "request_attempt_count"]);
    // An attempt leaves the plan of the one after it, whether that is made or not; one that was stopped leaves none.
    let ahead = made > 0 && u64::from(plan.attempts) >= made;
    // Its next attempt may be at a server that has been asked already.
    let counts_on = !ahead || plan.repeats || plan.other_slot;
    let count = usize::from(plan.cursor).saturating_add(usize::from(counts_on && made > 0));
    plan.hops.into_iter().take(count).map(|hop| hop.server).collect()
}

/// What an attempt would have noted that got no answer to note it on. `None` if no attempt was made.
pub(super) fn unanswered() -> Option<Mark> {
    let server = asked().pop()?;
    let sent = host::number(&["response", "flags"]) & NOT_SENT == 0;
    let attempt = u8::try_from(host::number(&["upstream", "request_attempt_count"])).unwrap_or(u8::MAX);
    Some(Mark { server, class: judge_no_answer(sent, false).class, readable: false, attempt })
}
