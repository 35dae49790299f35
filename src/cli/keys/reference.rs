//! The table of keys. That a key exists, what it must be and whether it may be left out is learned from the reader, by
//! having it read a registry that has every key, whole and spoilt. Only meanings and defaults are written down.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::cli::load::{OWN_KEYS, own_problems};
use crate::registry::{Problem, Registry, mappings};

pub(super) const SPECIMEN: &str = include_str!("specimen.yaml");
pub(super) const WORDS: &str = include_str!("words.yaml");

/// Mappings whose keys are those of another one, which has them in the table.
pub(super) const ALIKE: [(&str, &str); 6] = [
    ("credentials[].environments.NAME.slots.", "credentials[].slots."),
    ("servers[].breaker.", "breaker."),
    ("servers[].rules[].", "failure.rules[]."),
    ("routing.sessions.", "routing.tasks.NAME."),
    ("tools[].outcomes.", "servers[].outcomes."),
    ("tools[].routing.", "routing.tasks.NAME."),
];

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Its path, with `[]` for any entry of a list.
    pub key: String,
    /// The rule for its value, in the reader's words.
    pub must_be: String,
    /// What holds where it is left out; `None` = its keys have their defaults.
    pub default: Option<String>,
    /// What it means.
    pub meaning: String,
}

