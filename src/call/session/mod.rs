//! Sessions survive their server.
//!
//! None of MCP's SDKs initialises again when a session has ended, so a session must not end with its server. Where its
//! owner is gone, another session is opened for the client, and the client goes on with the id that it has.
//!
//! # How
//!
//! * **What is needed travels with the client.** The session id that it got with its `initialize` carries, beside the owner
//!   and the owner's own id, what that `initialize` said ([`crate::mcp::introduction`]): any worker of any Envoy under the
//!   registry can say it again. What a client sends is somebody else's text: it is bounded, read strictly, and can come to
//!   nothing but an `initialize` that the client might as well have sent itself.
//! * **The attempt opens the session** ([`opens_session`]), since only there it is known which server the call goes to: at
//!   a server other than the owner once the owner is gone (not reached by this call, not admitted by its breaker, not in
//!   the registry, or the gate itself; or something stands in its place that refuses what no MCP server does), and at the
//!   owner once it has said that it does not know the session, which is then asked again ([`Leg::anew`]). The request is held
//!   while `initialize` and `notifications/initialized` go out through a listener inside this Envoy to the server's cluster,
//!   where another attempt adds the credential. (Directly they would enter the VM that sends them.) Then the call goes out in
//!   the new session; where none could be opened it goes out without, and the server refuses it as ever.
//! * **Where it has moved** stands in a bounded table in the shared data ([`moved`]), by a hash of the client's id: every worker
//!   finds it there. Whoever does not (another Envoy, or this one after the entry has given way to others) opens one more.
//!   The gate looks there only once a session of this process has moved, so that others pay nothing.
//! * **Bounds.** A call opens one session (and tries at the next server if the owner begins none; and once more where the one that
//!   it has just opened is lost already), and a worker only so many in a second ([`BUDGET`]); what they keep
//!   back is not the end of the session, but a failure that passes.
//! * A failure of a living owner moves nothing: the call may be answered elsewhere without a session, or fails as it is.

pub mod ended;
pub mod moved;

use super::flight::{Leg, Made};
use super::{Call, Kind, Opening, Session};
use crate::budget::{BudgetPolicy, TOKEN};
use crate::failure::Class;
use crate::jsonrpc::Answer;
use crate::mcp::SessionId;
use crate::registry::{Server, ServerKind};
use crate::sse::Scanner;

/// The longest session id of a server's that is kept.
pub const LONGEST_ID: usize = 512;

/// How many sessions a worker opens: so many per second, and so many at once after a quiet time.
pub const BUDGET: BudgetPolicy =
    BudgetPolicy { deposit: 0, per_second: 100 * TOKEN, capacity: 500 * TOKEN, threshold: TOKEN - 1 };

/// Whether a session has to be opened before the call goes to this server.
pub fn opens_session(call: &Call, server: &Server, leg: Leg) -> bool {
    let is_lost = leg.anew || call.session_is_elsewhere(Some(&server.id)) && owner_is_gone(call);
    let may = may_open(call) || may_open_after_owner(call) || leg.anew && has_opened(call);
    is_lost && server.kind == ServerKind::Mcp && may
}

/// Whether a session may be opened for this call at all.
pub fn may_open(call: &Call) -> bool {
    call.session_id.is_some() && call.opening == Opening::NotTried && call.kind == Kind::Request
}

/// Whether the call has opened the session that it is in.
pub fn has_opened(call: &Call) -> bool {
    call.opening == Opening::Opened
}

/// Whether one may be opened at the next server after its owner, asked just before, has not begun another one either.
fn may_open_after_owner(call: &Call) -> bool {
    let before = call.flight.made().iter().rev().nth(1);
    !has_opened(call) && before.is_some_and(|made| made.leg.anew)
}

/// Whether the server whose session the client is in can't be asked, or something else stands in its place that refuses all.
fn owner_is_gone(call: &Call) -> bool {
    let Session::Server { owner, .. } = &call.session else { return true };
    let is_nobody = |made: &Made, class| match class {
        Class::NotSent | Class::Refused => true,
        Class::Session => made.leg.anew,
        _ => false,
    };
    match call.flight.last_at(owner) {
        Some((_, made)) => made.end.is_some_and(|end| is_nobody(made, end.class)),
        None => call.flight.hops().iter().all(|hop| hop.server != *owner),
    }
}

/// The call goes on in this session, which is the client's from now on. An empty id: its server needs none, which is no
/// reason to leave the one that the client is in elsewhere.
pub fn enter(call: &mut Call, session: Session) {
    if let Session::Server { owner, id } = &session
        && (!id.is_empty() || call.session.owner() == Some(owner))
    {
        call.session = session;
    }
}

/// How the client of this session id has introduced itself, in short.
pub fn introduction(session_id: &[u8]) -> &[u8] {
    SessionId::parse(session_id).introduction()
}

/// Reads the answer to an `initialize` that asked for `version`.
pub fn judge(status: u16, of_events: bool, body: &[u8], version: &str) -> Opening {
    if status == 400 {
        return Opening::Impossible;
    }
    if !(200..300).contains(&status) {
        return Opening::NotNow;
    }
    if !of_events {
        return judge_answer(body, version).unwrap_or(Opening::NotNow);
    }
    let mut scanner = Scanner::default();
    scanner.push(body);
    let mut messages = std::iter::from_fn(|| scanner.next_event()).filter(|event| event.is_message);
    messages.find_map(|event| judge_answer(&event.data, version)).unwrap_or(Opening::NotNow)
}

/// The same of one message; `None` if it is no answer.
fn judge_answer(message: &[u8], version: &str) -> Option<Opening> {
    let text = String::from_utf8_lossy(message);
    match Answer::of_body(&text, crate::jsonrpc::RequestId::from_json(crate::mcp::introduction::ID)) {
        Answer::Result { .. } => {
            let said = crate::mcp::introduction::negotiated(message);
            Some(if said.as_deref() == Some(version) { Opening::Opened } else { Opening::Impossible })
        }
        Answer::Error { code: -32603, .. } => Some(Opening::NotNow),
        Answer::Error { .. } => Some(Opening::Impossible),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
