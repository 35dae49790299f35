//! YAML in the documents: whole registries, and parts that are put into the example.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::blocks::{Block, blocks, documents, root};

#[test]
fn yaml_is_a_registry_or_fits_into_one() {
    for block in documents().iter().flat_map(blocks) {
        if block.language == "yaml" && block.option("run") != Some("no") {
            check(&block);
        }
    }
}

fn check(block: &Block) {
    let registry = if block.text.contains("version: 1\n") {
        block.text.clone()
    } else {
        let part = serde_saphyr::from_str(&block.text).unwrap_or_else(|error| panic!("{}: {error}", block.place));
        with(part, block.option("at").unwrap_or_default()).to_string()
    };
    let mut child = Command::new(env!("CARGO_BIN_EXE_dualpath"))
        .args(["check", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().expect("a pipe").write_all(registry.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}: {}", block.place, String::from_utf8_lossy(&output.stderr));
}

/// The example with the keys of `part`, at the top or at a place such as `servers[0]`. Where a list is the place, with one
/// entry more.
fn with(part: Value, place: &str) -> Value {
    let example = std::fs::read_to_string(root().join("envoy/registry.yaml")).expect("the example");
    let mut registry: Value = serde_saphyr::from_str(&example).expect("the example is YAML");
    let pointer: String = place
        .replace('[', ".")
        .replace(']', "")
        .split('.')
        .filter(|segment| !segment.is_empty())
        .map(|segment| format!("/{segment}"))
        .collect();
    match (registry.pointer_mut(&pointer).unwrap_or_else(|| panic!("no place {place}")), part) {
        (Value::Object(there), Value::Object(part)) => there.extend(part),
        (Value::Array(there), Value::Array(part)) => there.extend(part),
        _ => panic!("{place} is neither a mapping nor a list, or the part is not the same"),
    }
    registry
}
