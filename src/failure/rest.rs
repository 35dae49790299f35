//! Judging the refusals of plain HTTP APIs.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::rules::{Evidence, class_of, is_credential_code};
use super::{Basis, Class, Place};
use crate::jsonrpc::from_object;

/// What rules can see of a status that is none of success.
pub(super) fn seen(status: u16, body: &[u8]) -> Evidence<'_> {
    let places: &[Place] = if status == 400 { &[Place::BadRequest] } else { &[] };
    Evidence { status, code: None, places, text: body }
}

/// The class of an HTTP 400 or 403.
pub(super) fn refusal(seen: Evidence<'_>) -> (Class, Basis) {
    if is_credential_error(seen.text) {
        return (Class::Credential, Basis::CredentialCode);
    }
    match seen.status {
        403 => (Class::Authorization, Basis::Status),
        _ => class_of(&[], seen).unwrap_or((Class::Caller, Basis::Status)),
    }
}

/// Whether the body is an error object whose vendor code means a bad credential.
pub(super) fn is_credential_error(body: &[u8]) -> bool {
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
    codes.filter_map(|raw| raw.get().trim_matches('"').parse().ok()).any(is_credential_code)
}
