//! Judging the refusals of plain HTTP APIs.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Class, Place, Rules};
use crate::jsonrpc::from_object;

/// The class of an HTTP 400 or 403 with this body.
pub(super) fn refusal(rules: &Rules, status: u16, body: &[u8]) -> Class {
    refusal_with(rules, &[Place::BadRequest], status, body)
}

/// As [`refusal`]; `places` are what the rules may look at in the body of a 400.
pub(super) fn refusal_with(rules: &Rules, places: &[Place], status: u16, body: &[u8]) -> Class {
    if is_credential_error(rules, body) {
        return Class::Credential;
    }
    match status {
        403 => Class::Authorization,
        400 => rules.class_of(places, body).unwrap_or(Class::Caller),
        _ => Class::Caller,
    }
}

/// Whether the body is an error object whose vendor code means a bad credential.
pub(super) fn is_credential_error(rules: &Rules, body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Error<'a> {
        #[serde(borrow)]
        code: Option<&'a RawValue>,
        #[serde(borrow)]
        error_code: Option<&'a RawValue>,
    }
    let Ok(json) = std::str::from_utf8(body) else { return false };
    let Ok(error) = from_object::<Error<'_>>(json) else { return false };
    let codes = [error.code, error.error_code].into_iter().flatten();
    // Some APIs write the code as a number, some as a string.
    codes.filter_map(|raw| raw.get().trim_matches('"').parse().ok()).any(|code| rules.is_credential_code(code))
}
