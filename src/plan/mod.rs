//! The plan of one call: which servers may answer it, in which order, and under which conditions it may be sent again.
//!
//! The gate writes the plan; every attempt reads it. It travels as filter state of the request, because that is what a
//! downstream filter and the upstream filters of all attempts can see, and what survives a reload of the VM.

mod admission;
mod chain;
mod codec;
mod onward;
mod original;
mod time;

pub use admission::{Breakers, Terms, admit};
pub use chain::{Route, chain};
pub use onward::{Onward, Refusal, Stop};
pub use original::{HeaderList, is_of_mcp, is_touched_by_rest, mcp_follows_rest, originals};
pub use time::{ClientTime, Time};

use crate::breaker::Ticket;
use crate::credential::Secret;
use crate::failure::{Class, Replay};
use crate::mcp::Page;
use crate::wiring::cluster;

/// What kind of message a plan is for; decides what an attempt may do with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    /// A JSON-RPC request: its answer is held and judged.
    Request,
    /// A notification, or the client's response to a request of the server: answered 202 without a body.
    Notification,
    /// A batch, or a body that is no JSON-RPC: passed on as it is, failed over only if it was never sent.
    Opaque,
    /// GET or DELETE of the Streamable HTTP transport: belongs to one server and is never sent elsewhere.
    Session,
}

/// Who opened the session that the client is in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Owner {
    /// The client is in no session that we know of.
    Nobody,
    /// The gate, while no MCP server answered.
    Gate,
    /// This server.
    Server(String),
}

/// One server of a plan.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hop {
    /// The server's name in the registry.
    pub server: String,
    /// What the server's breaker gave for this call; its outcome is reported under it.
    #[serde(with = "codec::ticket")]
    pub ticket: Ticket,
    /// How it is to fail without being asked, where that is ordered.
    #[serde(with = "codec::drill")]
    pub drill: Option<Class>,
}

/// Everything that the attempts of one call need to know of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Plan {
    /// The kind of message.
    pub kind: Kind,
    /// Whether the call may be sent again after it may have been executed.
    pub replay: Replay,
    /// The JSON-RPC id, byte for byte; an answer to any other request is no answer.
    pub id: Option<String>,
    /// The tool that is called, where the registry knows it.
    pub tool: Option<String>,
    /// Which part of a list of tools is asked for, where a server is trusted to teach us by it.
    pub tools_page: Option<Page>,
    /// Whose session the client is in.
    pub session_owner: Owner,
    /// That server's own id for the session.
    pub session_id: Option<Vec<u8>>,
    /// Random bits that stay the same over all attempts of the call; an idempotency key for APIs that know one.
    pub call_uuid: [u8; 16],
    /// The position in `hops` of the attempt that is under way; behind the last one once there is none left.
    pub cursor: u8,
    /// Whether that attempt uses its server's other credential slot, as the first one was refused.
    pub other_slot: bool,
    /// Whether its server has been asked before and has certainly not executed the call.
    pub repeats: bool,
    /// How often the last server may be asked once more.
    pub again: u8,
    /// Whether the router waits before every further attempt, as there is only one server to go to.
    pub patient: bool,
    /// What each attempt may take of the client's time.
    pub time: Time,
    /// Why nothing follows, where more could have.
    pub stop: Option<Stop>,
    /// How many attempts came before it.
    pub attempts: u8,
    /// The servers, in the order in which they are tried.
    pub hops: Vec<Hop>,
    /// The client's own headers of those that a REST attempt touches; only where an MCP server comes after one.
    pub originals: Option<HeaderList>,
    /// The client's own `Authorization`; only where a server of the plan gets it.
    #[serde(with = "codec::secret")]
    pub authorization: Option<Secret>,
}

impl Plan {
    /// Version of the encoding. An attempt that meets another version treats the request as unplanned.
    const VERSION: u8 = 5;

    /// The hop that is under way.
    pub fn current(&self) -> Option<&Hop> {
        self.hops.get(usize::from(self.cursor))
    }

    /// How the attempt that is under way is to fail without asking its server. The other credential slot is asked: to see
    /// that it is, is what a drill of a refused credential is for.
    pub fn drilled(&self) -> Option<Class> {
        self.current().filter(|_| !self.other_slot).and_then(|hop| hop.drill)
    }

    /// The name of the cluster that the attempt under way goes to; `None` once no hop is left.
    pub fn destination(&self) -> Option<&str> {
        let server = self.current()?.server.as_str();
        Some(if self.drilled().is_some() { cluster::DRILL } else { server })
    }

    /// The hop after the one that is under way.
    pub fn next(&self) -> Option<&Hop> {
        self.hops.get(usize::from(self.cursor).saturating_add(1))
    }

    /// The hop that was last asked.
    pub fn previous(&self) -> Option<&Hop> {
        let stays = self.repeats || self.other_slot;
        self.hops.get(usize::from(self.cursor).checked_sub(usize::from(!stays))?)
    }

    /// Whether every hop has had its attempt, or the plan was ended before.
    pub fn is_spent(&self) -> bool {
        usize::from(self.cursor) >= self.hops.len() || self.stop.is_some()
    }
}
