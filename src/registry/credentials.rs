//! Reads `credentials`. Every value here may be a secret that somebody pasted where only a reference to one belongs, so
//! problems show only those that cannot be: names of entities and of headers.

use super::headers::{check_name, check_prefix, check_value};
use super::model::{Credential, Source};
use super::names::{Names, read_id};
use super::reader::{Node, Table};
use super::settings::{or, read_file};

/// Keys under which somebody might write the secret itself.
const SECRET_KEYS: [&str; 7] = ["token", "value", "secret", "password", "pat", "key", "api_key"];

impl Credential {
    /// Reads one credential and adds its name to `names`.
    pub(super) fn read(node: &Node, names: &mut Names) -> Option<Self> {
        let Some(table) = node.clone().veiled().table() else {
            names.add(None);
            return None;
        };
        let (id, id_node) = read_id(&table, "id");
        names.add(id_node.as_ref());
        let header = or(table.optional("header").map(Node::unveiled), "authorization".to_owned(), |node| {
            let name = node.string()?;
            check_name(name).map_err(|violation| node.violates(violation)).ok()?;
            Some(name.to_owned())
        });
        // `Bearer` is the scheme of `authorization`; another header has a form of its own.
        let bearer = header.as_deref().is_none_or(|name| name == "authorization");
        let prefix = or(table.optional("prefix"), if bearer { "Bearer " } else { "" }.to_owned(), read_prefix);
        let headers = or(table.optional("headers"), Vec::new(), |node| read_headers(node, header.as_deref()));
        let slots = table.required("slots").and_then(|node| read_slots(&node));
        refuse_secrets(&table);
        table.done();
        Some(Credential { id: id?, header: header?, prefix: prefix?, headers: headers?, slots: slots? })
    }
}

fn read_prefix(node: &Node) -> Option<String> {
    const LONGEST: usize = 32;
    let Some(prefix) = node.value().as_str() else {
        node.refuse("must be a string");
        return None;
    };
    if prefix.len() > LONGEST {
        node.refuse_with(
            format!("must be at most {LONGEST} characters"),
            "only what stands before the secret, not the secret",
        );
        return None;
    }
    check_prefix(prefix).map_err(|violation| node.violates(violation)).ok()?;
    Some(prefix.to_owned())
}

fn read_headers(node: &Node, secret_header: Option<&str>) -> Option<Vec<(String, String)>> {
    let read = |(name, node): (&str, Node)| {
        let mut legal = check_name(name).map_err(|violation| node.violates(violation)).is_ok();
        if Some(name) == secret_header {
            node.refuse("must not be the header that carries the secret");
            legal = false;
        }
        let value = node.string()?;
        check_value(value).map_err(|violation| node.violates(violation)).ok()?;
        legal.then(|| (name.to_owned(), value.to_owned()))
    };
    // Every header is read before the first failure counts, so that all problems are noted.
    let headers: Vec<_> = node.table()?.entries().into_iter().map(read).collect();
    headers.into_iter().collect()
}

fn read_slots(node: &Node) -> Option<[Option<Source>; 2]> {
    let table = node.table()?;
    let [a, b] = ["a", "b"].map(|slot| table.optional(slot));
    if a.is_none() && b.is_none() {
        node.refuse_with("must have slot a, slot b or both", "such as a: {sds_file: /etc/dualpath/pat.yaml}");
    }
    refuse_secrets(&table);
    table.done();
    let empty = a.is_none() && b.is_none();
    let first = or(a, None, |node| read_source(node).map(Some));
    let second = or(b.clone(), None, |node| read_source(node).map(Some));
    let (first, second) = (first?, second?);
    if let (Some(node), true) = (b, first == second) {
        node.refuse_with("must be another source than slot a", "leave one slot out until there is a second secret");
        return None;
    }
    (!empty).then_some([first, second])
}

fn read_source(node: &Node) -> Option<Source> {
    const RULE: &str = "must name its source by exactly one of sds_file and env";
    let table = node.table()?;
    let (file, variable) = (table.optional("sds_file"), table.optional("env"));
    refuse_secrets(&table);
    table.done();
    match (file, variable) {
        (Some(file), None) => read_file(&file).map(Source::SdsFile),
        (None, Some(variable)) => read_variable(&variable).map(Source::Environment),
        _ => {
            node.refuse_with(RULE, "sds_file can be replaced without a restart, env cannot");
            None
        }
    }
}

fn read_variable(node: &Node) -> Option<String> {
    let name = node.string()?;
    let legal = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    if !name.bytes().all(legal) || name.starts_with(|c: char| c.is_ascii_digit()) {
        node.refuse_with(
            "must be the name of an environment variable: A-Z, 0-9 and _",
            "the name only, never the secret",
        );
        return None;
    }
    Some(name.to_owned())
}

/// A registry is copied, committed and shown in Envoy's configuration dump, so it must never hold a secret.
fn refuse_secrets(table: &Table) {
    for node in SECRET_KEYS.iter().filter_map(|key| table.refused(key)) {
        node.refuse_with(
            "must not be given: a registry never holds a secret",
            "name its source in a slot: sds_file or env",
        );
    }
}
