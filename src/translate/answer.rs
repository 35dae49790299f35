//! From an API's answer to the result of the tool call.

use std::fmt;

use super::events::{self, Run, is_stream};
use super::render::Unfilled;
use super::request::CallerError;
use super::scope::{Scope, plain_text};
use super::template::Template;
use super::{ErrorMapping, Mapping};
use crate::json::{Raw, quoted as json_string};
use crate::jsonrpc::members_once;
use crate::usage::{Found, Used};

/// Longest error text that is passed on from an API, in characters.
const MAX_ERROR_TEXT: usize = 4096;

/// Longest path that an API may name, in bytes.
const LONGEST_PATH: usize = 2048;

/// An MCP `CallToolResult`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolAnswer {
    result: String,
    is_error: bool,
    used: Vec<Used>,
}

impl ToolAnswer {
    /// The result object as JSON text.
    pub fn result(&self) -> &str {
        &self.result
    }

    /// Whether the tool failed (`isError`).
    pub fn is_error(&self) -> bool {
        self.is_error
    }

    /// What the API says that it took.
    pub fn take_used(&mut self) -> Vec<Used> {
        std::mem::take(&mut self.used)
    }

    /// A failed call, with a text for the model or the person that made it.
    pub fn failure(text: &str) -> Self {
        ToolAnswer::build(&[json_string(text)], None, None, true)
    }

    /// `texts` are JSON strings, `structured` and `meta` JSON objects.
    fn build(texts: &[String], structured: Option<&str>, meta: Option<&str>, is_error: bool) -> Self {
        let items: Vec<String> = texts.iter().map(|text| format!("{{\"type\":\"text\",\"text\":{text}}}")).collect();
        let mut result = format!("{{\"content\":[{}]", items.join(","));
        for (key, object) in [("structuredContent", structured), ("_meta", meta)] {
            if let Some(object) = object {
                result.push_str(&format!(",\"{key}\":{object}"));
            }
        }
        // MCP 2026-07-28 requires resultType; before it, results may have members that a client does not know.
        result.push_str(&format!(",\"isError\":{is_error},\"resultType\":\"complete\"}}"));
        ToolAnswer { result, is_error, used: Vec::new() }
    }
}

/// Arguments that do not fit are a failure of the tool call, as an MCP server would report it.
impl From<&CallerError> for ToolAnswer {
    fn from(error: &CallerError) -> Self {
        ToolAnswer::failure(&error.to_string())
    }
}

/// The API's answer has no result for the client: a failure of the server, for the shell to report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerError {
    /// A status that says nothing about the call itself: 1xx, 3xx, 401, 407, 429, 5xx. The body is not passed on, since
    /// it may be about the proxy's own credential.
    Status(u16),
    /// A success whose body is not what the mapping expects; the text says in what way and quotes nothing of it.
    Unreadable(String),
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AnswerError::Status(status) => write!(f, "the API answered HTTP {status}"),
            AnswerError::Unreadable(reason) => write!(f, "the API's answer is unreadable: {reason}"),
        }
    }
}

impl std::error::Error for AnswerError {}

impl From<Unfilled> for AnswerError {
    fn from(unfilled: Unfilled) -> Self {
        let Unfilled { name, rule } = unfilled;
        AnswerError::Unreadable(if name.is_empty() { format!("it {rule}") } else { format!("\"{name}\" {rule}") })
    }
}

