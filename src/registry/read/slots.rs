//! Reads the slots of a credential: where each secret comes from, and what the operator knows of its life.

use std::time::Duration;

use crate::credential::{Declared, Secret, date};
use crate::registry::{Endpoint, SlotSource, Source, Url};
use crate::wire::{Node, Table, or};

const SOURCES: [&str; 5] = ["sds_file", "sds_grpc", "env", "http", "inline"];

/// Keys under which somebody might write the secret itself.
const SECRET_KEYS: [&str; 7] = ["token", "value", "secret", "password", "pat", "key", "api_key"];

pub(super) fn read_slots(node: &Node) -> Option<[Option<SlotSource>; 2]> {
    let table = node.table()?;
    let [a, b] = ["a", "b"].map(|slot| table.optional(slot));
    if a.is_none() && b.is_none() {
        node.refuse_with("must have slot a, slot b or both", "such as a: {sds_file: /etc/dualpath/pat.yaml}");
    }
    refuse_secrets(&table);
    table.done();
    let empty = a.is_none() && b.is_none();
    let first = or(a, None, |node| read_slot(node).map(Some));
    let second = or(b, None, |node| read_slot(node).map(Some));
    let (first, second) = (first?, second?);
    // A secret server gives each slot a secret of its own name, so both may come from there.
    let same = match (&first, &second) {
        (Some(first), Some(second)) => first.source == second.source && !matches!(first.source, Source::SdsGrpc(_)),
        _ => false,
    };
    if let (Some(node), true) = (b, same) {
        node.refuse_with("must be another source than slot a", "leave one slot out until there is a second secret");
        return None;
    }
    (!empty).then_some([first, second])
}

fn read_slot(node: &Node) -> Option<SlotSource> {
    let table = node.table()?;
    let source = read_source(node, &table);
    let issued_s = or(table.optional("issued"), None, |node| read_date(node).map(Some));
    let expires_s = or(table.optional("expires"), None, |node| read_date(node).map(Some));
    refuse_secrets(&table);
    table.done();
    let declared = Declared { issued_s: issued_s?, expires_s: expires_s? };
    if let (Some(issued), Some(expires)) = (declared.issued_s, declared.expires_s)
        && issued >= expires
    {
        node.refuse("must have expires after issued");
        return None;
    }
    Some(SlotSource { source: source?, declared })
}

fn read_source(node: &Node, table: &Table) -> Option<Source> {
    let given: Vec<_> = SOURCES.iter().filter_map(|key| Some((*key, table.optional(key)?))).collect();
    let [(key, source)] = given.as_slice() else {
        node.refuse_with(
            format!("must name its source by exactly one of {}", SOURCES.join(", ")),
            "sds_file can be replaced without a restart, env cannot",
        );
        return None;
    };
    match *key {
        "sds_file" => read_sds_file(source).map(Source::SdsFile),
        "sds_grpc" => read_url(source).filter(|url| has_no_path(source, url)).map(Source::SdsGrpc),
        "env" => read_variable(source).map(Source::Environment),
        "http" => read_endpoint(source).map(Source::Endpoint),
        _ => read_inline(source).map(Source::Inline),
    }
}

/// A token is what is most likely put here by mistake, and an opaque one has no look: a path is one plainly.
pub(super) fn read_sds_file(node: &Node) -> Option<String> {
    let file = node.file_name()?;
    let is_path = file.contains('/') || [".yaml", ".yml", ".json"].iter().any(|end| file.ends_with(end));
    if !is_path {
        node.refuse_with(
            "must be the path of a file, with a / in it or ending in .yaml, .yml or .json",
            "the path only, never the secret: /etc/dualpath/pat-a.yaml",
        );
    }
    is_path.then_some(file)
}

fn read_endpoint(node: &Node) -> Option<Endpoint> {
    const SOONEST: Duration = Duration::from_secs(1);
    const LATEST: Duration = Duration::from_secs(86_400);
    const LONGEST_WAIT: Duration = Duration::from_secs(60);
    let table = node.table()?;
    let url = table.required("url").and_then(|node| read_url(&node));
    let field = or(table.optional("field"), None, |node| Some(Some(node.string()?.to_owned())));
    let every = or(table.optional("every"), Duration::from_secs(60), |node| node.duration(SOONEST, LATEST));
    let timeout = or(table.optional("timeout"), Duration::from_secs(5), |node| node.duration(SOONEST, LONGEST_WAIT));
    refuse_secrets(&table);
    table.done();
    Some(Endpoint { url: url?, field: field?, every: every?, timeout: timeout? })
}

/// Where a secret comes from must be as hard to listen in on as where it goes.
fn read_url(node: &Node) -> Option<Url> {
    let url = Url::parse(node.string()?).map_err(|violation| node.violates(violation)).ok()?;
    if !url.tls && !url.is_loopback() {
        node.refuse_with(
            "must be https, because a secret comes from there",
            "http is allowed only to this machine: 127.0.0.1, [::1] or localhost",
        );
        return None;
    }
    Some(url)
}

fn has_no_path(node: &Node, url: &Url) -> bool {
    if url.path != "/" {
        node.refuse("must be the URL of a gRPC server, without a path");
    }
    url.path == "/"
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

/// A secret that is none: for demonstrations on one machine. That no other server gets it is checked where the servers
/// are linked.
fn read_inline(node: &Node) -> Option<Secret> {
    let secret = node.string().and_then(|text| Secret::new(text.as_bytes()));
    if secret.as_ref().is_none_or(|secret| !secret.fits_a_header()) {
        node.refuse("must be visible ASCII characters");
        return None;
    }
    secret
}

pub(super) fn read_date(node: &Node) -> Option<u64> {
    let found = node.value().as_str().and_then(date::parse);
    if found.is_none() {
        node.refuse("must be a date such as 2026-11-26 or 2026-11-26T08:30:00Z");
    }
    found
}

/// A registry is copied, committed and shown in Envoy's configuration dump, so it must never hold a secret.
pub(super) fn refuse_secrets(table: &Table) {
    for node in SECRET_KEYS.iter().filter_map(|key| table.unlisted(key)) {
        node.refuse_with(
            "must not be given: a registry never holds a secret",
            "name its source in a slot, such as sds_file",
        );
    }
}
