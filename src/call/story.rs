//! The story of a call that did not simply go where the operator's order sends it first: which servers it went past and
//! why, which were asked and what came of that. One JSON object, for the access log and for `dualpath explain --line`.

use super::flight::{Flight, Hop, Made};
use super::{Call, Session};
use crate::failure::Class;
use crate::json::{Object, array};
use crate::registry::{Registry, ServerIndex};
use crate::telemetry::AnsweredBy;

/// Why a call goes past a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// It is switched off, or MCP is.
    KillSwitch,
    /// Its breaker is held open by hand.
    ForcedOpen,
    /// It has no credential that may be sent.
    NoCredential,
    /// It is known not to have the tool.
    NotListed,
    /// Its breaker refuses.
    Open,
    /// It has only just come back, and this call is not of its share yet.
    Ramp,
    /// As many calls are under way there as may be.
    Full,
    /// As many are under way as its limit allows, which is found from how long it takes.
    OverLimit,
}

impl Skip {
    /// Its name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Skip::KillSwitch => "kill_switch",
            Skip::ForcedOpen => "forced_open",
            Skip::NoCredential => "no_credential",
            Skip::NotListed => "not_listed",
            Skip::Open => "open",
            Skip::Ramp => "ramp",
            Skip::Full => "full",
            Skip::OverLimit => "over_limit",
        }
    }
}

/// A server that a call goes past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// The server.
    pub server: ServerIndex,
    /// Why.
    pub why: Skip,
    /// How many hops come before it.
    pub at: usize,
}

/// A call, as far as its story is about it.
#[derive(Debug, Clone, Copy)]
pub struct Told<'c> {
    /// The registry that it was planned under.
    pub registry: &'c Registry,
    /// The tool, where the registry knows it.
    pub tool: Option<&'c str>,
    /// The session that its client is in.
    pub session: &'c Session,
    /// The servers that it goes past.
    pub skipped: &'c [Skipped],
    /// Where it has been; `None` if no server may answer.
    pub flight: Option<&'c Flight>,
    /// The server that the operator's order names first.
    pub first_choice: Option<ServerIndex>,
}

struct Stretch<'s> {
    server: &'s str,
    reason: &'static str,
    class: Option<&'static str>,
    took_ms: Option<u64>,
}

impl Stretch<'_> {
    fn json(&self) -> Object {
        Object::default().text("server", self.server).text("reason", self.reason).text("class", self.class)
    }
}

/// What is said of an attempt that was not heard of again: it may have executed the call.
const LOST: &str = "lost";

impl<'c> Told<'c> {
    /// A call that has been on its way.
    pub fn of(call: &'c Call, first_choice: Option<ServerIndex>) -> Self {
        Told {
            registry: &call.registry,
            tool: call.tool_name(),
            session: &call.session,
            skipped: &call.skipped,
            flight: Some(&call.flight),
            first_choice,
        }
    }

    /// Whether it was asked of the operator's first choice, once.
    pub fn is_plain(&self) -> bool {
        let Some(flight) = self.flight else { return false };
        let [Made { leg, .. }] = flight.made() else { return false };
        flight.hop(*leg).is_some_and(|hop| hop.index.is_some() && hop.index == self.first_choice)
    }

    /// The story in JSON. `stopped`: why it was not sent on, where it could have been. `request_id`: Envoy's.
    pub fn write(&self, mode: AnsweredBy, stopped: Option<&'static str>, request_id: Option<&str>) -> Vec<u8> {
        let story = match self.tool {
            None => Object::default().json("tool", "null"),
            tool => Object::default().text("tool", tool),
        };
        let session = match self.session {
            Session::None => None,
            Session::Gate => Some("gate"),
            Session::Server { owner, .. } => Some(owner.as_str()),
        };
        let attempts = self.attempts();
        let hops: Vec<String> = self.hops(LOST).iter().map(|hop| hop.json().done()).collect();
        story
            .text("mode", mode.as_str())
            .json("attempts", &attempts.to_string())
            .text("stopped", stopped)
            .text("session", session)
            .text("request_id", request_id)
            .json("hops", &array(hops.iter().map(String::as_str)))
            .done()
            .into_bytes()
    }

