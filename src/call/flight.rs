//! The flight of a call: the servers that it may go to, the attempts made so far, and the only way on.
//!
//! An attempt begins with [`Flight::begin`] and ends with [`Flight::land`]. What is between is its own business; where the
//! call goes after it is decided in `land` and nowhere else.

use super::handover;
use super::time::Time;
use crate::breaker::Ticket;
use crate::budget::Budget;
use crate::failure::{Class, Decisions, Overrides, Replay, Verdict, decide, may_fail_over};
use crate::registry::{Id, Registry, ServerIndex};
use crate::wiring::{self, state};

/// A server that a call may go to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hop {
    /// The server.
    #[serde(with = "handover::id")]
    pub server: Id,
    /// Its position in the registry that the call was planned under; nowhere in another one.
    #[serde(skip)]
    pub index: Option<ServerIndex>,
    /// What its breaker gave for this call; the outcome is reported under it.
    #[serde(with = "handover::ticket")]
    pub ticket: Ticket,
    /// How it is to fail without being asked, where that is ordered.
    pub drill: Option<Class>,
}

/// One stretch of the flight: an attempt, made or to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Leg {
    /// The position of its hop.
    pub hop: u8,
    /// Whether it uses the server's other credential slot, as the first one was refused.
    pub other_slot: bool,
    /// Whether the server has been asked before and has certainly not executed the call.
    pub repeats: bool,
    /// Whether it has not known the session: another one is opened first.
    pub anew: bool,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct End {
    /// What it means.
    pub class: Class,
    /// Whether there was an answer.
    pub answered: bool,
    /// Whether it is something that an MCP client can read.
    pub readable: bool,
    /// Whether it took all the time that an attempt has.
    pub timed_out: bool,
}

impl End {
    /// Whether the server was not asked at all, as there was no token to ask it with.
    pub fn lacked_token(&self) -> bool {
        self.class == Class::Credential && !self.answered
    }
}

/// How often an API that has accepted a call may be asked what has come of it.
pub const POLLS: usize = 8;

/// The longest wait before it is asked again, in seconds: 1, 2, 4, 8, and then so long.
pub const LONGEST_POLL_S: u64 = 15;

/// One attempt that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Made {
    /// Where it went.
    pub leg: Leg,
    /// How it ended; `None` while it is under way.
    pub end: Option<End>,
    /// Whether it has not been counted yet, as the router may still prove that it was never sent. What is written down is
    /// counted at once.
    #[serde(skip)]
    pub uncounted: bool,
    /// When it began, on the monotonic clock, in ms. With the time of its end for the call log, which is not written down.
    #[serde(skip)]
    pub began_ms: u64,
    /// When it ended.
    #[serde(skip)]
    pub ended_ms: Option<u64>,
}

/// How Envoy's router makes further attempts by itself. It knows one set of rules per route, so there is a route for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum Pace {
    /// At once, also after a loss: the call may be executed twice.
    #[default]
    Usual,
    /// At once, but only if the call was certainly not sent.
    Once,
    /// After a wait, and only if the call was certainly not sent: all attempts go to one server, which needs time.
    Patient,
}

impl Pace {
    /// Whether the router goes on only if it knows that nothing was sent.
    pub fn is_strict(self) -> bool {
        self != Pace::Usual
    }

    /// The value of the filter state that routes are chosen by; `None`: it is not set.
    pub fn state(self) -> Option<&'static str> {
        match self {
            Pace::Usual => None,
            Pace::Once => Some(state::ONCE),
            Pace::Patient => Some(state::PATIENT),
        }
    }
}

/// Why a call that could be sent again is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Stop {
    /// The failover budget is used up.
    Budget,
    /// Another attempt could not end before the client stops waiting.
    NoTime,
}

impl Stop {
    /// The value of the `reason` label in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Stop::Budget => "budget",
            Stop::NoTime => "no_time",
        }
    }
}

/// Where a call goes after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Onward {
    /// The attempt that follows.
    pub leg: Leg,
    /// How many seconds the router is to wait before it; 0 = as long as its route says.
    pub wait_s: u64,
}

