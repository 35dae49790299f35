//! Who may read the page for operators.

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Whom the page is for, beyond what the listener asks of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guard {
    /// The names that it may be asked for under, in small letters. Addresses and `localhost` need not be named.
    pub hosts: Vec<String>,
    /// Whether a token is asked for.
    pub wants_token: bool,
}

/// Why the page is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is asked for under a name that nobody has allowed. A page of somebody else's can have its own name point to this
    /// machine, and would read whatever is answered under that name (DNS rebinding).
    Host,
    /// The token is missing, or another one.
    Token,
}

impl Guard {
    /// Asks for the request's authority and its authorization. `token`: the one that is right, as Envoy knows it now.
    ///
    /// # Errors
    /// If it is not to be answered.
    pub fn check(&self, authority: &[u8], authorization: Option<&[u8]>, token: Option<&[u8]>) -> Result<(), Refused> {
        let host = std::str::from_utf8(authority).unwrap_or_default();
        if !self.allows(host) {
            return Err(Refused::Host);
        }
        let right = token.filter(|token| !token.is_empty());
        let shown = authorization.and_then(shown);
        let is_right = shown.zip(right).is_some_and(|(shown, right)| is_same(&shown, right));
        if self.wants_token && !is_right { Err(Refused::Token) } else { Ok(()) }
    }

    /// An address can't be made to point elsewhere.
    fn allows(&self, authority: &str) -> bool {
        if let Some(rest) = authority.strip_prefix('[') {
            return rest.split_once(']').is_some_and(|(host, port)| host.parse::<Ipv6Addr>().is_ok() && is_port(port));
        }
        let (host, port) = authority.find(':').and_then(|at| authority.split_at_checked(at)).unwrap_or((authority, ""));
        let is_named =
            || host.eq_ignore_ascii_case("localhost") || self.hosts.iter().any(|name| name.eq_ignore_ascii_case(host));
        is_port(port) && (host.parse::<Ipv4Addr>().is_ok() || is_named())
    }
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

/// The token in an `Authorization` header: as a bearer's, or as the password of whoever, which is how a browser asks for it.
fn shown(authorization: &[u8]) -> Option<Vec<u8>> {
    let at = authorization.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = authorization.split_at_checked(at)?;
    let rest = rest.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(rest.to_vec());
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let pair = STANDARD.decode(rest).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    pair.get(colon.checked_add(1)?..).map(<[u8]>::to_vec)
}

/// Whether two texts are the same, in a time that tells no more than whether they are as long as each other: nobody can find a
/// token letter by letter.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differing = one.iter().zip(other).fold(0, |found, (one, other)| std::hint::black_box(found | (one ^ other)));
    one.len() == other.len() && differing == 0
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn guard(wants_token: bool) -> Guard {
        Guard { hosts: vec!["status.example.com".to_owned()], wants_token }
    }

    #[test]
    fn the_page_is_shown_under_addresses_this_machine_s_name_and_those_that_are_named() {
        for (authority, expected) in [
            ("127.0.0.1:9903", true),
            ("127.0.0.1", true),
            ("10.1.2.3:9903", true),
            ("[::1]:9903", true),
            ("[::1]", true),
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("status.example.com:443", true),
            ("Status.Example.com", true),
            ("evil.example.com:9903", false),
            ("status.example.com.evil.example", false),
            ("localhost.evil.example:9903", false),
            ("127.0.0.1.evil.example", false),
            ("127.0.0.1@evil.example", false),
            ("evil.example@127.0.0.1", false),
            ("localhost:evil", false),
            ("localhost:9903:9903", false),
            ("[::1]evil.example", false),
            ("[evil.example]:9903", false),
            ("::1", false),
            ("2130706433", false),
            ("0x7f.1", false),
            ("", false),
        ] {
            let told = guard(false).check(authority.as_bytes(), None, None);
            assert_eq!(told, if expected { Ok(()) } else { Err(Refused::Host) }, "{authority}");
        }
        assert_eq!(guard(false).check(b"\xff", None, None), Err(Refused::Host));
    }

    #[test]
    fn a_token_is_shown_as_a_bearer_s_or_as_a_password_and_any_other_is_refused() {
        let ask = |authorization: Option<&str>, token: Option<&[u8]>| {
            guard(true).check(b"localhost", authorization.map(str::as_bytes), token).is_ok()
        };
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        let right = Some(&b"s3:cret"[..]);
        for (authorization, expected) in [
            (Some("Bearer s3:cret".to_owned()), true),
            (Some("bearer  s3:cret ".to_owned()), true),
            (Some(basic("anybody:s3:cret")), true),
            (Some(basic(":s3:cret")), true),
            (Some("Bearer s3:cre".to_owned()), false),
            (Some("Bearer s3:cretx".to_owned()), false),
            (Some("Bearer".to_owned()), false),
            (Some("Bearer ".to_owned()), false),
            (Some("s3:cret".to_owned()), false),
            (Some(basic("s3")), false),
            (Some("Basic ???".to_owned()), false),
            (Some("Digest s3:cret".to_owned()), false),
            (None, false),
        ] {
            assert_eq!(ask(authorization.as_deref(), right), expected, "{authorization:?}");
        }
        for none in [None, Some(&b""[..])] {
            assert!(
                !ask(Some("Bearer "), none) && !ask(Some("Bearer s3:cret"), none),
                "without a token nobody is let in"
            );
        }
        assert!(guard(false).check(b"localhost", None, None).is_ok());
    }
}
