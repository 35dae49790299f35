//! Judging an attempt, whatever the server speaks.

use super::{Class, Rules, mcp, rest};
use crate::jsonrpc::RequestId;
use crate::registry::ServerKind;

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Its class.
    pub class: Class,
    /// How long the server asked to be left alone, in milliseconds; only with [`Class::Overload`].
    pub retry_after_ms: Option<u64>,
}

impl From<Class> for Verdict {
    fn from(class: Class) -> Self {
        Verdict { class, retry_after_ms: None }
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

/// What is known of an answer once its headers are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The HTTP status.
    pub status: u16,
    /// The Retry-After header, read by [`super::retry_after::parse`].
    pub retry_after_ms: Option<u64>,
    /// Whether the answer ends with its headers.
    pub bodiless: bool,
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
    /// Nothing of meaning, such as empty data or `[DONE]`.
    Empty,
}

/// Judges an attempt by the headers of its answer.
pub fn judge_head(kind: ServerKind, head: &Head, expected: Expected<'_>) -> Judgement {
    let decided = |class: Class| Judgement::Decided(class.into());
    match head.status {
        401 => decided(Class::Credential),
        // The server stopped waiting: for the call's last bytes, or for a statement it was executing.
        408 => decided(Class::Lost),
        429 => Judgement::Decided(overload(head)),
        503 if head.retry_after_ms.is_some() => Judgement::Decided(overload(head)),
        400 | 403 | 404 if head.bodiless => Judgement::Decided(judge_refusal(kind, &Rules::NONE, head, b"")),
        400 | 403 => Judgement::NeedsBody,
        404 if kind == ServerKind::Mcp => Judgement::NeedsBody,
        402..=499 => decided(Class::Caller),
        200..=299 => match (kind, expected) {
            (ServerKind::Mcp, Expected::Answer(_)) if head.bodiless => decided(Class::Server),
            (ServerKind::Mcp, Expected::Answer(_)) => Judgement::NeedsBody,
            _ => decided(Class::Success),
        },
        // A redirect is not followed: it would take the credential to a place the operator has not named. The server
        // is not where the registry says, or a login or maintenance page stands before it.
        _ => decided(Class::Server),
    }
}

/// Judges an attempt by its whole body, after [`judge_head`] asked for it.
pub fn judge_body(kind: ServerKind, rules: &Rules, head: &Head, body: &[u8], expected: Expected<'_>) -> Verdict {
    match (judge_head(kind, &Head { bodiless: false, ..*head }, expected), expected) {
        (Judgement::Decided(verdict), _) => verdict,
        (Judgement::NeedsBody, Expected::Answer(id)) if head.status < 300 => mcp::judge_answer(rules, body, id).into(),
        (Judgement::NeedsBody, _) => judge_refusal(kind, rules, head, body),
    }
}

/// Judges the data of one event of an MCP server's stream, which came with HTTP 200. Once the answer has been seen,
/// later events need no judging.
pub fn judge_event(rules: &Rules, data: &[u8], expected: Expected<'_>) -> EventJudgement {
    mcp::judge_event(rules, data, expected)
}

/// Judges an attempt that ended without an answer. `sent`: part of the call may have reached the server.
/// `downstream_gone`: the client left first.
pub fn judge_no_answer(sent: bool, downstream_gone: bool) -> Verdict {
    Verdict::from(match (downstream_gone, sent) {
        (true, _) => Class::Cancelled,
        (false, true) => Class::Lost,
        (false, false) => Class::NotSent,
    })
}

fn judge_refusal(kind: ServerKind, rules: &Rules, head: &Head, body: &[u8]) -> Verdict {
    let class = match kind {
        ServerKind::Mcp => mcp::refusal(rules, head.status, body),
        ServerKind::Rest => rest::refusal(rules, head.status, body),
    };
    if class == Class::Overload { overload(head) } else { class.into() }
}

fn overload(head: &Head) -> Verdict {
    Verdict { class: Class::Overload, retry_after_ms: head.retry_after_ms }
}
