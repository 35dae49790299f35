//! A call, written down. Only for the minutes of an update in which its gate and its attempts are of different modules or
//! registries, so that they have no memory in common; see [`super`].
//!
//! | bytes | what |
//! |---|---|
//! | 0 | major version: a reader of another one can make nothing of what follows |
//! | 1 | minor version: a later one only adds at the end, which a reader of an earlier one ignores |
//! | 2..10 | the call's number in the memory of its gate's VM, little endian |
//! | 10.. | nothing, if every reader shares that memory; else the call, in postcard's encoding |
//! | then | since minor version 1: the length of the client's query in two bytes, little endian, and the query |
//! | then | with the major version of [`POLLING`]: the same of the path at which the call is asked for |
//!
//! What can't be read is never taken for no call at all: the attempt that meets it ends as not sent.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::originals::HeaderList;
use super::{Call, Called, Flight, Kind, Opening, Session, Task};
use crate::credential::Secret;
use crate::failure::Replay;
use crate::jsonrpc::OwnedId;
use crate::mcp::Page;
use crate::registry::{Id, Registry};

/// Version of the encoding.
pub const MAJOR: u8 = 7;
/// Its minor version.
const MINOR: u8 = 1;

/// The major version of a call that an API is at work on: who doesn't know that would have it executed twice.
const POLLING: u8 = 0x80 | MAJOR;

/// The minor version from which on a written call ends with the client's query.
const WITH_QUERY: u8 = 1;

/// Bytes before the call itself.
const PREFIX: usize = 10;

/// What filter state says of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handover<'b> {
    /// The call's number in its gate's VM.
    pub number: u64,
    /// The minor version of who wrote it.
    pub minor: u8,
    /// Whether an API is at work on it.
    pub polls: bool,
    /// The call, if it was written down.
    pub written: Option<&'b [u8]>,
}

#[derive(Serialize, Deserialize)]
struct Written<'a> {
    kind: Kind,
    #[serde(borrow)]
    id: Option<&'a str>,
    #[serde(borrow)]
    tool: Option<&'a str>,
    protocol: bool,
    replay: Replay,
    tools_page: Option<Page>,
    #[serde(borrow)]
    introduction: Option<&'a str>,
    /// The owner of the session, empty for the gate, and its own id for the session.
    #[serde(borrow)]
    session: Option<(&'a str, &'a [u8])>,
    #[serde(borrow)]
    session_id: Option<&'a [u8]>,
    opening: Opening,
    authorization: Option<Vec<u8>>,
    originals: Option<HeaderList>,
    uuid: [u8; 16],
    carried: Vec<String>,
    flight: Flight,
}

/// The call's number alone, for readers that share its memory.
pub fn number(number: u64) -> [u8; PREFIX] {
    let [a, b, c, d, e, f, g, h] = number.to_le_bytes();
    [MAJOR, MINOR, a, b, c, d, e, f, g, h]
}

/// The call with its number, for readers that don't.
pub fn write(number_of: u64, call: &Call) -> Vec<u8> {
    let written = Written {
        kind: call.kind,
        id: call.id.as_ref().map(OwnedId::as_json),
        tool: call.tool_name(),
        protocol: call.task == Task::Protocol,
        replay: call.replay,
        tools_page: call.tools_page,
        introduction: call.introduction.as_deref(),
        session: match &call.session {
            Session::None => None,
            Session::Gate => Some(("", &[])),
            Session::Server { owner, id } => Some((owner.as_str(), id)),
        },
        session_id: call.session_id.as_deref(),
        opening: call.opening,
        authorization: call.authorization.as_ref().map(|secret| secret.header_value("")),
        originals: call.originals.clone(),
        uuid: call.uuid,
        carried: call.carried.clone(),
        flight: call.flight.clone(),
    };
    let written = postcard::to_extend(&written, number(number_of).to_vec());
    let (Ok(mut written), Ok(length)) = (written, u16::try_from(call.query.len())) else {
        return number(number_of).to_vec();
    };
    written.extend_from_slice(&length.to_le_bytes());
    written.extend_from_slice(call.query.as_bytes());
    if let (Some(poll), Some(major)) = (&call.poll, written.first_mut()) {
        *major = POLLING;
        written.extend_from_slice(&u16::try_from(poll.len()).unwrap_or_default().to_le_bytes());
        written.extend_from_slice(poll.as_bytes());
    }
    written
}

/// Reads what filter state has; `None` for what no gate of this major version wrote.
pub fn read(bytes: &[u8]) -> Option<Handover<'_>> {
    let (prefix, written) = bytes.split_first_chunk::<PREFIX>()?;
    let [major @ (MAJOR | POLLING), minor, number @ ..] = prefix else { return None };
    let written = Some(written).filter(|bytes| !bytes.is_empty());
    Some(Handover { number: u64::from_le_bytes(*number), minor: *minor, polls: *major == POLLING, written })
}

impl Handover<'_> {
    /// The call that was written down, as far as `registry` knows of it; `None` if there is none that can be read.
    pub fn call(&self, registry: &Rc<Registry>) -> Option<Call> {
        let (written, later): (Written<'_>, &[u8]) = postcard::take_from_bytes(self.written?).ok()?;
        let (query, later) = if self.minor < WITH_QUERY { (&[][..], later) } else { sized(later)? };
        let mut call = understood(written, std::str::from_utf8(query).ok()?, registry)?;
        if self.polls {
            call.poll = Some(std::str::from_utf8(sized(later)?.0).ok()?.into());
            call.flight.begin_to_poll();
        }
        Some(call)
    }
}

/// So many bytes as the first two of them say, little endian, and what is behind them.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
}

fn understood(written: Written<'_>, query: &str, registry: &Rc<Registry>) -> Option<Call> {
    let known = written.tool.and_then(|name| registry.indexed_tool(name));
    let task = match known {
        Some((at, _)) => Task::Tool(at),
        None if written.protocol => Task::Protocol,
        None => Task::Other,
    };
    let mut flight = written.flight;
    flight.locate(registry);
    Some(Call {
        registry: Rc::clone(registry),
        kind: written.kind,
        id: match written.id {
            Some(json) => Some(OwnedId::from_json(json)?),
            None => None,
        },
        task,
        tool: written.tool.map(|name| Called::Named(name.into())),
        replay: written.replay,
        tools_page: written.tools_page,
        introduction: written.introduction.map(Into::into),
        session: match written.session {
            None => Session::None,
            Some(("", _)) => Session::Gate,
            Some((owner, id)) => Session::Server { owner: Id::new(owner)?, id: id.to_vec() },
        },
        session_id: written.session_id.map(Into::into),
        opening: written.opening,
        query: query.into(),
        authorization: written.authorization.as_deref().and_then(Secret::new),
        originals: written.originals,
        uuid: written.uuid,
        carried: written.carried,
        owners_failure: None,
        poll: None,
        to_keep: Default::default(),
        answered_ms: None,
        ledger: None,
        skipped: Vec::new(),
        flight,
    })
}

/// A server's name in a flight.
pub(super) mod id {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::registry::Id;

    pub fn serialize<S: Serializer>(id: &Id, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(id.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Id::new(&text).ok_or_else(|| D::Error::custom("no name"))
    }
}

/// A breaker's ticket in a flight, as the number that the breaker makes of it.
pub(super) mod ticket {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use crate::breaker::Ticket;

    pub fn serialize<S: Serializer>(ticket: &Ticket, serializer: S) -> Result<S::Ok, S::Error> {
        ticket.to_bits().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ticket, D::Error> {
        Ticket::from_bits(u64::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("no ticket"))
    }
}

#[cfg(test)]
mod tests;
