//! Where OAuth clients look for what a protected resource demands, under the paths that RFC 8414 and RFC 9728 give: routes
//! to the server itself, for clients that authenticate with it. Requests there are nobody's calls. They pass no filter of
//! Dualpath's, so no credential is put in, and none of the client's goes along.

use serde_json::{Map, Value, json};

use super::duration;
use crate::registry::{Registry, Server, ServerKind};
use crate::wiring::{cluster, header};

/// What is asked for, below the root of an origin; the path of the resource may follow.
const DOCUMENTS: [&str; 3] = [
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
];

/// What a client sends elsewhere and not there.
const PRIVATE: [&str; 4] = ["authorization", "cookie", "mcp-session-id", "proxy-authorization"];

/// The server that clients authenticate with: the first of the order that gets what they do that with.
pub(super) fn server(registry: &Registry) -> Option<&Server> {
    let mcp = registry.mcp_servers().into_iter().filter_map(|at| registry.server(at));
    let rest = registry.servers.iter().filter(|server| server.kind == ServerKind::Rest);
    mcp.chain(rest).find(|server| registry.gets_client_authorization(server))
}

/// The routes, if there is such a server. What is said of the endpoint's path is asked of the server's.
pub(super) fn routes(registry: &Registry) -> Vec<Value> {
    let Some(server) = server(registry) else { return Vec::new() };
    let of = |document: &str| {
        let (ours, theirs) = (registry.listener.path.trim_end_matches('/'), server.url.path.trim_end_matches('/'));
        let resource = json!({"path": format!("{document}{ours}")});
        let whole = json!({"path_separated_prefix": document});
        [route(server, resource, Some(format!("{document}{theirs}"))), route(server, whole, None)]
    };
    DOCUMENTS.into_iter().flat_map(of).collect()
}

fn route(server: &Server, mut condition: Value, path: Option<String>) -> Value {
    let get = json!([{"name": ":method", "string_match": {"exact": "GET"}}]);
    if let Some(condition) = condition.as_object_mut() {
        condition.insert("headers".to_owned(), get);
    }
    let mut action = Map::new();
    let mut put = |key: &str, value: Value| action.insert(key.to_owned(), value);
    put("cluster", json!(cluster::DISCOVERY));
    put("host_rewrite_literal", json!(server.url.authority()));
    path.into_iter().for_each(|path| drop(put("prefix_rewrite", json!(path))));
    put("timeout", duration(server.timeout));
    json!({
        "name": cluster::DISCOVERY,
        "match": condition,
        "request_headers_to_remove": PRIVATE.iter().chain(&header::REMOVED_BY_ROUTE).collect::<Vec<_>>(),
        "response_headers_to_remove": header::REMOVED_FROM_ANSWER.iter().chain(&["set-cookie"]).collect::<Vec<_>>(),
        "route": action,
    })
}
