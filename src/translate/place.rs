//! The places that text can be put in, and how it is written there so that it cannot leave its place.

use std::fmt::Write;

use crate::json::quoted;

/// Longest value, in bytes as written, that one placeholder may put into a path, a query or a header. Envoy refuses
/// requests with more than 60 KiB of headers, and such a refusal would look like the server's fault.
const MAX_LEN: usize = 4096;

/// Where a piece of text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destination {
    /// Within one segment of a path.
    Path,
    /// The value of one query pair.
    Query,
    /// A header's value.
    Header,
    /// Within a JSON string.
    Json,
}

impl Destination {
    /// Writes `text` to `out` in the way of this place, or says which rule `text` breaks.
    pub(super) fn write(self, text: &str, out: &mut String) -> Result<(), &'static str> {
        let start = out.len();
        match self {
            Destination::Path => {
                check_segment(text)?;
                percent_encode(text, out);
            }
            Destination::Query => percent_encode(text, out),
            Destination::Header if text.contains(char::is_control) => {
                return Err("must not have control characters: it goes into a header");
            }
            Destination::Header => out.push_str(text),
            Destination::Json => {
                write_json_text(text, out);
                return Ok(());
            }
        }
        if out.len().saturating_sub(start) > MAX_LEN {
            return Err("is too long for a path, a query or a header (4096 bytes)");
        }
        Ok(())
    }

    /// Whether an object or a list may be put here, as its JSON text.
    pub(super) fn takes_structures(self) -> bool {
        self == Destination::Json
    }
}

/// A segment must stay a segment even for servers that decode `%2F` before they resolve `..`.
fn check_segment(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("must not be empty: it is part of a path");
    }
    if text.split(['/', '\\']).any(|part| part == "." || part == "..") {
        return Err("must not be or contain the path segments . and ..");
    }
    if text.contains(char::is_control) {
        return Err("must not have control characters: it is part of a path");
    }
    Ok(())
}

/// Everything but RFC 3986's unreserved characters is encoded, so nothing can act as a delimiter.
pub(super) fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// `text` as it stands between the quotation marks of a JSON string.
pub(super) fn write_json_text(text: &str, out: &mut String) {
    let quoted = quoted(text);
    out.push_str(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn written(place: Destination, text: &str) -> Result<String, &'static str> {
        let mut out = String::new();
        place.write(text, &mut out).map(|()| out)
    }

    /// Kong's ai-mcp-proxy shipped a path traversal through a path parameter.
    #[test]
    fn a_path_value_cannot_traverse_even_where_slashes_are_decoded_first() {
        for hostile in ["", ".", "..", "../x", "a/../b", "a\\..\\b", "a/.", "x\r\ny", "\0"] {
            assert!(written(Destination::Path, hostile).is_err(), "{hostile:?}");
        }
        assert_eq!(written(Destination::Path, "a/b?c#d%2e e").as_deref(), Ok("a%2Fb%3Fc%23d%252e%20e"));
        assert_eq!(written(Destination::Path, "v1..2").as_deref(), Ok("v1..2"));
    }

    #[test]
    fn a_query_value_cannot_end_its_pair() {
        assert_eq!(
            written(Destination::Query, "1&admin=true#x+y é").as_deref(),
            Ok("1%26admin%3Dtrue%23x%2By%20%C3%A9")
        );
    }

    #[test]
    fn a_header_value_cannot_begin_another_header() {
        assert!(written(Destination::Header, "a\r\nauthorization: b").is_err());
        assert!(written(Destination::Header, "a\u{85}b").is_err());
        assert_eq!(written(Destination::Header, "plain value").as_deref(), Ok("plain value"));
    }

    #[test]
    fn a_value_too_long_for_the_head_of_a_request_is_refused_but_not_in_json() {
        let long = "x".repeat(MAX_LEN + 1);
        for place in [Destination::Path, Destination::Query, Destination::Header] {
            assert!(written(place, &long).is_err());
        }
        assert_eq!(written(Destination::Json, &long).as_deref(), Ok(long.as_str()));
    }

    #[test]
    fn json_text_is_escaped_without_its_quotation_marks() {
        assert_eq!(written(Destination::Json, "say \"hi\"\n").as_deref(), Ok("say \\\"hi\\\"\\n"));
    }
}
