//! One call, from the client's message to the answer the client gets. Nothing in here talks to Envoy: what a callback of
//! the host shell ([`crate::filter`]) brings goes in as an event, what is to be done comes out as data. `dualpath explain`
//! and the tests drive the very same code.
//!
//! # The walk of a `tools/call`
//!
//! 1. **The door** ([`door`]). The request's headers arrive at the gate. The door says whether the client may ask at all,
//!    whose session it is in, which drill it orders, and which of its headers end here. Then the gate waits for the body.
//! 2. **The message** ([`message`]). The body is read once: what kind of message it is, its id, the tool it calls, and
//!    whether it may be executed twice. What the gate could answer itself is kept as a small [`Question`].
//! 3. **The route** ([`route`]). The operator's order: which servers may answer this message, best first.
//!
//!    Of a tool whose answers are kept, a fresh one ends the walk here ([`cached`]).
//! 4. **Admission** ([`admission`]). The breakers are asked. What is left are the hops, each with its breaker's ticket.
//! 5. **The flight** ([`flight`]). The [`Call`] is made, with its [`Flight`]: the hops, the attempts made so far, the one
//!    under way, the time and the budget. [`planning`] does steps 2 to 5 and says what Envoy's router has to know.
//! 6. **The attempt** ([`attempt`]). The router sends the call to a server's cluster. There a second context of the same
//!    module finds the call by its number, begins the attempt ([`Flight::begin`], the only way to begin one), puts in the
//!    credential ([`credentials`]) and, for a REST server, writes the request anew. The answer's headers, its body or its
//!    first event are judged; the attempt then settles: once, with a class.
//! 7. **Onward** ([`Flight::land`], the only way on). From the class, the operator's policy, the replay word, the time left and
//!    the budget follows where the call goes: to the same server with its other token or in another session ([`session`]), to
//!    the next server, to the same one after a wait, or nowhere. Envoy's router is told by a mark on the answer, and makes the next attempt: step 6 again.
//! 8. **The answer** ([`answer`]). The last answer reaches the gate, which reads from the flight what it is and whose, and
//!    decides what the client gets: this answer, one of its own ([`local`]), one that was kept ([`cached`]), or an error.
//!
//! # Where a call lives
//!
//! Gate and attempts of a worker share one VM, so the live [`Call`] stays in that VM's memory, and filter state carries
//! only its number. While gate and attempts are of different modules or registries, which is the case for minutes during an
//! update, the number is followed by the call itself, written down ([`handover`]).

pub mod account;
pub mod admission;
pub mod answer;
pub mod attempt;
pub mod cached;
pub mod credentials;
pub mod door;
pub mod encoding;
pub mod flight;
pub mod handover;
pub mod headers;
pub mod idempotency;
pub mod ledger;
pub mod local;
pub mod message;
pub mod originals;
pub mod page;
pub mod passage;
pub mod planning;
pub mod ready;
pub mod route;
pub mod session;
pub mod status;
pub mod story;
pub mod time;
pub mod trace;

use std::rc::Rc;

pub use flight::Flight;
pub use local::Question;
pub use message::{Kind, Task};

use crate::credential::Secret;
use crate::failure::{Overrides, Replay};
use crate::jsonrpc::{OwnedId, RequestId};
use crate::mcp::Page;
use crate::registry::{Id, Registry, ServerIndex, Tool};
use originals::HeaderList;

/// Whose session a client is in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Session {
    /// None that we gave out: the client sent no session id, or one of unknown origin.
    #[default]
    None,
    /// The gate's own: begun while no MCP server answered, or with a server that has left the registry.
    Gate,
    /// A server's.
    Server {
        /// The server.
        owner: Id,
        /// The id by which that server knows the session.
        id: Vec<u8>,
    },
}

impl Session {
    /// The server whose session it is.
    pub fn owner(&self) -> Option<&Id> {
        if let Session::Server { owner, .. } = self { Some(owner) } else { None }
    }
}

/// What has come of opening a session for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum Opening {
    /// It was not tried.
    #[default]
    NotTried,
    /// The client is in a session of the server's, or the server needs none.
    Opened,
    /// The server can't go on with this client: it refuses it, or speaks another version.
    Impossible,
    /// Not now; another call may have more luck.
    NotNow,
}

/// A tool that is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// The one at this position in the registry of the call.
    At(usize),
    /// The one of this name, where the call was planned under another registry.
    Named(Box<str>),
}

