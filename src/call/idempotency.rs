//! The idempotency key of a call: the same on every way that the call takes, so that a server which has executed it once
//! can tell the repetition, and answer it with what it said then.
//!
//! The header is the one of the IETF's draft `draft-ietf-httpapi-idempotency-key-header`, whose value is a string in quotes;
//! in `_meta` it is a plain JSON string. A client's own key counts, wherever it has put it.

use crate::json::{Raw, quoted};
use crate::jsonrpc::{Incoming, parse};
use crate::mcp::Params;
use crate::registry::Idempotency;

/// What a request is to carry; `None`: as it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// The value of the header.
    pub header: Option<String>,
    /// The body.
    pub body: Option<Vec<u8>>,
}

/// The key for a call of a tool that wants one. `sent`: what the client has in that header. `new`: the key if it has none.
pub fn give(wanted: &Idempotency, body: &[u8], sent: Option<&[u8]>, new: &str) -> Given {
    let Incoming::Request(request) = parse(body) else { return Given::default() };
    // What can be read two ways is not written anew.
    let (Ok(_), Some(params), Ok(whole)) = (Params::parse(request.params), request.params, std::str::from_utf8(body))
    else {
        return Given::default();
    };
    let meta = params.member("_meta");
    let own = wanted.meta.as_ref().and_then(|name| meta?.member(name));
    let of_header = sent.and_then(|sent| std::str::from_utf8(sent).ok()).map(|sent| sent.trim_matches('"').to_owned());
    let key = of_header.or_else(|| own?.text().map(Into::into)).unwrap_or_else(|| new.to_owned());
    let is_plain = key.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\');
    Given {
        header: (wanted.header.is_some() && sent.is_none() && is_plain).then(|| format!("\"{key}\"")),
        body: wanted.meta.as_ref().filter(|_| own.is_none()).and_then(|name| {
            let member = format!("\"{name}\":{}", quoted(&key));
            match meta {
                // For MCP that is as good as none.
                Some(meta) if meta.is_null() => splice(whole, meta.get(), 4, &format!("{{{member}}}")),
                Some(meta) => put_into(whole, meta, &member),
                None => put_into(whole, params, &format!("\"_meta\":{{{member}}}")),
            }
        }),
    }
}

/// The text with one more member in one of its objects; all else stays, byte for byte.
fn put_into(whole: &str, object: Raw<'_>, member: &str) -> Option<Vec<u8>> {
    let inner = object.get().strip_prefix('{')?;
    let comma = if inner.trim_start().starts_with('}') { "" } else { "," };
    splice(whole, inner, 0, &[member, comma].concat())
}

/// The text with this in the place of the first `len` bytes of `part`, which is a part of it.
fn splice(whole: &str, part: &str, len: usize, text: &str) -> Option<Vec<u8>> {
    let at = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let (before, rest) = whole.split_at_checked(at)?;
    let (_, after) = rest.split_at_checked(len)?;
    Some([before, text, after].concat().into_bytes())
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn wanted() -> Idempotency {
        Idempotency { header: Some("idempotency-key".to_owned()), meta: Some("example.com/key".to_owned()) }
    }

    fn call(params: &str) -> String {
        format!(r#"{{ "jsonrpc":"2.0", "id":1,"method":"tools/call","params":{params} }}"#)
    }

    /// The header, and the body's params.
    fn given(params: &str, sent: Option<&str>) -> (Option<String>, Option<String>) {
        let given = give(&wanted(), call(params).as_bytes(), sent.map(str::as_bytes), "new");
        let body = given.body.map(|body| String::from_utf8(body).unwrap());
        let params = body.map(|body| {
            let (start, end) = (call("").find(" }").unwrap(), body.len() - 2);
            body[start..end].to_owned()
        });
        (given.header, params)
    }

    fn both(header: &str, params: &str) -> (Option<String>, Option<String>) {
        (Some(header.to_owned()), Some(params.to_owned()))
    }

    #[test]
    fn a_call_without_a_key_gets_one_in_both_places_and_else_stays_as_it_is() {
        assert_eq!(
            given(r#"{"name":"a", "arguments":{ "x": 1.0 }}"#, None),
            both("\"new\"", r#"{"_meta":{"example.com/key":"new"},"name":"a", "arguments":{ "x": 1.0 }}"#)
        );
        assert_eq!(
            given(r#"{"name":"a","_meta":{ "p": 1}}"#, None),
            both("\"new\"", r#"{"name":"a","_meta":{"example.com/key":"new", "p": 1}}"#)
        );
        assert_eq!(
            given(r#"{"_meta":null,"name":"a"}"#, None),
            both("\"new\"", r#"{"_meta":{"example.com/key":"new"},"name":"a"}"#)
        );
        assert_eq!(given("{\"_meta\":{ }}", None), both("\"new\"", r#"{"_meta":{"example.com/key":"new" }}"#));
    }

    #[test]
    fn a_clients_own_key_is_kept_and_counts_in_the_other_place_too() {
        let own = r#"{"name":"a","_meta":{"example.com/key":"mine"}}"#;
        assert_eq!(given(own, None), (Some("\"mine\"".to_owned()), None));
        assert_eq!(given(own, Some("\"other\"")), (None, None));
        let (header, params) = given(r#"{"name":"a"}"#, Some("\"mine\""));
        assert_eq!((header, params.as_deref()), (None, Some(r#"{"_meta":{"example.com/key":"mine"},"name":"a"}"#)));
    }

    #[test]
    fn a_key_that_no_header_can_carry_stays_in_the_message() {
        for own in [r#""a\nb""#, r#""a\"b""#, r#""é""#] {
            let params = format!(r#"{{"_meta":{{"example.com/key":{own}}}}}"#);
            assert_eq!(given(&params, None), (None, None), "{own}");
        }
    }

    #[test]
    fn what_can_be_read_two_ways_or_not_at_all_is_left_alone() {
        for params in [r#"{"_meta":{},"_meta":{}}"#, "[]", r#"{"_meta":7}"#, r#"{"name":7}"#] {
            assert_eq!(given(params, None).1, None, "{params}");
        }
        for body in ["", "[]", "\u{0}", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#] {
            assert_eq!(give(&wanted(), body.as_bytes(), None, "new"), Given::default(), "{body}");
        }
    }
}
