//! Every other key: what it was, what it is, what it means. Values are compared by what the reader makes of them, so that `60s` and
//! `1m` are the same, and so are a default and nothing.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Change;
use crate::cli::keys::{Word, Words};
use crate::cli::migrate::names::rename_in;
use crate::registry::Registry;

/// What [`super::calls`] tells, or what is not about calls: keys as the table names them.
const ELSEWHERE: [&str; 16] = [
    "version",
    "environment",
    "listener.address",
    "listener.port",
    "listener.path",
    "servers[].id",
    "servers[].kind",
    "servers[].tier",
    "servers[].url",
    "servers[].credential",
    "tools[].name",
    "tools[].task",
    "tools[].replayable",
    "tools[].servers",
    "tools[].rest.server",
    "tools[].rest.first",
];

/// Of more changes than these it is not asked whether they change anything: each costs a reading of the registry.
const MOST_READ: usize = 200;

/// One step into a registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(String),
    /// The entry of a list with this name, and under which key it has it.
    Entry(String, &'static str),
}

type Path = Vec<Step>;

pub(super) fn changes(registry: &Registry, from: &Value, to: &Value) -> Vec<Change> {
    let [from, to] = [from, to].map(|wire| {
        let mut wire = wire.clone();
        rename_in(&mut wire);
        wire
    });
    let (from, to) = (&from, &to);
    let words = Words::new();
    let (mut before, mut after) = (Keys::of(&words), Keys::of(&words));
    before.collect(from, &mut Vec::new());
    after.collect(to, &mut Vec::new());
    let order = before.order.iter().chain(after.order.iter().filter(|path| !before.values.contains_key(*path)));
    let changed: Vec<_> = order
        .filter(|path| before.values.get(*path) != after.values.get(*path))
        .filter(|path| is_in_both(path, from) && is_in_both(path, to))
        .collect();
    let is_read = changed.len() <= MOST_READ;
    let has_effect = |path: &Path| !is_read || !is_the_same(registry, from, path, after.values.get(path));
    let told = changed.into_iter().filter(|path| has_effect(path));
    told.map(|path| change(path, words.of(&general(path)), before.values.get(path), after.values.get(path))).collect()
}

/// The values of a registry's keys, each by its path.
struct Keys<'w> {
    words: &'w Words,
    values: BTreeMap<Path, Value>,
    order: Vec<Path>,
}

impl<'w> Keys<'w> {
    fn of(words: &'w Words) -> Self {
        Keys { words, values: BTreeMap::new(), order: Vec::new() }
    }

    fn collect(&mut self, value: &Value, path: &mut Path) {
        let general = general(path);
        if ELSEWHERE.contains(&&*general)
            || general.starts_with("credentials[].") && !general.starts_with("credentials[].policy")
        {
            return;
        }
        let has_keys =
            path.is_empty() || general.ends_with("[]") || self.words.of(&general).is_some_and(|word| word.has_keys);
        match (value, names(value)) {
            (Value::Object(map), _) if has_keys => {
                for (key, value) in map {
                    path.push(Step::Key(key.clone()));
                    self.collect(value, path);
                    path.pop();
                }
            }
            (Value::Array(entries), Some(key)) => {
                for entry in entries {
                    path.push(Step::Entry(entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned(), key));
                    self.collect(entry, path);
                    path.pop();
                }
            }
            _ => {
                self.order.push(path.clone());
                self.values.insert(path.clone(), value.clone());
            }
        }
    }
}

/// The key by which all entries of a list are told apart.
fn names(value: &Value) -> Option<&'static str> {
    let entries = value.as_array().filter(|entries| !entries.is_empty())?;
    ["id", "name"].into_iter().find(|key| entries.iter().all(|entry| entry.get(key).is_some_and(Value::is_string)))
}

/// The path as the table of keys has it.
fn general(path: &[Step]) -> String {
    let mut general = String::new();
    for step in path {
        match step {
            Step::Key(key) if general.is_empty() => general.push_str(key),
            Step::Key(key) => general = format!("{general}.{key}"),
            Step::Entry(..) => general.push_str("[]"),
        }
    }
    general
}

/// Whether the servers, tools, credentials on the way, and the direct path of a tool, are in this registry too: else that they
/// are not is what there is to tell.
fn is_in_both(path: &[Step], registry: &Value) -> bool {
    let mut value = Some(registry);
    for (at, step) in path.iter().enumerate() {
        value = value.and_then(|value| below(value, step));
        let is_whole =
            matches!(step, Step::Entry(..)) || general(path.get(..=at).unwrap_or_default()) == "tools[].rest";
        if is_whole && value.is_none() {
            return false;
        }
    }
    true
}

fn below<'v>(value: &'v Value, step: &Step) -> Option<&'v Value> {
    match step {
        Step::Key(key) => value.get(key),
        Step::Entry(name, key) => {
            value.as_array()?.iter().find(|entry| entry.get(key).and_then(Value::as_str) == Some(name))
        }
    }
}

/// Whether the registry means the same with this value at this path.
fn is_the_same(registry: &Registry, wire: &Value, path: &[Step], value: Option<&Value>) -> bool {
    let mut changed = wire.clone();
    put(&mut changed, path, value);
    Registry::from_wire(&changed).is_ok_and(|changed| changed == *registry)
}

fn put(tree: &mut Value, path: &[Step], value: Option<&Value>) {
    let Some((step, rest)) = path.split_first() else {
        *tree = value.cloned().unwrap_or_default();
        return;
    };
    match (step, tree) {
        (Step::Key(key), Value::Object(map)) => match (rest.is_empty(), value) {
            (true, None) => drop(map.shift_remove(key)),
            _ => put(map.entry(key).or_insert_with(|| Value::Object(Map::new())), rest, value),
        },
        (Step::Entry(name, key), Value::Array(entries)) => {
            let found = entries.iter_mut().find(|entry| entry.get(key).and_then(Value::as_str) == Some(name));
            found.into_iter().for_each(|entry| put(entry, rest, value));
        }
        _ => {}
    }
}

fn change(path: &[Step], word: Option<Word>, before: Option<&Value>, after: Option<&Value>) -> Change {
    let about = match path {
        [Step::Key(list), Step::Entry(name, _), ..] => format!("{} {name}", list.trim_end_matches('s')),
        [Step::Key(section), _, ..] => section.clone(),
        _ => "registry".to_owned(),
    };
    let skipped = match path {
        [_, Step::Entry(..), ..] => 2,
        [_, _, ..] => 1,
        _ => 0,
    };
    let key = general(path.get(skipped..).unwrap_or_default());
    let meaning = word.as_ref().map(|word| format!(". {}", word.meaning)).unwrap_or_default();
    let shown = |value: Option<&Value>| match value {
        None if general(path).starts_with("servers[].breaker.") => "what breaker says".to_owned(),
        value => shown(value, word.as_ref()),
    };
    let (before, after) = (shown(before), shown(after));
    Change::of(about, format!("{key} is {after} instead of {before}{meaning}"))
}

/// A value in a line, or what holds without one.
fn shown(value: Option<&Value>, word: Option<&Word>) -> String {
    const LONGEST: usize = 60;
    let text = |value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match text.char_indices().nth(LONGEST) {
            Some((cut, _)) => format!("{}...", text.get(..cut).unwrap_or_default()),
            None => text,
        }
    };
    match (value, word) {
        (Some(value), _) => text(value),
        (None, Some(Word { default: Some(default), .. })) => format!("the default of {}", text(default)),
        (None, Some(Word { usually: Some(usually), .. })) => format!("not given ({usually})"),
        (None, _) => "not given".to_owned(),
    }
}
