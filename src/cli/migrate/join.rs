//! Two registries that are nearly the same, as one with an environment for each.

use serde_json::{Map, Value, json};

use super::names;
use super::write::Source;
use crate::cli::load::{LoadError, Loaded, Tree, load_text, read_text};
use crate::cli::shown;
use crate::registry::{Id, Registry};

/// The text of `file`, which is `text`, with the environments that are in other files, and what was done in words.
///
/// # Errors
/// Why that cannot be.
pub(super) fn joined(
    file: &str,
    text: &str,
    environment: Option<&str>,
    others: &[String],
) -> Result<(String, Vec<String>), String> {
    let base = Tree::read(file, 0, text).map_err(shown_error)?.value();
    if let Some(key) = ["environments", "include", "vars"].iter().find(|key| base.get(**key).is_some()) {
        return Err(format!("has {key} already: only plain registries are put together"));
    }
    let named = environment.or(base.get("environment").and_then(Value::as_str));
    let own = named.ok_or("names no environment: say by --environment which one it is for")?;
    let mut section = format!("# What is different in each environment.\nenvironments:\n  {own}: {{}}\n");
    let mut wanted = vec![(own.to_owned(), base.clone())];
    for other in others {
        let (name, other) =
            other.split_once('=').ok_or("--with needs the name of an environment and a file: --with stg=stg.yaml")?;
        let name = Id::new(name)
            .map(|name| name.as_str().to_owned())
            .ok_or_else(|| format!("{}: must be the name of an environment: a-z, 0-9, - and _", shown::line(name)))?;
        if wanted.iter().any(|(there, _)| *there == name) {
            return Err(format!("{name} is there twice"));
        }
        let text_there = names::migrated(other, &read_text(other).map_err(shown_error)?).map_err(shown_error)?.text;
        let tree = Tree::read(other, 0, &text_there).map_err(shown_error)?;
        let value = tree.value();
        match difference(&base, &value) {
            Some(Value::Object(over)) if !over.is_empty() => {
                section.push_str(&format!("  {name}:\n"));
                Source::new(&text_there, text).write(&over, Some(&tree), 2, &mut section)?;
            }
            _ => section.push_str(&format!("  {name}: {{}}\n")),
        }
        wanted.push((name, value));
    }
    if text.trim_start().starts_with('{') {
        return Err("is written in braces, to which nothing can be added: write it as YAML in lines first".to_owned());
    }
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let joined = format!("{text}{end}\n{section}");
    for (name, value) in wanted {
        let is_same = load_text(file, &joined, Some(&name)).is_ok_and(|loaded| means(&loaded, &value, &name));
        if !is_same {
            return Err(format!(
                "cannot be put together with {}: environment {name} would say something else. Are servers, credentials or tools in another order?",
                others.join(", ")
            ));
        }
    }
    let done = others.iter().map(|other| format!("with the environment of {}", shown::line(other)));
    Ok((joined, done.collect()))
}

fn shown_error(error: LoadError) -> String {
    error.to_string()
}

/// Whether a loaded environment is the registry that it was made of.
fn means(loaded: &Loaded, value: &Value, environment: &str) -> bool {
    let mut value = value.clone();
    if let Some(keys) = value.as_object_mut() {
        keys.insert("environment".to_owned(), json!(environment));
    }
    Registry::from_wire(&value).is_ok_and(|registry| registry == loaded.registry)
}

/// What has to be laid over `base` to make `other` of it; `None` if that is nothing.
fn difference(base: &Value, other: &Value) -> Option<Value> {
    if base == other {
        return None;
    }
    match (base, other) {
        (Value::Object(base), Value::Object(other)) => Some(keys(base, other)),
        (Value::Array(base), Value::Array(other)) => {
            let Some(key) = common_name(base, other) else { return Some(json!(other)) };
            let by_name = |entries: &[Value]| {
                let entries =
                    entries.iter().filter_map(|entry| Some((entry.get(key)?.as_str()?.to_owned(), entry.clone())));
                entries.collect::<Map<_, _>>()
            };
            let mut over = keys(&by_name(base), &by_name(other));
            for entry in over.as_object_mut().into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
                entry.shift_remove(key);
            }
            Some(over)
        }
        _ => Some(other.clone()),
    }
}

fn keys(base: &Map<String, Value>, other: &Map<String, Value>) -> Value {
    let mut over = Map::new();
    for (key, value) in other.iter().filter(|(key, _)| !["environment", "version"].contains(&key.as_str())) {
        let changed = base.get(key).map_or(Some(value.clone()), |base| difference(base, value));
        changed.into_iter().for_each(|changed| drop(over.insert(key.clone(), changed)));
    }
    for key in base.keys().filter(|key| !other.contains_key(*key) && *key != "environment") {
        over.insert(key.clone(), Value::Null);
    }
    Value::Object(over)
}

/// The key by which all entries of both lists are told apart.
fn common_name(base: &[Value], other: &[Value]) -> Option<&'static str> {
    let named = |key: &&str| base.iter().chain(other).all(|entry| entry.get(key).is_some_and(Value::is_string));
    ["id", "name"].into_iter().find(named).filter(|_| !base.is_empty() && !other.is_empty())
}
