//! What a token says of itself, where it is a JWT: RFC 7519's `exp`, `iat` and `nbf`. Nothing is verified, because nothing
//! is granted by it: the server does that. A token that is no JWT is as good as any other, it only tells nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Secret;
use crate::json::Value;

/// The claims that are about time, in seconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) expires_s: Option<u64>,
    pub(super) issued_s: Option<u64>,
    pub(super) not_before_s: Option<u64>,
}

/// A token longer than this is not looked into.
const LONGEST: usize = 16 * 1024;

/// The claims of `secret`; none if it is no JWT or says nothing readable.
pub(super) fn claims(secret: &Secret) -> Claims {
    payload(secret.reveal()).unwrap_or_default()
}

fn payload(token: &[u8]) -> Option<Claims> {
    let mut parts = token.get(..LONGEST.min(token.len()))?.split(|b| *b == b'.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let json = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let payload = Value::parse_bytes(&json).ok()?;
    // RFC 7519 allows fractions of a second. What has something else there says nothing at all.
    let claim = |name| match payload.as_object()?.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(value) => Some(seconds(value.as_f64()?)),
    };
    Some(Claims { expires_s: claim("exp")?, issued_s: claim("iat")?, not_before_s: claim("nbf")? })
}

/// Whole seconds; nothing for what is no time of this era.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn seconds(value: f64) -> Option<u64> {
    (0.0..1e12).contains(&value).then_some(value as u64)
}
