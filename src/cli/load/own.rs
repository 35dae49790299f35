//! The keys that the command line reads itself, and of which nothing is left in what it hands on: `include`, `vars`,
//! `environments`.

use super::names::{is_called_like_a_secret, is_name};
use crate::json::Value;
use crate::registry::{Id, Problem};
use crate::wire::{Node, Problems, Table};

/// Their names.
pub(in crate::cli) const OWN_KEYS: [&str; 3] = ["include", "vars", "environments"];

/// What one file says of them.
pub(super) struct Own {
    /// The files that it includes, with the paths of where it says so.
    pub includes: Vec<(String, String)>,
    /// What is wrong with them.
    pub problems: Vec<Problem>,
    /// What looks like a token anywhere in the file.
    pub tokens: Vec<Problem>,
}

/// Reads the keys in a file.
pub(super) fn read(file: &serde_json::Value, included: bool) -> Own {
    let file = &Value::from(file);
    let problems = Problems::default();
    let root = Node::root(file, &problems);
    let mut includes = Vec::new();
    // What is no mapping the reader refuses, unless it is laid under one that hides it.
    if (file.as_object().is_some() || included)
        && let Some(table) = root.table()
    {
        if let Some(node) = table.optional("include") {
            includes = read_include(&node);
        }
        if let Some(node) = table.optional("vars") {
            read_vars(&node);
        }
        if let Some(node) = table.optional("environments") {
            read_environments(&node);
        }
        if included {
            refuse_other_versions(&table);
        }
    }
    let tokens = Problems::default();
    Node::root(file, &tokens).refuse_tokens();
    Own { includes, problems: problems.into_vec(), tokens: tokens.into_vec() }
}

/// What is wrong with these keys of a registry.
pub(in crate::cli) fn problems(registry: &serde_json::Value) -> Vec<Problem> {
    read(registry, false).problems
}

fn read_include(node: &Node) -> Vec<(String, String)> {
    let is_path = |value: &Value| {
        value
            .as_str()
            .filter(|path| !path.is_empty() && !path.contains("${") && !path.chars().any(char::is_control))
            .map(str::to_owned)
    };
    let found: Option<Vec<_>> = match node.value() {
        Value::Array(entries) => {
            entries.iter().enumerate().map(|(at, entry)| Some((is_path(entry)?, format!("include[{at}]")))).collect()
        }
        value => is_path(value).map(|path| vec![(path, "include".to_owned())]),
    };
    found.unwrap_or_else(|| {
        node.refuse_with(
            "must be the path of a file, or a list of them, without variables",
            "what differs between environments goes under environments, in whichever file",
        );
        Vec::new()
    })
}

fn read_vars(node: &Node) {
    let Some(table) = node.table() else { return };
    for (name, node) in table.entries() {
        if !is_name(name) {
            node.refuse("must be under the name of a variable: A-Z, 0-9 and _");
        } else if is_called_like_a_secret(name) {
            node.veiled().refuse_with(
                "is called like a secret: a registry never holds one",
                "name the place that it comes from in a slot of a credential, such as env or sds_file",
            );
        } else if !matches!(node.value(), Value::String(_) | Value::Number(_) | Value::Bool(_)) {
            node.refuse("must be a text, a number, true or false");
        }
    }
}

fn read_environments(node: &Node) {
    let Some(table) = node.table() else { return };
    for (name, node) in table.entries() {
        if Id::new(name).is_none() {
            node.refuse("must be under the name of an environment: a-z, 0-9, - and _");
        }
        let Some(table) = node.table() else { continue };
        for key in ["include", "environments", "environment", "version"] {
            if let Some(node) = table.unlisted(key) {
                node.refuse_with(
                    "must stand at the top of a file, not in an environment",
                    "an environment has any other key of a registry, with what is different there",
                );
            }
        }
        if let Some(node) = table.unlisted("vars") {
            read_vars(&node);
        }
    }
}

/// The version of the file that includes it would hide it.
fn refuse_other_versions(table: &Table) {
    if let Some(node) = table.optional("version")
        && node.value().as_u64() != Some(1)
    {
        node.refuse_with("must be 1", "this release reads no other version");
    }
}
