//! Findings as SARIF 2.1.0 (OASIS), which code scanning of several forges reads.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::cli::codes::{Code, Finding, Level, all};

/// The log of one run with these findings.
pub(super) fn log<'f>(findings: impl Iterator<Item = &'f Finding>) -> Value {
    let results: Vec<_> = findings.map(result).collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "dualpath",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": all().iter().map(rule).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }]
    })
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Off => "none",
        level => level.as_str(),
    }
}

fn rule(code: &Code) -> Value {
    json!({
        "id": code.name,
        "shortDescription": {"text": code.title},
        "fullDescription": {"text": code.means},
        "help": {"text": code.mend},
        "defaultConfiguration": {"level": level(code.level())},
    })
}

fn result(finding: &Finding) -> Value {
    let hint = finding.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    let mut physical = json!({"artifactLocation": {"uri": uri(&finding.file)}});
    if let Some((line, column)) = finding.at {
        add(&mut physical, "region", json!({"startLine": line, "startColumn": column}));
    }
    let mut location = json!({"physicalLocation": physical});
    if let Some(path) = &finding.path {
        add(&mut location, "logicalLocations", json!([{"fullyQualifiedName": path}]));
    }
    let mut result = json!({
        "ruleId": finding.code,
        "level": level(finding.level),
        "message": {"text": finding.message() + &hint},
        "locations": [location],
    });
    if let Some(index) = all().iter().position(|code| code.name == finding.code) {
        add(&mut result, "ruleIndex", index.into());
    }
    result
}

/// Gives an object one more member.
fn add(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

/// A file as a URI reference of RFC 3986, whose first segment is not taken for a scheme.
fn uri(file: &str) -> String {
    if file == "-" {
        return "stdin".to_owned();
    }
    let mut uri = if file.starts_with('/') { "file://".to_owned() } else { String::new() };
    for b in file.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~/".contains(&b) {
            uri.push(char::from(b));
        } else {
            let _ = write!(uri, "%{b:02X}");
        }
    }
    uri
}
