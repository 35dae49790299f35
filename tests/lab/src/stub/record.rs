//! What a stub remembers of the requests that reached it.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// One request, as it arrived.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Received {
    /// Milliseconds since the stub started.
    pub at_ms: u64,
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Every header in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, bytes that are not UTF-8 replaced.
    pub body: String,
    /// The JSON-RPC method, when the body is a JSON-RPC message that has one.
    pub rpc_method: Option<String>,
    /// The JSON-RPC id exactly as written.
    pub rpc_id: Option<String>,
    /// How it ended.
    pub end: End,
}

/// How an exchange ended, seen from the stub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Not yet.
    Open,
    /// The stub did all it meant to do, which may be a reset.
    Done,
    /// The peer went away first.
    Aborted,
}

impl Received {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `Null` when it is not.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The tool name, when this is a `tools/call`.
    pub fn tool(&self) -> Option<String> {
        if self.rpc_method.as_deref() != Some("tools/call") {
            return None;
        }
        self.json().pointer("/params/name")?.as_str().map(str::to_owned)
    }
}

/// The requests so far; clones share one list.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    started: Instant,
    list: Arc<Mutex<Vec<Received>>>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Recorder { started: Instant::now(), list: Arc::default() }
    }

    /// Notes a request; the exchange returned follows it to its end.
    pub(crate) fn add(&self, mut received: Received) -> Exchange {
        received.at_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut list = self.list.lock().unwrap();
        list.push(received);
        Exchange(Some((Arc::clone(&self.list), list.len() - 1)))
    }

    pub(crate) fn all(&self) -> Vec<Received> {
        self.list.lock().unwrap().clone()
    }
}

/// One exchange under way. Dropped before [`Exchange::done`], it was aborted by the peer: hyper drops a request's future
/// and an answer's body when the connection goes away.
#[derive(Debug)]
pub(crate) struct Exchange(Option<(Arc<Mutex<Vec<Received>>>, usize)>);

impl Exchange {
    /// One that nobody follows.
    pub(crate) fn unrecorded() -> Self {
        Exchange(None)
    }

    pub(crate) fn done(&self) {
        if let Some((list, at)) = &self.0 {
            list.lock().unwrap()[*at].end = End::Done;
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some((list, at)) = &self.0 else { return };
        let received = &mut list.lock().unwrap()[*at];
        if received.end == End::Open {
            received.end = End::Aborted;
        }
    }
}
