//! What a server did with a call, and what the filter's own code makes of it.

use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Description, Transport};
use crate::budget::Budget;
use crate::call::Call;
use crate::call::attempt::{Attempt, Flow, NoAnswer, Reaction, ResponseHead, Scene, Settled, is_event_stream};
use crate::json::Raw;
use crate::jsonrpc::{OwnedId, RequestId};
use crate::registry::{Registry, ServerIndex};
use crate::sse::{Event, Scanner};

/// What a server did.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    /// It gave no answer.
    NoAnswer(Transport),
    /// It answered.
    Answer {
        /// Its HTTP status.
        status: u16,
        /// The values of its content-type, content-encoding and retry-after.
        content_type: Option<String>,
        content_encoding: Option<String>,
        retry_after: Option<String>,
        /// Its body.
        body: Vec<u8>,
        /// Whether the client is in a session of its.
        in_session: bool,
    },
}

/// What became of the attempt that has seen it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judged {
    /// How it settled.
    pub settled: Settled,
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
        let (mut retry_after, mut content_type, mut content_encoding) = (None, None, None);
        for header in &description.headers {
            let (name, value) =
                header.split_once(':').ok_or_else(|| format!("--header {header}: must be NAME: VALUE"))?;
            match name.trim().to_ascii_lowercase().as_str() {
                "retry-after" => {
                    if crate::failure::retry_after::parse(value.as_bytes(), wall_ms()).is_none() {
                        return Err(format!("--header {header}: must be a number of seconds or an HTTP date"));
                    }
                    retry_after = Some(value.to_owned());
                }
                "content-type" => content_type = Some(value.to_owned()),
                "content-encoding" => content_encoding = Some(value.to_owned()),
                _ => {}
            }
        }
        if description.event_stream {
            content_type = Some("text/event-stream".to_owned());
        }
        let in_session = description.in_session;
        Ok(Seen::Answer { status, content_type, content_encoding, retry_after, body, in_session })
    }

    /// The id of the call that it would answer: its own, as nobody says which call it was.
    pub fn id(&self) -> Option<OwnedId> {
        let body = match self {
            Seen::Answer { body, .. } => body.as_slice(),
            Seen::NoAnswer(_) => b"",
        };
        let mut scanner = Scanner::default();
        scanner.push(body);
        let is_message = |event: &Event| event.is_message && !event.data.is_empty();
        let message = std::iter::from_fn(|| scanner.next_event()).find(is_message).filter(|_| self.is_of_events());
        OwnedId::from_json(&id_of(message.as_ref().map_or(body, |event| &event.data)))
    }

    /// Whether the answer is a stream of events.
    pub fn is_of_events(&self) -> bool {
        matches!(self, Seen::Answer { content_type: Some(kind), .. } if is_event_stream(kind.as_bytes()))
    }

    /// Has an attempt of `call` at the server see it. `has_other_slot`: the credential's other slot could be used. Answers
    /// nothing if the call never goes there.
    pub fn judge(&self, call: &mut Call, registry: &Registry, at: ServerIndex, has_other_slot: bool) -> Option<Judged> {
        let mut budget = Budget::new(registry.failover.budget);
        let server = registry.server(at)?;
        let held = Rc::default();
        let mut scene =
            Scene { call, registry, index: at, server, budget: &mut budget, held: &held, now_ms: 0, wall_ms: &wall_ms };
        let mut attempt = Attempt::begin(&mut scene, false, || true).ok()?;
        attempt.has_other_slot = has_other_slot;
        let (reaction, status) = match self {
            Seen::NoAnswer(transport) => {
                let how = NoAnswer {
                    client_gone: *transport == Transport::Cancelled,
                    not_sent: *transport == Transport::Refused,
                    own_limit: false,
                };
                (attempt.ended(&mut scene, how), if *transport == Transport::Timeout { 504 } else { 503 })
            }
            Seen::Answer { status, content_type, content_encoding, retry_after, body, .. } => {
                let head = ResponseHead {
                    status: *status,
                    content_type: content_type.as_deref().map(str::as_bytes),
                    content_encoding: content_encoding.as_deref().map(str::as_bytes),
                    retry_after: retry_after.as_deref().map(str::as_bytes),
                    bodiless: body.is_empty(),
                };
                let mut reaction = attempt.response_headers(&mut scene, &head);
                if reaction.flow == Flow::Hold {
                    let read = |start: usize, len: usize| body.iter().skip(start).take(len).copied().collect();
                    reaction = attempt.response_body(&mut scene, body.len(), true, &read);
                }
                let translated = matches!(reaction.flow, Flow::Replace(_) | Flow::Reply(_));
                (reaction, if translated { 200 } else { *status })
            }
        };
        let Reaction { settled: Some(settled), .. } = reaction else { return None };
        Some(Judged { settled, status })
    }
}

fn wall_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    u64::try_from(now).unwrap_or(u64::MAX)
}

/// The id of the call that a body would answer: its own, as nobody says which call it was.
fn id_of(body: &[u8]) -> String {
    let own = Raw::of_bytes(body).and_then(|message| message.member("id"));
    let own = own.map(Raw::get).filter(|id| RequestId::from_json(id).is_some());
    own.unwrap_or("1").to_owned()
}
