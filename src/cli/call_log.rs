//! What a line of the call log has: one list, of which the published schema and the guide's table are made. The lines are written
//! by [`crate::call::ledger`] and by Envoy ([`super::render`]); tests hold both against it.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::failure::Class;

/// What a member's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A whole number, not below 0.
    Whole,
    /// A whole number.
    Integer,
    /// A number, not below 0.
    Number,
    /// The list of hops.
    Hops,
}

/// One member of a line.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// Whether every line has it. Any other is absent where it is unknown.
    pub always: bool,
    /// What it says, in one sentence of Markdown.
    pub meaning: &'static str,
}

const fn always(name: &'static str, kind: Kind, meaning: &'static str) -> Member {
    Member { name, kind, always: true, meaning }
}

const fn known(name: &'static str, kind: Kind, meaning: &'static str) -> Member {
    Member { name, kind, always: false, meaning }
}

/// Every member.
pub const MEMBERS: [Member; 26] = [
    always("time", Kind::Text, "when the request came, RFC 3339, to the millisecond"),
    known("request_id", Kind::Text, "Envoy's id of the request (`x-request-id`)"),
    known("trace_id", Kind::Text, "the trace of the request's `traceparent`"),
    known(
        "caller",
        Kind::Text,
        "who calls: the value of `log.caller_header`; else the URI of the client's certificate; else its address",
    ),
    known(
        "session",
        Kind::Text,
        "a keyed hash of the session's id: the same for all calls of a session, in one Envoy process",
    ),
    known("method", Kind::Text, "the JSON-RPC method; none of GET and DELETE, and of what is no JSON-RPC"),
    known("tool", Kind::Text, "the tool, as its client names it"),
    always(
        "task",
        Kind::Text,
        "the tool's task; `protocol` for the protocol's own methods, `other` for tools that the registry does not name",
    ),
    always("mode", Kind::Text, "who gave the answer: `mcp`, `direct`, `gate` (Dualpath itself), `cache`"),
    known("server", Kind::Text, "the server whose word the end is"),
    known(
        "class",
        Kind::Text,
        "what the call came to, a [failure class](failover.md#the-classes) or `success`; none if no server was asked",
    ),
    always(
        "outcome",
        Kind::Text,
        "what the client got, as in `cortex_calls_total`: `success`, `fallback`, `error`, `failed`, `refused`, `cancelled`",
    ),
    always("status", Kind::Whole, "the HTTP status; 0 if the client left before there was one"),
    known("error_code", Kind::Integer, "the code of the JSON-RPC error that the client got"),
    known("stopped", Kind::Text, "why a failed call was not sent on, as in `dualpath_replay_refused_total`"),
    always("attempts", Kind::Whole, "how many attempts were made"),
    always(
        "hops",
        Kind::Hops,
        "the servers that it met, in order: `server`, `reason`, and of those that were asked `class` and `ms`",
    ),
    always("duration_ms", Kind::Whole, "how long the call took, to the last byte of its answer"),
    always("request_bytes", Kind::Whole, "bytes of the request's body"),
    always("response_bytes", Kind::Whole, "bytes of the answer's body"),
    known("model", Kind::Text, "the model that the answer's usage names"),
    known("input_tokens", Kind::Whole, "tokens that went in, by the answer's usage"),
    known("output_tokens", Kind::Whole, "tokens that came out"),
    known("credits", Kind::Number, "what that costs by the registry's prices"),
    known(
        "credential",
        Kind::Text,
        "what the last attempt was sent with: `credential/slot/fingerprint`, never the token",
    ),
    known(
        "upstream_request_id",
        Kind::Text,
        "the server's own id of the last attempt (`x-snowflake-request-id`, `x-request-id`), for joins with its history",
    ),
];

/// The ways by which an answer comes.
const MODES: [&str; 4] = ["mcp", "direct", "gate", "cache"];

/// How a call ends for its client.
const OUTCOMES: [&str; 6] = ["success", "fallback", "error", "failed", "refused", "cancelled"];

/// Why a server was asked, or was not.
const REASONS: [&str; 14] = [
    "first",
    "session",
    "next",
    "other_slot",
    "again",
    "last_resort",
    "kill_switch",
    "forced_open",
    "no_credential",
    "not_listed",
    "open",
    "ramp",
    "full",
    "over_limit",
];

impl Member {
    fn schema(&self) -> Value {
        let text = || match self.name {
            "time" => json!({"type": "string", "format": "date-time"}),
            "trace_id" => json!({"type": "string", "pattern": "^[0-9a-f]{32}$"}),
            "session" => json!({"type": "string", "pattern": "^[0-9a-f]{16}$"}),
            "mode" => json!({"enum": MODES}),
            "class" => json!({"enum": Class::ALL.map(Class::as_str)}),
            "outcome" => json!({"enum": OUTCOMES}),
            "credential" => json!({"type": "string", "pattern": "^[^/]+/[ab]/[0-9a-f]{16}$"}),
            _ => json!({"type": "string", "maxLength": 256}),
        };
        let mut schema = match self.kind {
            Kind::Text => text(),
            Kind::Whole => json!({"type": "integer", "minimum": 0}),
            Kind::Integer => json!({"type": "integer"}),
            Kind::Number => json!({"type": "number", "minimum": 0}),
            Kind::Hops => json!({"type": "array", "items": hop()}),
        };
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".to_owned(), self.meaning.into());
        }
        schema
    }
}

fn hop() -> Value {
    json!({
        "type": "object",
        "properties": {
            "server": {"type": "string"},
            "reason": {"enum": REASONS},
            "class": {"enum": Class::ALL.map(Class::as_str)},
            "ms": {"type": "integer", "minimum": 0},
        },
        "required": ["server", "reason"],
        "additionalProperties": false,
    })
}

/// The schema of a line: JSON Schema, draft 7.
#[must_use]
pub fn schema() -> Value {
    let properties: Map<_, _> = MEMBERS.iter().map(|member| (member.name.to_owned(), member.schema())).collect();
    let required: Vec<_> = MEMBERS.iter().filter(|member| member.always).map(|member| member.name).collect();
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A line of Dualpath's call log",
        "description": "Made by `dualpath top calls --schema`. A member that is not required is absent where it is unknown.",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// The members as a table in Markdown.
#[must_use]
pub fn table() -> String {
    let mut table = "| member | is | in every line |\n|---|---|---|\n".to_owned();
    for Member { name, always, meaning, .. } in MEMBERS {
        // Writing into a string can't fail.
        let _ = writeln!(table, "| `{name}` | {meaning} | {} |", if always { "yes" } else { "if known" });
    }
    table
}
