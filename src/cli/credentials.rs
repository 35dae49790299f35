//! What a registry says of credentials, for people: the places of their secrets, how long they live, what is unwise.

use std::time::Duration;

use serde_json::Value;

use super::codes::Warning;
use super::here::Here;
use super::load::parse;
use super::pat::sds;
use crate::credential::{Lifetime, Severity, Slot, Validity, date};
use crate::registry::{Credential, SlotSource, Source};
use crate::wire::show_duration;

/// A credential with its slots in one line.
pub(super) fn credential_line(credential: &Credential) -> String {
    let slots = named_slots(credential).map(|(name, slot)| {
        let life = Lifetime::declared(slot.declared);
        let life = match (life.expires_s, life.due_s(&credential.policy)) {
            (Some(end), _) => format!("ends {}", date::show(end)),
            (None, Some(due)) => format!("due for replacement {}", date::show(due)),
            (None, None) => "end not declared".to_owned(),
        };
        format!("slot {name} from {} ({life})", source(&slot.source))
    });
    format!("{}: header {}, {}", credential.id, credential.header, slots.collect::<Vec<_>>().join(", "))
}

/// Where a secret comes from, for people.
pub(super) fn source(source: &Source) -> String {
    match source {
        // A token may have been pasted where the path belongs.
        Source::SdsFile(file) if !file.starts_with('/') => "SDS file (no absolute path, not shown)".to_owned(),
        Source::SdsFile(file) => format!("SDS file {file}"),
        Source::SdsGrpc(url) => format!("secret server {}", url.authority()),
        Source::Environment(name) => format!("environment variable {name}"),
        Source::Endpoint(endpoint) => format!("token endpoint {}{}", endpoint.url.authority(), endpoint.url.path),
        Source::Inline(_) => "the registry itself".to_owned(),
    }
}

/// The slots that a credential has, with their names.
pub(super) fn named_slots(credential: &Credential) -> impl Iterator<Item = (&'static str, &SlotSource)> {
    let slots = Slot::BOTH.into_iter().zip(&credential.slots);
    slots.filter_map(|(name, slot)| Some((name.as_str(), slot.as_ref()?)))
}

/// What is unwise about the places of its secrets. It is the credential at position `at`.
pub(super) fn source_warnings(credential: &Credential, at: usize, here: &Here) -> Vec<Warning> {
    let mut found = Vec::new();
    let slots: Vec<_> = named_slots(credential).collect();
    for (name, slot) in &slots {
        let (place, path) = place(credential, at, name);
        let mut tell = |code, text: String| found.push(Warning::new(code, &*path, text));
        match &slot.source {
            Source::Inline(_) => tell(
                "DP0819",
                format!("{place} is in the registry itself, for everyone who sees that: use it in demonstrations only"),
            ),
            Source::Environment(variable) => {
                tell(
                    "DP0820",
                    format!(
                        "{place} comes from the environment: replacing it needs a restart, with sds_file it does not"
                    ),
                );
                if !(here.is_set)(variable) {
                    tell("DP0902", format!("{place}: environment variable {variable} is not set here"));
                }
            }
            Source::SdsFile(_) | Source::SdsGrpc(_) | Source::Endpoint(_) => {
                if slots.len() == 1 {
                    let id = &credential.id;
                    tell(
                        "DP0821",
                        format!(
                            "credential {id} has only slot {name}: if its next token is refused, no other stands in"
                        ),
                    );
                }
            }
        }
        if let Source::SdsFile(file) = &slot.source {
            let secret = format!("{}-{name}", credential.id);
            let told = sds_warning(file, here, |tree| sds::only(tree, &secret).map(drop));
            if let Some((code, what)) = told {
                let hint = "; `dualpath pat check` says what it should be";
                let hint = if what.ends_with("refuses it") { hint } else { "" };
                tell(code, format!("{place}: {what}{hint}"));
            }
        }
    }
    found
}

/// A slot in words, and where it stands in a registry whose credentials have no environments.
fn place(credential: &Credential, at: usize, slot: &str) -> (String, String) {
    (format!("credential {} slot {slot}", credential.id), format!("credentials[{at}].slots.{slot}"))
}

/// What is wrong with an SDS file, as far as that is seen here, with its code; `judge` says why Envoy refuses what is in it. A
/// path that is not absolute may be a token, so it is not shown.
pub(super) fn sds_warning(
    file: &str,
    here: &Here,
    judge: impl FnOnce(&Value) -> Result<(), String>,
) -> Option<(&'static str, String)> {
    if !file.starts_with('/') {
        return Some(("DP0822", "sds_file is no absolute path, so it depends on where Envoy is started".to_owned()));
    }
    let bytes = match (here.file)(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            let text = format!("SDS file {file} cannot be read here: {error}: Envoy does not start without it");
            return Some(("DP0903", text));
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    let told = match parse(file, text.trim_start_matches('\u{feff}')) {
        Err(_) => "is no YAML".to_owned(),
        Ok(tree) if !tree.is_object() => "holds something else, such as a bare token".to_owned(),
        Ok(tree) => judge(&tree).err()?,
    };
    Some(("DP0823", format!("SDS file {file} {told}, so Envoy refuses it")))
}

/// What the registry's own dates say, which are those of the token that was there when they were written. That the end of a
/// token is not declared is no fault: the token may tell it.
pub(super) fn life_warnings(credential: &Credential, at: usize, now_s: u64) -> Vec<Warning> {
    let mut found = Vec::new();
    let policy = &credential.policy;
    for (name, slot) in named_slots(credential) {
        let (place, path) = place(credential, at, name);
        let mut tell = |code, text: String| found.push(Warning::new(code, &*path, text));
        let life = Lifetime::declared(slot.declared);
        let Some(due) = life.due_s(policy) else { continue };
        let (at, ends) = (date::show(due), life.expires_s.is_some());
        if life.validity(now_s) == Validity::Expired {
            tell("DP0824", format!("{place} ended at {at}: its token is not sent"));
        } else if life.severity(now_s, policy) >= Some(Severity::Alert) {
            let left = days_left(life.days_left(now_s, policy).unwrap_or_default());
            let is = if ends { "ends" } else { "is as old as max_age allows" };
            let left = if due > now_s { format!(", {left} left") } else { String::new() };
            tell("DP0825", format!("{place} {is} at {at}{left}: replace it"));
        }
        if life.validity(now_s) != Validity::Expired && life.violates_age(now_s, policy) == Some(true) {
            let longest = show_duration(Duration::from_secs(policy.max_age_s));
            tell("DP0826", format!("{place} lives for longer than the {longest} that its policy allows"));
        }
    }
    found
}

/// A number of days that are left, for people.
pub(super) fn days_left(days: u64) -> String {
    match days {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}
