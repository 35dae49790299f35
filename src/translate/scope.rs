//! What placeholders can see while a template is rendered. Values stay the text they came in as, so a number keeps all
//! its digits and an object the order of its keys.

use std::borrow::Cow;

use super::template::{Reference, Root, WhenAbsent};
use crate::json::Raw;

/// A JSON document and the call's UUID.
pub(super) struct Scope<'a> {
    document: Option<Raw<'a>>,
    /// The document's first level is looked at by nearly every placeholder, so it is taken apart once.
    members: Members<'a>,
    uuid: String,
}

impl<'a> Scope<'a> {
    /// The scope over `document`; `None` makes every placeholder of it absent.
    pub(super) fn new(document: Option<Raw<'a>>, uuid: &str) -> Self {
        Scope { document, members: document.map_or(Members::None, Members::of), uuid: format!("\"{uuid}\"") }
    }

    /// What `reference` stands for, as JSON text; `None` if it is to be left out.
    ///
    /// # Errors
    /// The rule that is broken: the value is needed and not there.
    pub(super) fn value<'s>(&'s self, reference: &'s Reference) -> Result<Option<&'s str>, &'static str> {
        let found = match reference.root {
            Root::CallUuid => Some(self.uuid.as_str()),
            Root::Document => self.find(&reference.path).map(Raw::get),
        };
        match (&reference.when_absent, found) {
            (WhenAbsent::Refuse, None) => Err("is required"),
            (WhenAbsent::LeaveOutEmpty, Some(json)) if is_empty(json) => Ok(None),
            // Clients send null for an argument they leave open; an API takes it for a wrong type.
            (WhenAbsent::LeaveOut | WhenAbsent::LeaveOutEmpty, None | Some("null")) => Ok(None),
            (WhenAbsent::Default(default), None | Some("null")) => Ok(Some(default)),
            (_, Some(json)) => Ok(Some(json)),
        }
    }

    /// A member of the document's first level.
    pub(super) fn member(&self, name: &str) -> Option<Raw<'a>> {
        self.members.get(name)
    }

    fn find(&self, path: &[Box<str>]) -> Option<Raw<'a>> {
        let Some((first, rest)) = path.split_first() else { return self.document };
        rest.iter().try_fold(self.members.get(first)?, |value, key| Members::of(value).get(key))
    }
}

/// The first level of a JSON value.
enum Members<'a> {
    Object(Vec<(Cow<'a, str>, Raw<'a>)>),
    List(Vec<Raw<'a>>),
    None,
}

impl<'a> Members<'a> {
    fn of(value: Raw<'a>) -> Self {
        let list = || value.elements().map(Members::List);
        value.entries().map(Members::Object).or_else(list).unwrap_or(Members::None)
    }

    fn get(&self, key: &str) -> Option<Raw<'a>> {
        match self {
            // Of a name that stands there twice the last one counts.
            Members::Object(members) => members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value),
            Members::List(elements) => elements.get(key.parse::<usize>().ok()?).copied(),
            Members::None => None,
        }
    }
}

fn is_empty(json: &str) -> bool {
    let mut significant = json.bytes().filter(|b| !b.is_ascii_whitespace());
    let ends = (significant.next(), significant.next(), significant.next());
    json == "\"\"" || matches!(ends, (Some(b'['), Some(b']'), None) | (Some(b'{'), Some(b'}'), None))
}

/// A scalar as plain text, an object or a list as its JSON.
///
/// # Errors
/// The rule that is broken: null has no text, and a string may hold half a surrogate pair.
pub(super) fn plain_text(json: &str) -> Result<Cow<'_, str>, &'static str> {
    match json.as_bytes().first() {
        Some(b'"') => Raw::of(json).and_then(Raw::text).ok_or("must be valid Unicode"),
        Some(b'n') => Err("must not be null"),
        _ => Ok(Cow::Borrowed(json)),
    }
}

/// Whether JSON text is an object or a list.
pub(super) fn is_structure(json: &str) -> bool {
    json.starts_with(['{', '['])
}
