//! The end of an attempt: what it means, told to the flight, the breaker, the credential and the statistics, once.

use super::{Attempt, Reaction, Scene};
use crate::breaker::{CallResult, Outcome, Ticket};
use crate::call::Kind;
use crate::call::flight::{End, Terms};
use crate::failure::{BreakerEffect, Class, Decisions, Verdict, decide_on, judge_no_answer};

/// What has to hear of an attempt's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// What it means, and what says so.
    pub verdict: Verdict,
    /// Under what it is reported to the breaker.
    pub ticket: Ticket,
    /// What the breaker is told; `None` of a drill, which says nothing of the server.
    pub result: Option<CallResult>,
    /// Whether the operator is alerted.
    pub alert: bool,
    /// Whether the server has refused the token that was sent. A 400 can depend on what a caller sends, so whatever it says,
    /// the token is as good as before.
    pub refuses_token: bool,
}

/// What is known of an attempt that ended without a (whole) answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoAnswer {
    /// The client left first.
    pub client_gone: bool,
    /// It was never sent: there was no connection, the server refused the stream, or this Envoy had no room for it.
    pub not_sent: bool,
    /// It was a limit of this Envoy's that kept it back.
    pub own_limit: bool,
}

/// Why Envoy resets a request that has reached no server, in its own words.
const NEVER_SENT: [&[u8]; 6] = [
    b"connection_timeout",
    b"local_connection_failure",
    b"local_refused_stream_reset",
    OVERFLOW,
    b"remote_connection_failure",
    b"remote_refused_stream_reset",
];

/// The cluster's connection pool is full.
const OVERFLOW: &[u8] = b"overflow";

impl NoAnswer {
    /// What Envoy's router says in its response code details, once it has given a request up:
    /// `upstream_reset_before_response_started{remote_refused_stream_reset}`. Other details say nothing.
    pub fn by_details(details: &[u8]) -> Self {
        let reason = details.strip_prefix(b"upstream_reset_before_response_started{").unwrap_or_default();
        let reason = reason.split(|byte| matches!(byte, b'|' | b'}')).next().unwrap_or_default();
        NoAnswer { client_gone: false, not_sent: NEVER_SENT.contains(&reason), own_limit: reason == OVERFLOW }
    }
}

/// What a breaker is told of an attempt, or of a probe, whose headers took so long; `None` if there were none.
pub fn told_to_breaker(effect: BreakerEffect, verdict: Verdict, answered_after_ms: Option<u64>) -> CallResult {
    let outcome = match effect {
        BreakerEffect::Success => Outcome::Success,
        BreakerEffect::Failure => Outcome::Failure,
        BreakerEffect::Limited => Outcome::Limited { retry_after_ms: verdict.retry_after_ms },
        BreakerEffect::Neutral if answered_after_ms.is_some() && verdict.class != Class::Cancelled => Outcome::Alive,
        BreakerEffect::Neutral => Outcome::Neutral,
    };
    // Without an answer there is nothing to be slow: that is a failure already.
    CallResult { outcome, took_ms: answered_after_ms.unwrap_or_default() }
}

/// So much shorter than Envoy's timer an attempt may seem that it ended, in ms: Envoy sets it before the attempt is seen here,
/// and the clock is read in whole ms.
const EARLY_MS: u64 = 5;

impl Attempt {
    /// The attempt has ended. Nothing happens if that is known already.
    pub fn ended(&mut self, scene: &mut Scene<'_>, how: NoAnswer) -> Reaction {
        let mut reaction = Reaction::default();
        if !self.settled {
            let not_sent = how.not_sent || scene.call.flight.is_known_not_sent();
            let sent = self.answered_after_ms.is_some() || !not_sent;
            let mut verdict = judge_no_answer(sent, how.client_gone);
            if how.own_limit && !sent {
                verdict.effect = Some(BreakerEffect::Neutral);
            }
            let time = scene.call.flight.time();
            let timed_out = time.per_try_ms > 0 && self.took_ms(scene).saturating_add(EARLY_MS) >= time.per_try_ms;
            let end = End { class: verdict.class, answered: false, readable: false, timed_out };
            self.settle(scene, verdict, end, &mut reaction);
        }
        reaction
    }