/// Whether `key` is `wanted` or below it.
pub(super) fn is_at_or_below(key: &str, wanted: &str) -> bool {
    let rest = key.strip_prefix(wanted.trim_end_matches("[]"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Every key that is `wanted`, in the order of the words.
pub(super) fn rows(wanted: impl Fn(&str) -> bool) -> Vec<Row> {
    let (specimen, known) = (specimen(), known());
    let row = |(key, word): (&String, &Value)| {
        let places = known.get(key)?;
        let place = places.iter().find(|place| at(&specimen, place).is_some())?;
        Some(Row {
            key: key.clone(),
            must_be: must_be(&specimen, place),
            default: default(word, is_required(&specimen, place)),
            meaning: word["is"].as_str()?.to_owned(),
        })
    };
    words().iter().filter(|(key, _)| wanted(key)).filter_map(row).collect()
}

/// The registry with every key.
pub(super) fn specimen() -> Value {
    yaml(SPECIMEN)
}

/// What is written down of the keys.
pub(super) fn words() -> Map<String, Value> {
    match yaml(WORDS) {
        Value::Object(words) => words,
        _ => Map::new(),
    }
}

/// Both files are part of the program, and a test reads them.
fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_default()
}

/// What is wrong with a registry, of which nothing is replaced and nothing included.
///
/// # Errors
/// See [`Registry::from_wire`].
pub(super) fn read(registry: &Value) -> Result<Registry, Vec<Problem>> {
    match own_problems(registry) {
        problems if problems.is_empty() => Registry::from_wire(&without_own_keys(registry)),
        problems => Err(problems),
    }
}

fn without_own_keys(registry: &Value) -> Value {
    let mut plain = registry.clone();
    OWN_KEYS.iter().for_each(|key| take_away(&mut plain, key));
    plain
}

/// Every key that the reader and the loader ask for, with the places in the specimen where they do.
pub(super) fn known() -> BTreeMap<String, Vec<String>> {
    let specimen = specimen();
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for key in OWN_KEYS {
        let names = specimen.get(key).and_then(Value::as_object).into_iter().flat_map(Map::keys);
        let places: Vec<String> = names.map(|name| format!("{key}.{name}")).collect();
        if !places.is_empty() {
            known.insert(format!("{key}.NAME"), places);
        }
        known.insert(key.to_owned(), vec![key.to_owned()]);
    }
    for mapping in mappings(&without_own_keys(&specimen)) {
        for key in &mapping.keys {
            let place = if mapping.path.is_empty() { key.clone() } else { format!("{}.{key}", mapping.path) };
            known.entry(general(&specimen, &place)).or_default().push(place);
        }
    }
    known
}

/// A key as the table names it, whichever names of an operator's own are in it.
pub(super) fn named(key: &str) -> String {
    general(&Value::Null, key)
}

/// The key at this place of the specimen, as the table names it.
fn general(specimen: &Value, place: &str) -> String {
    let mut general: Vec<String> = Vec::new();
    for segment in place.split('.') {
        let name = segment.split_once('[').map_or(segment.to_owned(), |(name, _)| format!("{name}[]"));
        general.push(match general.last().map(String::as_str) {
            Some("slots") => "SLOT".to_owned(),
            Some("outcomes") => "CLASS".to_owned(),
            Some("environments" | "tasks") => "NAME".to_owned(),
            _ => name,
        });
    }
    let general = general.join(".");
    // The constants of a preset are its own.
    if let (Some((rest, _)), Some(key)) = (place.split_once(".with."), general.strip_prefix("tools[].rest.with.")) {
        let preset = at(specimen, &format!("{rest}.preset")).and_then(Value::as_str);
        return preset.map_or("tools[].rest.with.NAME".to_owned(), |preset| format!("{preset}.with.{key}"));
    }
    let alike = ALIKE.iter().find_map(|(from, to)| Some(format!("{to}{}", general.strip_prefix(from)?)));
    alike.unwrap_or(general)
}

/// What the reader says of values that can't be right here, without its "must be".
pub(super) fn must_be(specimen: &Value, place: &str) -> String {
    let rule = mistake(specimen, place).map(|problem| problem.rule);
    rule.map_or("any value".to_owned(), |rule| rule.strip_prefix("must be ").unwrap_or(&rule).to_owned())
}

/// What the reader finds with the first value that can't be right here; `None` if any can.
pub(super) fn mistake(specimen: &Value, place: &str) -> Option<Problem> {
    // The first is a duration out of every bound, and no number, name of a choice, mapping or list; the second breaks the
    // rules of names and texts.
    let wrong = [json!("99999999d"), json!("\u{1} !"), json!(true), json!([])];
    wrong.into_iter().find_map(|value| {
        let mut spoilt = specimen.clone();
        *at_mut(&mut spoilt, place)? = value;
        problem_at(&spoilt, place)
    })
}

pub(super) fn is_required(specimen: &Value, place: &str) -> bool {
    let mut without = specimen.clone();
    take_away(&mut without, place);
    problem_at(&without, place).is_some_and(|problem| problem.rule == "is required")
}

/// What the reader finds at this place.
fn problem_at(registry: &Value, place: &str) -> Option<Problem> {
    let problems = read(registry).err()?;
    problems.into_iter().find(|problem| problem.path == place)
}

fn default(word: &Value, required: bool) -> Option<String> {
    if required {
        return Some("required".to_owned());
    }
    let value = |value: &Value| match value {
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    };
    word.get("default").map(value).or_else(|| Some(word.get("usually")?.as_str()?.to_owned()))
}

/// The value at a place such as `servers[0].probe.path`.
pub(super) fn at<'v>(registry: &'v Value, place: &str) -> Option<&'v Value> {
    registry.pointer(&pointer(place))
}

/// As [`at`], to be changed.
pub(super) fn at_mut<'v>(registry: &'v mut Value, place: &str) -> Option<&'v mut Value> {
    registry.pointer_mut(&pointer(place))
}

/// Takes the key at this place away.
pub(super) fn take_away(registry: &mut Value, place: &str) {
    let (parent, key) = place.rsplit_once('.').unwrap_or(("", place));
    if let Some(mapping) = at_mut(registry, parent).and_then(Value::as_object_mut) {
        mapping.shift_remove(key);
    }
}

/// The JSON pointer of a place. No key of the specimen has a character that would have to be escaped.
fn pointer(place: &str) -> String {
    let plain = place.replace('[', ".").replace(']', "");
    plain.split('.').filter(|segment| !segment.is_empty()).map(|segment| format!("/{segment}")).collect()
}
