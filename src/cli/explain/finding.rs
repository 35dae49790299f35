//! What follows from what was seen, each decision with the place that says so.

use super::seen::{Judged, Seen};
use crate::conclusion::{Conclusion, Ending, conclude};
use crate::failure::{
    BUILT_IN, Basis, Change, Class, Condition, Decisions, Failover, Place, Replay, decide, may_fail_over,
    may_follow_loss,
};
use crate::plan::{Kind, Route, chain};
use crate::registry::{Registry, Replayable, Server, ServerIndex, ServerKind, Tool};

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
    /// What the client gets if no server is asked any more.
    pub conclusion: Conclusion,
}

/// Where each decision comes from, e.g. `tools[2].on.server.failover`.
#[derive(Debug, Clone)]
pub(super) struct Origins {
    pub breaker: String,
    pub failover: String,
    pub other_slot: String,
    pub alert: String,
}

/// The parts of a registry that an explanation is about.
struct Question<'r> {
    registry: &'r Registry,
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
        registry: &Registry,
        server: &str,
        tool: Option<&str>,
        annotated: bool,
        seen: &Seen,
    ) -> Result<Self, String> {
        let question = Question::new(registry, server, tool, annotated)?;
        let direct = question.tool.and_then(|(_, tool)| tool.rest.as_ref());
        let direct = direct.filter(|direct| direct.server == question.at);
        let mut judged = seen.judge(question.server.kind, &question.server.rules, direct);
        let knows_only_clients = registry.knows_only_clients(question.server);
        if knows_only_clients {
            judged.verdict = judged.verdict.about_the_client();
        }
        let class = judged.verdict.class;
        let (tool_on, server_on) = (question.tool.map(|(_, tool)| &tool.on), &question.server.on);
        let decisions = decide(class, tool_on, Some(server_on));
        let other_slot = decisions.other_slot_first && registry.has_two_slots(question.at);
        let ending = Ending {
            class,
            status: judged.status,
            readable: judged.readable,
            kind: Kind::Request,
            answerable_by_gate: false,
            session_elsewhere: false,
            knows_only_clients,
        };
        Ok(Finding {
            server: server.to_owned(),
            tool: tool.map(str::to_owned),
            seen: describe(seen),
            decided_by: question.decided_by(judged.verdict.basis, seen),
            origins: question.origins(class),
            next: question.next(class, decisions.failover, matches!(seen, Seen::NoAnswer(_))),
            conclusion: conclude(&ending),
            judged,
            decisions,
            other_slot,
        })
    }
}

impl<'r> Question<'r> {
    fn new(registry: &'r Registry, server: &str, tool: Option<&str>, annotated: bool) -> Result<Self, String> {
        let ids = |servers: &[ServerIndex]| {
            let names = servers.iter().filter_map(|at| registry.server(*at)).map(|server| server.id.as_str());
            names.collect::<Vec<_>>().join(", ")
        };
        let all: Vec<_> = registry.indexed_servers().map(|(at, _)| at).collect();
        let (at, found) = registry
            .server_by_id(server)
            .ok_or_else(|| format!("--server {server}: is not in the registry; it has {}", ids(&all)))?;
        let tool = match tool {
            Some(name) => Some(registry.indexed_tool(name).ok_or_else(|| {
                let names: Vec<_> = registry.tools.iter().map(|tool| tool.name.as_str()).collect();
                let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                format!("--tool {name}: is not in the registry, which lists {known}; leave --tool out for any other")
            })?),
            None => None,
        };
        let chain = chain(registry, tool.map_or(Route::AnyMcp, |(_, tool)| Route::Tool(tool)), None, true);
        if !chain.contains(&at) {
            let of = tool.map_or("a tool that the registry does not list", |(_, tool)| tool.name.as_str());
            return Err(format!("--server {server}: is never asked for {of}; that goes to {}", ids(&chain)));
        }
        let mcp = chain.iter().filter_map(|at| registry.server(*at)).filter(|server| server.kind == ServerKind::Mcp);
        let chain_is_trusted = mcp.map(|server| server.trust_annotations).reduce(|all, one| all && one) == Some(true);
        let replay = match tool {
            Some((_, Tool { replayable: Replayable::Yes, .. })) => Replay::Allowed,
            Some((_, Tool { replayable: Replayable::No, .. })) => Replay::NotReplayable,
            _ if !chain_is_trusted => Replay::NotReplayable,
            _ if annotated => Replay::Allowed,
            _ => Replay::UnknownAnnotation,
        };
        Ok(Question { registry, at, server: found, tool, replay, chain })
    }

