//! `dualpath keys --schema`: the table of keys as JSON Schema (draft 7, which editors read), so that they complete keys and see
//! mistakes of shape. What a key must be is taken from the reader's own words for it; a rule that spans keys is not in it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::reference::{ALIKE, Row, at, is_required, known, must_be, rows, specimen, words};
use crate::failure::Class;

/// A text with a variable in it, which stands for whatever the variable is.
const VARIABLE: &str = r"\$\{[A-Z0-9_]+\}";

/// Mappings that stand in several places.
const SHARED: [(&str, &str); 8] = [
    ("breaker", "breaker"),
    ("credentials[]", "credential"),
    ("credentials[].slots", "slots"),
    ("failure.rules[]", "rule"),
    ("routing.tasks.NAME", "routing"),
    ("servers[]", "server"),
    ("servers[].outcomes", "outcomes"),
    ("tools[]", "tool"),
];

/// The schema of a registry. `#/definitions/part` is that of a file which another one includes.
pub(super) fn schema() -> Value {
    let table = Table::new();
    let mut definitions = Map::new();
    for (prefix, name) in SHARED {
        definitions.insert(name.to_owned(), table.mapping(prefix, Role::Registry));
        definitions.insert(format!("{name}-over"), table.mapping(prefix, Role::Over));
    }
    let mut part = table.mapping("", Role::Registry);
    if let Some(part) = part.as_object_mut() {
        part.remove("required");
        // The language server takes from the whole what a part does not say itself.
        part.extend(["if", "then"].map(|key| (key.to_owned(), json!({}))));
    }
    definitions.insert("part".to_owned(), part);
    definitions.insert("environment".to_owned(), table.mapping("", Role::Over));
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Registry of Dualpath",
        "description": "Made by `dualpath keys --schema` from what the reader takes.",
        "allOf": [{"$ref": "#/definitions/part"}],
        "required": ["version"],
        "if": {"not": {"required": ["include"]}},
        "then": {"required": ["servers"]},
        "definitions": definitions,
    })
}

/// What a mapping is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A registry.
    Registry,
    /// What is laid over one: nothing is required, null takes a key away, a list may be a mapping from names.
    Over,
}

struct Table {
    rows: Vec<Row>,
    specimen: Value,
    words: Map<String, Value>,
    places: BTreeMap<String, Vec<String>>,
}

impl Table {
    fn new() -> Self {
        Table { rows: rows(|_| true), specimen: specimen(), words: words(), places: known() }
    }

    /// The keys right below `prefix`, each with the last part of its name.
    fn below<'t>(&'t self, prefix: &'t str) -> impl Iterator<Item = (&'t Row, &'t str)> {
        self.rows.iter().filter_map(move |row| {
            let (parent, name) = row.key.rsplit_once('.').unwrap_or(("", &row.key));
            (parent == prefix).then_some((row, name))
        })
    }

    fn mapping(&self, prefix: &str, role: Role) -> Value {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        let mut others = json!(false);
        for (row, name) in self.below(prefix) {
            if role == Role::Over && ["version", "include", "environment", "environments"].contains(&&*row.key) {
                continue;
            }
            let value = self.value(row, role);
            match name {
                "SLOT" => ["a", "b"].iter().for_each(|slot| drop(properties.insert((*slot).to_owned(), value.clone()))),
                "CLASS" => {
                    let classes = Class::ALL.iter().filter(|class| **class != Class::Success);
                    classes.for_each(|class| drop(properties.insert(class.as_str().to_owned(), value.clone())));
                }
                "NAME" => others = value,
                _ => {
                    if role == Role::Registry && self.is_required(prefix, name) {
                        required.push(name);
                    }
                    properties.insert(name.to_owned(), value);
                }
            }
        }
        let mut mapping = json!({"type": "object"});
        if !properties.is_empty() {
            put(&mut mapping, "properties", Value::Object(properties));
        }
        put(&mut mapping, "additionalProperties", others);
        if !required.is_empty() {
            put(&mut mapping, "required", json!(required));
        }
        mapping
    }

    /// Whether every mapping of this kind needs the key.
    fn is_required(&self, prefix: &str, name: &str) -> bool {
        let parent = |place: &String| place.rsplit_once('.').map_or(String::new(), |(parent, _)| parent.to_owned());
        let siblings =
            self.places.iter().filter(|(key, _)| key.rsplit_once('.').map_or("", |(parent, _)| parent) == prefix);
        let mut parents = siblings.flat_map(|(_, places)| places).map(parent);
        parents.all(|parent| {
            let place = if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
            at(&self.specimen, &place).is_some() && is_required(&self.specimen, &place)
        })
    }

    /// The schema of a key's value, with what the key means.
    fn value(&self, row: &Row, role: Role) -> Value {
        let mut value = self.shape(row, role);
        if role == Role::Over {
            value = or_null(value);
        }
        if value.get("$ref").is_some() {
            value = json!({"allOf": [value]});
        }
        put(&mut value, "description", json!(row.meaning));
        if let Some(default) = self.words.get(&row.key).and_then(|word| word.get("default")) {
            put(&mut value, "default", default.clone());
        }
        value
    }

    fn shape(&self, row: &Row, role: Role) -> Value {
        let entry = format!("{}[]", row.key);
        let below = |prefix: &str| self.below(prefix).next().is_some() || of_another(prefix).is_some();
        let shared = |prefix: &str| self.shared(prefix, role);
        if row.key == "environments.NAME" {
            return json!({"$ref": "#/definitions/environment"});
        }
        if below(&entry) {
            let list = json!({"type": "array", "items": shared(&entry)});
            let is_named = self.below(&entry).any(|(_, name)| name == "id" || name == "name");
            let mapping = json!({"type": "object", "additionalProperties": or_null(shared(&entry))});
            return if is_named && role == Role::Over { json!({"anyOf": [list, mapping]}) } else { list };
        }
        if below(&row.key) {
            return shared(&row.key);
        }
        let named = format!("{}.NAME", row.key);
        if below(&named) {
            return json!({"type": "object", "additionalProperties": shared(&named)});
        }
        let mut shapes: Vec<Value> = Vec::new();
        let places = self.places.get(&row.key).into_iter().flatten();
        for place in places {
            let Some(value) = at(&self.specimen, place) else { continue };
            let shape = shape(&must_be(&self.specimen, place), value);
            if !shapes.contains(&shape) {
                shapes.push(shape);
            }
        }
        match shapes.as_slice() {
            [shape] => shape.clone(),
            _ => json!({"anyOf": shapes}),
        }
    }

    /// The mapping, or where it is defined.
    fn shared(&self, prefix: &str, role: Role) -> Value {
        let prefix = of_another(prefix).unwrap_or(prefix);
        match SHARED.iter().find(|(other, _)| *other == prefix) {
            Some((_, name)) if role == Role::Over => json!({"$ref": format!("#/definitions/{name}-over")}),
            Some((_, name)) => json!({"$ref": format!("#/definitions/{name}")}),
            None => self.mapping(prefix, role),
        }
    }
}

