//! What the gate does for the call log; nothing, where that is off.

use super::super::host;
use super::super::metrics::AnsweredBy;
use super::{Gate, Phase};
use crate::call::Task;
use crate::call::account::Account;
use crate::call::answer::{class_of, server_of};
use crate::call::ledger::{Line, cut, host_of};
use crate::call::local::Question;
use crate::call::message::Message;
use crate::call::story::Told;
use crate::jsonrpc::ErrorCode;
use crate::wiring::state;

impl Gate {
    /// Notes what is asked.
    pub(super) fn note_message(&mut self, message: &mut Message<'_>) {
        let Some(noted) = &mut self.known.noted else { return };
        noted.method = message.method.take();
        let refused = match &message.question {
            Some(Question::NotAllowed(name)) => name.as_deref(),
            _ => None,
        };
        noted.tool = message.unknown_tool.as_deref().or(refused).map(|name| cut(name.as_bytes()));
    }

    /// Notes the error that the call is answered with, if it is one.
    pub(super) fn note_code(&mut self, code: Option<ErrorCode>) {
        if let (Some(noted), Some(code)) = (&mut self.known.noted, code) {
            noted.error_code = Some(code.number());
        }
    }

    /// Leaves the call's line where Envoy finds it, which writes its access log after this.
    pub(super) fn leave_line(&self, end: Account) {
        if self.known.noted.is_some() {
            self.write_line(end);
        }
    }

    #[inline(never)]
    fn write_line(&self, end: Account) {
        let Some(noted) = &self.known.noted else { return };
        let registry = &self.vm.registry;
        let caller = if noted.caller.is_some() { None } else { who_calls(noted.is_tls) };
        let task = match self.known.task {
            Task::Tool(at) => registry.tools.get(at).map_or("", |tool| tool.task.as_str()),
            Task::Protocol => "protocol",
            Task::Other => "other",
        };
        let line = Line {
            noted,
            ledger: None,
            caller: caller.as_deref(),
            tool: self.known.tool(registry),
            task,
            end,
            server: None,
            class: None,
            told: None,
            stopped: self.known.stopped,
        };
        let members = match &self.phase {
            Phase::Sent(_, call) => {
                let call = call.borrow();
                let told = Told::of(&call, self.known.first_choice);
                Line {
                    ledger: call.ledger.as_deref(),
                    server: server_of(&call, registry)
                        .filter(|_| !matches!(end.mode, AnsweredBy::Gate | AnsweredBy::Cache))
                        .map(|(_, server)| server.id.as_str()),
                    class: (told.attempts() > 0).then(|| class_of(&call)),
                    told: Some(&told),
                    ..line
                }
                .members()
            }
            _ => line.members(),
        };
        host::set_filter_state(state::CALL, members.as_bytes());
    }
}

/// The name in the client's certificate, or else the client's address.
fn who_calls(is_tls: bool) -> Option<Box<str>> {
    let certificate = || host::attribute(&["connection", "uri_san_peer_certificate"]).filter(|name| !name.is_empty());
    let certificate = if is_tls { certificate() } else { None };
    match certificate {
        Some(name) => Some(cut(&name)),
        None => host::attribute(&["source", "address"]).map(|address| host_of(&address)),
    }
}