/// What the decisions after an attempt depend on, beside the flight itself.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'r> {
    /// What the operator says of outcomes of the called tool.
    pub tool: Option<&'r Overrides>,
    /// What the operator says of outcomes of the server.
    pub server: &'r Overrides,
    /// Whether the call may be executed twice.
    pub replay: Replay,
    /// Whether the session that the client is in was opened elsewhere.
    pub foreign_session: bool,
    /// Whether this call has opened the session that it is in.
    pub opened_session: bool,
    /// Whether a session that the server doesn't know may be opened there anew.
    pub may_open_session: bool,
    /// Whether the server's other credential slot could be tried.
    pub has_other_slot: bool,
    /// The longest wait before a server is asked once more, in seconds.
    pub longest_wait_s: u64,
    /// Whether the server has accepted the call, and says where it is to be asked what has come of it.
    pub accepted: bool,
}

impl Terms<'_> {
    /// What the policy says of an outcome.
    pub fn decisions(&self, class: Class) -> Decisions {
        decide(class, self.tool, Some(self.server))
    }

    /// A server that doesn't know a session which was opened elsewhere has not executed anything: for the failover that is
    /// as good as not having been asked. Neither has one that still doesn't know its own after another one was to be
    /// opened there, or that has just been opened there: it is an ingress without its server, say, or forgets again.
    pub fn effective(&self, class: Class, leg: Leg) -> Class {
        let was_tried = self.foreign_session || self.opened_session || leg.anew;
        if class == Class::Session && was_tried { Class::NotSent } else { class }
    }
}

/// An attempt that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// Which attempt of the call it is, from 1.
    pub number: u8,
    /// Where it goes.
    pub leg: Leg,
    /// Under which its outcome is reported.
    pub ticket: Ticket,
    /// How it is to fail without its server being asked.
    pub drill: Option<Class>,
}

/// Why an attempt that the router wants to make must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grounded {
    /// What is known of the call so far: what the client is told.
    pub class: Class,
    /// Whether time is what has run out.
    pub too_late: bool,
}

/// The flight of one call.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Flight {
    hops: Vec<Hop>,
    made: Vec<Made>,
    /// The attempt that may be begun next.
    ahead: Option<Leg>,
    /// The attempt that may be begun next if the router proves that the last one, which got no answer, was never sent.
    if_not_sent: Option<Leg>,
    /// How often the last server may be asked once more.
    again: u8,
    pace: Pace,
    time: Time,
    stop: Option<Stop>,
    /// How many attempts were made before the server accepted the call, which it is asked for since.
    #[serde(skip)]
    polling: Option<usize>,
    /// Whether its client has been answered, so that nothing more becomes known.
    #[serde(skip)]
    over: bool,
    /// Whether its client has taken the call back.
    #[serde(skip)]
    cancelled: bool,
}

impl Flight {
    /// A flight that has not begun.
    pub fn new(hops: Vec<Hop>, again: u8, pace: Pace, time: Time) -> Self {
        let ahead = (!hops.is_empty()).then(Leg::default);
        Flight {
            hops,
            made: Vec::new(),
            ahead,
            if_not_sent: None,
            again,
            pace,
            time,
            stop: None,
            polling: None,
            over: false,
            cancelled: false,
        }
    }

    /// Finds its servers in `registry`, after it was read from where another one had written it.
    pub(super) fn locate(&mut self, registry: &Registry) {
        for hop in &mut self.hops {
            hop.index = registry.server_by_id(hop.server.as_str()).map(|(index, _)| index);
        }
    }

    /// The servers that it may go to, in order.
    pub fn hops(&self) -> &[Hop] {
        &self.hops
    }

    /// The attempts that were begun, in order.
    pub fn made(&self) -> &[Made] {
        &self.made
    }

    /// What each attempt may take.
    pub fn time(&self) -> &Time {
        &self.time
    }

    /// How the router makes further attempts.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Why it was ended, where more could have followed.
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// The hop of an attempt.
    pub fn hop(&self, leg: Leg) -> Option<&Hop> {
        self.hops.get(usize::from(leg.hop))
    }

    /// The attempt that may be begun next.
    pub fn ahead_leg(&self) -> Option<Leg> {
        self.ahead
    }

    /// The hop of the attempt that may be begun next.
    pub fn ahead(&self) -> Option<&Hop> {
        self.hop(self.ahead.or(self.if_not_sent)?)
    }

    /// The server that has the call now, or gets it next; none once its client has been answered.
    pub fn place(&self) -> Option<ServerIndex> {
        let leg = self.ahead.or_else(|| Some(self.made.last()?.leg)).filter(|_| !self.over)?;
        self.hop(leg)?.index
    }

    /// The last attempt with its hop.
    pub fn last(&self) -> Option<(&Hop, &Made)> {
        let made = self.made.last()?;
        Some((self.hop(made.leg)?, made))
    }

