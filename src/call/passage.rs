//! Which headers pass: from a client to the servers, and from a server to the client.

use crate::registry::ServerKind;
use crate::wiring::header;

/// Headers in which proxies tell where a request comes from and how it was addressed. Servers and the frameworks in them
/// believe them, and would take the client for somebody else, or redirect it to an address of the way that lies behind.
const FORWARDING: [&str; 12] = [
    "cf-connecting-ip",
    "fastly-client-ip",
    "forwarded",
    "front-end-https",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-real-ip",
    "x-scheme",
    "x-url-scheme",
];

/// Headers that have a server take the request for another one than was read here. What is behind the last is not: the gate
/// lets nothing in that is encoded.
const OVERRIDING: [&str; 4] = ["content-encoding", "x-http-method", "x-method-override", "x-override-url"];

/// What the names of more of either kind begin with.
const FAMILIES: [&str; 4] = ["x-forwarded-", "x-http-method-", "x-original-", "x-rewrite-"];

/// Whether no server may see this header of a client, whatever kind of server it is.
pub fn is_kept_from_servers(name: &str) -> bool {
    // Most names of a request begin with none of these: each is asked about with every call.
    if !name.starts_with(['c', 'f', 't', 'v', 'x']) {
        return false;
    }
    FAMILIES.iter().any(|family| name.starts_with(family)) || FORWARDING.contains(&name) || OVERRIDING.contains(&name)
}

/// Whether a plain API gets this header as the client has sent it. With the credential of such a server a client can do
/// what the mapping says and nothing else, so nobody has to know what a header would mean there.
pub fn reaches_rest(name: &str) -> bool {
    name.starts_with(':')
        || matches!(name, "accept" | "accept-encoding" | "traceparent" | "tracestate" | "user-agent" | "x-request-id")
}

/// Whether no client may see this header of a server. Those of our own are for attempts to write: from a server they could
/// have a call repeated that must not be. Envoy's could steer an Envoy before this one. Which web pages may read an answer,
/// the gate says. A cookie would come back to whichever server is next.
///
/// Of a plain API's answer an MCP client has use for little, and the rest was written for somebody else.
pub fn is_kept_from_clients(kind: ServerKind, name: &str) -> bool {
    match kind {
        ServerKind::Mcp => {
            [header::PREFIX, "access-control-", "x-envoy-"].iter().any(|family| name.starts_with(family))
                || name == "set-cookie"
        }
        ServerKind::Rest => !matches!(
            name,
            ":status"
                | "content-encoding"
                | "content-length"
                | "content-type"
                | "date"
                | "retry-after"
                | "server"
                | "traceparent"
                | "tracestate"
                | "transfer-encoding"
                | "www-authenticate"
                | "x-request-id"
        ),
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn what_tells_of_the_way_or_of_another_request_reaches_no_server() {
        for name in [
            "forwarded",
            "via",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-user",
            "x-forwarded-prefix",
            "x-real-ip",
            "x-http-method-override",
            "x-http-method",
            "x-original-url",
            "x-original-host",
            "x-rewrite-url",
            "content-encoding",
        ] {
            assert!(is_kept_from_servers(name), "{name}");
            assert!(!reaches_rest(name), "{name}");
        }
        for name in
            ["accept", "mcp-session-id", "mcp-param-region", "user-agent", "x-request-id", "x-any", "content-type"]
        {
            assert!(!is_kept_from_servers(name), "{name}");
        }
    }

    #[test]
    fn every_name_that_is_listed_is_kept_from_servers() {
        for name in FORWARDING.iter().chain(&OVERRIDING).chain(&FAMILIES) {
            assert!(is_kept_from_servers(name), "{name}");
        }
    }

    #[test]
    fn a_plain_api_gets_no_header_that_it_could_take_for_an_order() {
        for name in ["sudo", "impersonate-user", "private-token", "range", "prefer", "x-any", "mcp-method", "origin"] {
            assert!(!reaches_rest(name), "{name}");
        }
    }

    #[test]
    fn what_is_between_a_server_and_this_proxy_reaches_no_client() {
        for name in ["set-cookie", "x-dualpath-failover", "x-envoy-ratelimited", "access-control-allow-origin"] {
            assert!(is_kept_from_clients(ServerKind::Mcp, name), "{name}");
            assert!(is_kept_from_clients(ServerKind::Rest, name), "{name}");
        }
        for name in ["location", "x-internal", "x-snowflake-token", "content-disposition", "vary", "etag"] {
            assert!(is_kept_from_clients(ServerKind::Rest, name), "{name}");
            assert!(!is_kept_from_clients(ServerKind::Mcp, name), "{name}");
        }
    }
}