    /// There is no secret that may be sent, so the request must not go out.
    pub fn has_no_credential(&mut self, scene: &mut Scene<'_>) -> Reaction {
        let mut reaction = Reaction::default();
        let end = End { class: Class::Credential, answered: false, readable: false, timed_out: false };
        self.settle(scene, Class::Credential.into(), end, &mut reaction);
        reaction
    }

    /// The answer of the drill's cluster is there, where no server is: it has the class that was ordered.
    pub fn drilled(&mut self, scene: &mut Scene<'_>, class: Class) -> Reaction {
        let mut reaction = Reaction::default();
        self.conclude(scene, class.into(), false, &mut reaction);
        reaction
    }

    /// Settles an attempt by its answer. `readable`: an MCP client could read it.
    pub(super) fn conclude(
        &mut self,
        scene: &mut Scene<'_>,
        verdict: Verdict,
        readable: bool,
        reaction: &mut Reaction,
    ) {
        let end = End { class: verdict.class, answered: true, readable, timed_out: false };
        self.settle(scene, verdict, end, reaction);
    }

    fn settle(&mut self, scene: &mut Scene<'_>, verdict: Verdict, end: End, reaction: &mut Reaction) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let verdict = scene.call.flight.seen(verdict);
        // However a question fails, an API is at work on the call.
        let is_lost = scene.call.flight.is_polling() && !verdict.class.is_about_the_call();
        let end = End { class: if is_lost { Class::Lost } else { verdict.class }, ..end };
        self.room.give_back();
        let terms = self.terms(scene);
        let decisions = decide_on(&verdict, terms.tool, Some(terms.server));
        let result = self.begun.drill.is_none().then(|| self.result(scene, verdict, end, decisions));
        let refuses_token = verdict.class == Class::Credential && self.status != 400;
        let ticket = self.begun.ticket;
        reaction.settled = Some(Settled { verdict, ticket, result, alert: decisions.alert, refuses_token });
        let onward = scene.call.flight.land(verdict, end, &terms, scene.budget, scene.now_ms);
        if !scene.call.flight.is_polling() {
            scene.call.poll = None;
        }
        // After an attempt without an answer the router goes on by itself, or doesn't.
        reaction.onward_in_s = onward.filter(|_| end.answered).map(|onward| onward.wait_s);
    }

    fn result(&self, scene: &Scene<'_>, verdict: Verdict, end: End, decisions: Decisions) -> CallResult {
        let told = told_to_breaker(decisions.breaker, verdict, self.answered_after_ms);
        let outcome = match told.outcome {
            _ if self.lacked_room || self.was_hurried(scene, verdict.class) => Outcome::Neutral,
            // Any client, and any web page, can ask for a stream that the server doesn't have.
            Outcome::Failure | Outcome::Limited { .. } if scene.call.kind == Kind::Session => Outcome::Neutral,
            Outcome::Failure if end.timed_out => Outcome::Overdue { since_ms: self.began_ms, answered: false },
            outcome => outcome,
        };
        CallResult { outcome, ..told }
    }

    /// Whether the attempt ended because its client has less time than the operator gives the server, which is no fault of
    /// the server's.
    fn was_hurried(&self, scene: &Scene<'_>, class: Class) -> bool {
        let time = scene.call.flight.time();
        class == Class::Lost && time.hurried && self.took_ms(scene) >= time.per_try_ms
    }

    pub(super) fn took_ms(&self, scene: &Scene<'_>) -> u64 {
        scene.now_ms.saturating_sub(self.began_ms)
    }

    pub(super) fn would_go_on(&self, scene: &mut Scene<'_>, verdict: Verdict) -> bool {
        let terms: Terms<'_> = self.terms(scene);
        scene.call.flight.would_go_on(verdict, &terms, scene.budget, scene.now_ms)
    }
}
