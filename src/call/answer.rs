//! The last word on a call that did not simply succeed: what its client gets.
//!
//! Two rules of MCP stand above everything here. A 401 that is about *our* credential must not reach the client, or it
//! starts an OAuth flow with somebody else's server; one about the client's own credential must. And 400, 404 and 405 tell a client about eras and sessions, so they
//! are passed on when a server says them and never made up, but for one case: a session that nobody can serve any more
//! is ended with 404, which makes the client initialise again.

use super::flight::{Hop, Made};
use super::{Call, Kind, Opening};
use crate::failure::Class;
use crate::jsonrpc::{self, Details, ErrorCode};
use crate::registry::{ErrorStatus, Registry, Server, ServerIndex, ServerKind};

/// How the last attempt of a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// What the last answer means.
    pub class: Class,
    /// Its HTTP status.
    pub status: u16,
    /// Whether a server has answered; if not, Envoy has put a text of its own there.
    pub answered: bool,
    /// Whether its body is something an MCP client can read.
    pub readable: bool,
    /// What was asked.
    pub kind: Kind,
    /// Whether the gate has an answer of its own.
    pub answerable_by_gate: bool,
    /// Whether the answer that tells is not the last one: the client gets what was kept of it, or an error of ours.
    pub is_earlier: bool,
    /// Whether an MCP server has given the answer.
    pub of_mcp: bool,
    /// Whether the client is in a session that the answering server can't know.
    pub session_elsewhere: bool,
    /// Whether the client is in a session of that server's.
    pub in_its_session: bool,
    /// Whether another call may have more luck in opening a session for the client.
    pub session_may_be_opened: bool,
    /// Whether the server knows only what the client authenticates with itself.
    pub knows_only_clients: bool,
    /// How failures of requests travel.
    pub error_status: ErrorStatus,
}

impl Ending {
    /// The ending of `call`, whose last answer has this HTTP status. `answerable_by_gate`: the gate has an answer of its own.
    pub fn of(call: &Call, registry: &Registry, status: u16, answerable_by_gate: bool) -> Self {
        let telling = telling(call);
        let is_earlier = telling != call.flight.last();
        let kept = call.owners_failure.as_ref();
        let end = telling.and_then(|(_, made)| made.end);
        Ending {
            class: class_of(call),
            status: if is_earlier { kept.map_or(500, |kept| kept.status) } else { status },
            readable: if is_earlier { kept.is_some() } else { end.is_some_and(|end| end.readable) },
            answered: end.is_some_and(|end| end.answered),
            kind: call.kind,
            answerable_by_gate,
            is_earlier,
            of_mcp: server_of(call, registry).is_some_and(|(_, server)| server.kind == ServerKind::Mcp),
            session_elsewhere: call.session_is_elsewhere(telling.map(|(hop, _)| &hop.server)),
            in_its_session: call
                .session
                .owner()
                .is_some_and(|owner| telling.is_some_and(|(hop, _)| hop.server == *owner)),
            session_may_be_opened: call.session_id.is_some() && call.opening != Opening::Impossible,
            knows_only_clients: server_of(call, registry)
                .is_some_and(|(_, server)| registry.knows_only_clients(server)),
            error_status: registry.listener.error_status,
        }
    }

    /// The HTTP status that the client sees.
    pub fn status_for_client(&self, conclusion: Conclusion) -> u16 {
        match conclusion {
            Conclusion::Gate => 200,
            // In MCP's own words: with 400 no client would begin anew.
            Conclusion::Pass if self.class == Class::Session && self.in_its_session => 404,
            Conclusion::Pass if !self.readable => self.status,
            Conclusion::Pass | Conclusion::Kept => status_of_failure(self.error_status, Some(self.kind), self.status),
            Conclusion::Error { status, .. } => status_of_failure(self.error_status, Some(self.kind), status),
        }
    }
}

/// The HTTP status that a JSON-RPC error travels with which would have this one. `kind`: what was asked, once that is known.
///
/// Statuses below 429 have a meaning for MCP, or are said before a message was read; they stay.
pub fn status_of_failure(wanted: ErrorStatus, kind: Option<Kind>, status: u16) -> u16 {
    let is_failure = kind == Some(Kind::Request) && status >= 429;
    if is_failure && wanted == ErrorStatus::Jsonrpc { 200 } else { status }
}

