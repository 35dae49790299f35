//! Reads a mapping that is spelled out.

use super::place::{Destination, percent_encode};
use super::syntax::{Syntax, all, literal_key};
use super::template::{Piece, Reference, Root, Template, WhenAbsent};
use super::with::With;
use super::{AnswerMapping, ErrorMapping, Mapping};
use crate::wire::{Node, Table};
use crate::wiring::header;

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Headers that carry credentials, frame the message or steer Envoy, and the prefixes of such.
const RESERVED: [&str; 13] = [
    "accept-encoding",
    "authorization",
    "proxy-authorization",
    "cookie",
    "host",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
];
const RESERVED_PREFIXES: [&str; 4] = [header::PREFIX, "x-envoy-", "x-forwarded-", "mcp-"];

/// Reads everything but `preset` and `with`.
pub(super) fn read_templates<'v>(table: &Table<'v>, with: &With<'v>) -> Option<Mapping> {
    let request = Syntax { document: "arguments", with };
    let method = table.required("method").and_then(|node| METHODS.get(node.one_of(&METHODS)?).copied());
    let path = table.required("path").and_then(|node| path(&node, request));
    let query = pairs(table.optional("query"), query_name, request, Destination::Query);
    let headers = pairs(table.optional("headers"), header_name, request, Destination::Header);
    let body = match table.optional("body") {
        Some(node) if method == Some("GET") => {
            node.refuse_with("must not be set: a GET request has no body", "use query, or another method");
            None
        }
        Some(node) => request.template(&node).map(Some),
        None => Some(None),
    };
    let answer = answer(table.optional("answer"), Syntax { document: "response", with });
    Some(Mapping { method: method?, path: path?, query: query?, headers: headers?, body: body?, answer: answer? })
}

fn path<'v>(node: &Node<'v>, syntax: Syntax<'_, 'v>) -> Option<Vec<Piece>> {
    let text = node.string()?;
    if !text.starts_with('/') {
        node.refuse("must begin with /");
        return None;
    }
    let pieces = syntax.text(node, Destination::Path)?;
    let mut whole = String::new();
    for piece in &pieces {
        match piece {
            Piece::Literal(text) => whole.push_str(text),
            Piece::Reference(Reference { when_absent: WhenAbsent::Refuse | WhenAbsent::Default(_), .. }) => {
                whole.push_str("value");
            }
            Piece::Reference(_) | Piece::Absent => {
                node.refuse_with("must not have optional placeholders", "give a default: ${arguments.NAME|DEFAULT}");
                return None;
            }
        }
    }
    if whole.contains(['?', '#']) {
        node.refuse_with("must be a path alone", "query parameters go under query");
        return None;
    }
    if !whole.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b)) {
        node.refuse("must be written as in a URL: other characters percent-encoded");
        return None;
    }
    if whole.split('/').skip(1).any(|segment| segment == "." || segment == "..") || whole.contains("//") {
        node.refuse("must not have empty segments or the segments . and ..");
        return None;
    }
    Some(pieces)
}

/// The entries of `query` or `headers`; `read_name` checks a name and writes it in the way of its place.
fn pairs<'v>(
    node: Option<Node<'v>>,
    read_name: fn(&str, &Node<'_>) -> Option<String>,
    syntax: Syntax<'_, 'v>,
    place: Destination,
) -> Option<Vec<(String, Vec<Piece>)>> {
    let Some(node) = node else { return Some(Vec::new()) };
    all(node.table()?.entries().into_iter().map(|(name, value)| {
        let (name, text) = (read_name(name, &value), syntax.text(&value, place));
        Some((name?, text?))
    }))
}

fn query_name(name: &str, value: &Node<'_>) -> Option<String> {
    let mut encoded = String::new();
    percent_encode(&literal_key(name, value)?, &mut encoded);
    Some(encoded)
}

fn header_name(name: &str, value: &Node<'_>) -> Option<String> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().all(legal) {
        value.refuse_with(
            "has a name that is no header name in lower case",
            "letters a-z, digits, -, _ and . only; no placeholders",
        );
        return None;
    }
    if RESERVED.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        value.refuse_with(
            "must not be set by a mapping: the header carries a credential, frames the message or steers the proxy",
            "credentials are set through the server's credential",
        );
        return None;
    }
    Some(name.to_owned())
}

fn answer<'v>(node: Option<Node<'v>>, syntax: Syntax<'_, 'v>) -> Option<AnswerMapping> {
    let Some(node) = node else {
        return Some(AnswerMapping {
            content: vec![Template::Value(response(&[]))],
            structured: None,
            meta: None,
            error: error(None, syntax)?,
        });
    };
    let table = node.table()?;
    let content = match table.optional("content") {
        None => Some(vec![Template::Value(response(&[]))]),
        Some(node) => match syntax.template(&node) {
            Some(Template::List(items)) => Some(items),
            Some(item) => Some(vec![item]),
            None => None,
        },
    };
    let structured = object(table.optional("structured"), syntax);
    let meta = object(table.optional("meta"), syntax);
    let error = error(table.optional("error"), syntax);
    table.done();
    Some(AnswerMapping { content: content?, structured: structured?, meta: meta?, error: error? })
}

/// A template of which it is not certain that it makes something else than an object.
fn object<'v>(node: Option<Node<'v>>, syntax: Syntax<'_, 'v>) -> Option<Option<Template>> {
    let Some(node) = node else { return Some(None) };
    let template = syntax.template(&node)?;
    if matches!(template, Template::Text(_) | Template::List(_) | Template::Literal(_)) {
        node.refuse("must be an object");
        return None;
    }
    Some(Some(template))
}

fn error<'v>(node: Option<Node<'v>>, syntax: Syntax<'_, 'v>) -> Option<ErrorMapping> {
    let table = match node {
        Some(node) => Some(node.table()?),
        None => None,
    };
    let read = |key: &'static str| match table.as_ref().and_then(|table| table.optional(key)) {
        Some(node) => syntax.template(&node),
        None => Some(Template::Value(response(&[key]))),
    };
    let (message, code, request_id) = (read("message"), read("code"), read("request_id"));
    if let Some(table) = table {
        table.done();
    }
    Some(ErrorMapping { message: message?, code: code?, request_id: request_id? })
}

/// An optional placeholder of the API's answer.
fn response(path: &[&str]) -> Reference {
    Reference {
        root: Root::Document,
        path: path.iter().map(|key| Box::from(*key)).collect(),
        when_absent: WhenAbsent::LeaveOut,
    }
}

#[cfg(test)]
mod tests;
