//! What the gate remembers of a call until its end.

use crate::credential::Secret;
use crate::drill::Orders;
use crate::jsonrpc::RequestId;
use crate::mcp::local::LocalAnswer;
use crate::plan::Kind;
use crate::registry::ServerIndex;
use crate::telemetry::{Name, RegistryNames};

use super::super::metrics::{Mode, Status};

/// The label that a call is counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Task {
    /// The task of the tool at this position of the registry.
    Tool(usize),
    /// A method of the protocol itself.
    Protocol,
    /// A tool that the registry doesn't know, or something that is no JSON-RPC request.
    #[default]
    Other,
}

impl Task {
    /// The label's value.
    pub fn name(self, names: &RegistryNames) -> Name {
        match self {
            Task::Tool(index) => names.task(index),
            Task::Protocol => Name::PROTOCOL,
            Task::Other => Name::OTHER,
        }
    }
}

/// Whose session a client is in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Session {
    /// None that we gave out: the client sent no session id, or one of unknown origin.
    #[default]
    None,
    /// This server's, which knows it by this id.
    Server(ServerIndex, Vec<u8>),
    /// The gate's own: begun while no MCP server answered, or with a server that has left the registry.
    Gate,
}

/// One client request, from its headers to its account.
#[derive(Debug, Default)]
pub struct Call {
    /// When it came, on the monotonic clock, in ms.
    pub started: u64,
    /// How long its client says that it waits, in ms.
    pub told_ms: Option<u64>,
    /// What kind of message it is; `None` until that is known.
    pub kind: Option<Kind>,
    /// Its JSON-RPC id, byte for byte.
    pub id: Option<String>,
    /// What the gate can answer itself, if no server does.
    pub local: Option<LocalAnswer>,
    /// What it is counted under.
    pub task: Task,
    /// The session that the client is in.
    pub session: Session,
    /// What the client authenticates with itself, where a server may get that.
    pub authorization: Option<Secret>,
    /// The servers that are to fail for it.
    pub drill: Orders,
    /// The server that the operator's order names first.
    pub first_choice: Option<ServerIndex>,
    /// The server that it went to although its breaker refuses, and when.
    pub last_resort: Option<(ServerIndex, u64)>,
    /// How it ended, once that is known.
    pub end: Option<(Mode, Status)>,
    /// Whether another server than the first choice has answered.
    pub fell_back: bool,
}

impl Call {
    /// The request's id for an answer of ours.
    pub fn request_id(&self) -> Option<RequestId<'_>> {
        self.id.as_deref().and_then(RequestId::from_json)
    }
}