/// The mapping whose keys this one has.
fn of_another(prefix: &str) -> Option<&'static str> {
    let alike = ALIKE.iter().find(|(from, _)| from.strip_suffix('.') == Some(prefix))?;
    alike.1.strip_suffix('.')
}

fn put(schema: &mut Value, key: &str, value: Value) {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert(key.to_owned(), value);
    }
}

/// The same, or nothing.
fn or_null(mut value: Value) -> Value {
    // Anything may be nothing already.
    if value == json!({}) {
        return value;
    }
    if let Some(types) = value.get_mut("type") {
        match types {
            Value::Array(types) => types.push(json!("null")),
            one => *one = json!([one.clone(), "null"]),
        }
        return value;
    }
    match value.get_mut("anyOf").and_then(Value::as_array_mut) {
        Some(any) => any.push(json!({"type": "null"})),
        None => return json!({"anyOf": [value, {"type": "null"}]}),
    }
    value
}

/// The shape of what the reader says with `rule` that it must be; `example` keeps the rule.
fn shape(rule: &str, example: &Value) -> Value {
    let text = |pattern: &str| json!({"type": "string", "pattern": format!("{pattern}|{VARIABLE}")});
    let number = |kind: &str| {
        let mut number = json!({"type": [kind, "string"], "pattern": VARIABLE});
        if let Some((min, max)) = rule.split_once(" from ").and_then(|(_, range)| range.split_once(" to ")) {
            let bound = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
            put(&mut number, "minimum", bound(min));
            put(&mut number, "maximum", bound(max));
        }
        number
    };
    let starts = |start: &str| rule.starts_with(start);
    match rule {
        "any value" => json!({}),
        "1" => json!({"const": 1}),
        "true or false" => json!({"type": ["boolean", "string"], "pattern": VARIABLE}),
        "true, false or annotations" => {
            json!({"anyOf": [{"enum": [true, false, "annotations"]}, {"type": "string", "pattern": VARIABLE}]})
        }
        "a text, a number, true or false" => json!({"type": ["string", "number", "boolean"]}),
        "the name of an environment variable: A-Z, 0-9 and _" => {
            json!({"type": "string", "pattern": "^[A-Z_][A-Z0-9_]*$"})
        }
        "a legal header name" => text("^[a-z0-9!#$%&'*+.^_`|~-]+$"),
        _ if starts("the path of a file, or a list") => {
            json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
        }
        _ if starts("one of ") => {
            let choices: Vec<_> = rule.trim_start_matches("one of ").split(", ").collect();
            json!({"anyOf": [{"enum": choices}, {"type": "string", "pattern": VARIABLE}]})
        }
        _ if starts("a whole number") => number("integer"),
        _ if starts("a number") => number("number"),
        _ if starts("a duration") => text("^[0-9]+(ms|s|m|h|d)$"),
        _ if starts("a size") => {
            json!({"type": ["integer", "string"], "pattern": format!("^[0-9]+(B|KiB|MiB|GiB)?$|{VARIABLE}")})
        }
        _ if starts("a name of at most") => text("^[a-z0-9][a-z0-9_-]{0,62}$"),
        _ if starts("a URL") => text("^https?://"),
        _ if starts("a path") || starts("must begin with /") => text("^/"),
        _ if starts("a date") => text("^[0-9]{4}-[0-9]{2}-[0-9]{2}"),
        _ => by_example(example),
    }
}

/// The type of an example, and of the entries of a list.
fn by_example(example: &Value) -> Value {
    match example {
        Value::Object(_) => json!({"type": "object"}),
        Value::Array(entries) => match entries.first() {
            Some(entry) => json!({"type": "array", "items": by_example(entry)}),
            None => json!({"type": "array"}),
        },
        Value::Number(_) => json!({"type": ["number", "string"]}),
        Value::Bool(_) => json!({"type": ["boolean", "string"]}),
        _ => json!({"type": "string", "minLength": 1}),
    }
}
