//! What a probe's answer means.

use super::request::ID;
use crate::failure::{
    Class, EventJudgement, Expected, Head, Judgement, Rule, Verdict, judge_body, judge_event, judge_head,
};
use crate::jsonrpc::RequestId;
use crate::registry::{ProbeRequest, ServerKind};
use crate::sse::Scanner;

/// A probe's answer. Envoy makes one itself where the server gives none: 503 for a connection that failed, 504 for a
/// timeout; these are taken for the server's, and mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply<'b> {
    /// Status and what else its headers say.
    pub head: Head,
    /// Whether the body is a stream of Server-Sent Events.
    pub of_events: bool,
    /// The whole body.
    pub body: &'b [u8],
}

/// Judges the answer to `request` by the operator's rules and the built-in ones; `None` = the connection was lost instead.
pub fn judge(request: &ProbeRequest, rules: &[Rule], reply: Option<Reply<'_>>) -> Verdict {
    let Some(reply) = reply else { return Class::Lost.into() };
    match request {
        ProbeRequest::Http(probe) => {
            if probe.expect_status.contains(&reply.head.status) {
                return Class::Success.into();
            }
            let verdict = whole(ServerKind::Rest, rules, &reply, Expected::Anything);
            match verdict.class {
                // The operator has said what a server answers that is well, and this is something else.
                Class::Success | Class::Caller => Class::Server.into(),
                _ => verdict,
            }
        }
        ProbeRequest::Ping | ProbeRequest::Initialize(_) | ProbeRequest::Discover => {
            let expected = RequestId::from_json(ID).map_or(Expected::Anything, Expected::Answer);
            if reply.of_events && (200..300).contains(&reply.head.status) {
                return events(rules, reply.body, expected);
            }
            whole(ServerKind::Mcp, rules, &reply, expected)
        }
    }
}

fn whole(kind: ServerKind, rules: &[Rule], reply: &Reply<'_>, expected: Expected<'_>) -> Verdict {
    match judge_head(kind, rules, &reply.head, expected) {
        Judgement::Decided(verdict) => verdict,
        Judgement::NeedsBody => judge_body(kind, rules, &reply.head, reply.body, expected),
    }
}

/// The answer in a stream. One that ends without it is none.
fn events(rules: &[Rule], body: &[u8], expected: Expected<'_>) -> Verdict {
    let mut scanner = Scanner::default();
    scanner.push(body);
    while let Some(data) = scanner.next_event() {
        if let EventJudgement::Answer(verdict) = judge_event(rules, &data, expected) {
            return verdict;
        }
    }
    Class::Server.into()
}
