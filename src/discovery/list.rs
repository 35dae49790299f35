//! One server's list of tools: read from its pages, and kept in the shared data.

use super::hash;
use crate::json::{Value, write_quoted};
use crate::registry::Server;
use crate::wire::{looks_like_a_token, sort};

/// Bounds of a list. A server that lists more is not known to list anything: half a list would keep calls from it.
pub(super) const MAX_TOOLS: usize = 1024;
const MAX_NAME: usize = 128;
/// Of all names together, in bytes.
const MAX_NAMES: usize = 48 * 1024;

/// Version of the encoding; the keys begin with it too.
const VERSION: u8 = 2;

/// The key of a number that changes whenever a record does, so that workers need not read records to learn that.
pub const REVISION: &str = "tl2";

/// The text of a value with its members in the order of their names: their own order says nothing.
fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            out.push('{');
            let mut members: Vec<_> = map.iter().collect();
            sort(&mut members, |(name, _)| *name);
            for (name, value) in members {
                write_quoted(name, out);
                write_sorted(value, out);
            }
            out.push('}');
        }
        Value::Array(elements) => {
            out.push('[');
            elements.iter().for_each(|element| write_sorted(element, out));
            out.push(']');
        }
        scalar => {
            scalar.write(out);
            out.push(',');
        }
    }
}

/// The key of a server's record. One that has moved has nothing to say for its successor.
pub fn key(server: &Server) -> String {
    [REVISION, ":", server.id.as_str(), " ", &server.url.authority(), &server.url.path].concat()
}

/// What one server lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List {
    /// Until when it counts, ms on the monotonic clock.
    pub until_ms: u64,
    /// Whether the server says that its list may change at any time (`listChanged`): in a session of its own it may have
    /// more tools than it shows to us.
    pub changes: bool,
    /// The tools, as the server orders them.
    pub tools: Vec<Listed>,
}

/// One tool of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: Box<str>,
    /// Hash of its name.
    pub hash: u64,
    /// Hash of its input schema.
    pub schema: u64,
    /// Hash of its annotations.
    pub annotations: u64,
}

impl List {
    /// Adds the tools of a page; whether they could be. A tool without a name is nobody's to call, and one that is named like a
    /// token is not kept: names reach the log and the shared data, and a server could name a tool by the token that it got.
    #[must_use]
    pub(super) fn add(&mut self, page: &[Value]) -> bool {
        let mut names: usize = self.tools.iter().map(|tool| tool.name.len()).sum();
        for tool in page {
            let Some(name) = tool.get("name").and_then(Value::as_str) else { continue };
            if looks_like_a_token(name) {
                continue;
            }
            names = names.saturating_add(name.len());
            if name.len() > MAX_NAME || self.tools.len() >= MAX_TOOLS || names > MAX_NAMES {
                return false;
            }
            let [schema, annotations] = ["inputSchema", "annotations"].map(|key| {
                let mut text = String::new();
                tool.get(key).map_or(0, |value| {
                    write_sorted(value, &mut text);
                    hash(&text)
                })
            });
            self.tools.push(Listed { name: name.into(), hash: hash(name), schema, annotations });
        }
        true
    }

    /// The tool whose name has this hash. Servers that have the same tools list them in the same order, mostly, so it is looked
    /// for at this position first.
    pub(super) fn find(&self, hash: u64, at: usize) -> Option<&Listed> {
        let is_it = |tool: &&Listed| tool.hash == hash;
        self.tools.get(at).filter(is_it).or_else(|| self.tools.iter().find(is_it))
    }

    /// The form in the shared data: version, flags, end, then of each tool both hashes, the length of its name and the name.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, u8::from(self.changes)];
        bytes.extend_from_slice(&self.until_ms.to_le_bytes());
        for tool in &self.tools {
            bytes.extend_from_slice(&tool.schema.to_le_bytes());
            bytes.extend_from_slice(&tool.annotations.to_le_bytes());
            bytes.push(u8::try_from(tool.name.len()).unwrap_or_default());
            bytes.extend_from_slice(tool.name.as_bytes());
        }
        bytes
    }

    /// Reads that form; `None` for anything that was not written so.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (changes, rest) = bytes.strip_prefix(&[VERSION])?.split_first()?;
        let (until, mut rest) = rest.split_first_chunk()?;
        let mut list = List { until_ms: u64::from_le_bytes(*until), changes: *changes & 1 == 1, tools: Vec::new() };
        while !rest.is_empty() {
            let (schema, tail) = rest.split_first_chunk()?;
            let (annotations, tail) = tail.split_first_chunk()?;
            let (length, tail) = tail.split_first()?;
            let (name, tail) = tail.split_at_checked(usize::from(*length))?;
            let name = std::str::from_utf8(name).ok()?;
            let [schema, annotations] = [*schema, *annotations].map(u64::from_le_bytes);
            list.tools.push(Listed { name: name.into(), hash: hash(name), schema, annotations });
            rest = tail;
        }
        Some(list)
    }
}