/// One message of a client on its way: everything that its gate and its attempts know of it.
#[derive(Debug)]
pub struct Call {
    /// The registry under which it was planned.
    pub registry: Rc<Registry>,
    /// What kind of message it is.
    pub kind: Kind,
    /// Its JSON-RPC id; an answer to any other request is no answer.
    pub id: Option<OwnedId>,
    /// What it is counted under.
    pub task: Task,
    /// The tool that it calls, where the registry knows it.
    pub tool: Option<Called>,
    /// Whether it may be sent again after it may have been executed.
    pub replay: Replay,
    /// Which part of a list of tools it asks for, where the answer is read.
    pub tools_page: Option<Page>,
    /// Of `initialize`, whose answer alone may bring its client a session: how the client introduces itself, in short; empty
    /// if that can't be carried.
    pub introduction: Option<Box<str>>,
    /// The session that its client is in.
    pub session: Session,
    /// The id that the client knows its session by, where that tells how to open it another one.
    pub session_id: Option<Box<[u8]>>,
    /// What has come of opening one for this call.
    pub opening: Opening,
    /// The query of its client's that MCP servers get behind their own; empty for none.
    pub query: Box<str>,
    /// What the client authenticates with itself; only where a server of the flight gets that.
    pub authorization: Option<Secret>,
    /// The client's own headers of those that a REST attempt touches; only where an MCP server comes after one.
    pub originals: Option<HeaderList>,
    /// Random bits that stay the same over all attempts; an idempotency key for APIs that know one.
    pub uuid: [u8; 16],
    /// The request headers that only its last attempt's server was to see: the next attempt takes them off.
    pub carried: Vec<String>,
    /// What the owner of the session answered, where the call was sent on after that: the last word if nobody knows better.
    pub owners_failure: Option<KeptAnswer>,
    /// The servers that it goes past, for its story.
    pub skipped: Vec<story::Skipped>,
    /// Where it has been, and where it goes.
    pub flight: Flight,
    /// Where the API that has accepted it, and is at work, tells what has come of it: it is asked there from then on.
    pub poll: Option<Box<str>>,
    /// Its answer, where that is to be kept.
    pub to_keep: cached::ToKeep,
    /// When its answer was there as a whole, on the monotonic clock, in ms; `None` of what streams through.
    pub answered_ms: Option<u64>,
    /// What its attempts note for the call log, where that is on.
    pub ledger: Option<Box<ledger::Ledger>>,
}

/// An answer that was kept although the call went on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeptAnswer {
    /// Its HTTP status.
    pub status: u16,
    /// Its JSON.
    pub body: Vec<u8>,
}

impl Call {
    /// Takes over what has happened to the call elsewhere.
    pub fn catch_up(&mut self, newer: Call) {
        (self.flight, self.carried) = (newer.flight, newer.carried);
        (self.session, self.opening) = (newer.session, newer.opening);
        self.poll = newer.poll;
    }

    /// Its id for an answer.
    pub fn request_id(&self) -> Option<RequestId<'_>> {
        self.id.as_ref().map(OwnedId::borrow)
    }

    /// The tool that it calls, as `registry` knows it.
    pub fn tool<'r>(&self, registry: &'r Registry) -> Option<&'r Tool> {
        match self.tool.as_ref()? {
            Called::At(position) if std::ptr::eq(Rc::as_ptr(&self.registry), registry) => registry.tools.get(*position),
            _ => registry.tool(self.tool_name()?),
        }
    }

    /// The name of the tool that it calls.
    pub fn tool_name(&self) -> Option<&str> {
        match self.tool.as_ref()? {
            Called::At(position) => self.registry.tools.get(*position).map(|tool| tool.name.as_str()),
            Called::Named(name) => Some(name),
        }
    }

    /// What the operator says of outcomes of its tool.
    pub fn tool_overrides<'r>(&self, registry: &'r Registry) -> Option<&'r Overrides> {
        self.tool(registry).map(|tool| &tool.on)
    }

    /// Whether the client is in a session that this server can't know.
    pub fn session_is_elsewhere(&self, server: Option<&Id>) -> bool {
        match &self.session {
            Session::None => false,
            Session::Gate => true,
            Session::Server { owner, .. } => server.is_some_and(|server| server != owner),
        }
    }

    /// The first server of the operator's order that can have the tool: `first`, unless it is known not to.
    pub fn first_choice_of(&self, first: Option<ServerIndex>) -> Option<ServerIndex> {
        let lacks = |skipped: &&story::Skipped| skipped.why == story::Skip::NotListed;
        if !self.skipped.iter().filter(lacks).any(|skipped| Some(skipped.server) == first) {
            return first;
        }
        let next = self.skipped.iter().find(|skipped| !lacks(skipped) && skipped.at == 0);
        next.map(|skipped| skipped.server).or(self.flight.hops().first()?.index)
    }

    /// The hops' servers, in order.
    pub fn servers(&self) -> impl DoubleEndedIterator<Item = ServerIndex> {
        self.flight.hops().iter().filter_map(|hop| hop.index)
    }
}
