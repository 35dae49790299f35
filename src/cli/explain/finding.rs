//! What follows from what was seen, each decision with the place that says so.

use std::rc::Rc;

use super::seen::{Judged, Seen};
use crate::breaker::{Look, Ticket};
use crate::call::admission::Breakers;
use crate::call::answer::{Conclusion, Ending, conclude};
use crate::call::door::Client;
use crate::call::message::{Message, replay_of_tool};
use crate::call::planning::{Planned, Surroundings, plan};
use crate::call::route::{Lot, Route, chain};
use crate::call::story::Skip;
use crate::call::{Call, Kind, Session, Task};
use crate::drill::Orders;
use crate::failure::{Basis, Change, Class, Condition, Decisions, Failover, Place, Replay, Verdict, decide_on};
use crate::registry::{Registry, Server, ServerIndex, ServerKind, Tool};

/// The answer to the operator's question.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub server: String,
    pub tool: Option<String>,
    pub seen: String,
    pub judged: Judged,
    /// What gave the class.
    pub decided_by: String,
    pub decisions: Decisions,
    /// Where the four decisions come from.
    pub origins: Origins,
    /// Whether this server is asked again first, with its other secret.
    pub other_slot: bool,
    pub next: Result<Vec<String>, String>,
    /// What the client gets if no server is asked any more, and the HTTP status that it sees.
    pub conclusion: Conclusion,
    pub status: u16,
}

/// Where each decision comes from, e.g. `tools[2].outcomes.server.failover`.
#[derive(Debug, Clone)]
pub(super) struct Origins {
    pub breaker: String,
    pub failover: String,
    pub other_slot: String,
    pub alert: String,
}

/// The parts of a registry that an explanation is about.
struct Question<'r> {
    registry: &'r Rc<Registry>,
    at: ServerIndex,
    server: &'r Server,
    tool: Option<(usize, &'r Tool)>,
    replay: Replay,
    chain: Vec<ServerIndex>,
}

impl Finding {
    /// Works out what follows when `server` does this with a call of `tool`. `annotated`: trusted servers vouch for it.
    ///
    /// # Errors
    /// If there is no such server or tool, or if that server is never asked for that tool.
    pub fn new(
        registry: &Rc<Registry>,
        server: &str,
        tool: Option<&str>,
        annotated: bool,
        seen: &Seen,
    ) -> Result<Self, String> {
        let question = Question::new(registry, server, tool, annotated)?;
        let not_asked = || format!("--server {server}: is held open by its breaker's mode, so it is never asked");
        let has_two_slots = registry.has_two_slots(question.at);
        let mut first = question.call(seen).ok_or_else(not_asked)?;
        let judged = seen.judge(&mut first, registry, question.at, has_two_slots).ok_or_else(not_asked)?;
        let other_slot = first.flight.ahead_leg().is_some_and(|leg| leg.other_slot);
        // Where that is no help either.
        let mut call = question.call(seen).ok_or_else(not_asked)?;
        seen.judge(&mut call, registry, question.at, false);
        let class = judged.settled.verdict.class;
        let (tool_on, server_on) = (question.tool.map(|(_, tool)| &tool.on), &question.server.on);
        let ending = Ending::of(&first, registry, judged.status, false);
        let conclusion = conclude(&ending);
        let decisions = decide_on(&judged.settled.verdict, tool_on, Some(server_on));
        Ok(Finding {
            server: server.to_owned(),
            tool: tool.map(str::to_owned),
            seen: describe(seen),
            decided_by: question.decided_by(judged.settled.verdict.basis, seen),
            origins: question.origins(&judged.settled.verdict),
            next: question.next(&call, class, decisions.failover),
            status: ending.status_for_client(conclusion),
            conclusion,
            judged,
            decisions,
            other_slot,
        })
    }
}

/// Breakers that are all closed.
struct AllClosed<'r>(&'r Registry);

impl Breakers for AllClosed<'_> {
    fn barred(&mut self, server: ServerIndex) -> Option<Skip> {
        let mode = self.0.server(server).map(|server| server.breaker.mode);
        mode.is_none_or(|mode| mode == crate::breaker::Mode::ForcedOpen).then_some(Skip::ForcedOpen)
    }
    fn translates(&mut self, server: ServerIndex) -> bool {
        self.0.server(server).is_some_and(|server| server.kind == ServerKind::Rest)
    }
    fn is_full(&mut self, _server: ServerIndex) -> bool {
        false
    }
    fn is_over_limit(&mut self, _server: ServerIndex) -> bool {
        false
    }
    fn admit(&mut self, server: ServerIndex) -> Look {
        self.look(server)
    }
    fn look(&mut self, _server: ServerIndex) -> Look {
        Look { admits: true, pass_over: false, ticket: Ticket::default() }
    }
    fn last_resort(&mut self, _server: ServerIndex) -> Option<Ticket> {
        None
    }
    fn diverted(&mut self, _server: ServerIndex) {}
}

