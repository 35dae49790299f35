//! A YAML document as a JSON tree that knows where its parts stand.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::{Location, Spanned};

use super::{At, LoadError};
use crate::cli::shown;
use crate::registry::Problem;
use crate::wire::looks_like_a_token;

/// A document.
#[derive(Debug)]
pub(in crate::cli) struct Document {
    /// What it says.
    pub value: Value,
    text: String,
    root: Part,
}

/// Where a value stands, and where what is in it does.
#[derive(Debug, Default)]
struct Part {
    /// Of its key, or of the entry of a list.
    at: Option<At>,
    /// The bytes of a scalar.
    scalar: (usize, usize),
    parts: Parts,
}

#[derive(Debug, Default)]
enum Parts {
    #[default]
    None,
    List(Vec<Part>),
    Mapping(Vec<(String, Part)>),
}

/// A place as people find it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Spot {
    /// Line and column of the key or entry, or of the nearest thing around it that is written.
    pub at: Option<At>,
    /// The path with the names of servers, tools and credentials.
    pub path: String,
    /// The number that is written there, as it is written.
    pub number: Option<String>,
}

impl Document {
    /// Reads the only document of `text`, which is in `file`.
    ///
    /// # Errors
    /// It is no YAML, has the same key twice in a mapping, or holds more than one document.
    pub fn read(file: &str, text: String) -> Result<Self, LoadError> {
        // Snippets of the file in a message could show a secret that somebody put there. `yes` and `on` stay text.
        let options =
            serde_saphyr::options! { with_snippet: false, strict_booleans: true, reject_unsupported_tags: true };
        let read: Spanned<Tree> = serde_saphyr::from_str_with_options(&text, options)
            .map_err(|error| super::syntax::refusal(file, &error))?;
        let root = Part { at: Some((1, 1)), scalar: bytes_of(&read), parts: read.value.parts };
        Ok(Document { value: read.value.value, text, root })
    }

    /// Where `path` leads, which is a path as problems have it, such as `servers[0].url`.
    pub fn spot(&self, path: &str) -> Spot {
        let path = if path == "registry" && self.value.get(path).is_none() { "" } else { path };
        let mut found = self.follow(&self.root, &self.value, path);
        found.path = if path.is_empty() { "registry".to_owned() } else { shown::line(&found.path).into_owned() };
        found
    }

    /// Keys may hold dots and brackets, so every key is tried that the rest of the path may begin with; what leads
    /// furthest is right.
    fn follow(&self, part: &Part, value: &Value, rest: &str) -> Spot {
        let here = Spot { at: part.at, path: rest.to_owned(), number: self.number(part, value) };
        let rest = rest.strip_prefix('.').unwrap_or(rest);
        let below = match (&part.parts, value) {
            (Parts::Mapping(parts), Value::Object(map)) => parts
                .iter()
                .filter_map(|(key, part)| {
                    let after = rest.strip_prefix(key.as_str())?;
                    let ends = after.is_empty() || after.starts_with(['.', '[']);
                    ends.then_some((key, part, after, map.get(key)?))
                })
                .max_by_key(|(key, ..)| key.len())
                .map(|(key, part, after, value)| (key.clone(), self.follow(part, value, after))),
            (Parts::List(parts), Value::Array(values)) => rest.strip_prefix('[').and_then(|rest| {
                let (index, after) = rest.split_once(']')?;
                let at: usize = index.parse().ok()?;
                let (part, value) = (parts.get(at)?, values.get(at)?);
                let name = name_of(value).map(|name| format!(" {name:?}")).unwrap_or_default();
                Some((format!("[{at}]{name}"), self.follow(part, value, after)))
            }),
            _ => None,
        };
        let Some((step, spot)) = below else { return here };
        let dot = if spot.path.is_empty() || spot.path.starts_with(['.', '[']) { "" } else { "." };
        Spot { at: spot.at.or(part.at), path: [&step, dot, &spot.path].concat(), number: spot.number }
    }

    fn number(&self, part: &Part, value: &Value) -> Option<String> {
        let (start, length) = part.scalar;
        let text = self.text.get(start..start.saturating_add(length))?;
        (value.is_number() && !text.is_empty()).then(|| text.to_owned())
    }

    /// Numbers that YAML readers do not agree about, or that no other tool takes for the same: `0x2760`, `10_080`, `010`.
    pub fn odd_numbers(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        self.note_odd_numbers(&self.root, &self.value, String::new(), &mut found);
        found
    }

    fn note_odd_numbers(&self, part: &Part, value: &Value, path: String, found: &mut Vec<Problem>) {
        match (&part.parts, value) {
            (Parts::Mapping(parts), Value::Object(map)) => {
                for (key, part) in parts {
                    let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.note_odd_numbers(part, map.get(key).unwrap_or(&Value::Null), below, found);
                }
            }
            (Parts::List(parts), Value::Array(values)) => {
                for (at, (part, value)) in parts.iter().zip(values).enumerate() {
                    self.note_odd_numbers(part, value, format!("{path}[{at}]"), found);
                }
            }
            _ => {
                let Some(text) = self.number(part, value) else { return };
                if serde_json::from_str::<serde_json::Number>(&text).is_err() {
                    let rule = "must be written as a decimal number".to_owned();
                    let hint = Some(format!("write {value}, or put it in quotes if it is text"));
                    found.push(Problem { path, value: text, rule, hint });
                }
            }
        }
    }
}