/// The attempt that tells what the client gets: the last one. But where that server has refused the call unread, or only says
/// that it doesn't know the session, it is an earlier one at a server that did look at the call: how it failed there is
/// what the client has to know. The session's owner comes first: its session goes on.
fn telling(call: &Call) -> Option<(&Hop, &Made)> {
    let last = call.flight.last()?;
    let class = |made: &Made| made.end.map(|end| end.class);
    let says_nothing = match class(last.1) {
        Some(Class::Refused) => true,
        Some(Class::Session) => call.session_is_elsewhere(Some(&last.0.server)),
        _ => false,
    };
    let tells = |made: &Made| !matches!(class(made), Some(Class::NotSent | Class::Refused | Class::Session) | None);
    let owners = call.session.owner().and_then(|owner| call.flight.last_at(owner));
    let earlier = || call.flight.attempts().rev().find(|(_, made)| tells(made));
    let found = if says_nothing { owners.filter(|(_, made)| tells(made)).or_else(earlier) } else { None };
    found.or(Some(last))
}

/// What a call came to. An attempt that was not heard of again may have executed it.
pub fn class_of(call: &Call) -> Class {
    match telling(call) {
        None => Class::NotSent,
        // The router had no attempt left to ask an API for a call that it has accepted.
        Some(_) if call.poll.is_some() && call.flight.ahead_leg().is_some() => Class::Lost,
        Some((_, made)) => made.end.map_or(Class::Lost, |end| end.class),
    }
}

/// The server whose word a call's end is.
pub fn server_of<'r>(call: &Call, registry: &'r Registry) -> Option<(ServerIndex, &'r Server)> {
    telling(call).and_then(|(hop, _)| registry.server_by_id(hop.server.as_str()))
}

/// The error that a client gets for a call that no server could answer.
pub fn failure(call: &Call, code: ErrorCode) -> Vec<u8> {
    let class = class_of(call);
    let asked: Vec<_> = call.flight.asked().into_iter().map(crate::registry::Id::as_str).collect();
    let asked = if asked.is_empty() { "none".to_owned() } else { asked.join(", ") };
    let server = telling(call).map(|(hop, _)| hop.server.as_str());
    let said = if telling(call) == call.flight.last() { "the last one" } else { server.unwrap_or_default() };
    let lacked_token = telling(call).and_then(|(_, made)| made.end).is_some_and(|end| end.lacked_token());
    let why = if lacked_token { "the proxy has no token that may be sent to it" } else { class.explanation() };
    let message = format!("no server could answer this call (asked: {asked}; {said}: {why})");
    let details = Details {
        server,
        class: Some(class.as_str()),
        attempts: u32::try_from(call.flight.made().len()).ok(),
        ..Details::default()
    };
    jsonrpc::error(call.request_id(), code, &message, &details)
}

/// What the client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// The answer as it is.
    Pass,
    /// The gate's own answer.
    Gate,
    /// What was kept of the answer of the session's owner.
    Kept,
    /// A JSON-RPC error.
    Error {
        /// HTTP status.
        status: u16,
        /// JSON-RPC error code.
        code: ErrorCode,
    },
}

/// Decides what the client gets.
pub fn conclude(ending: &Ending) -> Conclusion {
    match by_ending(ending) {
        Conclusion::Pass if ending.is_earlier && ending.readable => Conclusion::Kept,
        Conclusion::Pass if ending.is_earlier => Conclusion::Error { status: 503, code: ErrorCode::UpstreamFailed },
        // It leads to a server's own address, past this proxy and its credentials.
        Conclusion::Pass if (300..400).contains(&ending.status) => failed(ending),
        conclusion => conclusion,
    }
}

