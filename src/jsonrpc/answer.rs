//! What a server's answer is, read as leniently as the official clients of MCP read it.
//!
//! Whoever is stricter than they are calls an answer none that its client could have used: the call has been executed, and
//! would be reported as failed, or executed again. So what the SDK for Python (1.30, 2.3) or the one for TypeScript (1.32,
//! 2.4) takes for an answer is one: a member that is `null` is absent, of a repeated one the last counts, a code may be
//! written as `-32602.0` or `"-32602"`, an id `7` may come back as `"7"`, and a JSON body may begin with a byte order mark
//! or put the answer into an array. Nothing of it is put right: the client gets the bytes that arrived.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::RequestId;
use super::object::text;

/// The text of a body as clients decode it: what is not UTF-8 in it is replaced. Nearly every body is, which is seen word by
/// word; the replacing goes byte by byte.
pub fn text_of(body: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Cow::Borrowed)
}

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
    /// Not JSON.
    NotJson,
}

impl<'a> Answer<'a> {
    /// Looks at the body of a JSON answer, in one pass and without building a value.
    ///
    /// With `id` the answer must be to that request; an error whose id is `null` or missing may be to any. Without, the
    /// id is not looked at: servers put a made-up one into the body of a 4xx.
    pub fn of_body(body: &'a str, id: Option<RequestId<'_>>) -> Self {
        read(body.strip_prefix('\u{feff}').unwrap_or(body), Message { id, or_array: true })
    }

    /// Looks at the data of an event in the same way. No client reads an array here, or a byte order mark.
    pub fn of_event(data: &'a str, id: Option<RequestId<'_>>) -> Self {
        read(data, Message { id, or_array: false })
    }

    /// Whether a client can read it as the answer to its request.
    pub fn is_readable(&self) -> bool {
        matches!(self, Answer::Result { .. } | Answer::Error { .. })
    }
}

fn read<'a>(json: &'a str, message: Message<'_>) -> Answer<'a> {
    let mut reader = serde_json::Deserializer::from_str(json);
    match message.deserialize(&mut reader).and_then(|answer| reader.end().map(|()| answer)) {
        Ok(answer) => answer,
        Err(error) if error.classify() == Category::Data => Answer::NotJsonRpc,
        Err(_) => Answer::NotJson,
    }
}

/// Reads one message.
struct Message<'i> {
    /// The request that it should answer.
    id: Option<RequestId<'i>>,
    /// Whether it may also be an array of messages: then it is the first of them that answers.
    or_array: bool,
}

impl<'a> DeserializeSeed<'a> for Message<'_> {
    type Value = Answer<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Answer<'a>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Message<'_> {
    type Value = Answer<'a>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a message")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Answer<'a>, A::Error> {
        let (mut version, mut id, mut method) = (None, None, None);
        let (mut result, mut error) = (None, None);
        while let Some(name) = map.next_key()? {
            match name {
                Name::JsonRpc => version = map.next_value::<Option<&RawValue>>()?,
                Name::Id => id = map.next_value::<Option<&RawValue>>()?,
                Name::Method => method = map.next_value::<Option<&RawValue>>()?,
                Name::Result => result = map.next_value::<Option<Outcome<'_>>>()?,
                Name::Error => error = map.next_value::<Option<Outcome<'_>>>()?,
                _ => {
                    map.next_value::<&RawValue>()?;
                }
            }
        }
        if version.and_then(text).as_deref() != Some("2.0") {
            return Ok(Answer::NotJsonRpc);
        }
        let is_ours =
            id.map(|theirs| self.id.is_none_or(|mine| RequestId::from_raw(theirs).is_some_and(|id| mine.matches(id))));
        Ok(match (method, result, error) {
            (Some(_), None, None) => Answer::Message,
            (None, Some(result), None) => match is_ours {
                Some(true) => result.as_result(),
                Some(false) => Answer::WrongId,
                None => Answer::NotJsonRpc,
            },
            (None, None, Some(_)) if is_ours == Some(false) => Answer::WrongId,
            (None, None, Some(error)) => error.as_error().unwrap_or(Answer::NotJsonRpc),
            _ => Answer::NotJsonRpc,
        })
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut messages: A) -> Result<Answer<'a>, A::Error> {
        if !self.or_array {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        let mut found = Answer::NotJsonRpc;
        while let Some(message) = messages.next_element_seed(Message { id: self.id, or_array: false })? {
            if !found.is_readable() {
                found = message;
            }
        }
        Ok(found)
    }
}

/// What `result` or `error` holds. Of a member that is repeated the last counts, as for every reader of JSON.
#[derive(Default)]
struct Outcome<'a> {
    is_error: Option<&'a RawValue>,
    content: Option<&'a RawValue>,
    code: Option<&'a RawValue>,
    message: Option<&'a RawValue>,
}

impl<'a> Outcome<'a> {
    fn as_result(&self) -> Answer<'a> {
        Answer::Result { is_error: self.is_error.is_some_and(is_true), content: self.content }
    }

    fn as_error(&self) -> Option<Answer<'a>> {
        let message = match self.message {
            // Half a surrogate pair is no text of ours, but JavaScript reads it.
            Some(raw) if raw.get().starts_with('"') => text(raw).unwrap_or_default(),
            Some(_) => return None,
            None => Cow::Borrowed(""),
        };
        Some(Answer::Error { code: integer(self.code?)?, message })
    }
}

impl<'a> Deserialize<'a> for Outcome<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'a> Visitor<'a> for Members {
            type Value = Outcome<'a>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Outcome<'a>, A::Error> {
                let mut outcome = Outcome::default();
                while let Some(name) = map.next_key()? {
                    let value = map.next_value::<Option<&RawValue>>()?;
                    match name {
                        Name::IsError => outcome.is_error = value,
                        Name::Content => outcome.content = value,
                        Name::Code => outcome.code = value,
                        Name::Message => outcome.message = value,
                        _ => {}
                    }
                }
                Ok(outcome)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The names of members that matter somewhere in an answer.
enum Name {
    JsonRpc,
    Id,
    Method,
    Result,
    Error,
    IsError,
    Content,
    Code,
    Message,
    Other,
}

impl<'a> Deserialize<'a> for Name {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Known;

        impl Visitor<'_> for Known {
            type Value = Name;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a name")
            }

            fn visit_bytes<E>(self, name: &[u8]) -> Result<Name, E> {
                Ok(match name {
                    b"jsonrpc" => Name::JsonRpc,
                    b"id" => Name::Id,
                    b"method" => Name::Method,
                    b"result" => Name::Result,
                    b"error" => Name::Error,
                    b"isError" => Name::IsError,
                    b"content" => Name::Content,
                    b"code" => Name::Code,
                    b"message" => Name::Message,
                    _ => Name::Other,
                })
            }
        }

        // As bytes, since a name of half a surrogate pair is no text and yet no reason to refuse the answer.
        deserializer.deserialize_bytes(Known)
    }
}

/// Whether a flag is set, in any of the ways in which the SDK for Python takes one for set.
fn is_true(raw: &RawValue) -> bool {
    let word = raw.get().trim_matches('"');
    ["true", "1", "yes", "on", "t", "y"].iter().any(|yes| word.eq_ignore_ascii_case(yes))
}

/// The integer that a number, or a string of one, stands for.
fn integer(raw: &RawValue) -> Option<i64> {
    let number = raw.get().trim_matches('"').trim();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if fraction.bytes().all(|digit| digit == b'0') { whole.parse().ok() } else { None }
}
