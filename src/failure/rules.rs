//! What the HTTP status and the JSON-RPC code do not tell, as data: first the operator's rules, then texts that are known.

use super::{Basis, Case, Class, KnownText};

/// An operator's rule: an answer that it fits has this class. Rules are tried in order, ahead of everything built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which answers it fits.
    pub when: Condition,
    /// What they mean.
    pub class: Class,
}

/// What a [`Rule`] looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The answer's HTTP status; not one of success.
    Status(u16),
    /// The code of the JSON-RPC error in the body, whatever the HTTP status. Only of MCP servers.
    Code(i64),
    /// A text.
    Message(Place, Box<str>),
}

/// Where a rule looks for its text. The text is in lower case; case is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Anywhere in the body of an HTTP 400.
    BadRequest,
    /// At the beginning of what the server itself says in the body of an HTTP 400: for classes that have the call sent again,
    /// since what follows may be the caller's own text.
    BadRequestStart,
    /// Anywhere in the message of a JSON-RPC error -32603 that came with HTTP 200.
    InternalError,
    /// At the beginning of that message, for the same reason.
    InternalErrorStart,
    /// Anywhere in the first text of a result with `isError`.
    ToolError,
    /// At the beginning of that text, for the same reason.
    ToolErrorStart,
}

/// How much of a text is searched, in bytes.
const SEARCHED: usize = 4096;

/// What rules can see of an answer.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'a> {
    /// Its HTTP status.
    pub status: u16,
    /// The code of its JSON-RPC error.
    pub code: Option<i64>,
    /// Where `text` stands.
    pub places: &'a [Place],
    /// A text of it, the caller's own words perhaps included.
    pub text: &'a [u8],
    /// The part of it that begins with the server's own words.
    pub message: &'a [u8],
}

/// The class that the first rule to fit gives, the operator's before those built in for the server's dialect.
pub(super) fn class_of(case: &Case<'_>, seen: Evidence<'_>) -> Option<(Class, Basis)> {
    own_class_of(case.rules, seen).or_else(|| known_class_of(case.dialect.texts(), seen))
}

/// The same of the operator's rules alone.
pub(super) fn own_class_of(rules: &[Rule], seen: Evidence<'_>) -> Option<(Class, Basis)> {
    if rules.is_empty() {
        return None;
    }
    let found = rules.iter().position(|rule| match &rule.when {
        Condition::Status(status) => *status == seen.status,
        Condition::Code(code) => Some(*code) == seen.code,
        Condition::Message(place, wanted) => fits(seen, *place, wanted),
    })?;
    rules.get(found).map(|rule| (rule.class, Basis::Rule(found)))
}

/// The class that the first of these texts to fit gives.
pub(super) fn known_class_of(texts: &'static [KnownText], seen: Evidence<'_>) -> Option<(Class, Basis)> {
    let found = texts.iter().find(|known| seen.places.contains(&known.place) && begins(seen.message, known.text))?;
    Some((found.class, Basis::Known(found)))
}

fn fits(seen: Evidence<'_>, place: Place, wanted: &str) -> bool {
    seen.places.contains(&place)
        && match place {
            Place::BadRequestStart | Place::InternalErrorStart | Place::ToolErrorStart => begins(seen.message, wanted),
            Place::BadRequest | Place::InternalError | Place::ToolError => lower(seen.text).contains(wanted),
        }
}

/// Whether a message begins so. The reason phrase of its status may stand before that, which is nobody's own text.
fn begins(message: &[u8], wanted: &str) -> bool {
    let text = lower(message);
    let text = text.trim_start();
    let said = text.strip_prefix("bad request:").map_or(text, str::trim_start);
    match wanted.split_once('*') {
        None => text.starts_with(wanted) || said.starts_with(wanted),
        Some((before, after)) => {
            let rest = said.strip_prefix(before).and_then(|word| word.get(word.find(' ')?..));
            rest.is_some_and(|rest| rest.starts_with(after))
        }
    }
}

fn lower(text: &[u8]) -> String {
    let text = text.get(..SEARCHED).unwrap_or(text);
    String::from_utf8_lossy(text).to_ascii_lowercase()
}
