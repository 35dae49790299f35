//! Judging the answers of MCP servers.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::rest::{is_credential_error, refusal_with};
use super::{Class, EventJudgement, Expected, Place, Rules};
use crate::jsonrpc::{Answer, RequestId};

/// "Internal error", the one code that speaks of the server and not of the call.
const INTERNAL_ERROR: i64 = -32603;
const METHOD_NOT_FOUND: i64 = -32601;
/// HeaderMismatch, MissingRequiredClientCapability, UnsupportedProtocolVersion: how a server of the stateless versions
/// refuses a request. The client reads them.
const STATELESS_REFUSALS: std::ops::RangeInclusive<i64> = -32022..=-32020;

/// The class of a body that came with HTTP 2xx and should answer request `id`.
pub(super) fn judge_answer(rules: &Rules, body: &[u8], id: RequestId<'_>) -> Class {
    match Answer::parse(body, Some(id)) {
        // A vendor's gateway may refuse the credential with HTTP 200 and a body of its own.
        Answer::NotJsonRpc if is_credential_error(rules, body) => Class::Credential,
        Answer::NotJsonRpc | Answer::NotJson | Answer::WrongId | Answer::Message => Class::Server,
        answer => judge_call(rules, &answer),
    }
}

/// The class of a result or error.
fn judge_call(rules: &Rules, answer: &Answer<'_>) -> Class {
    match answer {
        Answer::Result { is_error: false, .. } => Class::Success,
        Answer::Result { is_error: true, content } => {
            let text = content.and_then(first_text);
            text.and_then(|text| rules.class_of(&[Place::ToolError], text.as_bytes())).unwrap_or(Class::ToolError)
        }
        Answer::Error { code: INTERNAL_ERROR, message } => {
            let places = [Place::InternalErrorStart, Place::InternalError];
            rules.class_of(&places, message.as_bytes()).unwrap_or(Class::Server)
        }
        // -32700, -32600..-32602 blame the call; what other codes mean is between the server and its clients.
        Answer::Error { .. } => Class::Caller,
        _ => Class::Server,
    }
}

/// What one event of a stream is.
pub(super) fn judge_event(rules: &Rules, data: &[u8], expected: Expected<'_>) -> EventJudgement {
    let data = data.trim_ascii();
    if data.is_empty() || data == b"[DONE]" {
        return EventJudgement::Empty;
    }
    let Expected::Answer(id) = expected else { return EventJudgement::Interim };
    match Answer::parse(data, Some(id)) {
        Answer::Message => EventJudgement::Interim,
        _ => EventJudgement::Answer(judge_answer(rules, data, id).into()),
    }
}

/// The class of an HTTP 400, 403 or 404 with this body.
pub(super) fn refusal(rules: &Rules, status: u16, body: &[u8]) -> Class {
    let code = match Answer::parse(body, None) {
        Answer::Error { code, .. } => Some(code),
        _ => None,
    };
    match (status, code) {
        // The stateless versions answer an unknown method so; everywhere else a 404 means that the session is gone.
        (404, Some(METHOD_NOT_FOUND)) => Class::Caller,
        (404, _) => Class::Session,
        (400, Some(code)) if STATELESS_REFUSALS.contains(&code) => Class::Caller,
        _ => refusal_with(rules, &[Place::BadRequest, Place::McpBadRequest], status, body),
    }
}

/// The text of the first content block that has one.
fn first_text(content: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Block<'a> {
        #[serde(borrow)]
        text: Option<Cow<'a, str>>,
    }
    let blocks: Vec<Block<'_>> = serde_json::from_str(content.get()).ok()?;
    blocks.into_iter().find_map(|block| block.text)
}
