//! The parameters of a request, as far as Dualpath looks into them.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::jsonrpc::{from_object, text};

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
    pub arguments: Option<&'a RawValue>,
    /// Whether there is a `cursor`. One always belongs to the server that issued it, the empty string included.
    pub has_cursor: bool,
    /// `protocolVersion` of `initialize`.
    pub initialize_version: Option<Cow<'a, str>>,
    /// `_meta["io.modelcontextprotocol/protocolVersion"]`, which every request of the stateless versions carries.
    pub meta_version: Option<Cow<'a, str>>,
    /// Whether it names something that one server has issued and no other knows: a page (`cursor`), a task (`taskId`,
    /// `_meta`), an exchange to go on with (`requestState`, `inputResponses`).
    pub is_bound: bool,
    /// Whether it starts a task (`task`). Such a call is never sent twice.
    pub starts_task: bool,
}

/// Why parameters cannot be acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidParams {
    /// They are not an object, or a member that matters is repeated or of the wrong kind.
    Shape,
    /// A tool call does not name the tool.
    NoName,
    /// `arguments` is not an object.
    Arguments,
}

impl fmt::Display for InvalidParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidParams::Shape => "`params` must be an object whose members are of the right kind and not repeated",
            InvalidParams::NoName => "`params.name` must name the tool",
            InvalidParams::Arguments => "`params.arguments` must be an object",
        })
    }
}

impl std::error::Error for InvalidParams {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    cursor: Option<IgnoredAny>,
    #[serde(borrow)]
    protocol_version: Option<&'a RawValue>,
    request_state: Option<IgnoredAny>,
    input_responses: Option<IgnoredAny>,
    task_id: Option<IgnoredAny>,
    task: Option<IgnoredAny>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    protocol_version: Option<&'a RawValue>,
    #[serde(rename = "io.modelcontextprotocol/related-task")]
    related_task: Option<IgnoredAny>,
}

impl<'a> Params<'a> {
    /// Reads the parameters of a request; a member that is `null` counts as absent.
    pub fn parse(params: Option<&'a RawValue>) -> Result<Self, InvalidParams> {
        let Some(params) = params else { return Ok(Params::default()) };
        let wire: Wire<'a> = from_object(params.get()).map_err(|_| InvalidParams::Shape)?;
        if wire.arguments.is_some_and(|raw| !raw.get().starts_with('{')) {
            return Err(InvalidParams::Arguments);
        }
        let meta: Option<Meta<'a>> = match wire.meta {
            Some(raw) => Some(from_object(raw.get()).map_err(|_| InvalidParams::Shape)?),
            None => None,
        };
        let of_a_task = wire.task_id.is_some() || meta.as_ref().is_some_and(|meta| meta.related_task.is_some());
        let has_cursor = wire.cursor.is_some();
        Ok(Params {
            name: string(wire.name)?,
            arguments: wire.arguments,
            has_cursor,
            initialize_version: string(wire.protocol_version)?,
            meta_version: string(meta.and_then(|meta| meta.protocol_version))?,
            is_bound: has_cursor || of_a_task || wire.request_state.is_some() || wire.input_responses.is_some(),
            starts_task: wire.task.is_some(),
        })
    }

    /// Reads the parameters of `tools/call`, which must name the tool.
    pub fn of_tool_call(params: Option<&'a RawValue>) -> Result<Self, InvalidParams> {
        let params = Params::parse(params)?;
        if params.name.is_some() { Ok(params) } else { Err(InvalidParams::NoName) }
    }
}

fn string(raw: Option<&RawValue>) -> Result<Option<Cow<'_, str>>, InvalidParams> {
    raw.map(|raw| text(raw).ok_or(InvalidParams::Shape)).transpose()
}