    /// The attempts with their hops, in order.
    pub fn attempts(&self) -> impl DoubleEndedIterator<Item = (&Hop, &Made)> {
        self.made.iter().filter_map(|made| Some((self.hop(made.leg)?, made)))
    }

    /// The last attempt at this server with its hop.
    pub fn last_at(&self, server: &Id) -> Option<(&Hop, &Made)> {
        self.attempts().rev().find(|(hop, _)| hop.server == *server)
    }

    /// The servers that were asked, in order, each once.
    pub fn asked(&self) -> Vec<&Id> {
        let mut asked: Vec<&Id> = Vec::new();
        let sent = self.made.iter().filter(|made| !made.end.is_some_and(|end| end.lacked_token()));
        for hop in sent.filter_map(|made| self.hop(made.leg)) {
            if !asked.contains(&&hop.server) {
                asked.push(&hop.server);
            }
        }
        asked
    }

    /// Whether another server was left to ask after the last attempt.
    pub fn had_another(&self) -> bool {
        self.made.last().is_some_and(|made| !made.leg.repeats && self.next_hop(made.leg).is_some())
    }

    /// The lease of a probe that was taken for this call and that no attempt has used.
    pub fn unused_lease(&self) -> Option<(ServerIndex, Ticket)> {
        let first = self.hops.first().filter(|hop| hop.ticket.lease.is_some())?;
        let used = self.made.iter().any(|made| made.leg.hop == 0);
        first.index.filter(|_| !used).map(|index| (index, first.ticket))
    }

    /// The name of the cluster that the next attempt goes to; `None` if none may follow.
    pub fn destination(&self) -> Option<&str> {
        let leg = self.ahead.or(self.if_not_sent)?;
        let hop = self.hop(leg)?;
        Some(if Self::drilled(hop, leg).is_some() { wiring::cluster::DRILL } else { hop.server.as_str() })
    }

    /// The other credential slot is asked: to see that it is, is what a drill of a refused credential is for.
    fn drilled(hop: &Hop, leg: Leg) -> Option<Class> {
        hop.drill.filter(|_| !leg.other_slot)
    }

    /// Begins the attempt at `server`, where the router has taken the call; `None` for the drill's cluster, which stands for
    /// every server. `proof`: whether the route is one on which the router goes on only after what was certainly not sent.
    ///
    /// # Errors
    /// If nothing may follow, or if this is not where the call goes.
    pub fn begin(&mut self, server: Option<&Id>, now_ms: u64, proof: impl FnOnce() -> bool) -> Result<Begun, Grounded> {
        if self.made.last().is_some_and(|made| made.end.is_none()) {
            // It was not heard of again, so it may have been executed.
            self.ahead = None;
            return Err(self.grounded());
        }
        if self.ahead.is_none() && self.pace.is_strict() && !self.is_polling() {
            let silent = |end: &&mut End| end.class == Class::Lost && !end.answered;
            let lost = self.made.last_mut().and_then(|made| made.end.as_mut()).filter(silent);
            if let Some(end) = lost.filter(|_| proof()) {
                end.class = Class::NotSent;
                self.ahead = self.if_not_sent;
            }
        }
        let Some(mut leg) = self.ahead else { return Err(self.grounded()) };
        if let Some(server) = server.filter(|_| self.made.is_empty()) {
            // The router can't reach the first servers while MCP is switched off.
            let reached = self.hops.iter().position(|hop| hop.server == *server);
            leg.hop = reached.and_then(|at| u8::try_from(at).ok()).unwrap_or(leg.hop);
        }
        let Some(hop) = self.hop(leg) else { return Err(self.grounded()) };
        let drill = Self::drilled(hop, leg);
        // A drill that the route doesn't know, as an older configuration has it, must not reach the server.
        let is_here = match server {
            Some(server) => hop.server == *server && drill.is_none(),
            None => drill.is_some(),
        };
        if !is_here {
            return Err(self.grounded());
        }
        let ticket = hop.ticket;
        let is_late = match self.polling {
            Some(_) => !self.time.is_left(now_ms, 0),
            None => !self.made.is_empty() && !self.time.allows_another(now_ms, 0),
        };
        if is_late {
            // The router has waited longer than was to be expected.
            (self.ahead, self.stop) = (None, Some(Stop::NoTime));
            return Err(Grounded { too_late: true, ..self.grounded() });
        }
        self.made.push(Made { leg, end: None, uncounted: false, began_ms: now_ms, ended_ms: None });
        (self.ahead, self.if_not_sent) = (None, None);
        let number = u8::try_from(self.made.len()).unwrap_or(u8::MAX);
        Ok(Begun { number, leg, ticket, drill })
    }

