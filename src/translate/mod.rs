//! The direct path: an MCP `tools/call` written as a REST request, and the REST answer written as a `CallToolResult`.
//!
//! A tool's `rest:` value in the registry is a *mapping*: a method and templates for path, query, headers, body and
//! answer. [`Mapping::read`] checks it once; [`request`] and [`answer`] then work on borrowed bytes and never panic,
//! whatever the client or the API sent. Presets are mappings too, kept as data in the very form an operator writes.
//!
//! # Templates
//!
//! A template is JSON. A string in it may hold placeholders:
//!
//! | written | means |
//! |---|---|
//! | `"${arguments.limit}"` | the whole value, type and digits kept (`90071992547409931` stays what it is) |
//! | `"top ${arguments.limit}"` | the value as text; an object or a list as its JSON, in JSON strings only |
//! | `${arguments.a.b}`, `${response.choices.0}` | members of objects, positions in lists |
//! | `${arguments.limit?}` | if absent or null, the key, element, pair or header around it is left out |
//! | `${response.data??}` | the same, and also if it is `""`, `[]` or `{}` |
//! | `${arguments.limit\|10}` | a default, read as JSON if it is JSON and as text otherwise |
//! | `${with.warehouse}` | a constant from the tool's own `with:` |
//! | `${call.uuid}` | a UUID v4, the same for every attempt of one call |
//! | `$${` | the two characters `${` |
//!
//! `{"$first": [a, b, ...]}` is the first of the templates that is present.
//!
//! An answer that is a stream of events, as agents give, is the document `{"text": ..., "response": ...}`: the text of its
//! `response.text` events, and the data of its last, `response`.
//!
//! Request templates know `arguments`, `with` and `call.uuid`; answer templates know `response` and `with`. In a path a
//! value is always exactly one segment (or part of one), in a query exactly one value, in a header one line.

mod answer;
mod events;
mod place;
mod preset;
mod read;
mod render;
mod request;
mod scope;
mod syntax;
mod template;
mod with;

#[cfg(test)]
mod tests;

pub use answer::{AnswerError, ToolAnswer, answer, status_path};
pub use request::{CallerError, RestRequest, request, uuid_v4};

use crate::wire::Table;
use template::{Piece, Template};
use with::With;

/// How one tool is called through a REST API: the parsed form of its `rest:` value.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    method: &'static str,
    path: Vec<Piece>,
    /// Names are percent-encoded already.
    query: Vec<(String, Vec<Piece>)>,
    /// Names are lower case.
    headers: Vec<(String, Vec<Piece>)>,
    body: Option<Template>,
    answer: AnswerMapping,
}

impl Mapping {
    /// Reads a tool's `rest:` value: the keys `preset` and `with`, or `method`, `path`, `query`, `headers`, `body`, `answer`
    /// and `with`. The caller reads `server` and calls [`Table::done`].
    ///
    /// `None` means that a problem has been noted; problems that leave a usable mapping (a key of `with` that nothing
    /// uses) are noted too.
    pub fn read(table: &Table<'_>) -> Option<Mapping> {
        let with = With::read(table);
        let mapping = match table.optional("preset") {
            // Which constants a preset that does not exist would need is not known.
            Some(node) => preset::read(preset::find(&node)?, &with),
            None => read::read_templates(table, &with),
        };
        with.done(table);
        mapping
    }

    /// The names of the query parameters that requests of this mapping may carry, percent-encoded.
    #[cfg(feature = "cli")]
    pub fn query_names(&self) -> impl Iterator<Item = &str> {
        self.query.iter().map(|(name, _)| name.as_str())
    }

    /// The names of the headers that requests of this mapping may carry, lower case, so that the registry can refuse
    /// one that belongs to the server's credential.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(|(name, _)| name.as_str())
    }
}

/// How an API's answer becomes a `CallToolResult`.
#[derive(Debug, Clone, PartialEq)]
struct AnswerMapping {
    /// One text item each.
    content: Vec<Template>,
    structured: Option<Template>,
    meta: Option<Template>,
    error: ErrorMapping,
}

/// Where an API's error answer keeps what a person wants to know.
#[derive(Debug, Clone, PartialEq)]
struct ErrorMapping {
    message: Template,
    code: Template,
    request_id: Template,
}
