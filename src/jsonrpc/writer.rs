//! The answers Dualpath writes.

use super::{ErrorCode, RequestId};
use crate::json::{Object, array, quoted};

/// What an error of ours tells beyond its message, as members of `error.data`. Absent ones are left out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Details<'a> {
    /// The server that failed last.
    pub server: Option<&'a str>,
    /// The failure class of its answer.
    pub class: Option<&'a str>,
    /// How many attempts were made.
    pub attempts: Option<u32>,
    /// In how many milliseconds the call may be worth repeating.
    pub retry_after_ms: Option<u64>,
    /// The versions that may be asked for instead.
    pub supported: Option<&'a [&'a str]>,
    /// The version that was asked for.
    pub requested: Option<&'a str>,
}

/// A successful answer to request `id`; `result` is JSON.
pub fn result(id: RequestId<'_>, result: &str) -> Vec<u8> {
    [r#"{"jsonrpc":"2.0","id":"#, id.as_json(), r#","result":"#, result, "}"].concat().into_bytes()
}

/// An error answer to request `id`, or to one whose id could not be read. Its `data` says that it comes from Dualpath
/// and not from a server, and why: `{"source": "dualpath", "reason": "NO_PATH", ...}`.
pub fn error(id: Option<RequestId<'_>>, code: ErrorCode, message: &str, details: &Details<'_>) -> Vec<u8> {
    let mut data = Object::default()
        .text("source", "dualpath")
        .text("reason", code.name())
        .text("server", details.server)
        .text("class", details.class)
        .number("attempts", details.attempts.map(u64::from))
        .number("retryAfterMs", details.retry_after_ms);
    if let Some(versions) = details.supported {
        let versions: Vec<String> = versions.iter().map(|version| quoted(version)).collect();
        data = data.json("supported", &array(versions.iter().map(String::as_str)));
    }
    let data = data.text("requested", details.requested).done();
    let error = Object::default().json("code", &code.number().to_string()).text("message", message).json("data", &data);
    let id = id.map_or("null", RequestId::as_json);
    [r#"{"jsonrpc":"2.0","id":"#, id, r#","error":"#, &error.done(), "}"].concat().into_bytes()
}
