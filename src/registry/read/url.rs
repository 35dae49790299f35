//! A strict parser for the URLs of upstream servers: what Envoy can be told as a cluster, and nothing else.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::registry::Url;
use crate::wire::{Violation, query};

impl Url {
    /// Takes `scheme://host[:port][/path]` apart. Host names come out in lower case.
    ///
    /// # Errors
    /// The first rule that `text` breaks: another scheme, user information, a query, a fragment, or an illegal host, port
    /// or path.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(Violation::of("must be a URL that begins with https:// or http://")),
        };
        if rest.contains('#') {
            return Err(Violation::of("must not have a fragment (#...)"));
        }
        if rest.contains('?') {
            return Err(Violation::of("must not have a query (?...)"));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(Violation::of("must not have a user name or password").hint("name a credential instead"));
        }
        let (host, port) = split_port(authority)?;
        let port = match port {
            Some(port) => parse_port(port)?,
            None if tls => 443,
            None => 80,
        };
        let path = if path.is_empty() { "/" } else { path };
        check_path(path)?;
        Ok(Url { tls, host: parse_host(host)?, port, path: path.to_owned() })
    }
}

/// Takes `host[:port]` apart, as in a URL.
///
/// # Errors
/// The first rule that `text` breaks, in the words for a URL.
#[cfg(feature = "cli")]
pub(super) fn parse_authority(text: &str) -> Result<(String, Option<u16>), Violation> {
    let (host, port) = split_port(text)?;
    Ok((parse_host(host)?, port.map(parse_port).transpose()?))
}

/// Splits `host:port`; an IPv6 address keeps its brackets.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), Violation> {
    if !authority.starts_with('[') {
        return Ok(authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))));
    }
    let unclosed =
        || Violation::of("must be a URL whose IPv6 address stands in brackets").hint("such as http://[::1]:8080/");
    let (inside, after) = authority.split_once(']').ok_or_else(unclosed)?;
    let host = authority.get(..=inside.len()).ok_or_else(unclosed)?;
    match after.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if after.is_empty() => Ok((host, None)),
        None => Err(unclosed()),
    }
}

fn parse_port(text: &str) -> Result<u16, Violation> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let port = if digits { text.parse().ok() } else { None };
    port.filter(|port| *port != 0).ok_or_else(|| Violation::of("must be a URL with a port from 1 to 65535"))
}

/// A host name in lower case, or an IP address; an IPv6 address loses its brackets.
fn parse_host(text: &str) -> Result<String, Violation> {
    if let Some(inside) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address = inside.parse::<Ipv6Addr>();
        return address.map(|ip| ip.to_string()).map_err(|_| Violation::of("must be a URL with a valid IPv6 address"));
    }
    let label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        inner && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.len() > 253 || !text.split('.').all(label) {
        return Err(Violation::of("must be a URL with a host name or an IP address"));
    }
    if text.contains('_') {
        // TLS certificates match host names by their labels, and an underscore is not legal in one; Snowflake serves
        // every account under a name with hyphens as well.
        return Err(
            Violation::of("must be a URL whose host has no underscore").hint("use hyphens: TLS fails otherwise")
        );
    }
    // A last label of digits is an IPv4 address or nothing: no top-level domain is numeric, and resolvers disagree.
    let last = text.rsplit('.').next().unwrap_or(text);
    if last.bytes().all(|b| b.is_ascii_digit()) && text.parse::<Ipv4Addr>().is_err() {
        return Err(Violation::of("must be a URL with a valid IPv4 address"));
    }
    Ok(text.to_ascii_lowercase())
}

/// Whether `path` is an absolute path without query and fragment that no proxy on the way would rewrite.
///
/// # Errors
/// The first rule that it breaks.
pub(super) fn check_path(path: &str) -> Result<(), Violation> {
    if !path.starts_with('/') {
        return Err(Violation::of("must be a path that begins with /"));
    }
    if path.contains(['?', '#']) {
        return Err(Violation::of("must be a path without query and fragment"));
    }
    if !query::is_legal(path) {
        return Err(Violation::of("must be a path of legal characters").hint("write others as %XX"));
    }
    if path.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(Violation::of("must be a path without . and .. segments"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let cases = [
            ("https://Org-Acct.Example.com", (true, "org-acct.example.com", 443, "/")),
            ("http://127.0.0.1:18081/mcp", (false, "127.0.0.1", 18081, "/mcp")),
            ("http://[::1]:8080/a%20b/", (false, "::1", 8080, "/a%20b/")),
            ("https://[2001:DB8::1]", (true, "2001:db8::1", 443, "/")),
        ];
        for (text, (tls, host, port, path)) in cases {
            let expected = Url { tls, host: host.to_owned(), port, path: path.to_owned() };
            assert_eq!(Url::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_plain_http_url_is_refused() {
        let long_label = format!("http://{}.com", "a".repeat(64));
        let cases = [
            ("ftp://host", "begins with https://"),
            ("HTTPS://host", "begins with https://"),
            ("host/path", "begins with https://"),
            ("http://", "host name"),
            ("http:///path", "host name"),
            ("http://user:pass@host/", "user name or password"),
            ("http://host/?q=1", "query"),
            ("http://host?q=1", "query"),
            ("http://host/#f", "fragment"),
            ("https://my_account.example.com/", "no underscore"),
            ("http://-a.com", "host name"),
            ("http://a..com", "host name"),
            ("http://a.com.", "host name"),
            ("http://h\u{e9}.com", "host name"),
            ("http://a b", "host name"),
            (&long_label, "host name"),
            ("http://1.2.3", "IPv4"),
            ("http://256.1.1.1", "IPv4"),
            ("http://[::1", "brackets"),
            ("http://[::1]x", "brackets"),
            ("http://[1.2.3.4]", "IPv6"),
            ("http://[fe80::1%eth0]/", "IPv6"),
            ("http://::1/", "port"),
            ("http://host:", "port"),
            ("http://host:0", "port"),
            ("http://host:+80", "port"),
            ("http://host:65536", "port"),
            ("http://host/a b", "legal characters"),
            ("http://host/%zz", "legal characters"),
            ("http://host/a%", "legal characters"),
            ("http://host/a\r\nb", "legal characters"),
            ("http://host/../etc", ". and .. segments"),
        ];
        for (text, rule) in cases {
            let violation = Url::parse(text).expect_err(text);
            assert!(violation.rule.contains(rule), "{text}: {}", violation.rule);
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_comes_back_from_its_own_parts(text in "(http|https)://[\\[\\]a-zA-Z0-9.:_@-]{0,20}(/[ -~]{0,10})?") {
            if let Ok(url) = Url::parse(&text) {
                let scheme = if url.tls { "https" } else { "http" };
                prop_assert_eq!(Url::parse(&format!("{scheme}://{}{}", url.authority(), url.path)), Ok(url));
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(https?://)?\\PC*") {
            let _ = Url::parse(&text);
        }
    }
}
