//! What a REST attempt does to the client's headers, and what an MCP attempt after it needs to undo that: Envoy keeps
//! header mutations from one attempt to the next.

use super::passage::reaches_rest;
use crate::registry::ServerKind;
use crate::wiring::header;

/// Headers with their values.
pub type HeaderList = Vec<(String, Vec<u8>)>;

/// Whether in hops of these kinds, in order, an MCP server comes after a REST server, so that the plan must carry the
/// client's own headers ([`originals`]). Any order of hops can be planned then.
pub fn mcp_follows_rest(kinds: impl IntoIterator<Item = ServerKind>) -> bool {
    let mut rest_seen = false;
    kinds.into_iter().any(|kind| {
        rest_seen |= kind == ServerKind::Rest;
        rest_seen && kind == ServerKind::Mcp
    })
}

/// Whether a REST attempt may take this header of the client's off, or set it. `mapped` are the names that the tool's mapping
/// sets. What the route takes off is off already, and stays so.
pub fn is_touched_by_rest<'m>(name: &str, mut mapped: impl Iterator<Item = &'m str>) -> bool {
    let is_touched = !reaches_rest(name) || name == "accept" || mapped.any(|set| set == name);
    is_touched && !header::REMOVED_BY_ROUTE.contains(&name)
}

/// Of the client's headers those for which `is_touched` holds, each name once.
pub fn originals<'h>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    is_touched: impl Fn(&str) -> bool,
) -> HeaderList {
    let mut kept: HeaderList = Vec::new();
    for (name, value) in headers {
        if !is_touched(name) {
            continue;
        }
        match kept.iter_mut().find(|(known, _)| *known == name) {
            // Several lines of one name are the same as one line with their values in a list.
            Some((_, values)) => {
                values.extend_from_slice(b", ");
                values.extend_from_slice(value);
            }
            None => kept.push((name.to_owned(), value.to_vec())),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::ServerKind::{Mcp, Rest};
    use super::*;

    #[test]
    fn headers_are_kept_only_for_an_mcp_server_behind_a_rest_server() {
        for kinds in [&[][..], &[Mcp], &[Rest], &[Mcp, Mcp, Rest]] {
            assert!(!mcp_follows_rest(kinds.iter().copied()), "{kinds:?}");
        }
        for kinds in [&[Rest, Mcp][..], &[Mcp, Rest, Mcp]] {
            assert!(mcp_follows_rest(kinds.iter().copied()), "{kinds:?}");
        }
    }

    #[test]
    fn what_rest_touches_is_kept_once_and_nothing_else() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        let headers = [
            pair(":path", "/mcp"),
            pair("accept", "application/json"),
            pair("accept", "text/event-stream"),
            pair("user-agent", "agent"),
            pair("x-forwarded-for", "192.0.2.1"),
            pair("traceparent", "00-1-2-01"),
            pair("x-any", "1"),
            pair("mcp-method", "tools/call"),
        ];
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let kept = originals(headers, |name| is_touched_by_rest(name, ["user-agent"].into_iter()));
        assert_eq!(
            kept,
            [
                pair("accept", "application/json, text/event-stream"),
                pair("user-agent", "agent"),
                pair("x-any", "1"),
                pair("mcp-method", "tools/call"),
            ]
        );
    }
}