impl<'r> Question<'r> {
    fn new(registry: &'r Rc<Registry>, server: &str, tool: Option<&str>, annotated: bool) -> Result<Self, String> {
        let ids = |servers: &[ServerIndex]| {
            let names = servers.iter().filter_map(|at| registry.server(*at)).map(|server| server.id.as_str());
            names.collect::<Vec<_>>().join(", ")
        };
        let (at, found) = registry.server_by_id(server).ok_or_else(|| no_server(registry, "--server", server))?;
        let tool = match tool {
            Some(name) => Some(registry.indexed_tool(name).ok_or_else(|| no_tool(registry, name))?),
            None => None,
        };
        let chain = chain(registry, tool.map_or(Route::AnyMcp, |(_, tool)| Route::Tool(tool)), Lot::default());
        if !chain.contains(&at) {
            let of = tool.map_or("a tool that the registry does not list", |(_, tool)| tool.name.as_str());
            return Err(format!("--server {server}: is never asked for {of}; that goes to {}", ids(&chain)));
        }
        let trusted = |at: &ServerIndex| registry.server(*at).is_some_and(|server| server.trust_annotations);
        let anyone = registry.servers.iter().any(|server| server.trust_annotations);
        let mut vouch = |_: &str, servers: &[ServerIndex]| anyone.then(|| annotated && servers.iter().all(trusted));
        let called = tool.map(|(_, tool)| tool);
        let replay = replay_of_tool(registry, called, called.map_or("", |tool| &tool.name), &mut vouch);
        Ok(Question { registry, at, server: found, tool, replay, chain })
    }

    /// The call, planned as the filter does it.
    fn call(&self, seen: &Seen) -> Option<Call> {
        let route = self.tool.map_or(Route::AnyMcp, |(_, tool)| Route::Tool(tool));
        let message = Message {
            kind: Kind::Request,
            id: seen.id(),
            task: self.tool.map_or(Task::Other, |(at, _)| Task::Tool(at)),
            replay: self.replay,
            ..Message::stream(route, false)
        };
        let mut around = Surroundings {
            registry: self.registry,
            breakers: AllClosed(self.registry),
            drill: &Orders::default(),
            lacks: &|_, _, _| false,
            draw: None,
            fastest: &[],
            mcp_enabled: true,
            now_ms: 0,
            uuid: &mut || [0; 16],
            headers: &Vec::new,
        };
        let own = Session::Server { owner: self.server.id.clone(), id: Vec::new() };
        let is_in_session = matches!(seen, Seen::Answer { in_session: true, .. });
        let session = if is_in_session { own } else { Session::None };
        match plan(message, &mut Client { session, ..Client::default() }, &mut around) {
            Planned::Go(call, _) => Some(*call),
            Planned::TimeOver | Planned::NoPath(_) => None,
        }
    }

    fn decided_by(&self, basis: Basis, seen: &Seen) -> String {
        let (status, retry_after) = match seen {
            Seen::Answer { status, retry_after, .. } => (*status, retry_after.as_deref().unwrap_or_default().trim()),
            Seen::NoAnswer(_) => (0, ""),
        };
        match basis {
            Basis::Filter => "built in: an answer that the tool's mapping can't read".to_owned(),
            Basis::Transport => "built in: how the call ended without an answer".to_owned(),
            Basis::Status => format!("built in: HTTP status {status}"),
            Basis::StatusOfMcp => format!("built in: HTTP status {status} with a JSON-RPC error"),
            Basis::RetryAfter => format!("built in: HTTP status {status} with Retry-After ({retry_after} s)"),
            Basis::Code => "built in: the code of the JSON-RPC error".to_owned(),
            Basis::Body | Basis::Contentless => "built in: what the body is".to_owned(),
            Basis::TokenCode => format!("dialect {}: a code for a bad token", self.server.dialect.as_str()),
            Basis::Known(known) => {
                let dialect = format!("dialect {}", self.server.dialect.as_str());
                let is_of_mcp = matches!(known.class, Class::Session | Class::Caller);
                let by = if is_of_mcp { "built in" } else { &dialect };
                message_rule(by, known.place, known.text)
            }
            Basis::Rule(at) => {
                let own = self.server.rules.len().saturating_sub(self.registry.failure.rules.len());
                let name = match at.checked_sub(own) {
                    None => format!("servers[{}].rules[{at}]", self.at.0),
                    Some(shared) => format!("failure.rules[{shared}]"),
                };
                match self.server.rules.get(at).map(|rule| &rule.when) {
                    Some(Condition::Status(status)) => format!("{name}: HTTP status {status}"),
                    Some(Condition::Code(code)) => format!("{name}: JSON-RPC error code {code}"),
                    Some(Condition::Message(place, text)) => message_rule(&name, *place, text),
                    None => name,
                }
            }
        }
    }

