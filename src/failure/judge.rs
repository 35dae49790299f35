//! Judging an attempt, whatever the server speaks.

use super::rules::own_class_of;
use super::{BreakerEffect, Class, Condition, Dialect, KnownText, Place, Rule, mcp, rest};
use crate::jsonrpc::{Answer, RequestId};
use crate::sse::Event;
use crate::usage::Used;

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// MCP over Streamable HTTP.
    Mcp,
    /// A plain HTTP API, reached through a tool's mapping.
    Rest,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Its class.
    pub class: Class,
    /// What gave it that class.
    pub basis: Basis,
    /// What its breaker makes of it where the registry says nothing, if that is not what follows from its class.
    pub effect: Option<BreakerEffect>,
    /// How long the server asked to be left alone, in milliseconds; only with [`Class::Overload`].
    pub retry_after_ms: Option<u64>,
}

/// What gave an attempt its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The filter itself, which has not sent the call or can't use the answer.
    Filter,
    /// How it ended without an answer.
    Transport,
    /// The HTTP status.
    Status,
    /// The HTTP status of an answer that has a JSON-RPC error in it, so that an MCP server has given it.
    StatusOfMcp,
    /// The HTTP status together with a Retry-After header.
    RetryAfter,
    /// The code of the JSON-RPC error.
    Code,
    /// What the body is: a result, or no answer at all.
    Body,
    /// What the body is: a result without the `content` that MCP demands of a tool's.
    Contentless,
    /// A vendor's code for a bad token.
    TokenCode,
    /// A text that is known.
    Known(&'static KnownText),
    /// The operator's rule at this position.
    Rule(usize),
}

impl Verdict {
    /// Whether an MCP server has refused the call itself, rather than something that stands before it.
    pub fn is_refusal_of_mcp(&self) -> bool {
        self.class == Class::Refused && matches!(self.basis, Basis::StatusOfMcp | Basis::Known(_))
    }

    /// The verdict on a request that had the client's own credential and none of ours, or none at all: that the server does
    /// not accept it is the client's business.
    pub fn about_the_client(self) -> Self {
        let class = if self.class == Class::Credential { Class::Authorization } else { self.class };
        Verdict { class, ..self }
    }
}

impl From<(Class, Basis)> for Verdict {
    fn from((class, basis): (Class, Basis)) -> Self {
        let effect = match (class, basis) {
            // An "internal error" of a server that is there: many say so of a bad argument.
            (Class::Server, Basis::Code) => Some(BreakerEffect::Limited),
            // A server that has other clients than this one, not an ingress without one.
            (Class::Refused, Basis::StatusOfMcp | Basis::Known(_)) => Some(BreakerEffect::Neutral),
            _ => None,
        };
        Verdict { class, basis, effect, retry_after_ms: None }
    }
}

impl From<Class> for Verdict {
    fn from(class: Class) -> Self {
        (class, Basis::Filter).into()
    }
}

/// What the client's message wants from the server.
#[derive(Debug, Clone, Copy)]
pub enum Expected<'a> {
    /// The answer to this request.
    Answer(RequestId<'a>),
    /// Only that it is taken: the message is a notification or an answer.
    Nothing,
    /// Anything: a batch, or a GET or DELETE. Its answer is passed on unread, unless the status tells.
    Anything,
}

/// In whose session the client is, as the server sees it that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In none that this server knows.
    Outside,
    /// In the gate's own: it is to begin one with a server, now that there is one.
    Gate,
    /// In this server's; or the message is no call but about a session itself (GET, DELETE).
    Own,
}

/// What an answer is judged by, beside itself.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What the server speaks.
    pub kind: ServerKind,
    /// Whose words it uses.
    pub dialect: Dialect,
    /// The operator's rules, tried in order ahead of everything built in.
    pub rules: &'a [Rule],
    /// What the client's message wants.
    pub expected: Expected<'a>,
    /// In whose session the client is.
    pub standing: Standing,
}

impl Case<'_> {
    /// Whether it is about one message, which every MCP server takes by POST.
    fn is_message(&self) -> bool {
        !matches!(self.expected, Expected::Anything)
    }
}

/// What is known of an answer once its headers are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// The HTTP status.
    pub status: u16,
    /// The Retry-After header, read by [`super::retry_after::parse`].
    pub retry_after_ms: Option<u64>,
    /// Whether the answer ends with its headers.
    pub bodiless: bool,
    /// Whether the body is compressed, or encoded in another way ([`is_encoded`]). Clients can read it; we don't.
    pub encoded: bool,
}

/// Whether a value of `content-encoding` says that a body is not what it seems.
pub fn is_encoded(value: &[u8]) -> bool {
    let coding = value.trim_ascii();
    !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")
}

impl Head {
    fn has_words(&self) -> bool {
        !self.bodiless && !self.encoded
    }

    fn verdict(&self, found: (Class, Basis)) -> Verdict {
        let verdict = Verdict::from(found);
        let effect = match (found, self.status) {
            // A method or a version of HTTP that the server doesn't have, or a form that it can't answer in: the client's choice.
            ((Class::Server, Basis::Status), 501 | 505) | ((Class::Refused, Basis::Status), 406) => {
                Some(BreakerEffect::Neutral)
            }
            _ => verdict.effect,
        };
        let retry_after_ms = self.retry_after_ms.filter(|_| verdict.class == Class::Overload);
        Verdict { effect, retry_after_ms, ..verdict }
    }
}

/// A verdict, or the wish for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// The headers suffice.
    Decided(Verdict),
    /// The body has to be seen: [`judge_body`], or [`judge_event`] for each event of a stream.
    NeedsBody,
}