    fn decided_by(&self, basis: Basis, seen: &Seen) -> String {
        let (status, retry_after) = match seen {
            Seen::Answer { head, .. } => (head.status, head.retry_after_ms.unwrap_or_default()),
            Seen::NoAnswer(_) => (0, 0),
        };
        match basis {
            Basis::Filter => "built in: an answer that the tool's mapping can't read".to_owned(),
            Basis::Transport => "built in: how the call ended without an answer".to_owned(),
            Basis::Status => format!("built in: HTTP status {status}"),
            Basis::RetryAfter => format!("built in: HTTP status {status} with Retry-After ({} s)", retry_after / 1000),
            Basis::Code => "built in: the code of the JSON-RPC error".to_owned(),
            Basis::Body => "built in: what the body is".to_owned(),
            Basis::CredentialCode => "built in: a vendor's code for a bad credential".to_owned(),
            Basis::BuiltIn(at) => {
                BUILT_IN.get(at).map_or_else(String::new, |(place, text, _)| message_rule("built in", *place, text))
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

    fn origins(&self, class: Class) -> Origins {
        let origin = |key: &str, is_set: fn(&Change) -> bool| {
            let name = class.as_str();
            match self.tool {
                Some((at, tool)) if is_set(&tool.on.of(class)) => format!("tools[{at}].on.{name}.{key}"),
                _ if is_set(&self.server.on.of(class)) => format!("servers[{}].on.{name}.{key}", self.at.0),
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

    /// The servers that are asked next, or why none is. `unanswered`: the router decides, not the attempt.
    fn next(&self, class: Class, failover: Failover, unanswered: bool) -> Result<Vec<String>, String> {
        let after = self.chain.iter().skip_while(|at| **at != self.at).skip(1);
        let next: Vec<_> = after.filter_map(|at| Some(self.registry.server(*at)?.id.to_string())).collect();
        if !may_fail_over(class, failover, self.replay, false) {
            return Err(match failover {
                Failover::WhenReplayable => self.why_not_replayable(),
                Failover::Always | Failover::Never => "never for this class".to_owned(),
            });
        }
        if next.is_empty() {
            let again = match self.server.attempts {
                attempts if attempts > 1 && matches!(class, Class::NotSent | Class::Overload) => {
                    format!("; it is asked up to {attempts} times itself (servers[{}].attempts)", self.at.0)
                }
                _ => String::new(),
            };
            return Err(format!("there is no server after {}{again}", self.server.id));
        }
        let but_last = self.chain.iter().rev().skip(1).filter_map(|at| self.registry.server(*at));
        let tool_on = self.tool.map(|(_, tool)| &tool.on);
        if class == Class::Lost && unanswered && !may_follow_loss(tool_on, but_last.map(|s| &s.on), self.replay) {
            return Err(
                "another server of the same call says never for lost, and the router asks once for all".to_owned()
            );
        }
        Ok(next)
    }

    fn why_not_replayable(&self) -> String {
        match self.tool {
            _ if self.replay == Replay::UnknownAnnotation => {
                "the call may have been executed; with --annotated, what if trusted servers vouch for the tool"
                    .to_owned()
            }
            Some((at, _)) => format!("the call may have been executed, and tools[{at}].replayable is not true"),
            None => "the call may have been executed, and the registry does not list the tool".to_owned(),
        }
    }
}

fn message_rule(name: &str, place: Place, text: &str) -> String {
    let place = match place {
        Place::BadRequest | Place::McpBadRequest => "in the body of an HTTP 400",
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
        Seen::Answer { head, body, events } => {
            let kind = if *events { "events of" } else { "a body of" };
            let body = if body.is_empty() { "no body".to_owned() } else { format!("{kind} {} bytes", body.len()) };
            format!("HTTP {} with {body}", head.status)
        }
    }
}