fn by_ending(ending: &Ending) -> Conclusion {
    // Whatever a policy or a rule of the operator's makes of it.
    let about_our_credential = ending.class == Class::Credential || ending.status == 401 && !ending.knows_only_clients;
    if matches!(ending.kind, Kind::Opaque | Kind::Session) {
        return match about_our_credential {
            true => credential(),
            false if ending.answered && !is_session_to_be_found(ending) => Conclusion::Pass,
            false => failed(ending),
        };
    }
    let wants_session = match ending.class {
        Class::Session => true,
        Class::Refused => ending.readable && matches!(ending.status, 400 | 404),
        _ => false,
    };
    if wants_session && ending.session_elsewhere && ending.answerable_by_gate && ending.kind == Kind::Notification {
        // In a session of the gate's own it has been accepted with that.
        return Conclusion::Gate;
    }
    if wants_session && ending.session_may_be_opened {
        return Conclusion::Error { status: 503, code: ErrorCode::UpstreamFailed };
    }
    if wants_session && ending.session_elsewhere {
        return Conclusion::Error { status: 404, code: ErrorCode::SessionEnded };
    }
    // Where a client has taken its call back there may be no answer.
    let is_there = ending.answered || ending.class != Class::Cancelled;
    if ending.class.is_about_the_call() && is_there && !about_our_credential {
        return Conclusion::Pass;
    }
    if ending.class == Class::Refused && ending.readable {
        // It is about the session or the version that the client has chosen.
        return Conclusion::Pass;
    }
    if ending.answerable_by_gate {
        return Conclusion::Gate;
    }
    match ending.class {
        _ if about_our_credential => credential(),
        _ if ending.readable => Conclusion::Pass,
        // To a client that is in a session it would end that.
        Class::Refused if ending.of_mcp && (400..500).contains(&ending.status) && !ending.session_elsewhere => {
            Conclusion::Pass
        }
        _ => failed(ending),
    }
}

/// Whether a server doesn't know a session that another call of the client's may open anew.
fn is_session_to_be_found(ending: &Ending) -> bool {
    ending.class == Class::Session && ending.session_may_be_opened
}

fn failed(ending: &Ending) -> Conclusion {
    match ending.class {
        Class::Overload => Conclusion::Error { status: ending.status.max(429), code: ErrorCode::UpstreamFailed },
        Class::Lost => Conclusion::Error { status: ending.status.max(503), code: ErrorCode::OutcomeUnknown },
        Class::Server if ending.status < 500 => Conclusion::Error { status: 502, code: ErrorCode::AnswerUnusable },
        _ => Conclusion::Error { status: 503, code: ErrorCode::UpstreamFailed },
    }
}

/// Whether a REST answer of this class has something to tell the client: a result, or why the call is at fault. An API
/// without sessions and tools gets to the last two by a rule of the operator's only.
pub fn is_translated(class: Class) -> bool {
    matches!(class, Class::Success | Class::Caller | Class::ToolError | Class::Session)
}

