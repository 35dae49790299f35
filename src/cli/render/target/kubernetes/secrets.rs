//! The secrets of a pod: by hand, and filled by External Secrets.

use std::fmt::Write;

use super::pod::{Pod, SecretFile, VARIABLES};
use crate::credential::Slot;

const BY_HAND: &str = include_str!("../../../../../envoy/kubernetes/secret.yaml");
const EXTERNAL: &str = include_str!("../../../../../envoy/kubernetes/external-secrets.yaml");

/// Where in the files the part begins that a registry decides.
const SECRET: &str = "apiVersion: v1\n";
const EXAMPLE: &str = "#   values:\n";
const BEHIND_EXAMPLE: &str = "#\n# A rotation edits";
const FILLED: &str = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\n";

/// `secret.yaml`: every slot, empty.
pub(super) fn by_hand(pod: &Pod) -> String {
    let heading = BY_HAND.split(SECRET).next().unwrap_or_default();
    let mut secrets = Vec::new();
    for one in &pod.mounted {
        let mut text = format!("{SECRET}kind: Secret\nmetadata:\n  name: {}\ntype: Opaque\nstringData:\n", one.name);
        one.files.iter().for_each(|file| {
            put_file(&mut text, file, "  ", "'{\"token\": \"\", \"issued\": \"\", \"expires\": \"\"}'")
        });
        secrets.push(text);
    }
    if !pod.variables.is_empty() {
        let variables: String = pod.variables.iter().map(|name| format!("  {name}: \"\"\n")).collect();
        secrets.push(format!(
            "{SECRET}kind: Secret\nmetadata:\n  name: {VARIABLES}\ntype: Opaque\nstringData:\n{variables}"
        ));
    }
    heading.to_owned() + &secrets.join("---\n")
}

/// `external-secrets.yaml`: every slot, from a value of an environment in Pulumi ESC.
pub(super) fn external(pod: &Pod) -> String {
    let (before, rest) = EXTERNAL.split_once(EXAMPLE).unwrap_or_default();
    let (_, behind) = rest.split_once(BEHIND_EXAMPLE).unwrap_or_default();
    let (store, _) = behind.split_once(FILLED).unwrap_or_default();
    let (template, _) = rest.split_once("        pat-a.yaml: |\n").unwrap_or_default();
    let (_, spec) = template.split_once(FILLED).unwrap_or_default();
    let before = before.replace(super::example::SECRET, &pod.secret_names().join(", "));
    let mut text = format!("{before}{EXAMPLE}");
    let mut group = String::new();
    for key in keys(pod) {
        if key.group != group {
            let _ = writeln!(text, "#     {}:", key.group);
            group.clone_from(&key.group);
        }
        let _ = writeln!(text, "#       {}: {{fn::secret: {}}}", key.name, key.example);
    }
    text.push_str(&format!("{BEHIND_EXAMPLE}{store}"));
    let mut filled = Vec::new();
    for one in &pod.mounted {
        let mut secret = format!("{FILLED}{}", spec.replace(super::example::SECRET, &one.name));
        let mut data = String::new();
        for file in &one.files {
            let Some(key) = file.slot.as_ref().map(|(id, slot)| Key::of(pod, id, *slot)) else { continue };
            put_file(&mut secret, file, "        ", &format!("{{{{ .{} | trim | toJson }}}}", key.secret_key));
            data.push_str(&key.reference());
        }
        filled.push(format!("{secret}  data:\n{data}"));
    }
    if !pod.variables.is_empty() {
        let (head, _) = spec.split_once("    template:\n").unwrap_or_default();
        let data: String = pod.variables.iter().map(|name| Key::variable(name).reference()).collect();
        filled.push(format!("{FILLED}{}  data:\n{data}", head.replace(super::example::SECRET, VARIABLES)));
    }
    text + &filled.join("---\n")
}

/// A file with a secret for Envoy; one with a certificate is not ours to invent.
fn put_file(text: &mut String, SecretFile { key, slot }: &SecretFile, indent: &str, value: &str) {
    let Some((id, slot)) = slot else { return };
    let name = format!("{id}-{}", slot.as_str());
    let lines = [
        "  resources:".to_owned(),
        "  - \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret".to_owned(),
        format!("    name: {name}"),
        "    generic_secret:".to_owned(),
        "      secret:".to_owned(),
        format!("        inline_string: {value}"),
    ];
    let _ = writeln!(text, "{indent}{key}: |");
    for line in lines {
        let _ = writeln!(text, "{indent}{line}");
    }
}

/// A value of the store.
struct Key {
    group: String,
    name: String,
    secret_key: String,
    example: &'static str,
}

impl Key {
    /// Of a slot: `snowflake.pat_a` of the credential `snowflake-pat`.
    fn of(pod: &Pod, id: &str, slot: Slot) -> Self {
        let parts = |id: &str| {
            let (group, name) = id.split_once('-').unwrap_or(("dualpath", id));
            (group.to_owned(), name.replace('-', "_"))
        };
        let (group, name) = parts(id);
        let same = pod.registry.credentials.iter().filter(|other| parts(other.id.as_str()).1 == name).count();
        let slot_name = slot.as_str();
        let secret_key =
            if same == 1 { format!("{name}_{slot_name}") } else { format!("{}_{slot_name}", id.replace('-', "_")) };
        let example = match slot {
            Slot::A => "'{\"token\": \"...\", \"issued\": \"2026-11-01\", \"expires\": \"2027-01-30\"}'",
            Slot::B => "\"\"",
        };
        Key { group, name: format!("{name}_{slot_name}"), secret_key, example }
    }

    fn variable(name: &str) -> Self {
        Key { group: "dualpath".to_owned(), name: name.to_owned(), secret_key: name.to_owned(), example: "'...'" }
    }

    fn reference(&self) -> String {
        format!("    - secretKey: {}\n      remoteRef: {{key: {}.{}}}\n", self.secret_key, self.group, self.name)
    }
}

fn keys(pod: &Pod) -> Vec<Key> {
    let files = pod.mounted.iter().flat_map(|one| &one.files).filter_map(|file| file.slot.as_ref());
    files
        .map(|(id, slot)| Key::of(pod, id, *slot))
        .chain(pod.variables.iter().map(|name| Key::variable(name)))
        .collect()
}
