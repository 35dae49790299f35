//! Web pages: which may call the endpoint, and what their browser has to be told for it (CORS, in the Fetch standard).
//!
//! A browser says of each request which page has sent it, and sends it with whatever this machine can reach. So a page that
//! the operator has not named is refused, as MCP demands of a server: it could use the credentials that are injected here.

use super::headers::RequestHeaders;
use crate::registry::Listener;

/// The header that names the page's origin. Servers with a check of their own know nothing of the pages that may call here,
/// so it ends at the gate.
pub const ORIGIN: &str = "origin";

/// How long a browser need not ask again, in seconds; none keeps the answer longer.
const MAX_AGE: &str = "7200";

/// What a page may read of an answer beyond what every page may.
const EXPOSED: &str = "mcp-session-id, retry-after, www-authenticate";
const EXPOSED_WITH_WAY: &str =
    "mcp-session-id, retry-after, www-authenticate, x-dualpath-server, x-dualpath-attempts, x-dualpath-registry";

/// What a page may send where its browser does not ask for names.
const ACCEPTED: &str =
    "accept, authorization, content-type, last-event-id, mcp-method, mcp-name, mcp-protocol-version, mcp-session-id";

/// A page that may not call.
#[derive(Debug, PartialEq, Eq)]
pub struct Foreign;

/// The page that sends a request, by its position in [`Listener::allowed_origins`]; `None` if no page does.
///
/// # Errors
/// If it may not. A browser does not name the origin with every GET, but then says that the page is of another one. What is
/// named twice is not named.
pub fn sender(headers: RequestHeaders<'_>, listener: &Listener) -> Result<Option<usize>, Foreign> {
    let mut sender = None;
    let mut elsewhere = false;
    for (name, value) in headers.pairs() {
        match name {
            ORIGIN => {
                let known = listener.allowed_origins.iter().position(|allowed| allowed.as_bytes() == value);
                if known.is_none() || sender.is_some() {
                    return Err(Foreign);
                }
                sender = known;
            }
            "sec-fetch-site" => elsewhere = matches!(value, b"cross-site" | b"same-site"),
            _ => {}
        }
    }
    if elsewhere && sender.is_none() { Err(Foreign) } else { Ok(sender) }
}

/// What every answer to `origin` carries. `vary` as well, which is a list and may have more in it.
///
/// `with_way`: which way a call went may be seen.
pub fn shown(origin: &str, with_way: bool) -> [(&str, &str); 3] {
    let exposed = if with_way { EXPOSED_WITH_WAY } else { EXPOSED };
    [("access-control-allow-origin", origin), ("access-control-expose-headers", exposed), ("vary", "Origin")]
}

/// What a preflight is told beyond that. The page may send whichever headers its browser asks for: what is not a client's to
/// send ends at the gate anyway, and parameters of MCP tools may have headers of any name.
pub fn preflight<'t>(methods: &'t str, asked: Option<&'t str>) -> [(&'t str, &'t str); 3] {
    [
        ("access-control-allow-methods", methods),
        ("access-control-allow-headers", asked.unwrap_or(ACCEPTED)),
        ("access-control-max-age", MAX_AGE),
    ]
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn of(headers: &[(&str, &[u8])]) -> Result<Option<usize>, Foreign> {
        let allowed_origins = vec!["https://a.example".to_owned(), "https://b.example".to_owned()];
        sender(RequestHeaders(headers), &Listener { allowed_origins, ..Listener::default() })
    }

    #[test]
    fn a_page_is_known_by_its_origin_alone() {
        assert_eq!(of(&[("accept", b"*/*")]), Ok(None));
        assert_eq!(of(&[("origin", b"https://b.example")]), Ok(Some(1)));
        assert_eq!(of(&[("sec-fetch-site", b"cross-site"), ("origin", b"https://a.example")]), Ok(Some(0)));
        for other in [&b"https://a.example:1"[..], b"http://a.example", b"HTTPS://a.example", b"null", b"", b"\xff"] {
            assert_eq!(of(&[("origin", other)]), Err(Foreign), "{other:?}");
        }
        let twice = [("origin", &b"https://a.example"[..]), ("origin", b"https://a.example")];
        assert_eq!(of(&twice), Err(Foreign), "of two nobody can tell which one counts");
    }

    #[test]
    fn a_page_of_another_origin_that_is_not_named_is_foreign() {
        for (site, allowed) in
            [("cross-site", false), ("same-site", false), ("same-origin", true), ("none", true), ("?", true)]
        {
            assert_eq!(of(&[("sec-fetch-site", site.as_bytes())]).is_ok(), allowed, "{site}");
        }
    }
}
