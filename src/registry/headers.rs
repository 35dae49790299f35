//! Which headers a credential may set, and to what.

use crate::wire::Violation;
use crate::wiring::header;

/// Headers that belong to the connection, the framing or the protocol: Envoy or the filter set them on every attempt.
const TAKEN: [&str; 19] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Families of headers that mean something to Envoy, to MCP or to the filter.
const TAKEN_PREFIXES: [&str; 3] = [header::PREFIX, "x-envoy-", "mcp-"];

/// Whether a credential may set the header `name`: a token of RFC 9110 in lower case that nobody else owns.
///
/// # Errors
/// The rule that it breaks.
pub(super) fn check_name(name: &str) -> Result<(), Violation> {
    if name.starts_with(':') {
        return Err(Violation::of("must not be a pseudo-header"));
    }
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        return Err(Violation::of("must be a legal header name"));
    }
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(
            Violation::of("must be a header name in lower case").hint(format!("write {}", name.to_ascii_lowercase()))
        );
    }
    if TAKEN.contains(&name) || TAKEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Err(Violation::of("must not be a header that Envoy, MCP or Dualpath sets itself"));
    }
    Ok(())
}

/// Whether `value` can be sent as a header value: visible ASCII characters, with single spaces and tabs inside. Anything
/// that could end the line would let one header smuggle in another.
///
/// # Errors
/// The rule that it breaks.
pub(super) fn check_value(value: &str) -> Result<(), Violation> {
    check_prefix(value)?;
    if value.is_empty() || value.trim() != value {
        return Err(Violation::of("must be a header value that is not empty and has no space at either end"));
    }
    Ok(())
}

/// Whether `prefix` can stand before a secret in a header value; it may be empty or end in a space.
///
/// # Errors
/// The rule that it breaks.
pub(super) fn check_prefix(prefix: &str) -> Result<(), Violation> {
    if !prefix.bytes().all(|b| b.is_ascii_graphic() || b == b' ' || b == b'\t') {
        return Err(Violation::of("must be visible ASCII characters and spaces"));
    }
    if prefix.starts_with([' ', '\t']) {
        return Err(Violation::of("must not begin with a space"));
    }
    Ok(())
}

fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_credential_may_set_only_headers_that_nobody_else_owns() {
        for name in ["authorization", "x-api-key", "x-snowflake-authorization-token-type", "cookie"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in [
            "",
            ":path",
            "Authorization",
            "a b",
            "a:b",
            "a\r\nb",
            "h\u{e9}",
            "host",
            "content-length",
            "connection",
            "te",
            "transfer-encoding",
            "x-dualpath-slot-a",
            "x-envoy-retry-on",
            "mcp-session-id",
        ] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_header_value_cannot_smuggle_in_another_header() {
        for value in ["a\r\nx-evil: 1", "a\nb", "a\0b", "", " a", "a ", "h\u{e9}"] {
            assert!(check_value(value).is_err(), "{value:?}");
        }
        assert_eq!(check_value("PROGRAMMATIC_ACCESS_TOKEN"), Ok(()));
        assert_eq!(check_prefix("Bearer "), Ok(()));
        assert_eq!(check_prefix(""), Ok(()));
        assert!(check_prefix("Bearer\r\n").is_err());
    }
}