    /// Why the first choice has not served the call: what came of its last attempt, or why it was not asked.
    pub fn why_not_first(&self) -> &'static str {
        let is_first = |hop: &&Hop| hop.index.is_some() && hop.index == self.first_choice;
        let Some(flight) = self.flight else { return "other" };
        if let Some((_, made)) = flight.attempts().rev().find(|(hop, _)| is_first(hop)) {
            return made.end.map_or(LOST, |end| end.class.as_str());
        }
        if let Some(skipped) = self.skipped.iter().find(|skipped| Some(skipped.server) == self.first_choice) {
            return skipped.why.as_str();
        }
        // Nothing but the route keeps the router from the first hop; where it is none, the session's owner goes before it.
        if flight.hops().iter().any(|hop| is_first(&hop)) { Skip::KillSwitch.as_str() } else { "session" }
    }

    /// How many attempts were made.
    pub fn attempts(&self) -> usize {
        self.flight.map_or(0, |flight| flight.made().len())
    }

    /// The hops for the call log, each with how long it took. `cancelled`: the client left before there was an answer.
    pub fn hops_in_json(&self, cancelled: bool) -> String {
        let unheard = if cancelled { Class::Cancelled.as_str() } else { LOST };
        let hops: Vec<String> =
            self.hops(unheard).iter().map(|hop| hop.json().number("ms", hop.took_ms).done()).collect();
        array(hops.iter().map(String::as_str))
    }

    fn hops(&self, unheard: &'static str) -> Vec<Stretch<'c>> {
        let mut hops = Vec::new();
        let mut skipped = self.skipped.iter().peekable();
        let made = self.flight.map(Flight::made).unwrap_or_default();
        for (at, attempt) in made.iter().enumerate() {
            let Some(flight) = self.flight else { break };
            let position = usize::from(attempt.leg.hop);
            while let Some(server) = skipped.next_if(|skipped| skipped.at <= position) {
                self.skip(server, &mut hops);
            }
            if at == 0 {
                // Nothing but the route keeps the router from the first hop.
                let unreached = flight.hops().iter().take(position);
                hops.extend(unreached.map(|hop| Stretch {
                    server: hop.server.as_str(),
                    reason: "kill_switch",
                    class: None,
                    took_ms: None,
                }));
            }
            if let Some(stretch) = self.attempt(flight, attempt, unheard) {
                hops.push(stretch);
            }
        }
        if made.is_empty() {
            skipped.for_each(|server| self.skip(server, &mut hops));
        }
        hops
    }

    fn skip(&self, skipped: &Skipped, hops: &mut Vec<Stretch<'c>>) {
        let Some(server) = self.registry.server(skipped.server) else { return };
        let reason = skipped.why.as_str();
        hops.push(Stretch { server: server.id.as_str(), reason, class: None, took_ms: None });
    }

    fn attempt(&self, flight: &'c Flight, made: &Made, unheard: &'static str) -> Option<Stretch<'c>> {
        let hop = flight.hop(made.leg)?;
        let reason = match made.leg {
            leg if leg.other_slot => "other_slot",
            leg if leg.repeats => "again",
            _ if hop.ticket.last_resort => "last_resort",
            _ if hop.index.is_some() && hop.index == self.first_choice => "first",
            _ if self.session.owner() == Some(&hop.server) => "session",
            _ => "next",
        };
        let class = made.end.map_or(unheard, |end| end.class.as_str());
        let took_ms = made.ended_ms.map(|ended| ended.saturating_sub(made.began_ms));
        Some(Stretch { server: hop.server.as_str(), reason, class: Some(class), took_ms })
    }
}
