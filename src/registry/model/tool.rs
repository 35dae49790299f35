//! A tool, as MCP clients call it and as it is answered without MCP.

use std::time::Duration;

use super::{Routing, ServerIndex};
use crate::cache::CachePolicy;
use crate::failure::Overrides;
use crate::registry::named::HasName;
use crate::translate::Mapping;
use crate::wire::Id;

/// Who says whether a tool's calls may be executed twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayable {
    /// The operator: they may.
    Yes,
    /// The operator: they may not.
    No,
    /// The tool's servers, if all of them are trusted.
    Annotations,
}

/// Where the calls of a tool carry a key that is the same on every way a call takes. At least one place is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The request header, lower case.
    pub header: Option<String>,
    /// The member of the message's `_meta`.
    pub meta: Option<String>,
}

/// One tool, as MCP clients call it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its MCP name.
    pub name: String,
    /// Whether clients may see and call it.
    pub is_allowed: bool,
    /// The task it is counted under in metrics.
    pub task: Id,
    /// Whether a call may be sent again although it may already have been executed.
    pub replayable: Replayable,
    /// What follows from a class for this tool's calls; its word counts before that of the servers.
    pub on: Overrides,
    /// Overrides the servers' timeout for this tool.
    pub timeout: Option<Duration>,
    /// Overrides the listener's `client_timeout` for this tool.
    pub client_timeout: Option<Duration>,
    /// Where its calls carry an idempotency key, if they do.
    pub idempotency: Option<Idempotency>,
    /// How its answers are kept, if they are.
    pub cache: Option<CachePolicy>,
    /// The MCP servers that offer it, in order of preference (tier, then file order).
    pub mcp: Vec<ServerIndex>,
    /// The direct path, if the tool has one.
    pub rest: Option<Direct>,
    /// The order of its servers, where it is not that of `mcp` and `rest`.
    pub routing: Option<Box<Routing>>,
    /// The tool as the gate lists it while no MCP server answers: an MCP `Tool` object.
    pub listing: Listing,
}

/// An MCP `Tool` object, kept as the JSON text that it is listed as: a thousand schemas as values would be most of what a
/// worker keeps in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing(Box<str>);

impl Listing {
    /// The listing that this JSON object is.
    pub fn of(tool: String) -> Self {
        Listing(tool.into())
    }

    /// Its text.
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

impl HasName for Tool {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Tool {
    /// The headers that requests of its direct path may set, lower case.
    pub fn mapped_headers(&self) -> impl Iterator<Item = &str> {
        self.rest.iter().flat_map(|direct| direct.mapping.header_names())
    }
}

/// A tool's direct path.
#[derive(Debug, Clone, PartialEq)]
pub struct Direct {
    /// The REST server.
    pub server: ServerIndex,
    /// Whether it is asked before the MCP servers.
    pub first: bool,
    /// How the call is written for it and its answer read.
    pub mapping: Mapping,
}
