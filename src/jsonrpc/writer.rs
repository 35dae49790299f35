//! The answers Dualpath writes.

use serde::Serialize;

use super::{ErrorCode, RequestId};

#[derive(Serialize)]
struct ResultMessage<'a, T> {
    jsonrpc: &'static str,
    id: RequestId<'a>,
    result: &'a T,
}

#[derive(Serialize)]
struct ErrorMessage<'a> {
    jsonrpc: &'static str,
    id: Option<RequestId<'a>>,
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    code: i32,
    message: &'a str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    source: &'static str,
    reason: &'static str,
    #[serde(flatten)]
    details: &'a Details<'a>,
}

/// What an error of ours tells beyond its message, as members of `error.data`. Absent ones are left out.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Details<'a> {
    /// The server that failed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<&'a str>,
    /// The failure class of its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<&'a str>,
    /// How many attempts were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// In how many milliseconds the call may be worth repeating.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The versions that may be asked for instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supported: Option<&'a [&'a str]>,
    /// The version that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested: Option<&'a str>,
}

/// A successful answer to request `id`. A result that JSON cannot express becomes the error INTERNAL.
pub fn result(id: RequestId<'_>, result: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(&ResultMessage { jsonrpc: "2.0", id, result })
        .unwrap_or_else(|_| error(Some(id), ErrorCode::Internal, "the result cannot be written", &Details::default()))
}

/// An error answer to request `id`, or to one whose id could not be read. Its `data` says that it comes from Dualpath
/// and not from a server, and why: `{"source": "dualpath", "reason": "NO_PATH", ...}`.
pub fn error(id: Option<RequestId<'_>>, code: ErrorCode, message: &str, details: &Details<'_>) -> Vec<u8> {
    let data = Data { source: "dualpath", reason: code.name(), details };
    let error = ErrorObject { code: code.number(), message, data };
    // Only a map with keys that are no strings can fail to be written, and there is none in here.
    serde_json::to_vec(&ErrorMessage { jsonrpc: "2.0", id, error }).unwrap_or_default()
}
