//! A tool, as MCP clients call it and as it is answered without MCP.

use std::time::Duration;

use super::ServerIndex;
use crate::failure::Overrides;
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

/// One tool, as MCP clients call it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its MCP name.
    pub name: String,
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
    /// The MCP servers that offer it, in order of preference (tier, then file order).
    pub mcp: Vec<ServerIndex>,
    /// The direct path, if the tool has one.
    pub rest: Option<Direct>,
    /// The tool as the gate lists it while no MCP server answers: an MCP `Tool` object.
    pub listing: serde_json::Value,
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
