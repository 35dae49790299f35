//! The call log: one line of JSON for each call, whichever way it went. Envoy writes it; when, how long and how much it knows
//! itself, all else stands in filter state once the call has ended ([`Line`]).
//!
//! A line has no body, no argument and no token. What a client has chosen is cut to a length and escaped. The members stand in
//! [`crate::cli`] as one list, of which the published schema and the guide's table are made.

mod line;

pub use line::Line;

use super::headers::RequestHeaders;
use crate::registry::CallLog;
use crate::usage::Used;

/// The longest that is written of what a client or a server has chosen, in characters.
const LONGEST: usize = 256;

/// What a request says of itself, noted when it comes; only where the log is on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// Envoy's id of the request.
    pub request_id: Option<Box<str>>,
    /// The trace that it belongs to, of `traceparent` (W3C Trace Context).
    pub trace_id: Option<Box<str>>,
    /// What the configured header says of who calls.
    pub caller: Option<Box<str>>,
    /// Whether it came by TLS, so that there may be a certificate.
    pub is_tls: bool,
    /// A keyed hash of the session's id: the same for all calls of a session, in one process.
    pub session: Option<u64>,
    /// The JSON-RPC method.
    pub method: Option<Box<str>>,
    /// The tool that it calls, as the client names it.
    pub tool: Option<Box<str>>,
    /// The code of the JSON-RPC error that Dualpath answers with.
    pub error_code: Option<i32>,
    /// The servers that it went past, in JSON, where there is no flight to tell of.
    pub hops: Option<String>,
}

/// What attempts note of a call; only where the log is on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// What the last attempt was authenticated with: the credential's name, the slot and the token's fingerprint.
    pub credential: Option<Box<str>>,
    /// The server's own id for the last attempt.
    pub upstream_request_id: Option<Box<str>>,
    /// The code of the JSON-RPC error that the last attempt was answered with.
    pub error_code: Option<i64>,
    /// What all attempts took.
    pub took: Option<Took>,
}

/// What a call took, as far as answers say it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// The model; `None` if none is named, or several are.
    pub model: Option<Box<str>>,
    /// Tokens that went in.
    pub input: u64,
    /// Tokens that came out.
    pub output: u64,
    /// What that costs by the registry's prices, in millionths; `None` if nothing is priced.
    pub micros: Option<u64>,
}

impl Ledger {
    /// Another attempt begins: what was noted of the one before it is not about this one.
    pub fn begin(&mut self) {
        (self.credential, self.upstream_request_id, self.error_code) = (None, None, None);
    }

    /// An answer says what it took.
    pub fn take(&mut self, used: &Used, micros: Option<u64>) {
        let first = self.took.is_none();
        let took = self.took.get_or_insert_default();
        let same = first || took.model == used.model;
        took.model = used.model.clone().filter(|_| same);
        took.input = took.input.saturating_add(used.input);
        took.output = took.output.saturating_add(used.output);
        took.cost(micros);
    }

    /// A call has a price of its own.
    pub fn pay(&mut self, micros: u64) {
        self.took.get_or_insert_default().cost(Some(micros));
    }

    /// A header of the answer. Snowflake's own id for a request comes before one that any server may give.
    pub fn header(&mut self, name: &str, value: &[u8]) {
        let is_own = name == "x-snowflake-request-id";
        if is_own || name == "x-request-id" && self.upstream_request_id.is_none() {
            self.upstream_request_id = Some(cut(value));
        }
    }
}

impl Took {
    fn cost(&mut self, micros: Option<u64>) {
        if let Some(more) = micros {
            self.micros = Some(self.micros.unwrap_or(0).saturating_add(more));
        }
    }
}

impl Noted {
    /// What the headers say. `hash` hides a session's id.
    pub fn of(headers: RequestHeaders<'_>, log: &CallLog, hash: &dyn Fn(&[u8]) -> u64) -> Box<Self> {
        let caller = log.caller_header.as_ref().and_then(|name| headers.get(name));
        Box::new(Noted {
            request_id: headers.get("x-request-id").map(cut),
            trace_id: headers.get("traceparent").and_then(trace_id),
            caller: caller.filter(|value| !value.is_empty()).map(cut),
            is_tls: headers.get(":scheme") == Some(b"https"),
            session: headers.get("mcp-session-id").map(hash),
            ..Noted::default()
        })
    }
}

/// The trace's id in a `traceparent`: 32 lower-case hexadecimal digits, not all of them zero.
fn trace_id(traceparent: &[u8]) -> Option<Box<str>> {
    let id = traceparent.split(|byte| *byte == b'-').nth(1)?;
    let is_one = id.len() == 32 && id.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_one && id.iter().any(|byte| *byte != b'0')).then(|| cut(id))
}

/// The beginning of a text, as much of it as is written.
pub fn cut(text: &[u8]) -> Box<str> {
    String::from_utf8_lossy(text).chars().take(LONGEST).collect()
}

/// The address without its port.
pub fn host_of(address: &[u8]) -> Box<str> {
    let text = String::from_utf8_lossy(address);
    let host = match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => &text,
    };
    cut(host.trim_matches(|c| matches!(c, '[' | ']')).as_bytes())
}

#[cfg(test)]
mod tests;
