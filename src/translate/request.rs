//! From a tool call to the REST request that does the same.

use std::fmt;

use super::Mapping;
use super::place::Destination;
use super::render::{Unfilled, write_text};
use super::scope::Scope;
use crate::json::Raw;

/// A request of the direct path. The server's authority and credential are not part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestRequest {
    /// The HTTP method.
    pub method: &'static str,
    /// Path with the server's base path before it, and the query with the server's before it.
    pub path_and_query: String,
    /// Headers with lower-case names, `accept` always and `content-type` with every body; set the credential's after them.
    pub headers: Vec<(String, String)>,
    /// The JSON body, if the mapping has one.
    pub body: Option<Vec<u8>>,
}

/// The client's arguments do not fit the mapping; nothing may be sent. Its text names the argument and the rule, never the
/// value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerError {
    argument: String,
    rule: &'static str,
}

impl fmt::Display for CallerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.argument.is_empty() {
            write!(f, "invalid arguments: the arguments {}", self.rule)
        } else {
            write!(f, "invalid arguments: \"{}\" {}", self.argument, self.rule)
        }
    }
}

impl std::error::Error for CallerError {}

impl From<Unfilled> for CallerError {
    fn from(unfilled: Unfilled) -> Self {
        CallerError { argument: unfilled.name, rule: unfilled.rule }
    }
}

/// The REST request for a call with `arguments` (`params.arguments` as it was sent; absent and null mean none).
///
/// `base` is the path of the server's URL, and its query. `call_uuid` is 16 random bytes, the same for every attempt of one call:
/// an API that knows it from an earlier attempt does not run the call twice.
///
/// # Errors
/// [`CallerError`] if an argument is missing or cannot stand where the mapping puts it.
pub fn request(
    mapping: &Mapping,
    base: (&str, &str),
    arguments: Option<Raw<'_>>,
    call_uuid: [u8; 16],
) -> Result<RestRequest, CallerError> {
    let json = arguments.map_or("null", Raw::get);
    if !json.starts_with('{') && json != "null" {
        return Err(CallerError { argument: String::new(), rule: "must be an object" });
    }
    let given = arguments.filter(|_| json != "null").or_else(|| Raw::of("{}"));
    let scope = Scope::new(given, &uuid_v4(call_uuid));

    let mut path_and_query = base.0.trim_end_matches('/').to_owned();
    write_text(&mapping.path, Destination::Path, &scope, &mut path_and_query)?;
    let mut separator = '?';
    if !base.1.is_empty() {
        path_and_query.push(separator);
        path_and_query.push_str(base.1);
        separator = '&';
    }
    for (name, value) in &mapping.query {
        let start = path_and_query.len();
        path_and_query.push(separator);
        path_and_query.push_str(name);
        path_and_query.push('=');
        if write_text(value, Destination::Query, &scope, &mut path_and_query)? {
            separator = '&';
        } else {
            path_and_query.truncate(start);
        }
    }

    let mut headers = Vec::with_capacity(mapping.headers.len().saturating_add(2));
    for (name, value) in &mapping.headers {
        let mut text = String::new();
        if write_text(value, Destination::Header, &scope, &mut text)? {
            // HTTP/2 peers reset the stream over a value with spaces around it.
            headers.push((name.clone(), text.trim().to_owned()));
        }
    }
    let body = match &mapping.body {
        Some(template) => template.render(&scope)?.map(String::into_bytes),
        None => None,
    };
    let json_headers = if body.is_some() { ["accept", "content-type"].as_slice() } else { &["accept"] };
    for name in json_headers {
        if !headers.iter().any(|(given, _)| given == name) {
            headers.push(((*name).to_owned(), "application/json".to_owned()));
        }
    }
    Ok(RestRequest { method: mapping.method, path_and_query, headers, body })
}

/// Random bytes as a UUID version 4 (RFC 9562).
pub fn uuid_v4(bytes: [u8; 16]) -> String {
    let bits = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0b11 << 62) | (0x4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    let mut text = String::with_capacity(36);
    for (at, digit) in hex.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
