//! What a probe's answer means.

use super::request::ID;
use crate::failure::{
    Case, Class, EventJudgement, Expected, Head, Judgement, Standing, Verdict, judge_body, judge_event, judge_head,
};
use crate::jsonrpc::{Answer, RequestId};
use crate::mcp::introduction;
use crate::registry::{ProbeRequest, Server};
use crate::sse::{Event, Scanner};

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

/// Judges the answer of `server` to `request`, by the operator's rules and the built-in ones; `None` = the connection was lost
/// instead.
pub fn judge(server: &Server, request: &ProbeRequest, reply: Option<Reply<'_>>) -> Verdict {
    let Some(reply) = reply else { return Class::Lost.into() };
    let case = |expected| Case {
        kind: server.kind,
        dialect: server.dialect,
        rules: &server.rules,
        expected,
        standing: Standing::Outside,
    };
    match request {
        ProbeRequest::Http(probe) => {
            if probe.expect_status.contains(&reply.head.status) {
                return Class::Success.into();
            }
            let verdict = whole(&case(Expected::Anything), &reply);
            match verdict.class {
                // The operator has said what a server answers that is well, and this is something else.
                Class::Success | Class::Caller => Class::Server.into(),
                _ => verdict,
            }
        }
        ProbeRequest::Ping | ProbeRequest::Initialize(_) | ProbeRequest::Discover => {
            let case = case(RequestId::from_json(ID).map_or(Expected::Anything, Expected::Answer));
            if reply.of_events && !reply.head.encoded && (200..300).contains(&reply.head.status) {
                return events(&case, reply.body);
            }
            whole(&case, &reply)
        }
    }
}

fn whole(case: &Case<'_>, reply: &Reply<'_>) -> Verdict {
    match judge_head(case, &reply.head) {
        Judgement::Decided(verdict) => verdict,
        Judgement::NeedsBody => judge_body(case, &reply.head, reply.body),
    }
}

/// The answer in a stream. One that ends without it is none.
fn events(case: &Case<'_>, body: &[u8]) -> Verdict {
    match FirstAnswer::default().push(body).map(|answer| judge_event(case, &answer)) {
        Some(EventJudgement::Answer(verdict)) => verdict,
        _ => Class::Server.into(),
    }
}

/// Looks in a stream for the answer to a request of our own, a probe or one that opens a session: the first message with
/// its id, whatever comes before it. Some servers leave the stream open after that.
#[derive(Debug, Default)]
pub struct FirstAnswer(Scanner);

impl FirstAnswer {
    /// Takes the bytes that follow those pushed before; the answer, once it is there.
    pub fn push(&mut self, bytes: &[u8]) -> Option<Event> {
        self.0.push(bytes);
        std::iter::from_fn(|| self.0.next_event()).find(answers)
    }
}

fn answers(event: &Event) -> bool {
    let text = String::from_utf8_lossy(&event.data);
    let answers = |id| Answer::of_event(&text, RequestId::from_json(id)).is_readable();
    event.is_message && [ID, introduction::ID].into_iter().any(answers)
}
