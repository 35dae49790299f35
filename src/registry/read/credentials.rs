//! Reads `credentials`. Every value here may be a secret that somebody pasted where only a reference to one belongs, so
//! problems show only those that cannot be: names of entities and of headers.

use std::time::Duration;

use super::headers::{check_name, check_prefix, check_value};
use super::names::Names;
use super::slots::{read_slots, refuse_secrets};
use crate::credential::AgePolicy;
use crate::credential::date::DAY_S;
use crate::registry::{Credential, SlotSource};
use crate::wire::{Id, Node, Table, or, suggest};

impl Credential {
    /// Reads one credential and adds its name to `names`. `environment` chooses among the slots of several; the outer `None`
    /// = it is not known, which has been noted.
    #[inline(never)]
    pub(super) fn read<'v>(node: &Node<'v>, names: &mut Names<'v>, environment: Option<Option<&Id>>) -> Option<Self> {
        let Some(table) = node.veiled().table() else {
            names.add(None);
            return None;
        };
        let (id, id_node) = table.id("id");
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
        let slots = read_slots_of(&table, environment);
        let policy = or(table.optional("policy").map(Node::unveiled), AgePolicy::default(), read_policy);
        refuse_secrets(&table);
        table.done();
        Some(Credential {
            id: id?,
            header: header?,
            prefix: prefix?,
            headers: headers?,
            slots: slots?,
            policy: policy?,
        })
    }
}

/// The slots, or those of the environment where each has its own.
fn read_slots_of(table: &Table, environment: Option<Option<&Id>>) -> Option<[Option<SlotSource>; 2]> {
    let Some(environments) = table.optional("environments") else {
        return table.required("slots").and_then(|node| read_slots(&node));
    };
    if let Some(slots) = table.optional("slots") {
        slots.refuse("must not be given beside environments");
        return None;
    }
    let read = |(name, node): (&str, Node)| {
        if Id::new(name).is_none() {
            node.refuse("must be under the name of an environment: a-z, 0-9, - and _");
            return None;
        }
        let table = node.table()?;
        let slots = table.required("slots").and_then(|node| read_slots(&node));
        refuse_secrets(&table);
        table.done();
        Some((name.to_owned(), slots?))
    };
    // Those of other environments are read as well, so that a mistake in them shows before they are needed.
    let all: Vec<_> = environments.table()?.entries().into_iter().map(read).collect();
    let all: Vec<_> = all.into_iter().collect::<Option<_>>()?;
    let Some(wanted) = environment? else {
        let first = all.first().map_or("prod", |(name, _)| name);
        environments.refuse_with(
            "needs the registry's environment, to choose one of them",
            format!("write environment: {first} at the top of the registry, or give --environment {first}"),
        );
        return None;
    };
    let names: Vec<_> = all.iter().map(|(name, _)| name.clone()).collect();
    let found = all.into_iter().find(|(name, _)| name == wanted.as_str());
    if found.is_none() {
        let rule = format!("must have slots for the environment {wanted}");
        environments.refuse_with(rule, suggest(wanted.as_str(), names.iter().map(String::as_str)));
    }
    found.map(|(_, slots)| slots)
}

fn read_policy(node: &Node) -> Option<AgePolicy> {
    const SHORTEST: Duration = Duration::from_secs(60);
    const LONGEST: Duration = Duration::from_secs(366 * DAY_S);
    let table = node.table()?;
    let default = AgePolicy::default();
    let time =
        |key, default| or(table.optional(key), default, |node| Some(node.duration(SHORTEST, LONGEST)?.as_secs()));
    let max_age = time("max_age", default.max_age_s);
    let alert = time("alert", default.alert_s);
    let critical = time("critical", default.critical_s);
    table.done();
    let policy = AgePolicy { max_age_s: max_age?, alert_s: alert?, critical_s: critical? };
    if policy.critical_s > policy.alert_s || policy.alert_s >= policy.max_age_s {
        node.refuse_with(
            "must have critical no longer than alert, and alert shorter than max_age",
            "what is left out keeps its default, max_age: 90d, alert: 7d, critical: 1d",
        );
        return None;
    }
    Some(policy)
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