fn credential() -> Conclusion {
    Conclusion::Error { status: 503, code: ErrorCode::CredentialUnavailable }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::failure::Verdict;

    fn ending(class: Class, status: u16) -> Ending {
        Ending {
            class,
            status,
            answered: true,
            readable: true,
            kind: Kind::Request,
            answerable_by_gate: false,
            is_earlier: false,
            of_mcp: true,
            session_elsewhere: false,
            in_its_session: false,
            session_may_be_opened: false,
            knows_only_clients: false,
            error_status: ErrorStatus::Http,
        }
    }

    #[test]
    fn a_401_about_our_credential_never_reaches_the_client_as_401() {
        // A rule of the operator's may give a 401 any class.
        for class in [Class::Credential, Class::Authorization, Class::Caller, Class::Overload, Class::Server] {
            for kind in [Kind::Request, Kind::Notification, Kind::Opaque, Kind::Session] {
                let conclusion = conclude(&Ending { kind, ..ending(class, 401) });
                assert!(matches!(conclusion, Conclusion::Error { status: 503, .. }), "{kind:?}: {conclusion:?}");
            }
        }
    }

    #[test]
    fn a_401_about_the_clients_own_credential_is_the_clients_to_see() {
        let class = Verdict::from(Class::Credential).about_the_client().class;
        for kind in [Kind::Request, Kind::Notification, Kind::Opaque, Kind::Session] {
            let own = Ending { kind, knows_only_clients: true, answerable_by_gate: true, ..ending(class, 401) };
            assert_eq!(conclude(&own), Conclusion::Pass, "{kind:?}");
        }
    }

    #[test]
    fn what_a_server_says_about_the_call_passes_unchanged() {
        for (class, status) in [(Class::Caller, 400), (Class::Session, 404), (Class::Authorization, 403)] {
            assert_eq!(conclude(&ending(class, status)), Conclusion::Pass);
        }
    }

    #[test]
    fn a_session_of_another_server_is_ended_with_404() {
        let lost = Ending { session_elsewhere: true, ..ending(Class::Session, 400) };
        assert!(matches!(conclude(&lost), Conclusion::Error { status: 404, .. }));
    }

    #[test]
    fn a_session_that_could_not_be_opened_now_is_not_ended() {
        for session_elsewhere in [false, true] {
            let later = Ending { session_elsewhere, session_may_be_opened: true, ..ending(Class::Session, 404) };
            let failed = Conclusion::Error { status: 503, code: ErrorCode::UpstreamFailed };
            assert_eq!(conclude(&later), failed);
        }
    }

    #[test]
    fn a_failed_protocol_method_is_answered_by_the_gate() {
        for class in [Class::NotSent, Class::Server, Class::Lost, Class::Overload, Class::Credential] {
            let failed = Ending { answerable_by_gate: true, ..ending(class, 503) };
            assert_eq!(conclude(&failed), Conclusion::Gate, "{class:?}");
        }
    }

    #[test]
    fn no_status_below_429_is_made_up_for_a_failure() {
        for class in [Class::NotSent, Class::Server, Class::Lost, Class::Overload, Class::Credential] {
            for status in [200, 400, 401, 404, 405, 429, 500, 503, 504] {
                let end = Ending { readable: false, ..ending(class, status) };
                if let Conclusion::Error { status, .. } = conclude(&end) {
                    assert!(status >= 429, "{class:?} {status}");
                }
            }
        }
    }

    #[test]
    fn a_failed_request_is_told_in_json_rpc_and_what_has_a_meaning_for_mcp_keeps_its_status() {
        for (kind, status, wanted) in [
            (Kind::Request, 503, 200),
            (Kind::Request, 504, 200),
            (Kind::Request, 502, 200),
            (Kind::Request, 429, 200),
            (Kind::Request, 404, 404),
            (Kind::Request, 403, 403),
            (Kind::Request, 400, 400),
            (Kind::Notification, 503, 503),
            (Kind::Opaque, 503, 503),
            (Kind::Session, 503, 503),
        ] {
            let error = Conclusion::Error { status, code: ErrorCode::UpstreamFailed };
            let told = Ending { kind, error_status: ErrorStatus::Jsonrpc, ..ending(Class::Server, status) };
            for conclusion in [error, Conclusion::Pass] {
                assert_eq!(told.status_for_client(conclusion), wanted, "{kind:?} {status} {conclusion:?}");
                let as_http = Ending { error_status: ErrorStatus::Http, ..told };
                assert_eq!(as_http.status_for_client(conclusion), status);
            }
            // What is no JSON-RPC says what it is by its status alone.
            let unreadable = Ending { readable: false, ..told };
            assert_eq!(unreadable.status_for_client(Conclusion::Pass), status);
        }
    }

    #[test]
    fn a_server_that_calls_its_own_session_unknown_with_400_is_put_into_mcps_words() {
        let own = Ending { in_its_session: true, ..ending(Class::Session, 400) };
        for kind in [Kind::Request, Kind::Notification, Kind::Session] {
            let own = Ending { kind, ..own };
            assert_eq!((conclude(&own), own.status_for_client(Conclusion::Pass)), (Conclusion::Pass, 404), "{kind:?}");
        }
        let out_of_a_session = ending(Class::Session, 400);
        assert_eq!(out_of_a_session.status_for_client(Conclusion::Pass), 400);
        let caller = Ending { in_its_session: true, ..ending(Class::Caller, 400) };
        assert_eq!(caller.status_for_client(Conclusion::Pass), 400);
    }

    #[test]
    fn what_envoy_says_in_a_servers_place_reaches_no_client() {
        for kind in [Kind::Request, Kind::Notification, Kind::Opaque, Kind::Session] {
            for class in [Class::NotSent, Class::Lost] {
                let silent = Ending { kind, answered: false, readable: false, ..ending(class, 503) };
                assert!(matches!(conclude(&silent), Conclusion::Error { status: 503, .. }), "{kind:?} {class:?}");
            }
        }
    }
}
