//! What the HTTP status and the JSON-RPC code do not tell, as data: first the operator's rules, then what is known of
//! Snowflake and of the MCP SDKs' servers.

use std::ops::RangeInclusive;

use super::{Basis, Class};

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
    /// The same, but only of an MCP server.
    McpBadRequest,
    /// Anywhere in the message of a JSON-RPC error -32603 that came with HTTP 200.
    InternalError,
    /// At the beginning of that message: for classes that have the call sent again, since what follows may be the
    /// caller's own text.
    InternalErrorStart,
    /// Anywhere in the first text of a result with `isError`.
    ToolError,
    /// At the beginning of that text, for the same reason.
    ToolErrorStart,
}

/// What is built in, tried in order.
pub const BUILT_IN: [(Place, &str, Class); 5] = [
    (Place::InternalErrorStart, "programmatic access token is ", Class::Credential),
    (Place::InternalError, "does not exist or not authorized", Class::Authorization),
    (Place::BadRequest, "all requests were throttled by remote service", Class::Overload),
    (Place::McpBadRequest, "session", Class::Session),
    (Place::McpBadRequest, "server not initialized", Class::Session),
];

/// Vendor codes in an error body (`{"code": "394400"}`) that mean a bad credential.
const CREDENTIAL_CODES: [RangeInclusive<u32>; 2] = [390_000..=390_999, 394_000..=394_999];

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
    /// A message of its own words.
    pub text: &'a [u8],
}

/// The class that the first rule to fit gives, the operator's before those built in.
pub(super) fn class_of(rules: &[Rule], seen: Evidence<'_>) -> Option<(Class, Basis)> {
    own_class_of(rules, seen).or_else(|| {
        let text = searched(seen);
        let found = BUILT_IN.iter().position(|(place, wanted, _)| fits(seen.places, &text, *place, wanted))?;
        BUILT_IN.get(found).map(|(_, _, class)| (*class, Basis::BuiltIn(found)))
    })
}

/// The same of the operator's rules alone.
pub(super) fn own_class_of(rules: &[Rule], seen: Evidence<'_>) -> Option<(Class, Basis)> {
    if rules.is_empty() {
        return None;
    }
    let text = searched(seen);
    let found = rules.iter().position(|rule| match &rule.when {
        Condition::Status(status) => *status == seen.status,
        Condition::Code(code) => Some(*code) == seen.code,
        Condition::Message(place, wanted) => fits(seen.places, &text, *place, wanted),
    })?;
    rules.get(found).map(|rule| (rule.class, Basis::Rule(found)))
}

fn searched(seen: Evidence<'_>) -> String {
    let text = seen.text.get(..SEARCHED).unwrap_or(seen.text);
    String::from_utf8_lossy(text).to_ascii_lowercase()
}

fn fits(places: &[Place], text: &str, place: Place, wanted: &str) -> bool {
    places.contains(&place)
        && match place {
            Place::InternalErrorStart | Place::ToolErrorStart => text.trim_start().starts_with(wanted),
            _ => text.contains(wanted),
        }
}

/// Whether a vendor's code means a bad credential.
pub(super) fn is_credential_code(code: u32) -> bool {
    CREDENTIAL_CODES.iter().any(|codes| codes.contains(&code))
}