/// The result of the tool call that an HTTP answer stands for.
///
/// 2xx becomes a result through the mapping's answer templates (an empty body leaves out what is optional). 202 means that
/// the API is still at it, and can't be asked again ([`status_path`]), and 4xx that it refused the call: both become a result with `isError`, with the API's
/// message, code and request id.
///
/// # Errors
/// [`AnswerError`] where the answer is a failure of the server or of its credential rather than of the call.
pub fn answer(mapping: &Mapping, status: u16, body: &[u8]) -> Result<ToolAnswer, AnswerError> {
    match status {
        202 => Ok(failure(
            &mapping.answer.error,
            "the API has accepted the call but not finished it, and its result cannot be fetched yet",
            status,
            body,
        )),
        200..=299 => {
            let mut used = Vec::new();
            let run = if is_stream(body) { events::read(body, &mut used) } else { Run::Document(body.into()) };
            match run {
                Run::Document(document) => success(mapping, &document, used),
                Run::Failed(error) => Ok(failure(&mapping.answer.error, "the API's run failed", status, &error)),
                Run::Broken => Err(AnswerError::Unreadable("its stream ended before its last event".to_owned())),
            }
        }
        401 | 407 | 429 => Err(AnswerError::Status(status)),
        400..=499 => Ok(failure(&mapping.answer.error, "the API refused the call", status, body)),
        _ => Err(AnswerError::Status(status)),
    }
}

/// Where an API that has accepted a call tells what has come of it: a path at the same server, by what Snowflake's SQL API
/// calls it. `None` if the answer says none, or another kind of address.
pub fn status_path(status: u16, body: &[u8]) -> Option<Box<str>> {
    let body = std::str::from_utf8(body).ok().filter(|_| status == 202)?;
    let [url] = members_once(body, ["statementStatusUrl"])?;
    let url = url?.text()?;
    let is_path = url.starts_with('/') && !url.starts_with("//") && url.len() <= LONGEST_PATH;
    (is_path && url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')).then(|| (&*url).into())
}

fn success(mapping: &Mapping, body: &[u8], used: Vec<Used>) -> Result<ToolAnswer, AnswerError> {
    let document = if body.trim_ascii().is_empty() {
        None
    } else {
        Some(Raw::of_bytes(body).ok_or_else(|| AnswerError::Unreadable("it is not JSON".to_owned()))?)
    };
    let scope = Scope::new(document, "");
    let mut texts = Vec::with_capacity(mapping.answer.content.len());
    for template in &mapping.answer.content {
        if let Some(json) = template.render(&scope)? {
            texts.push(if json.starts_with('"') { json } else { json_string(&json) });
        }
    }
    let structured = object(mapping.answer.structured.as_ref(), &scope, "structured")?;
    let meta = object(mapping.answer.meta.as_ref(), &scope, "meta")?;
    let used = if used.is_empty() { Found::of(scope.member("usage"), scope.member("model")).used() } else { used };
    Ok(ToolAnswer { used, ..ToolAnswer::build(&texts, structured.as_deref(), meta.as_deref(), false) })
}

fn object(template: Option<&Template>, scope: &Scope<'_>, name: &str) -> Result<Option<String>, AnswerError> {
    let rendered = match template {
        Some(template) => template.render(scope)?,
        None => None,
    };
    match rendered {
        Some(json) if !json.starts_with('{') => {
            Err(AnswerError::Unreadable(format!("what the mapping takes for {name} is not an object")))
        }
        rendered => Ok(rendered),
    }
}

fn failure(mapping: &ErrorMapping, what: &str, status: u16, body: &[u8]) -> ToolAnswer {
    let scope = Scope::new(Raw::of_bytes(body), "");
    // An error answer in an unexpected shape is still one: its text stands in for the message.
    let message = field(&mapping.message, &scope).unwrap_or_else(|| shortened(String::from_utf8_lossy(body).trim()));
    let mut text = format!("{what} (HTTP {status}");
    if let Some(code) = field(&mapping.code, &scope) {
        text.push_str(&format!(", code {code}"));
    }
    text.push(')');
    if !message.is_empty() {
        text.push_str(&format!(": {message}"));
    }
    if let Some(id) = field(&mapping.request_id, &scope) {
        text.push_str(&format!("\nrequest-id: {id}"));
    }
    ToolAnswer::failure(&text)
}

/// A template of an error answer as text, shortened; `None` if it has none.
fn field(template: &Template, scope: &Scope<'_>) -> Option<String> {
    let json = template.render(scope).ok()??;
    let text = shortened(&plain_text(&json).ok()?);
    (!text.is_empty()).then_some(text)
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_ERROR_TEXT).collect()
}

#[cfg(test)]
mod tests;
