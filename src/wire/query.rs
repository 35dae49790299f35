//! The query of a URL: which one is sent to a server, and what it is made of (RFC 3986, 3.4).

use super::token_like::looks_like_a_token;

/// The longest query that is sent, in bytes.
const LONGEST: usize = 2048;

/// What stands before a secret.
const SECRETS: [&str; 4] = ["key=", "token=", "secret=", "password="];

/// The text of a query that may be sent. It can't end, and begin a path, a fragment or another header, and nothing in it
/// looks like a token or is named like one: a query stands in the logs of every server on its way.
///
/// # Errors
/// The rule that it breaks, of the URL that has it.
#[inline(never)]
pub fn sendable(query: &[u8]) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(query).ok().filter(|text| text.len() <= LONGEST);
    let plain = text.and_then(plain).filter(|plain| !plain.iter().any(u8::is_ascii_control));
    let (Some(text), Some(plain)) = (text, plain) else {
        return Err("must have a query of at most 2048 legal characters");
    };
    let is_named = SECRETS.iter().any(|secret| has(&plain, secret.as_bytes()));
    if is_named || looks_like_a_token(&String::from_utf8_lossy(&plain)) {
        return Err("must have a query without a token");
    }
    Ok(text)
}

/// Whether two queries give a value to one parameter. Servers read names in many ways, so names count as one that any of them
/// could take for one.
#[inline(never)]
pub fn share_a_name(one: &str, other: &str) -> bool {
    let (Some(one), Some(other)) = (plain(one), plain(other)) else { return false };
    let mut rest = one.as_slice();
    while let Some((first, behind)) = rest.split_first() {
        let end = behind.iter().position(|b| *b == b'=').unwrap_or_default();
        // With the signs around it.
        let name = rest.get(..end.saturating_add(2)).unwrap_or_default();
        if *first == b'&' && end > 0 && has(&other, name) {
            return true;
        }
        rest = behind;
    }
    false
}

/// Whether `text` has no other characters than a path or a query may have (RFC 3986 `pchar`, `/` and `?`), and `%` only before
/// two hexadecimal digits.
pub fn is_legal(text: &str) -> bool {
    plain(text).is_some()
}

#[inline(never)]
fn has(plain: &[u8], part: &[u8]) -> bool {
    plain.windows(part.len()).any(|some| some.eq_ignore_ascii_case(part))
}

/// What a server may make of a query: its escapes decoded, each name between `&` and `=`, without what some leave out of it: spaces,
/// and what makes of `name[]` and `name[x]` parts of the list `name`. `None` for what has illegal characters.
#[inline(never)]
fn plain(query: &str) -> Option<Vec<u8>> {
    let mut plain = vec![b'&'];
    let mut in_name = true;
    let mut bytes = query.bytes();
    while let Some(raw) = bytes.next() {
        let byte = match raw {
            b'%' => (0..2).try_fold(0, |byte, _| {
                let digit = char::from(bytes.next()?).to_digit(16)?;
                Some(byte << 4 | u8::try_from(digit).ok()?)
            })?,
            b';' => b'&',
            b'!' | b'$'..=b':' | b'=' | b'?'..=b'Z' | b'_' | b'a'..=b'z' | b'~' => raw,
            _ => return None,
        };
        if in_name && matches!(byte, b'&' | b'=' | b'[') {
            plain.push(b'=');
            in_name = false;
        }
        in_name |= byte == b'&';
        if !in_name || !matches!(byte, b'+' | b' ') {
            plain.push(byte);
        }
    }
    plain.push(b'=');
    Some(plain)
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_query_of_plain_parameters_may_be_sent_as_it_is() {
        for query in [
            "tenant=a",
            "toolsets=core,sql&read-only",
            "q=a%20b%2Fc/d?e:f@g",
            "q=%C3%84",
            "",
            "max_tokens=5&keys=x&token_type=y",
            "id=3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        ] {
            assert_eq!(sendable(query.as_bytes()), Ok(query));
        }
    }

    #[test]
    fn what_could_end_a_query_or_is_no_text_is_not_sent() {
        for query in
            ["a b", "a#b", "a\r\nhost: x", "a\0", "a%0d%0ab", "a%00", "a%", "a%2", "a%zz", "a[]=1", "ä", "a\"b", "a\\b"]
        {
            assert_eq!(
                sendable(query.as_bytes()),
                Err("must have a query of at most 2048 legal characters"),
                "{query}"
            );
        }
        assert!(sendable(b"a=\xff").is_err());
        assert_eq!(sendable(&[b'a'; LONGEST + 1]), Err("must have a query of at most 2048 legal characters"));
        assert!(sendable(&[b'a'; LONGEST]).is_ok());
    }

    #[test]
    fn a_query_holds_no_token_however_it_is_written() {
        for query in [
            "a=1&t=eyJhbGciOiJIUzI1NiJ9.SECRETSECRET.sig",
            "t=ver%3A1-hint%3A24680-ETMsjXdC",
            "t=%65yJhbGciOiJIUzI1NiJ9.SECRETSECRET.sig",
            "eyJhbGciOiJIUzI1NiJ9.SECRETSECRET.sig",
            "a=Bearer%20SECRET-R-4444",
            "token=hunter2",
            "a=1&Access_Token=hunter2",
            "a;api-key=hunter2",
            "my%41piKey=hunter2",
            "key=hunter2",
            "client_secret",
            "x&client_secret&y",
            "back=/x?token=hunter2",
        ] {
            assert_eq!(sendable(query.as_bytes()), Err("must have a query without a token"), "{query}");
        }
    }

    #[test]
    fn a_parameter_is_known_under_every_name_that_a_server_may_read_as_its_own() {
        for other in [
            "tenant=b",
            "x&tenant",
            "x;tenant=b",
            "TENANT=b",
            "%74enant=b",
            "tenant%5B%5D=b",
            "+tenant=b",
            "a=1&tenant+=b",
        ] {
            assert!(share_a_name("region=eu&tenant=a", other), "{other}");
        }
        for other in ["", "x=tenant", "tenants=b", "tenan=b", "&&=", "=&="] {
            assert!(!share_a_name("region=eu&tenant=a", other), "{other}");
        }
        assert!(!share_a_name("", ""));
    }

    #[cfg(not(target_family = "wasm"))]
    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_what_is_sent_stays_a_query(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
            if let Ok(text) = sendable(&bytes) {
                proptest::prop_assert!(text.bytes().all(|b| b.is_ascii_graphic() && b != b'#'));
                let longer = ["x&", text].concat();
                let is_nameless = !text.contains(char::is_alphanumeric) || text.starts_with('=');
                proptest::prop_assert!(is_nameless || share_a_name(text, &longer), "{text}");
            }
        }
    }
}