/// What one event of a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventJudgement {
    /// The answer.
    Answer(Verdict),
    /// A notification or request of the server's: the client must get it now, the answer follows.
    Interim,
    /// No message, but the server shows by it that it is at work: data that is empty, or of another type than `message`.
    LifeSign,
}

/// Judges an attempt by the headers of its answer.
pub fn judge_head(case: &Case<'_>, head: &Head) -> Judgement {
    for (at, rule) in case.rules.iter().enumerate().filter(|_| head.status >= 300) {
        match rule.when {
            Condition::Status(status) if status == head.status => {
                return Judgement::Decided(head.verdict((rule.class, Basis::Rule(at))));
            }
            // The body has to be seen first: it may fit a rule that goes ahead of the next one for the status.
            Condition::Code(_) if case.kind == ServerKind::Mcp && head.has_words() => return Judgement::NeedsBody,
            Condition::Message(Place::BadRequest | Place::BadRequestStart, _)
                if head.status == 400 && head.has_words() =>
            {
                return Judgement::NeedsBody;
            }
            _ => {}
        }
    }
    match built_in_head(case, head) {
        Some(found) => Judgement::Decided(head.verdict(found)),
        None if head.has_words() => Judgement::NeedsBody,
        None => Judgement::Decided(judge_refusal(case, head, b"", &mut Said::default())),
    }
}

/// The class that the headers give without any rule; `None` if it depends on the body.
fn built_in_head(case: &Case<'_>, head: &Head) -> Option<(Class, Basis)> {
    let class = match head.status {
        401 => Class::Credential,
        // The server stopped waiting: for the call's last bytes, or for a statement it was executing.
        408 => Class::Lost,
        429 => Class::Overload,
        503 if head.retry_after_ms.is_some() => return Some((Class::Overload, Basis::RetryAfter)),
        400 | 403 => return None,
        404 | 410 | 421 if case.kind == ServerKind::Mcp => return None,
        405 if case.kind == ServerKind::Mcp && case.is_message() => return None,
        405 | 406 if case.kind == ServerKind::Mcp && case.standing != Standing::Own => return None,
        // RFC 9110: whoever says so is not the server that was meant.
        421 => Class::Refused,
        402..=499 => Class::Caller,
        200..=299 => match (case.kind, case.expected) {
            (ServerKind::Mcp, Expected::Answer(_)) if head.bodiless => Class::Server,
            // That it came says that the server is well; what it is, the client reads.
            (ServerKind::Mcp, Expected::Answer(_)) if head.encoded => Class::Success,
            (ServerKind::Mcp, Expected::Answer(_)) => return None,
            _ => Class::Success,
        },
        // A redirect is not followed: it would take the credential to a place the operator has not named. The server
        // is not where the registry says, or a login or maintenance page stands before it. An API may redirect after it
        // has done its work (303), but not with these, which want the same request once more.
        300..=399 if case.kind == ServerKind::Mcp => Class::Refused,
        307 | 308 => Class::Refused,
        _ => Class::Server,
    };
    Some((class, Basis::Status))
}

/// What an answer says beside its class, seen in the pass that judges it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// The code of the JSON-RPC error that it is.
    pub code: Option<i64>,
    /// What it says that it took.
    pub used: Vec<Used>,
}

impl Said {
    pub(super) fn note(&mut self, answer: &Answer<'_>) {
        match answer {
            Answer::Result { usage, .. } => self.used = usage.used(),
            Answer::Error { code, .. } => self.code = Some(*code),
            _ => {}
        }
    }
}

/// Judges an attempt by its whole body, after [`judge_head`] asked for it.
pub fn judge_body(case: &Case<'_>, head: &Head, body: &[u8]) -> Verdict {
    read_body(case, head, body, &mut Said::default())
}

/// The same, with what else the body says.
pub fn read_body(case: &Case<'_>, head: &Head, body: &[u8], said: &mut Said) -> Verdict {
    match (judge_head(case, &Head { bodiless: false, ..*head }), case.expected) {
        (Judgement::Decided(verdict), _) => verdict,
        (Judgement::NeedsBody, Expected::Answer(id)) if head.status < 300 => {
            head.verdict(mcp::judge_answer(case, head.status, body, id, said))
        }
        (Judgement::NeedsBody, _) => judge_refusal(case, head, body, said),
    }
}

/// Judges one event of an MCP server's stream, which came with HTTP 200. Once the answer has been seen, later events need
/// no judging.
pub fn judge_event(case: &Case<'_>, event: &Event) -> EventJudgement {
    mcp::judge_event(case, event, &mut Said::default())
}

/// The same, with what else the event says.
pub fn read_event(case: &Case<'_>, event: &Event, said: &mut Said) -> EventJudgement {
    mcp::judge_event(case, event, said)
}

/// Judges an attempt that ended without an answer. `sent`: part of the call may have reached the server.
/// `downstream_gone`: the client left first.
pub fn judge_no_answer(sent: bool, downstream_gone: bool) -> Verdict {
    let class = match (downstream_gone, sent) {
        (true, _) => Class::Cancelled,
        (false, true) => Class::Lost,
        (false, false) => Class::NotSent,
    };
    (class, Basis::Transport).into()
}

/// Judges a status that is none of success by the body that came with it.
fn judge_refusal(case: &Case<'_>, head: &Head, body: &[u8], said: &mut Said) -> Verdict {
    let code = if case.kind == ServerKind::Mcp { mcp::code(body) } else { None };
    said.code = code;
    let message = rest::message(body);
    let seen = rest::seen(head.status, code, body, &message);
    let found = own_class_of(case.rules, seen).or_else(|| built_in_head(case, head));
    head.verdict(found.unwrap_or_else(|| match case.kind {
        ServerKind::Mcp => mcp::refusal(case, seen),
        ServerKind::Rest => rest::refusal(case.dialect, seen),
    }))
}
