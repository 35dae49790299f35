//! Judging the answers of MCP servers.

use std::borrow::Cow;

use super::dialect::{KnownText, known};
use super::rest::{self, speaks_of_token};
use super::rules::{Evidence, class_of, known_class_of};
use super::{Basis, Case, Class, EventJudgement, Expected, Place, Said, Standing};
use crate::json::Raw;
use crate::jsonrpc::{Answer, RequestId, members_once, text_of};
use crate::sse::Event;

/// "Internal error", the one code that speaks of the server and not of the call.
const INTERNAL_ERROR: i64 = -32603;
const METHOD_NOT_FOUND: i64 = -32601;
/// UnsupportedProtocolVersion.
const UNSUPPORTED_VERSION: i64 = -32022;
/// HeaderMismatch, MissingRequiredClientCapability, UnsupportedProtocolVersion: how a server of the stateless versions
/// refuses a request. The client reads them.
const STATELESS_REFUSALS: std::ops::RangeInclusive<i64> = -32022..=-32020;

/// How the SDKs' servers say in an HTTP 400 that a request has no session that they know: those of TypeScript, Python, Go,
/// C#, Java, Rust and Swift. All may begin with "Bad Request: ".
static NO_SESSION: [KnownText; 8] = [
    no_session("a new session can only be created by an initialize request"),
    no_session("invalid session id"),
    no_session("mcp-session-id header"),
    no_session("missing session id"),
    no_session("no valid session id"),
    no_session("server not initialized"),
    no_session("session id "),
    no_session("session not found"),
];

const fn no_session(text: &'static str) -> KnownText {
    known(Place::BadRequestStart, text, Class::Session)
}

/// How they say there that they don't speak the client's version.
static NO_VERSION: [KnownText; 3] = [
    no_version("the mcp-protocol-version header value"),
    no_version("unsupported mcp-protocol-version"),
    no_version("unsupported protocol version"),
];

const fn no_version(text: &'static str) -> KnownText {
    known(Place::BadRequestStart, text, Class::Caller)
}

/// The class of a body that came with HTTP 2xx and should answer request `id`.
pub(super) fn judge_answer(
    case: &Case<'_>,
    status: u16,
    body: &[u8],
    id: RequestId<'_>,
    said: &mut Said,
) -> (Class, Basis) {
    let text = text_of(body);
    let answer = Answer::of_body(&text, Some(id));
    said.note(&answer);
    class_of_answer(case, status, answer, body)
}

/// What one event of a stream is.
pub(super) fn judge_event(case: &Case<'_>, event: &Event, said: &mut Said) -> EventJudgement {
    let data = event.data.trim_ascii();
    if data.is_empty() || !event.is_message {
        return EventJudgement::LifeSign;
    }
    let Expected::Answer(id) = case.expected else { return EventJudgement::Interim };
    let text = text_of(data);
    match Answer::of_event(&text, Some(id)) {
        Answer::Message => EventJudgement::Interim,
        // `[DONE]` too, where no answer came before it: it says that none follows.
        answer => {
            said.note(&answer);
            EventJudgement::Answer(class_of_answer(case, 200, answer, data).into())
        }
    }
}

fn class_of_answer(case: &Case<'_>, status: u16, answer: Answer<'_>, body: &[u8]) -> (Class, Basis) {
    let found =
        |code, places: &[Place], text: &[u8]| class_of(case, Evidence { status, code, places, text, message: text });
    match answer {
        // A vendor's gateway may refuse the token with HTTP 200 and a body of its own.
        Answer::NotJsonRpc if speaks_of_token(case.dialect, body) => (Class::Credential, Basis::TokenCode),
        Answer::Result { is_error, content: None, .. } => {
            (if is_error { Class::ToolError } else { Class::Success }, Basis::Contentless)
        }
        Answer::Result { is_error: false, .. } => (Class::Success, Basis::Body),
        Answer::Result { is_error: true, content: Some(content), .. } => {
            let text = first_text(content).unwrap_or_default();
            let places = [Place::ToolErrorStart, Place::ToolError];
            found(None, &places, text.as_bytes()).unwrap_or((Class::ToolError, Basis::Body))
        }
        Answer::Error { code: INTERNAL_ERROR, message } => {
            let places = [Place::InternalErrorStart, Place::InternalError];
            found(Some(INTERNAL_ERROR), &places, message.as_bytes()).unwrap_or((Class::Server, Basis::Code))
        }
        // -32700, -32600..-32602 blame the call; what other codes mean is between the server and its clients.
        Answer::Error { code, .. } => found(Some(code), &[], b"").unwrap_or((Class::Caller, Basis::Code)),
        Answer::NotJsonRpc | Answer::NotJson | Answer::WrongId | Answer::Message => (Class::Server, Basis::Body),
    }
}

/// The code of the JSON-RPC error that a body is, whichever request it answers.
pub(super) fn code(body: &[u8]) -> Option<i64> {
    match Answer::of_body(&text_of(body), None) {
        Answer::Error { code, .. } => Some(code),
        _ => None,
    }
}

/// The class of a status that the headers leave open.
pub(super) fn refusal(case: &Case<'_>, seen: Evidence<'_>) -> (Class, Basis) {
    let outside = case.standing != Standing::Own;
    let by_status = if seen.code.is_some() { Basis::StatusOfMcp } else { Basis::Status };
    match (seen.status, seen.code) {
        // The stateless versions answer an unknown method so; everywhere else a 404 means that the session is gone.
        (404, Some(METHOD_NOT_FOUND)) => (Class::Caller, Basis::Code),
        (400, Some(UNSUPPORTED_VERSION)) if outside => (Class::Refused, by_status),
        (400, Some(code)) if STATELESS_REFUSALS.contains(&code) => (Class::Caller, Basis::Code),
        // No session can be gone where there is none; and an ingress knows nothing of sessions.
        (404 | 410, code) if case.standing == Standing::Outside || outside && code.is_none() => {
            (Class::Refused, by_status)
        }
        (404 | 410, _) => (Class::Session, Basis::Status),
        (405, Some(_)) if !outside => (Class::Caller, Basis::Status),
        (405 | 406 | 421, _) => (Class::Refused, by_status),
        _ => match known_class_of(&NO_SESSION, seen).or_else(|| known_class_of(&NO_VERSION, seen)) {
            Some((class, basis)) => {
                let stays = class == Class::Session && case.standing == Standing::Gate;
                (if outside && !stays { Class::Refused } else { class }, basis)
            }
            None => rest::refusal(case.dialect, seen),
        },
    }
}

/// The text of the first content block that has one.
fn first_text(content: Raw<'_>) -> Option<Cow<'_, str>> {
    let mut first = None;
    for block in content.elements()? {
        let [text] = members_once(block.get(), ["text"])?;
        let text = text.map(|text| text.text().ok_or(())).transpose().ok()?;
        first = first.or(text);
    }
    first
}
