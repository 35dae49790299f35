//! Judging the answers of MCP servers.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::rest::{self, is_credential_error};
use super::rules::{Evidence, class_of};
use super::{Basis, Class, EventJudgement, Expected, Place, Rule};
use crate::jsonrpc::{Answer, RequestId};

/// "Internal error", the one code that speaks of the server and not of the call.
const INTERNAL_ERROR: i64 = -32603;
const METHOD_NOT_FOUND: i64 = -32601;
/// HeaderMismatch, MissingRequiredClientCapability, UnsupportedProtocolVersion: how a server of the stateless versions
/// refuses a request. The client reads them.
const STATELESS_REFUSALS: std::ops::RangeInclusive<i64> = -32022..=-32020;

/// The class of a body that came with HTTP 2xx and should answer request `id`.
pub(super) fn judge_answer(rules: &[Rule], status: u16, body: &[u8], id: RequestId<'_>) -> (Class, Basis) {
    match Answer::parse(body, Some(id)) {
        // A vendor's gateway may refuse the credential with HTTP 200 and a body of its own.
        Answer::NotJsonRpc if is_credential_error(body) => (Class::Credential, Basis::CredentialCode),
        Answer::Result { is_error: false, .. } => (Class::Success, Basis::Body),
        Answer::Result { is_error: true, content } => {
            let text = content.and_then(first_text).unwrap_or_default();
            let places = [Place::ToolErrorStart, Place::ToolError];
            class_of(rules, Evidence { status, code: None, places: &places, text: text.as_bytes() })
                .unwrap_or((Class::ToolError, Basis::Body))
        }
        Answer::Error { code: INTERNAL_ERROR, message } => {
            let places = [Place::InternalErrorStart, Place::InternalError];
            class_of(rules, Evidence { status, code: Some(INTERNAL_ERROR), places: &places, text: message.as_bytes() })
                .unwrap_or((Class::Server, Basis::Code))
        }
        // -32700, -32600..-32602 blame the call; what other codes mean is between the server and its clients.
        Answer::Error { code, .. } => class_of(rules, Evidence { status, code: Some(code), places: &[], text: b"" })
            .unwrap_or((Class::Caller, Basis::Code)),
        Answer::NotJsonRpc | Answer::NotJson | Answer::WrongId | Answer::Message => (Class::Server, Basis::Body),
    }
}

/// What one event of a stream is.
pub(super) fn judge_event(rules: &[Rule], data: &[u8], expected: Expected<'_>) -> EventJudgement {
    let data = data.trim_ascii();
    if data.is_empty() {
        return EventJudgement::Empty;
    }
    let Expected::Answer(id) = expected else { return EventJudgement::Interim };
    match Answer::parse(data, Some(id)) {
        Answer::Message => EventJudgement::Interim,
        // `[DONE]` too, where no answer came before it: it says that none follows.
        _ => EventJudgement::Answer(judge_answer(rules, 200, data, id).into()),
    }
}

/// What rules can see of a status that is none of success.
pub(super) fn seen(status: u16, body: &[u8]) -> Evidence<'_> {
    let code = match Answer::parse(body, None) {
        Answer::Error { code, .. } => Some(code),
        _ => None,
    };
    let places: &[Place] = if status == 400 { &[Place::BadRequest, Place::McpBadRequest] } else { &[] };
    Evidence { status, code, places, text: body }
}

/// The class of an HTTP 400, 403 or 404.
pub(super) fn refusal(seen: Evidence<'_>) -> (Class, Basis) {
    match (seen.status, seen.code) {
        // The stateless versions answer an unknown method so; everywhere else a 404 means that the session is gone.
        (404, Some(METHOD_NOT_FOUND)) => (Class::Caller, Basis::Code),
        (404, _) => (Class::Session, Basis::Status),
        (400, Some(code)) if STATELESS_REFUSALS.contains(&code) => (Class::Caller, Basis::Code),
        _ => rest::refusal(seen),
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
