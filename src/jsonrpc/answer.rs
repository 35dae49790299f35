//! What a server's answer is, read as leniently as the official clients of MCP read it.
//!
//! Whoever is stricter than they are calls an answer none that its client could have used: the call has been executed, and
//! would be reported as failed, or executed again. So what the SDK for Python (1.30, 2.3) or the one for TypeScript (1.32,
//! 2.4) takes for an answer is one: a member that is `null` is absent, of a repeated one the last counts, a code may be
//! written as `-32602.0` or `"-32602"`, an id `7` may come back as `"7"`, and a JSON body may begin with a byte order mark
//! or put the answer into an array. Nothing of it is put right: the client gets the bytes that arrived.

use std::borrow::Cow;

use super::RequestId;
use super::object::Unreadable;
use crate::json::{Raw, Reader};
use crate::usage::Found;

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
        content: Option<Raw<'a>>,
        /// What it says that it took, in itself, in its `structuredContent` or in its `_meta`.
        usage: Found<'a>,
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
        read(body.strip_prefix('\u{feff}').unwrap_or(body), id, true)
    }

    /// Looks at the data of an event in the same way. No client reads an array here, or a byte order mark.
    pub fn of_event(data: &'a str, id: Option<RequestId<'_>>) -> Self {
        read(data, id, false)
    }

    /// Whether a client can read it as the answer to its request.
    pub fn is_readable(&self) -> bool {
        matches!(self, Answer::Result { .. } | Answer::Error { .. })
    }
}

/// `or_array`: whether it may also be an array of messages; then it is the first of them that answers.
fn read<'a>(json: &'a str, id: Option<RequestId<'_>>, or_array: bool) -> Answer<'a> {
    let mut reader = Reader::new(json);
    let read = message(&mut reader, id, or_array);
    match read.and_then(|answer| Ok(reader.end().map(|()| answer)?)) {
        Ok(answer) => answer,
        Err(Unreadable::Unfit) => Answer::NotJsonRpc,
        Err(Unreadable::NotJson) => Answer::NotJson,
    }
}

/// Reads one message, which should answer request `id`, or an array of them.
fn message<'a>(reader: &mut Reader<'a>, id: Option<RequestId<'_>>, or_array: bool) -> Result<Answer<'a>, Unreadable> {
    match reader.peek() {
        Some(b'{') => single(reader, id),
        Some(b'[') if or_array => {
            let mut found = Answer::NotJsonRpc;
            reader.array(|reader| {
                let message = message(reader, id, false)?;
                if !found.is_readable() {
                    found = message;
                }
                Ok::<(), Unreadable>(())
            })?;
            Ok(found)
        }
        _ => Err(unfit(reader)),
    }
}

/// What is said of a value that is of another kind than it should be.
fn unfit(reader: &mut Reader<'_>) -> Unreadable {
    match reader.peek() {
        Some(b'[') => Unreadable::Unfit,
        _ => reader.value().map_or_else(Unreadable::from, |_| Unreadable::Unfit),
    }
}

fn single<'a>(reader: &mut Reader<'a>, mine: Option<RequestId<'_>>) -> Result<Answer<'a>, Unreadable> {
    let (mut version, mut id, mut method) = (None, None, None);
    let (mut result, mut error) = (None, None);
    reader.object(|name, reader| {
        match name.as_deref() {
            Some("jsonrpc") => version = present(reader)?,
            Some("id") => id = present(reader)?,
            Some("method") => method = present(reader)?,
            Some("result") => result = Outcome::read(reader)?,
            Some("error") => error = Outcome::read(reader)?,
            // A name of half a surrogate pair too is no reason to refuse the answer.
            _ => {
                reader.value()?;
            }
        }
        Ok::<(), Unreadable>(())
    })?;
    if version.and_then(Raw::text).as_deref() != Some("2.0") {
        return Ok(Answer::NotJsonRpc);
    }
    let is_ours =
        id.map(|theirs| mine.is_none_or(|mine| RequestId::from_raw(theirs).is_some_and(|id| mine.matches(id))));
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

/// The value that follows, unless it is `null`.
fn present<'a>(reader: &mut Reader<'a>) -> Result<Option<Raw<'a>>, Unreadable> {
    Ok(Some(reader.value()?).filter(|value| !value.is_null()))
}

/// What `result` or `error` holds. Of a member that is repeated the last counts, as for every reader of JSON.
#[derive(Default)]
struct Outcome<'a> {
    is_error: Option<Raw<'a>>,
    content: Option<Raw<'a>>,
    code: Option<Raw<'a>>,
    message: Option<Raw<'a>>,
    usage: Found<'a>,
}

impl<'a> Outcome<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Option<Self>, Unreadable> {
        match reader.peek() {
            Some(b'{') => {}
            Some(b'n') => return reader.value().map(|_| None).map_err(Unreadable::from),
            _ => return Err(unfit(reader)),
        }
        let mut outcome = Outcome::default();
        reader.object(|name, reader| {
            if let Some("structuredContent" | "_meta") = name.as_deref() {
                return Ok(outcome.usage.within(reader)?);
            }
            if outcome.usage.member(name.as_deref(), reader)?.is_some() {
                return Ok(());
            }
            let value = present(reader)?;
            match name.as_deref() {
                Some("isError") => outcome.is_error = value,
                Some("content") => outcome.content = value,
                Some("code") => outcome.code = value,
                Some("message") => outcome.message = value,
                _ => {}
            }
            Ok::<(), Unreadable>(())
        })?;
        Ok(Some(outcome))
    }

    fn as_result(&self) -> Answer<'a> {
        Answer::Result { is_error: self.is_error.is_some_and(is_true), content: self.content, usage: self.usage }
    }

    fn as_error(&self) -> Option<Answer<'a>> {
        let message = match self.message {
            // Half a surrogate pair is no text of ours, but JavaScript reads it.
            Some(raw) if raw.get().starts_with('"') => raw.text().unwrap_or_default(),
            Some(_) => return None,
            None => Cow::Borrowed(""),
        };
        Some(Answer::Error { code: integer(self.code?)?, message })
    }
}

/// Whether a flag is set, in any of the ways in which the SDK for Python takes one for set.
fn is_true(raw: Raw<'_>) -> bool {
    let word = raw.get().trim_matches('"');
    ["true", "1", "yes", "on", "t", "y"].iter().any(|yes| word.eq_ignore_ascii_case(yes))
}

/// The integer that a number, or a string of one, stands for.
fn integer(raw: Raw<'_>) -> Option<i64> {
    let number = raw.get().trim_matches('"').trim();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if fraction.bytes().all(|digit| digit == b'0') { whole.parse().ok() } else { None }
}