    fn origins(&self, verdict: &Verdict) -> Origins {
        let class = verdict.class;
        let origin = |key: &str, is_set: fn(&Change) -> bool| {
            let name = class.as_str();
            match self.tool {
                Some((at, tool)) if is_set(&tool.on.of(class)) => format!("tools[{at}].outcomes.{name}.{key}"),
                _ if is_set(&self.server.on.of(class)) => format!("servers[{}].outcomes.{name}.{key}", self.at.0),
                _ if key == "breaker" && verdict.effect.is_some() => {
                    format!("default table, class {name}, for such an answer")
                }
                _ => format!("default table, class {name}"),
            }
        };
        Origins {
            breaker: origin("breaker", |change| change.breaker.is_some()),
            failover: origin("failover", |change| change.failover.is_some()),
            other_slot: origin("other_slot", |change| change.other_slot_first.is_some()),
            alert: origin("alert", |change| change.alert.is_some()),
        }
    }

    /// The servers that `call` goes to next, or why to none.
    fn next(&self, call: &Call, class: Class, failover: Failover) -> Result<Vec<String>, String> {
        let flight = &call.flight;
        let end = flight.last().and_then(|(_, made)| made.end);
        if let Some(leg) = flight.ahead_leg() {
            if class == Class::Lost && end.is_some_and(|end| !end.answered) && flight.pace().is_strict() {
                return Err(
                    "another server of the same call says never for lost, and the router asks once for all".to_owned()
                );
            }
            if !leg.repeats {
                let rest = flight.hops().iter().skip(leg.hop.into());
                return Ok(rest.map(|hop| hop.server.to_string()).collect());
            }
        }
        let is_last = self.chain.last() == Some(&self.at);
        let may = crate::failure::may_fail_over(class, failover, self.replay);
        match failover {
            _ if may && is_last => {
                let again = match self.server.attempts {
                    attempts if attempts > 1 && matches!(class, Class::NotSent | Class::Overload) => {
                        format!("; it is asked up to {attempts} times itself (servers[{}].attempts)", self.at.0)
                    }
                    _ => String::new(),
                };
                Err(format!("there is no server after {}{again}", self.server.id))
            }
            Failover::WhenReplayable => Err(self.why_not_replayable()),
            Failover::Always | Failover::Never => Err("never for this class".to_owned()),
        }
    }

    /// Whether all MCP servers that may get the call are trusted.
    fn is_trusted(&self) -> bool {
        let servers = self.chain.iter().filter_map(|at| self.registry.server(*at));
        servers.filter(|server| server.kind == ServerKind::Mcp).all(|server| server.trust_annotations)
    }

    fn why_not_replayable(&self) -> String {
        match self.tool {
            _ if self.replay == Replay::UnknownAnnotation && !self.is_trusted() => {
                "the call may have been executed, and not every server that may get it is trusted (trust_annotations)"
                    .to_owned()
            }
            _ if self.replay == Replay::UnknownAnnotation => {
                "the call may have been executed; with --annotated, what if trusted servers vouch for the tool"
                    .to_owned()
            }
            Some((at, _)) => format!("the call may have been executed, and tools[{at}].replayable is not true"),
            None => "the call may have been executed, and the registry does not list the tool".to_owned(),
        }
    }
}

/// What to say of a server that is not in the registry.
pub(super) fn no_server(registry: &Registry, option: &str, id: &str) -> String {
    let known: Vec<_> = registry.servers.iter().map(|server| server.id.as_str()).collect();
    format!("{option} {id}: is not in the registry; it has {}", known.join(", "))
}

/// What to say of a tool that is not listed.
pub(super) fn no_tool(registry: &Registry, name: &str) -> String {
    let names: Vec<_> = registry.tools.iter().map(|tool| tool.name.as_str()).collect();
    let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    format!("--tool {name}: is not in the registry, which lists {known}; leave --tool out for any other")
}

fn message_rule(name: &str, place: Place, text: &str) -> String {
    let place = match place {
        Place::BadRequest => "in the body of an HTTP 400",
        Place::BadRequestStart => "at the beginning of the message of an HTTP 400",
        Place::InternalError => "in the message of a JSON-RPC error -32603",
        Place::InternalErrorStart => "at the beginning of the message of a JSON-RPC error -32603",
        Place::ToolError => "in the text of a result with isError",
        Place::ToolErrorStart => "at the beginning of the text of a result with isError",
    };
    format!("{name}: \"{text}\" {place}")
}

fn describe(seen: &Seen) -> String {
    match seen {
        Seen::NoAnswer(super::Transport::Refused) => "no connection".to_owned(),
        Seen::NoAnswer(super::Transport::Reset) => "a reset after the call was sent".to_owned(),
        Seen::NoAnswer(super::Transport::Timeout) => "no answer within the timeout".to_owned(),
        Seen::NoAnswer(super::Transport::Cancelled) => "the client left first".to_owned(),
        Seen::Answer { status, body, .. } => {
            let kind = if seen.is_of_events() { "events of" } else { "a body of" };
            let body = if body.is_empty() { "no body".to_owned() } else { format!("{kind} {} bytes", body.len()) };
            format!("HTTP {status} with {body}")
        }
    }
}
