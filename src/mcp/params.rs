//! The parameters of a request, as far as Dualpath looks into them.

use std::borrow::Cow;
use std::fmt;

use crate::json::Raw;
use crate::jsonrpc::{OwnedId, members};

/// Which part of a list of tools a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Page {
    /// The first, or the only one.
    First,
    /// One that a cursor names.
    Later,
}

/// The parameters of any request.
#[derive(Debug, Clone, Default)]
pub struct Params<'a> {
    /// `name`: the tool or prompt.
    pub name: Option<Cow<'a, str>>,
    /// `arguments`, unread: an object.
    pub arguments: Option<Raw<'a>>,
    /// `uri`: the resource, if it is a string.
    pub uri: Option<Cow<'a, str>>,
    /// Whether there is a `cursor`. One always belongs to the server that issued it, the empty string included.
    pub has_cursor: bool,
    /// `protocolVersion` of `initialize`.
    pub initialize_version: Option<Cow<'a, str>>,
    /// `_meta["io.modelcontextprotocol/protocolVersion"]`, which every request of the stateless versions carries.
    pub meta_version: Option<Cow<'a, str>>,
    /// Whether `_meta` says what the client is capable of, as every request of the stateless versions does.
    pub has_capabilities: bool,
    /// Whether it names something that one server has issued and no other knows: a page (`cursor`), a task (`taskId`,
    /// `_meta`), an exchange to go on with (`requestState`, `inputResponses`).
    pub is_bound: bool,
    /// Whether it starts a task (`task`). Such a call is never sent twice.
    pub starts_task: bool,
}

/// Why parameters cannot be acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidParams {
    /// They are not an object, or a member that matters is repeated, written in another case, or of the wrong kind.
    Shape,
    /// A tool call does not name the tool.
    NoName,
    /// `arguments` is not an object.
    Arguments,
}

impl fmt::Display for InvalidParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidParams::Shape => "`params` must be an object whose members are of the right kind and stand there once, whatever their case",
            InvalidParams::NoName => "`params.name` must name the tool",
            InvalidParams::Arguments => "`params.arguments` must be an object",
        })
    }
}

impl std::error::Error for InvalidParams {}

/// What is looked for in `params`.
const MEMBERS: [&str; 10] = [
    "name",
    "arguments",
    "cursor",
    "protocolVersion",
    "requestState",
    "inputResponses",
    "taskId",
    "task",
    "uri",
    "_meta",
];

/// What is looked for in `_meta`.
const META: [&str; 3] = [
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/related-task",
];

impl<'a> Params<'a> {
    /// Reads the parameters of a request; a member that is `null` counts as absent.
    pub fn parse(params: Option<Raw<'a>>) -> Result<Self, InvalidParams> {
        let Some(params) = params else { return Ok(Params::default()) };
        let [name, arguments, cursor, version, state, responses, task_id, task, uri, meta] =
            of_object(Some(params), &MEMBERS)?;
        if arguments.is_some_and(|raw| !raw.get().starts_with('{')) {
            return Err(InvalidParams::Arguments);
        }
        let [meta_version, capabilities, related_task] = of_object(meta, &META)?;
        let is_bound = [cursor, task_id, related_task, state, responses].iter().any(Option::is_some);
        Ok(Params {
            name: string(name)?,
            arguments,
            uri: uri.and_then(Raw::text),
            has_cursor: cursor.is_some(),
            initialize_version: string(version)?,
            meta_version: string(meta_version)?,
            has_capabilities: capabilities.is_some(),
            is_bound,
            starts_task: task.is_some(),
        })
    }

    /// Reads the parameters of `tools/call`, which must name the tool.
    pub fn of_tool_call(params: Option<Raw<'a>>) -> Result<Self, InvalidParams> {
        let params = Params::parse(params)?;
        if params.name.is_some() { Ok(params) } else { Err(InvalidParams::NoName) }
    }
}

/// The request that a client takes back by this notification, if it does.
pub fn cancelled(notification: &str, params: Option<Raw<'_>>) -> Option<OwnedId> {
    if notification != "notifications/cancelled" {
        return None;
    }
    let [id] = of_object(params, &["requestId"]).ok()?;
    OwnedId::from_json(id?.get())
}

/// The members of these names; none of what isn't there, and `null` counts as absent.
fn of_object<'a, const N: usize>(
    object: Option<Raw<'a>>,
    names: &[&str; N],
) -> Result<[Option<Raw<'a>>; N], InvalidParams> {
    let mut found = [None; N];
    if let Some(object) = object {
        members(object.get(), names, &mut found).map_err(|_| InvalidParams::Shape)?;
    }
    Ok(found.map(|member| member.filter(|raw| !raw.is_null())))
}

fn string(raw: Option<Raw<'_>>) -> Result<Option<Cow<'_, str>>, InvalidParams> {
    raw.map(|raw| raw.text().ok_or(InvalidParams::Shape)).transpose()
}
