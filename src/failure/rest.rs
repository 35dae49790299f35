//! Judging the refusals of plain HTTP APIs, and of MCP servers where these answer as such an API.

use std::borrow::Cow;

use super::rules::{Evidence, known_class_of};
use super::{Basis, Class, Dialect, Place};
use crate::json::Raw;
use crate::jsonrpc::members_once;

/// What rules can see of a status that is none of success. `code`: that of the JSON-RPC error in the body.
pub(super) fn seen<'b>(status: u16, code: Option<i64>, body: &'b [u8], message: &'b [u8]) -> Evidence<'b> {
    let places: &[Place] = if status == 400 { &[Place::BadRequest, Place::BadRequestStart] } else { &[] };
    Evidence { status, code, places, text: body, message }
}

/// The class of an HTTP 400 or 403.
pub(super) fn refusal(dialect: Dialect, seen: Evidence<'_>) -> (Class, Basis) {
    if speaks_of_token(dialect, seen.text) {
        return (Class::Credential, Basis::TokenCode);
    }
    match seen.status {
        403 => (Class::Authorization, Basis::Status),
        _ => known_class_of(dialect.texts(), seen).unwrap_or((Class::Caller, Basis::Status)),
    }
}

/// What the server itself says in an error body: its `message`, or that of its `error`; where the body is no JSON object, all
/// of it. What stands elsewhere may be the caller's own words.
pub(super) fn message(body: &[u8]) -> Cow<'_, [u8]> {
    let read = |json| members_once(json, ["message", "error"]);
    let Some([message, error]) = std::str::from_utf8(body).ok().and_then(read) else { return Cow::Borrowed(body) };
    let inner = error.and_then(|error| read(error.get()));
    let said = message.or_else(|| inner.and_then(|[message, _]| message)).or(error);
    match said.and_then(Raw::text) {
        Some(Cow::Borrowed(said)) => Cow::Borrowed(said.as_bytes()),
        Some(Cow::Owned(said)) => Cow::Owned(said.into_bytes()),
        None => Cow::default(),
    }
}

/// Whether the body is an error object whose vendor code speaks of the token.
pub(super) fn speaks_of_token(dialect: Dialect, body: &[u8]) -> bool {
    let Ok(json) = std::str::from_utf8(body) else { return false };
    let Some(codes) = members_once(json, ["code", "error_code"]) else { return false };
    // Some APIs write the code as a number, some as a string.
    codes
        .into_iter()
        .flatten()
        .filter_map(|raw| raw.get().trim_matches('"').parse().ok())
        .any(|code| dialect.is_token_code(code))
}