    /// The router has given up, and says that the last attempt was never sent.
    pub fn note_not_sent(&mut self) {
        if self.is_polling() {
            // What was not sent is a question, not the call.
            return;
        }
        let is_open = |end: &Option<End>| end.is_none_or(|end| end.class == Class::Lost && !end.answered);
        if let Some(made) = self.made.last_mut().filter(|made| is_open(&made.end)) {
            made.end = Some(End { class: Class::NotSent, answered: false, readable: false, timed_out: false });
        }
    }

    /// Whether the router has said so of the last attempt.
    pub fn is_known_not_sent(&self) -> bool {
        let end = self.made.last().and_then(|made| made.end);
        end.is_some_and(|end| end.class == Class::NotSent && !end.answered)
    }

    /// Leaves the last attempt to be counted later, if the router may still prove that it was never sent.
    pub fn count_later(&mut self) -> bool {
        let provable = self.pace.is_strict() && !self.over;
        if let Some(made) = self.made.last_mut().filter(|_| provable) {
            made.uncounted = true;
        }
        provable
    }

    /// The attempt that is still to be counted: where it went, and what has become of it.
    pub fn take_uncounted(&mut self) -> Option<(ServerIndex, Class)> {
        let made = self.made.iter_mut().find(|made| made.uncounted)?;
        made.uncounted = false;
        let (leg, end) = (made.leg, made.end?);
        Some((self.hop(leg)?.index?, end.class))
    }

    /// Its client has been answered, or is gone.
    pub fn close(&mut self) {
        self.over = true;
    }

    /// Its client has taken the call back, and goes on without an answer.
    pub fn cancel(&mut self) {
        self.cancelled = true;
    }

    /// What an attempt of this call has come to that ends so. A server may end a call that was taken back as it likes, which
    /// is none of its failures, and nobody wants it from another.
    pub fn seen(&self, verdict: Verdict) -> Verdict {
        let fails = matches!(verdict.class, Class::Server | Class::Lost);
        if self.cancelled && fails { Class::Cancelled.into() } else { verdict }
    }

    fn grounded(&self) -> Grounded {
        match self.made.last() {
            None => Grounded { class: Class::NotSent, too_late: false },
            Some(Made { end: Some(end), .. }) => Grounded { class: end.class, too_late: end.timed_out },
            Some(Made { end: None, .. }) => Grounded { class: Class::Lost, too_late: false },
        }
    }

    /// Ends the attempt under way and decides where the call goes. Pays for the attempt that follows; where that can't be
    /// done, or would take too long, the flight ends here.
    pub fn land(
        &mut self,
        verdict: Verdict,
        end: End,
        terms: &Terms<'_>,
        budget: &mut Budget,
        now_ms: u64,
    ) -> Option<Onward> {
        let made = self.made.last_mut().filter(|made| made.end.is_none())?;
        (made.end, made.ended_ms) = (Some(end), Some(now_ms));
        let leg = made.leg;
        if terms.accepted {
            self.polling = self.polling.or(Some(self.made.len()));
        }
        let onward = self.way_on(leg, verdict, end.answered, terms);
        if let Some(onward) = onward {
            match self.refusal(verdict.class, onward, budget, now_ms) {
                Some(why) => self.stop = Some(why),
                None => {
                    if costs(verdict.class, onward.leg) {
                        budget.spend();
                    }
                    self.ahead = Some(onward.leg);
                }
            }
        }
        if !end.answered && self.ahead.is_none() && self.stop.is_none() {
            self.if_not_sent = self.way_on(leg, Class::NotSent.into(), false, terms).map(|onward| onward.leg);
        }
        let before = leg;
        let leg = self.ahead?;
        if leg.hop != before.hop {
            self.polling = None;
        } else if leg.repeats && !self.is_polling() {
            self.again = self.again.saturating_sub(1);
        }
        onward
    }

    /// Whether the call would go on after this answer, if it were to be decided now.
    pub fn would_go_on(&self, verdict: Verdict, terms: &Terms<'_>, budget: &mut Budget, now_ms: u64) -> bool {
        let Some(Made { leg, end: None, .. }) = self.made.last() else { return false };
        let onward = self.way_on(*leg, verdict, true, terms);
        onward.is_some_and(|onward| self.refusal(verdict.class, onward, budget, now_ms).is_none())
    }

