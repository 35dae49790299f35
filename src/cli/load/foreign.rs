//! Files of another kind that are named in the place of a registry. They are told as what they are, and not key by key.

use super::tree::{Node, Tree};
use crate::registry::Problem;
use crate::wire::VEIL;

/// Keys that a file of another kind has at its top and no registry has; what it is, and what to do about that.
const KINDS: [(&[&str], &str, &str); 5] = [
    (
        &["static_resources", "dynamic_resources", "bootstrap_extensions", "layered_runtime", "stats_config"],
        "is a configuration of Envoy, not a registry",
        "dualpath attach REGISTRY ENVOY puts a registry into it, and dualpath init writes a first one",
    ),
    (
        &["resources"],
        "is a file of resources for Envoy, not a registry",
        "dualpath pat check FILE looks at one with a secret",
    ),
    (
        &["mcpServers", "context_servers"],
        "is the settings of an MCP client, not a registry",
        "dualpath init --from-mcp-json FILE makes a registry of it",
    ),
    (&["apiVersion"], "is a manifest of Kubernetes, not a registry", "name the registry that it was made from"),
    (&["groups"], "is a file of Prometheus' rules, not a registry", "name the registry that it was made from"),
];

/// Keys that say that a registry was meant, whatever else there is.
const OURS: [&str; 5] = ["version", "servers", "tools", "credentials", "include"];

/// What to do about a document that is no mapping.
const SHAPE: &str = "a registry has version, servers and tools at its top: dualpath init writes a first one";

/// Why a document is no registry, nor a part of one. Nothing of it is shown: the file of a token or of variables may have been
/// named in the place of a registry.
pub(super) fn refusal(tree: &Tree) -> Option<Problem> {
    let whole = |value: &str, rule: &str, hint: &str| {
        let (value, rule) = (value.to_owned(), rule.to_owned());
        Some(Problem { path: "registry".to_owned(), value, rule, hint: Some(hint.to_owned()) })
    };
    let no_mapping = |value: &str| whole(value, "must be a mapping", SHAPE);
    match &tree.node {
        Node::Scalar(value) if value.is_string() => no_mapping("a text"),
        Node::Scalar(value) if value.is_number() => no_mapping("a number"),
        Node::Scalar(value) if value.is_null() => None,
        Node::Scalar(_) => no_mapping(VEIL),
        Node::List(entries) => no_mapping(&format!("[{} elements]", entries.len())),
        Node::Mapping(_) if OURS.iter().any(|key| tree.get(key).is_some()) => None,
        Node::Mapping(_) => {
            let is_it = |(keys, ..): &&(&[&str], &str, &str)| keys.iter().any(|key| tree.get(key).is_some());
            let (_, what, hint) = KINDS.iter().find(is_it)?;
            whole("", what, hint)
        }
    }
}
