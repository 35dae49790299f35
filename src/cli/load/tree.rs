//! A YAML document as a tree that knows where its parts stand.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::{Location, Spanned};

use super::{At, LoadError};

/// A part of one file, or of several that were put together.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Tree {
    /// Of its key, or of the entry of a list.
    pub place: Place,
    /// How a scalar is written, where that is not what it says.
    pub written: Written,
    /// What it says.
    pub node: Node,
}

/// What a part says.
#[derive(Debug, Clone)]
pub(in crate::cli) enum Node {
    /// Text, a number, true, false or null.
    Scalar(Value),
    /// A list.
    List(Vec<Tree>),
    /// A mapping. No key is there twice.
    Mapping(Vec<(String, Tree)>),
}

impl Default for Node {
    fn default() -> Self {
        Node::Scalar(Value::Null)
    }
}

/// A place in one of the files that were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) struct Place {
    /// Position of the file among those that were read.
    pub file: usize,
    /// Line and column; `None` for what is in no file.
    pub at: Option<At>,
}

/// How a scalar is written.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) enum Written {
    /// As it is read.
    #[default]
    AsRead,
    /// A number, in these digits.
    Number(Box<str>),
    /// Text with variables, and where their values come from.
    Variables(Box<str>, Box<str>),
}

impl Tree {
    /// Reads the only document of `text`, which is in the file at position `at` of those that were read.
    ///
    /// # Errors
    /// It is no YAML, has the same key twice in a mapping, or holds more than one document.
    pub fn read(file: &str, at: usize, text: &str) -> Result<Self, LoadError> {
        // Snippets of the file in a message could show a secret that somebody put there. `yes` and `on` stay text.
        let options =
            serde_saphyr::options! { with_snippet: false, strict_booleans: true, reject_unsupported_tags: true };
        let read: Spanned<Parsed> =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| super::syntax::refusal(file, &error))?;
        Ok(placed(read, Place { file: at, at: Some((1, 1)) }, text))
    }

    /// A scalar at a place.
    pub fn scalar(value: impl Into<Value>, place: Place) -> Self {
        Tree { place, written: Written::AsRead, node: Node::Scalar(value.into()) }
    }

    /// What it says, without the places.
    pub fn value(&self) -> Value {
        match &self.node {
            Node::Scalar(value) => value.clone(),
            Node::List(entries) => entries.iter().map(Tree::value).collect(),
            Node::Mapping(keys) => {
                Value::Object(keys.iter().map(|(key, tree)| (key.clone(), tree.value())).collect::<Map<_, _>>())
            }
        }
    }

    /// Whether it is the value that a key has which says nothing.
    pub fn is_null(&self) -> bool {
        matches!(&self.node, Node::Scalar(Value::Null))
    }

    /// Its text.
    pub fn text(&self) -> Option<&str> {
        if let Node::Scalar(Value::String(text)) = &self.node { Some(text) } else { None }
    }

    /// The keys of a mapping; none of anything else.
    pub fn keys(&self) -> &[(String, Tree)] {
        if let Node::Mapping(keys) = &self.node { keys } else { &[] }
    }

    /// The entries of a list; none of anything else.
    pub fn entries(&self) -> &[Tree] {
        if let Node::List(entries) = &self.node { entries } else { &[] }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Tree> {
        self.keys().iter().find(|(other, _)| other == key).map(|(_, tree)| tree)
    }

    /// Takes a key out of a mapping.
    pub fn take(&mut self, key: &str) -> Option<Tree> {
        let Node::Mapping(keys) = &mut self.node else { return None };
        let at = keys.iter().position(|(other, _)| other == key)?;
        Some(keys.remove(at).1)
    }

    /// Gives a mapping a key, in the place of the one that it has.
    pub fn set(&mut self, key: &str, tree: Tree) {
        let Node::Mapping(keys) = &mut self.node else { return };
        match keys.iter_mut().find(|(other, _)| other == key) {
            Some((_, there)) => *there = tree,
            None => keys.push((key.to_owned(), tree)),
        }
    }
}

/// What the parser gives: every part with its places in the text.
enum Parsed {
    Scalar(Value),
    List(Vec<Spanned<Parsed>>),
    Mapping(Vec<(Spanned<String>, Spanned<Parsed>)>),
}

fn placed(read: Spanned<Parsed>, place: Place, text: &str) -> Tree {
    let at = |location: Location| Place { at: line_and_column(location), ..place };
    let mut written = Written::AsRead;
    let span = bytes_of(&read);
    let node = match read.value {
        Parsed::Scalar(value) => {
            if let (true, Some(digits)) = (value.is_number(), span.and_then(|(start, end)| text.get(start..end))) {
                written = Written::Number(digits.into());
            }
            Node::Scalar(value)
        }
        Parsed::List(entries) => Node::List(
            entries
                .into_iter()
                .map(|entry| {
                    let place = at(entry.referenced);
                    placed(entry, place, text)
                })
                .collect(),
        ),
        Parsed::Mapping(keys) => {
            let mut mapping = Tree { node: Node::Mapping(Vec::new()), ..Tree::default() };
            for (key, value) in keys {
                mapping.set(&key.value, placed(value, at(key.referenced), text));
            }
            mapping.node
        }
    };
    Tree { place, written, node }
}

fn line_and_column(place: Location) -> Option<At> {
    (place.line() > 0).then(|| (place.line(), place.column()))
}

/// First and last byte of a scalar; `None` for an empty one.
fn bytes_of<T>(read: &Spanned<T>) -> Option<(usize, usize)> {
    let span = read.defined.span();
    let number = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok());
    let (start, length) = (number(span.byte_offset())?, number(span.byte_len())?);
    (length > 0).then(|| (start, start.saturating_add(length)))
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ParsedVisitor)
    }
}

struct ParsedVisitor;

fn scalar<E>(value: impl Into<Value>) -> Result<Parsed, E> {
    Ok(Parsed::Scalar(value.into()))
}

impl<'de> Visitor<'de> for ParsedVisitor {
    type Value = Parsed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Parsed, E> {
        scalar(value)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Parsed, E> {
        scalar(value)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Parsed, E> {
        scalar(value)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Parsed, E> {
        scalar(value)
    }

    fn visit_str<E>(self, value: &str) -> Result<Parsed, E> {
        scalar(value)
    }

    fn visit_unit<E>(self) -> Result<Parsed, E> {
        scalar(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Parsed, E> {
        scalar(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Parsed, D::Error> {
        Parsed::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Parsed, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            list.push(entry);
        }
        Ok(Parsed::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Parsed, A::Error> {
        let mut mapping = Vec::new();
        while let Some(key) = entries.next_key()? {
            mapping.push((key, entries.next_value()?));
        }
        Ok(Parsed::Mapping(mapping))
    }
}
