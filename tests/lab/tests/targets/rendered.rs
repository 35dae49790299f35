//! What `dualpath render --target` writes, and whether an Envoy has all of it.

use std::path::Path;
use std::process::Command;

use dualpath::registry::slice;
use dualpath_lab::registry::Builder;
use serde_json::Value;

use crate::proxy::Running;
use crate::world::dualpath;

/// The resources of a rendered file: each as its text, and as a tree.
pub struct Rendered(pub Vec<(String, Value)>);

impl Rendered {
    /// By the operator's tool, from a file in `folder`.
    pub fn of(registry: &Builder, folder: &Path, arguments: &[&str]) -> Rendered {
        let file = folder.join("registry.json");
        std::fs::write(&file, registry.tree().to_string()).expect("a registry");
        let run = Command::new(dualpath()).arg("render").arg(&file).args(arguments).output().expect("dualpath");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let text = String::from_utf8(run.stdout).expect("text");
        let parse = |text: &str| (text.to_owned(), serde_saphyr::from_str(text).expect("YAML"));
        Rendered(text.split("\n---\n").map(parse).collect())
    }

    pub fn kind(&self, kind: &str) -> &(String, Value) {
        self.0.iter().find(|(_, tree)| tree["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
    }
}

/// Whether Envoy runs what this registry is rendered to in every place of the module, and nothing older.
pub fn runs(running: &Running, registry: &Builder) -> bool {
    let identity = format!("{:016x}", slice::identity(registry.tree()));
    let places: Vec<_> = running.clusters.iter().chain(&running.listeners).flat_map(identities).collect();
    !places.is_empty() && places.iter().all(|place| *place == identity)
}

/// The identities that stand in the configurations of the module, wherever in a resource they are.
fn identities(resource: &Value) -> Vec<String> {
    let text = resource.to_string();
    let mark = r#"\"identity\": \""#;
    text.split(mark).skip(1).filter_map(|rest| rest.get(..16)).map(str::to_owned).collect()
}

/// Fails unless Envoy has each of these resources, by name, as it was rendered.
#[track_caller]
pub fn assert_all_there<'v>(running: &[Value], wanted: impl Iterator<Item = &'v Value>) {
    for wanted in wanted {
        let found = running.iter().find(|running| running["name"] == wanted["name"]);
        let found = found.unwrap_or_else(|| panic!("Envoy has no {}", wanted["name"]));
        let lacks = lacks(found, wanted, "");
        assert!(lacks.is_empty(), "{}: {lacks:#?}", wanted["name"]);
    }
}

/// Fails unless Envoy's routes of a host begin with these.
#[track_caller]
pub fn assert_first_routes(running: &[Value], wanted: &[&Value]) {
    let names = |routes: &[&Value]| routes.iter().map(|route| route["name"].to_string()).collect::<Vec<_>>();
    let first: Vec<_> = running.iter().take(wanted.len()).collect();
    assert_eq!(names(&first), names(wanted));
    assert!(running.len() > wanted.len(), "and the host's own come after them");
    for (running, wanted) in first.into_iter().zip(wanted) {
        let lacks = lacks(running, wanted, "");
        assert!(lacks.is_empty(), "{}: {lacks:#?}", wanted["name"]);
    }
}

/// What of `wanted` the running one lacks or has otherwise, by its path. What the running one has beside it is left alone: a
/// control plane and Envoy itself fill in what they want. `null` and defaults count as not there.
fn lacks(running: &Value, wanted: &Value, path: &str) -> Vec<String> {
    match (running, wanted) {
        (Value::Object(running), Value::Object(wanted)) => wanted
            .iter()
            .flat_map(|(key, value)| {
                let path = format!("{path}.{key}");
                match running.get(key) {
                    Some(there) => lacks(there, value, &path),
                    None if is_default(value) => Vec::new(),
                    None => vec![path],
                }
            })
            .collect(),
        (Value::Array(running), Value::Array(wanted)) if running.len() == wanted.len() => {
            let pairs = running.iter().zip(wanted).enumerate();
            pairs.flat_map(|(at, (running, wanted))| lacks(running, wanted, &format!("{path}.{at}"))).collect()
        }
        (Value::Number(running), Value::Number(wanted)) if running.as_f64() == wanted.as_f64() => Vec::new(),
        _ if running == wanted || same_scalar(running, wanted) => Vec::new(),
        _ => vec![format!("{path}: {running} instead of {wanted}")],
    }
}

/// Whether the JSON form of protobuf leaves it out.
fn is_default(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        // The first of an enumeration.
        Value::String(text) => text.is_empty() || text == "HUNDRED",
        Value::Array(list) => list.is_empty(),
        Value::Bool(true) | Value::Object(_) => false,
    }
}

/// Wrapped numbers, which JSON may write without their wrapping; durations, which it writes in several ways; 64-bit numbers,
/// which are text.
fn same_scalar(running: &Value, wanted: &Value) -> bool {
    let seconds = |value: &Value| value.as_str().and_then(|text| text.strip_suffix('s')?.parse::<f64>().ok());
    match (running, wanted) {
        (Value::Number(number), Value::Object(wrapped)) => {
            wrapped.get("value").and_then(Value::as_f64) == number.as_f64()
        }
        (Value::String(text), Value::Number(number)) => text.parse().ok() == number.as_f64(),
        _ => seconds(running).is_some() && seconds(running) == seconds(wanted),
    }
}
