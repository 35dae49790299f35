//! What a client's POST body is.

use std::borrow::Cow;
use std::fmt;

use super::RequestId;
use super::object::{Unreadable, members};
use crate::json::{Malformed, Raw, Reader};

/// One POST body of a client.
#[derive(Debug, Clone)]
pub enum Incoming<'a> {
    /// A call that wants an answer.
    Request(Request<'a>),
    /// A message that wants none: its method, and its parameters as those of a request.
    Notification(Cow<'a, str>, Option<Raw<'a>>),
    /// The client's answer to a request of a server.
    Response,
    /// Several messages in one body, which only MCP 2025-03-26 knows. They are not looked into.
    Batch,
    /// Nothing a JSON-RPC server could act on.
    Invalid(Invalid),
}

/// A call that wants an answer.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// What the answer has to carry.
    pub id: RequestId<'a>,
    /// The method's name.
    pub method: Cow<'a, str>,
    /// The parameters, unread: an object or an array. `null` counts as absent.
    pub params: Option<Raw<'a>>,
}

/// Why a body is not a JSON-RPC message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// The bytes are not UTF-8.
    NotUtf8,
    /// The text is not one JSON value.
    NotJson,
    /// The value is neither an object nor an array.
    NotAMessage,
    /// A member of the message stands there twice, or under a name that differs from its own in case only: two readers could
    /// take a different one.
    DoubtfulMember,
    /// An empty array.
    EmptyBatch,
    /// `jsonrpc` is not `"2.0"`.
    Version,
    /// `id` is neither a string nor a number.
    Id,
    /// `id` has more than 4096 bytes.
    LongId,
    /// `method` is not a string.
    Method,
    /// `params` is neither an object nor an array.
    Params,
    /// Neither a call nor an answer, or both.
    Ambiguous,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Invalid::NotUtf8 => "the body is not UTF-8",
            Invalid::NotJson => "the body is not one JSON value",
            Invalid::NotAMessage => "the body is neither a JSON object nor an array",
            Invalid::DoubtfulMember => "a member of the message is repeated, or written in another case",
            Invalid::EmptyBatch => "the batch is empty",
            Invalid::Version => "`jsonrpc` must be \"2.0\"",
            Invalid::Id => "`id` must be a string or a number",
            Invalid::LongId => "`id` must have at most 4096 bytes",
            Invalid::Method => "`method` must be a string",
            Invalid::Params => "`params` must be an object or an array",
            Invalid::Ambiguous => "the message must be either a call or an answer",
        })
    }
}

impl std::error::Error for Invalid {}

/// The members of a message.
const MEMBERS: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

/// Looks at a POST body. One pass, nothing copied unless a method's name is written with escapes; the depth of nesting
/// does not matter, since no value is built.
pub fn parse(body: &[u8]) -> Incoming<'_> {
    message(body).unwrap_or_else(Incoming::Invalid)
}

fn message(body: &[u8]) -> Result<Incoming<'_>, Invalid> {
    let json = std::str::from_utf8(body).map_err(|_| Invalid::NotUtf8)?;
    match json.trim_start_matches([' ', '\t', '\r', '\n']).chars().next() {
        Some('{') => single(json),
        Some('[') => batch(json),
        _ if Raw::of(json).is_some() => Err(Invalid::NotAMessage),
        _ => Err(Invalid::NotJson),
    }
}

fn batch(json: &str) -> Result<Incoming<'_>, Invalid> {
    let (mut reader, mut is_empty) = (Reader::new(json), true);
    let told = reader.array(|reader| {
        is_empty = false;
        reader.value().map(|_| ())
    });
    told.and_then(|()| reader.end()).map_err(|Malformed| Invalid::NotJson)?;
    if is_empty { Err(Invalid::EmptyBatch) } else { Ok(Incoming::Batch) }
}

fn single(json: &str) -> Result<Incoming<'_>, Invalid> {
    let mut found = [None; MEMBERS.len()];
    members(json, &MEMBERS, &mut found).map_err(|error| match error {
        // Every member is taken as it stands, so nothing but a doubtful one is unfit.
        Unreadable::Unfit => Invalid::DoubtfulMember,
        Unreadable::NotJson => Invalid::NotJson,
    })?;
    let [version, id, method, params, result, error] = found;
    if version.and_then(Raw::text).as_deref() != Some("2.0") {
        return Err(Invalid::Version);
    }
    let answers = [result, error].into_iter().flatten().count();
    let Some(method) = method else {
        // An answer to a request that the client could not read has a `null` id or none.
        return if answers == 1 { Ok(Incoming::Response) } else { Err(Invalid::Ambiguous) };
    };
    if answers > 0 {
        return Err(Invalid::Ambiguous);
    }
    let method = method.text().ok_or(Invalid::Method)?;
    let params = params.filter(|raw| !raw.is_null());
    if params.is_some_and(|raw| !raw.get().starts_with(['{', '['])) {
        return Err(Invalid::Params);
    }
    let Some(id) = id else {
        return Ok(Incoming::Notification(method, params));
    };
    let id = RequestId::from_raw(id).ok_or(Invalid::Id)?;
    if id.is_too_long() {
        return Err(Invalid::LongId);
    }
    Ok(Incoming::Request(Request { id, method, params }))
}
