//! What a server did with a call, and the class that the filter's judges give it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::value::RawValue;

use super::{Description, Transport};
use crate::conclusion::is_translated;
use crate::failure::{
    Basis, Class, EventJudgement, Expected, Head, Judgement, Rule, Verdict, judge_body, judge_event, judge_head,
    judge_no_answer, retry_after,
};
use crate::jsonrpc::{Answer, RequestId};
use crate::registry::{Direct, ServerKind};
use crate::sse::Scanner;
use crate::translate;

/// What a server did.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    /// It gave no answer.
    NoAnswer(Transport),
    /// It answered.
    Answer {
        /// The answer's head.
        head: Head,
        /// Its body.
        body: Vec<u8>,
        /// Whether that is a stream of events.
        events: bool,
    },
}

/// What the filter's judges say of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judged {
    pub verdict: Verdict,
    /// Whether an MCP client could read the answer.
    pub readable: bool,
    /// The HTTP status that the gate sees if this is the last word.
    pub status: u16,
}

impl Seen {
    /// What `description` says; `body` is the content of its file.
    pub fn new(description: &Description, body: Vec<u8>) -> Result<Self, String> {
        if let Some(transport) = description.transport {
            return Ok(Seen::NoAnswer(transport));
        }
        let status = match (description.status, &description.body) {
            (Some(status), _) => status,
            (None, Some(_)) => 200,
            (None, None) => return Err("say what was seen: --status, --body or --transport".to_owned()),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let (mut retry_after_ms, mut events) = (None, description.event_stream);
        for header in &description.headers {
            let (name, value) =
                header.split_once(':').ok_or_else(|| format!("--header {header}: must be NAME: VALUE"))?;
            match name.trim().to_ascii_lowercase().as_str() {
                "retry-after" => {
                    retry_after_ms = retry_after::parse(value.as_bytes(), u64::try_from(now).unwrap_or(u64::MAX));
                    if retry_after_ms.is_none() {
                        return Err(format!("--header {header}: must be a number of seconds or an HTTP date"));
                    }
                }
                "content-type" => events |= value.trim().to_ascii_lowercase().starts_with("text/event-stream"),
                _ => {}
            }
        }
        Ok(Seen::Answer { head: Head { status, retry_after_ms, bodiless: body.is_empty() }, body, events })
    }

    /// Judges it as an attempt does, for a call whose answer it would be. `direct`: how the tool is called on a REST server.
    pub fn judge(&self, kind: ServerKind, rules: &[Rule], direct: Option<&Direct>) -> Judged {
        let (head, body, events) = match self {
            Seen::NoAnswer(transport) => {
                let sent = matches!(transport, Transport::Reset | Transport::Timeout);
                let verdict = judge_no_answer(sent, *transport == Transport::Cancelled);
                let status = if *transport == Transport::Timeout { 504 } else { 503 };
                return Judged { verdict, readable: false, status };
            }
            Seen::Answer { head, body, events } => (head, body.as_slice(), *events),
        };
        let id = id_of(body);
        let Some(id) = RequestId::from_json(&id) else { return Judged::of(Class::Server.into(), false, head.status) };
        let expected = Expected::Answer(id);
        let verdict = match judge_head(kind, rules, head, expected) {
            Judgement::Decided(verdict) => verdict,
            Judgement::NeedsBody if head.status < 300 && events => return first_event(rules, body, head.status),
            Judgement::NeedsBody => judge_body(kind, rules, head, body, expected),
        };
        if let Some(direct) = direct.filter(|_| is_translated(verdict.class)) {
            return match translate::answer(&direct.mapping, head.status, body) {
                Ok(answer) if answer.is_error() => Judged::of((Class::Caller, verdict.basis).into(), true, 200),
                Ok(_) => Judged::of(verdict, true, 200),
                Err(_) => Judged::of(Class::Server.into(), false, head.status),
            };
        }
        Judged::of(verdict, is_readable(body, id), head.status)
    }
}

impl Judged {
    fn of(verdict: Verdict, readable: bool, status: u16) -> Self {
        Judged { verdict, readable, status }
    }
}

/// The verdict on a stream is that on its first event with data.
fn first_event(rules: &[Rule], body: &[u8], status: u16) -> Judged {
    let mut scanner = Scanner::default();
    scanner.push(body);
    while let Some(event) = scanner.next_event() {
        let id = id_of(&event.data);
        let Some(id) = RequestId::from_json(&id) else { break };
        match judge_event(rules, &event.data, Expected::Answer(id)) {
            EventJudgement::Empty => {}
            EventJudgement::Interim => return Judged::of((Class::Success, Basis::Body).into(), true, status),
            EventJudgement::Answer(verdict) => return Judged::of(verdict, is_readable(&event.data, id), status),
        }
    }
    Judged::of((Class::Server, Basis::Body).into(), false, status)
}

fn is_readable(body: &[u8], id: RequestId<'_>) -> bool {
    matches!(Answer::parse(body, Some(id)), Answer::Result { .. } | Answer::Error { .. })
}

/// The id of the call that a body would answer: its own, as nobody says which call it was.
fn id_of(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }
    let own = serde_json::from_slice::<Message<'_>>(body).ok().and_then(|message| message.id);
    let own = own.map(RawValue::get).filter(|id| RequestId::from_json(id).is_some());
    own.unwrap_or("1").to_owned()
}