    /// Where the call would go after this outcome, whatever it costs; `None` if this is its end.
    pub fn way_on(&self, leg: Leg, verdict: Verdict, answered: bool, terms: &Terms<'_>) -> Option<Onward> {
        let stay = Leg { other_slot: false, repeats: false, ..leg };
        if terms.accepted {
            return self.poll(stay);
        }
        if terms.has_other_slot && !leg.other_slot && terms.decisions(verdict.class).other_slot_first {
            return Some(Onward { leg: Leg { other_slot: true, ..stay }, wait_s: 0 });
        }
        if terms.may_open_session && !leg.anew && verdict.class == Class::Session {
            return Some(Onward { leg: Leg { anew: true, ..stay }, wait_s: 0 });
        }
        if self.is_polling() && !verdict.class.is_about_the_call() {
            // To ask once more does no harm. To ask anybody else has the work done twice.
            let again = self.poll(stay);
            if again.is_some() || !terms.replay.is_allowed() {
                return again;
            }
        }
        let class = terms.effective(verdict.class, leg);
        if !may_fail_over(class, terms.decisions(class).failover, terms.replay) {
            return None;
        }
        if let Some(hop) = self.next_hop(leg) {
            return Some(Onward { leg: Leg { hop, ..Leg::default() }, wait_s: 0 });
        }
        // Only a call that has one server from the start is waited with by the router itself.
        let waits = self.again > 0
            && matches!(verdict.class, Class::NotSent | Class::Overload)
            && (answered || self.pace == Pace::Patient);
        let wait_s = self.wait_s(verdict.retry_after_ms, terms.longest_wait_s).filter(|_| waits)?;
        Some(Onward { leg: Leg { repeats: true, ..stay }, wait_s })
    }

    /// Whether a server has accepted the call, so that attempts only ask what has come of it.
    pub fn is_polling(&self) -> bool {
        self.polling.is_some()
    }

    /// A server has accepted the call, as another module has written down.
    pub(super) fn begin_to_poll(&mut self) {
        self.polling = Some(self.made.len());
    }

    /// Asks the server that is at work how far it is, after a wait that becomes longer. Where a call waits for its only server
    /// the router has no attempts left for that.
    fn poll(&self, stay: Leg) -> Option<Onward> {
        if self.pace == Pace::Patient {
            return None;
        }
        let polls = self.made.len().saturating_sub(self.polling?);
        let wait_s = if polls < 4 { 1 << polls } else { LONGEST_POLL_S };
        (polls < POLLS).then_some(Onward { leg: Leg { repeats: true, ..stay }, wait_s })
    }

    fn next_hop(&self, leg: Leg) -> Option<u8> {
        leg.hop.checked_add(1).filter(|next| usize::from(*next) < self.hops.len())
    }

    fn refusal(&self, class: Class, onward: Onward, budget: &mut Budget, now_ms: u64) -> Option<Stop> {
        // The router adds up to a half.
        let wait_ms = onward.wait_s.saturating_mul(1_500);
        let polls = self.is_polling() && onward.leg.repeats;
        let has_time =
            if polls { self.time.is_left(now_ms, wait_ms) } else { self.time.allows_another(now_ms, wait_ms) };
        if !has_time {
            return Some(Stop::NoTime);
        }
        let affordable = !costs(class, onward.leg) || budget.allows(now_ms);
        (!affordable).then_some(Stop::Budget)
    }

    /// How many seconds the router is to wait before it asks this server again; `None` = it is not worth waiting for.
    fn wait_s(&self, retry_after_ms: Option<u64>, longest_s: u64) -> Option<u64> {
        let asked = retry_after_ms.map_or(0, |ms| ms.div_ceil(1000));
        // Envoy takes whole seconds; only the patient route has a back-off of its own.
        let wait = if self.pace == Pace::Patient { asked } else { asked.max(1) };
        (wait <= longest_s || wait == 0).then_some(wait)
    }
}

/// Whether the attempt that follows is paid for from the budget.
fn costs(class: Class, leg: Leg) -> bool {
    match leg {
        Leg { other_slot: true, .. } => false,
        // A server that asks for fewer calls gets more.
        Leg { repeats: true, .. } => class == Class::Overload,
        // What was certainly not executed is no work done twice.
        _ => class.may_have_been_executed(),
    }
}

#[cfg(test)]
mod tests;
