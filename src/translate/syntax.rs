//! The parser of templates, which notes every problem of their wire form.

use super::place::Destination;
use super::scope::{is_structure, plain_text};
use super::template::{Piece, Reference, Root, Template, WhenAbsent};
use super::with::{Constant, With};
use crate::json::{Raw, Value, quoted as json_string};
use crate::wire::Node;

/// Which placeholders a template may have.
#[derive(Clone, Copy)]
pub(super) struct Syntax<'w, 'v> {
    /// `arguments` or `response`.
    pub(super) document: &'static str,
    /// The constants of `with:`.
    pub(super) with: &'w With<'v>,
}

/// Part of a string as it was written; a constant comes with the value to blame if it does not fit its place.
enum Part<'v> {
    Literal(String),
    Constant(Value, Node<'v>),
    Reference(Reference),
    Absent,
}

impl<'v> Syntax<'_, 'v> {
    /// The key of an object that stands for the first present of several templates.
    const FIRST: &'static str = "$first";

    /// `node` as a JSON template.
    pub(super) fn template(self, node: &Node<'v>) -> Option<Template> {
        match node.value() {
            Value::String(text) => self.string(node, text),
            Value::Array(_) => all(node.list()?.iter().map(|element| self.template(element))).map(Template::List),
            Value::Object(map) if map.contains_key(Self::FIRST) => self.first(node),
            Value::Object(_) => all(node.table()?.entries().into_iter().map(|(key, value)| self.member(key, &value)))
                .map(Template::Object),
            literal => Some(Template::Literal(literal.to_json())),
        }
    }

    fn member(self, key: &str, value: &Node<'v>) -> Option<(String, Template)> {
        let key = literal_key(key, value);
        let template = self.template(value);
        Some((json_string(&key?), template?))
    }

    fn first(self, node: &Node<'v>) -> Option<Template> {
        let table = node.table()?;
        let choices = table.required(Self::FIRST)?.list()?;
        table.done();
        if choices.is_empty() {
            node.refuse("must have at least one template");
            return None;
        }
        all(choices.iter().map(|choice| self.template(choice))).map(Template::First)
    }

    fn string(self, node: &Node<'v>, text: &str) -> Option<Template> {
        let mut parts = self.parts(node, text);
        if parts.len() == 1 {
            match parts.pop()?? {
                Part::Literal(text) => return Some(Template::Literal(json_string(&text))),
                Part::Constant(value, _) => return Some(Template::Literal(value.to_json())),
                Part::Reference(reference) => return Some(Template::Value(reference)),
                Part::Absent => return Some(Template::Absent),
            }
        }
        let pieces = pieces(node, parts, Destination::Json)?;
        Some(Template::Text(pieces))
    }

    /// `node`, a string, number or boolean, as text for `place`.
    pub(super) fn text(self, node: &Node<'v>, place: Destination) -> Option<Vec<Piece>> {
        match node.value() {
            Value::String(text) => pieces(node, self.parts(node, text), place),
            scalar @ (Value::Number(_) | Value::Bool(_)) => {
                pieces(node, vec![Some(Part::Literal(scalar.to_json()))], place)
            }
            _ => {
                node.refuse("must be a string, a number or true/false");
                None
            }
        }
    }

    /// `text` taken apart; a part whose problem has been noted is `None`.
    fn parts(self, node: &Node<'v>, text: &str) -> Vec<Option<Part<'v>>> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            literal.push_str(before);
            if before.ends_with('$') {
                literal.push('{');
                rest = after;
                continue;
            }
            let Some((placeholder, tail)) = after.split_once('}') else {
                node.refuse_with("has a ${ without its }", "write $${ for the two characters ${");
                parts.push(None);
                return parts;
            };
            if !literal.is_empty() {
                parts.push(Some(Part::Literal(std::mem::take(&mut literal))));
            }
            parts.push(self.placeholder(node, placeholder));
            rest = tail;
        }
        literal.push_str(rest);
        if !literal.is_empty() || parts.is_empty() {
            parts.push(Some(Part::Literal(literal)));
        }
        parts
    }

    fn placeholder(self, node: &Node<'v>, text: &str) -> Option<Part<'v>> {
        let (path, when_absent) = if let Some((path, default)) = text.split_once('|') {
            let is_json = Raw::of(default).is_some();
            let json = if is_json { default.trim().to_owned() } else { json_string(default) };
            (path, WhenAbsent::Default(json))
        } else if let Some(path) = text.strip_suffix("??") {
            (path, WhenAbsent::LeaveOutEmpty)
        } else if let Some(path) = text.strip_suffix('?') {
            (path, WhenAbsent::LeaveOut)
        } else {
            (text, WhenAbsent::Refuse)
        };
        let mut keys = path.split('.');
        let root = keys.next().unwrap_or_default();
        let path: Vec<Box<str>> = keys.map(Box::from).collect();
        if path.iter().any(|key| key.is_empty() || key.contains(['[', ']', '{', '$', ' '])) {
            node.refuse_with(
                format!("has the placeholder ${{{text}}}, which is not names with dots between them"),
                "a position in a list is written like a name: ${response.choices.0}",
            );
            return None;
        }
        match (root, path.as_slice()) {
            ("with", [key]) => self.constant(node, key, when_absent),
            ("call", [key]) if &**key == "uuid" && self.document == "arguments" => {
                Some(Part::Reference(Reference { root: Root::CallUuid, path: Vec::new(), when_absent }))
            }
            (root, _) if root == self.document => {
                Some(Part::Reference(Reference { root: Root::Document, path, when_absent }))
            }
            _ => {
                let uuid = if self.document == "arguments" { ", ${call.uuid}" } else { "" };
                node.refuse_with(
                    format!("has the unknown placeholder ${{{text}}}"),
                    format!("known here: ${{{}.NAME}}, ${{with.NAME}}{uuid}", self.document),
                );
                None
            }
        }
    }

    fn constant(self, node: &Node<'v>, key: &str, when_absent: WhenAbsent) -> Option<Part<'v>> {
        match (self.with.get(key, when_absent == WhenAbsent::Refuse), when_absent) {
            (Constant::Given(found), _) => Some(Part::Constant(found.value().clone(), found)),
            (Constant::Absent, WhenAbsent::Default(json)) => {
                Some(Part::Constant(Value::parse(&json).unwrap_or_default(), *node))
            }
            (Constant::Absent, _) => Some(Part::Absent),
            (Constant::Noted, _) => None,
        }
    }
}

/// Writes everything that is known by now in the way of `place`, and checks the defaults for it.
fn pieces(node: &Node<'_>, parts: Vec<Option<Part<'_>>>, place: Destination) -> Option<Vec<Piece>> {
    all(parts.into_iter().map(|part| match part? {
        // A path's own text has delimiters; it was checked as a whole.
        Part::Literal(text) if place == Destination::Path => Some(Piece::Literal(text)),
        Part::Literal(text) => literal(node, &text, place),
        Part::Constant(value, blame) => constant(&blame, &value, place),
        Part::Reference(reference) => {
            if let WhenAbsent::Default(json) = &reference.when_absent {
                constant(node, &Value::parse(json).unwrap_or_default(), place)?;
            }
            Some(Piece::Reference(reference))
        }
        Part::Absent => Some(Piece::Absent),
    }))
}

fn constant(blame: &Node<'_>, value: &Value, place: Destination) -> Option<Piece> {
    let json = value.to_json();
    if is_structure(&json) && !place.takes_structures() {
        blame.refuse("must be a string, a number or true/false");
        return None;
    }
    match plain_text(&json) {
        Ok(text) => literal(blame, &text, place),
        Err(rule) => {
            blame.refuse(rule);
            None
        }
    }
}

fn literal(blame: &Node<'_>, text: &str, place: Destination) -> Option<Piece> {
    let mut written = String::new();
    match place.write(text, &mut written) {
        Ok(()) => Some(Piece::Literal(written)),
        Err(rule) => {
            blame.refuse(rule);
            None
        }
    }
}

/// A key of the wire form, which cannot hold placeholders.
pub(super) fn literal_key(key: &str, value: &Node<'_>) -> Option<String> {
    if key.replace("$${", "").contains("${") {
        value.refuse_with("has a placeholder in its key", "placeholders stand in values only");
        return None;
    }
    Some(key.replace("$${", "${"))
}

/// All of them, or `None` after each has had the chance to note its problem.
pub(super) fn all<T>(found: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let found: Vec<Option<T>> = found.collect();
    found.into_iter().collect()
}