/// What an entry of a list is called, if that is plainly a name.
fn name_of(entry: &Value) -> Option<&str> {
    let name = entry.get("id").or_else(|| entry.get("name"))?.as_str()?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"_-./".contains(&b);
    // A token may have been pasted there: names are short, and no JWT.
    let is_token = name.starts_with("eyJ") || looks_like_a_token(name);
    (name.len() <= 63 && name.bytes().all(legal) && !is_token).then_some(name)
}

fn at(place: Location) -> Option<At> {
    (place.line() > 0).then(|| (place.line(), place.column()))
}

fn bytes_of<T>(read: &Spanned<T>) -> (usize, usize) {
    let span = read.defined.span();
    let number = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
    (number(span.byte_offset()), number(span.byte_len()))
}

/// A value with the places of what is in it.
#[derive(Debug)]
struct Tree {
    value: Value,
    parts: Parts,
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

fn scalar<E>(value: impl Into<Value>) -> Result<Tree, E> {
    Ok(Tree { value: value.into(), parts: Parts::None })
}

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        scalar(value)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        scalar(value)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        scalar(value)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        scalar(value)
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        scalar(value)
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        scalar(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        scalar(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let (mut values, mut parts) = (Vec::new(), Vec::new());
        while let Some(entry) = entries.next_element::<Spanned<Tree>>()? {
            parts.push(Part { at: at(entry.referenced), scalar: bytes_of(&entry), parts: entry.value.parts });
            values.push(entry.value.value);
        }
        Ok(Tree { value: values.into(), parts: Parts::List(parts) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let (mut values, mut parts) = (Map::new(), Vec::new());
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let entry = entries.next_value::<Spanned<Tree>>()?;
            parts.push((
                key.value.clone(),
                Part { at: at(key.referenced), scalar: bytes_of(&entry), parts: entry.value.parts },
            ));
            values.insert(key.value, entry.value.value);
        }
        Ok(Tree { value: values.into(), parts: Parts::Mapping(parts) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Document {
        Document::read("r.yaml", text.to_owned()).unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    fn assert_spot(text: &str, path: &str, at: At, shown: &str) {
        let spot = read(text).spot(path);
        assert_eq!((spot.at, &*spot.path), (Some(at), shown));
    }

    #[test]
    fn a_path_is_found_at_its_key_with_the_names_on_the_way() {
        let text = "version: 1\ntools:\n  - name: search\n    rest:\n      path: x\n  - {name: b, timeout: 5}\n";
        assert_spot(text, "version", (1, 1), "version");
        assert_spot(text, "tools[0].rest.path", (5, 7), "tools[0] \"search\".rest.path");
        assert_spot(text, "tools[1].timeout", (6, 15), "tools[1] \"b\".timeout");
        assert_spot(text, "tools[1]", (6, 5), "tools[1] \"b\"");
    }

    #[test]
    fn what_is_missing_is_told_at_what_lacks_it() {
        let text = "tools:\n  - name: search\nservers: []\n";
        assert_spot(text, "tools[0].task", (2, 5), "tools[0] \"search\".task");
        assert_spot(text, "version", (1, 1), "version");
        assert_spot(text, "registry", (1, 1), "registry");
    }

    #[test]
    fn keys_with_dots_and_brackets_are_found() {
        assert_spot("a.b:\n  c[0]: 1\na: 2\n", "a.b.c[0]", (2, 3), "a.b.c[0]");
    }

    #[test]
    fn what_steers_a_terminal_is_shown_in_a_path() {
        assert_spot("\"a\\u001b\\nb\": 1\n", "a\u{1b}\nb", (1, 1), "a\\u001b\\u000ab");
    }

    #[test]
    fn a_value_by_reference_is_told_where_it_is_used() {
        let text = "a: &x {port: y}\nb: *x\nc:\n  <<: *x\n";
        assert_spot(text, "b.port", (2, 4), "b.port");
        assert_eq!(read(text).spot("c.port").path, "c.port");
    }

    #[test]
    fn json_has_places_too() {
        assert_spot("{\n \"a\": [\n  {\"id\": \"s\", \"url\": 1}]}", "a[0].url", (3, 15), "a[0] \"s\".url");
    }

    #[test]
    fn what_may_be_a_token_is_no_name() {
        for name in ["eyJhbGciOiJIUzI1NiJ9.e30.x", "ver:1-hint:2-x", &"x".repeat(64)] {
            assert_spot(&format!("servers: [{{id: '{name}'}}]"), "servers[0]", (1, 11), "servers[0]");
        }
    }

    #[test]
    fn numbers_are_told_as_they_are_written() {
        assert_eq!(read("a: 99999999999999999999999\n").spot("a").number.as_deref(), Some("99999999999999999999999"));
        let told = |text: &str| read(text).odd_numbers().into_iter().map(|p| p.to_string()).collect::<Vec<_>>();
        for text in ["0x2760", "10_080", "0o17", "+5", ".5"] {
            let found = told(&format!("a: [{text}]\n"));
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].starts_with(&format!("a[0]: {text}: must be written as a decimal number")), "{found:?}");
        }
        assert!(told("a: [1, -1, 0.5, 1e3, '0x1', 1.5e-3, 2026-01-01]\n").is_empty());
    }
}
