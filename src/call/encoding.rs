//! In which form the body of a request is. What is read here must be what a server reads, so there is one form only: JSON in
//! UTF-8, not encoded.

use super::headers::RequestHeaders;

/// Whether the body is encoded, as by compression.
pub fn is_encoded(headers: RequestHeaders<'_>) -> bool {
    headers.all("content-encoding").any(|coding| !coding.eq_ignore_ascii_case(b"identity"))
}

/// Whether `content-type` says that the body is text in another charset than UTF-8, in which a server may find another
/// message than there is in UTF-8.
pub fn is_other_text(headers: RequestHeaders<'_>) -> bool {
    headers.all("content-type").any(names_other_charset)
}

fn names_other_charset(mut value: &[u8]) -> bool {
    const CHARSET: &[u8] = b"charset";
    while let Some((_, rest)) = value.split_first() {
        let begins = value.get(..CHARSET.len()).is_some_and(|start| start.eq_ignore_ascii_case(CHARSET));
        if begins && !is_utf8(value.get(CHARSET.len()..).unwrap_or_default()) {
            return true;
        }
        value = rest;
    }
    false
}

/// Whether what follows `charset` is UTF-8, in quotes or not, up to the end of the parameter.
fn is_utf8(rest: &[u8]) -> bool {
    let end = rest.iter().position(|b| matches!(b, b';' | b',')).unwrap_or(rest.len());
    let value = rest.get(..end).unwrap_or_default().trim_ascii();
    let Some(name) = value.strip_prefix(b"=") else { return false };
    let name = name.trim_ascii();
    let name = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name);
    name.eq_ignore_ascii_case(b"utf-8") || name.eq_ignore_ascii_case(b"utf8")
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn only_utf_8_is_no_other_charset() {
        for value in [
            "application/json",
            "application/json; charset=utf-8",
            "application/json;Charset=\"UTF-8\" ; v=1",
            "application/json;charset=utf8, application/json",
            "",
        ] {
            assert!(!names_other_charset(value.as_bytes()), "{value}");
        }
        for value in [
            "application/json; charset=utf-7",
            "application/json;CHARSET = utf-16",
            "application/json; charset*=us-ascii''utf-8",
            "application/json; charset=",
            "application/json; charset",
            "application/json; charset=utf-8; charset=utf-7",
            "application/json, text/plain; charset=latin1",
            "application/json; charset='utf-8'",
        ] {
            assert!(names_other_charset(value.as_bytes()), "{value}");
        }
        assert!(names_other_charset(b"application/json; charset=\xff"));
    }
}
