//! What a server's answer is.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::RequestId;
use super::object::{from_object, object, present, text};

/// A server's answer, as far as judging it needs.
#[derive(Debug, Clone)]
pub enum Answer<'a> {
    /// The call has a result.
    Result {
        /// MCP's `isError`: the tool ran and says that it failed.
        is_error: bool,
        /// `content` of the result, unread.
        content: Option<&'a RawValue>,
    },
    /// The call has a JSON-RPC error.
    Error {
        /// Its code.
        code: i64,
        /// Its message; empty if there is none.
        message: Cow<'a, str>,
    },
    /// Not an answer but a notification or a request of the server's own.
    Message,
    /// An answer to some other request.
    WrongId,
    /// JSON, but not a JSON-RPC message.
    NotJsonRpc,
    /// Not JSON, or not UTF-8.
    NotJson,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "object")]
    result: Option<CallResult<'a>>,
    #[serde(borrow, default, deserialize_with = "object")]
    error: Option<CallError<'a>>,
}

#[derive(Deserialize)]
struct CallResult<'a> {
    #[serde(rename = "isError")]
    is_error: Option<bool>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CallError<'a> {
    code: i64,
    #[serde(borrow, default)]
    message: Cow<'a, str>,
}

impl<'a> Answer<'a> {
    /// Looks at the body of an answer, in one pass and without building a value.
    ///
    /// With `id` the answer must be to that request; an error whose id is `null` or missing may be to any. Without, the
    /// id is not looked at: servers put a made-up one into the body of a 4xx.
    pub fn parse(body: &'a [u8], id: Option<RequestId<'_>>) -> Self {
        let Ok(json) = std::str::from_utf8(body) else { return Answer::NotJson };
        let envelope: Envelope<'a> = match from_object(json) {
            Ok(envelope) => envelope,
            Err(error) if error.classify() == Category::Data => return Answer::NotJsonRpc,
            Err(_) => return Answer::NotJson,
        };
        if envelope.jsonrpc.and_then(text).as_deref() != Some("2.0") {
            return Answer::NotJsonRpc;
        }
        let same =
            |theirs: &RawValue| id.is_none_or(|mine| RequestId::from_raw(theirs).is_some_and(|t| mine.matches(t)));
        match (envelope.method, envelope.result, envelope.error) {
            (Some(_), None, None) => Answer::Message,
            (None, Some(CallResult { is_error, content }), None) => match envelope.id {
                Some(theirs) if same(theirs) => Answer::Result { is_error: is_error.unwrap_or(false), content },
                Some(_) => Answer::WrongId,
                None => Answer::NotJsonRpc,
            },
            (None, None, Some(CallError { code, message })) => match envelope.id {
                Some(theirs) if !same(theirs) => Answer::WrongId,
                _ => Answer::Error { code, message },
            },
            _ => Answer::NotJsonRpc,
        }
    }
}
