//! An MCP client for tests: it writes ids as told, shows raw bytes, and reads event streams one event at a time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::http::{self, Answer, Error, Streaming};

/// A client of one MCP endpoint.
#[derive(Debug, Clone)]
pub struct Client {
    addr: SocketAddr,
    path: String,
    headers: Vec<(String, String)>,
}

impl Client {
    /// A client of `http://addr` + `path` that accepts both JSON and event streams.
    pub fn new(addr: SocketAddr, path: &str) -> Self {
        let headers = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2025-11-25"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Client { addr, path: path.to_owned(), headers }
    }

    /// Sends this header with every request, in place of one with the same name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(n, _)| n != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends a request with any method and body; returns when the answer's headers are there.
    pub async fn open(&self, method: &str, body: impl Into<Bytes>) -> Result<Streaming, Error> {
        let headers: Vec<_> = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        http::send(self.addr, method, &self.path, &headers, body).await
    }

    /// Posts a body as it is and reads the whole answer.
    pub async fn post(&self, body: impl Into<Bytes>) -> Result<Answer, Error> {
        self.open("POST", body).await?.whole().await
    }

    /// Sends a JSON-RPC request; `id` is JSON text and is sent as it stands.
    pub async fn request(&self, id: &str, method: &str, params: &Value) -> Result<Reply, Error> {
        let started = Instant::now();
        let answer = self.post(request_text(id, method, params)).await?;
        Ok(Reply { took: started.elapsed(), answer })
    }

    /// Calls a tool with the id `1`. A failure to get any HTTP answer is a panic: a test that expects one uses
    /// [`Client::request`].
    pub async fn call(&self, tool: &str, arguments: Value) -> Reply {
        let params = json!({ "name": tool, "arguments": arguments });
        self.request("1", "tools/call", &params).await.expect("an HTTP answer to tools/call")
    }

    /// Calls the tool `search`.
    pub async fn search(&self, query: &str) -> Reply {
        self.call("search", json!({ "query": query })).await
    }

    /// Calls a tool and returns its answer as a stream of events.
    pub async fn call_streaming(&self, tool: &str, arguments: Value) -> Result<Events, Error> {
        let params = json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": "p" } });
        let stream = self.open("POST", request_text("1", "tools/call", &params)).await?;
        Ok(Events { stream, buffer: String::new() })
    }

    /// Initializes, and returns a client that sends the session id it was given, if any.
    pub async fn initialize(&self) -> Result<(Client, Reply), Error> {
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "dualpath-lab", "version": "1" },
        });
        let reply = self.request("0", "initialize", &params).await?;
        let client = match reply.answer.header("mcp-session-id") {
            Some(session) => self.clone().header("mcp-session-id", session),
            None => self.clone(),
        };
        client.post(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string()).await?;
        Ok((client, reply))
    }
}

/// The text of a JSON-RPC request.
pub fn request_text(id: &str, method: &str, params: &Value) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

/// An answer to a JSON-RPC request, and how long it took.
#[derive(Debug, Clone)]
pub struct Reply {
    /// From before the connection was made to the answer's last byte.
    pub took: Duration,
    /// The HTTP answer.
    pub answer: Answer,
}

#[derive(Deserialize)]
struct Identified<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

impl Reply {
    /// HTTP status.
    pub fn status(&self) -> u16 {
        self.answer.status
    }

    /// The text of the JSON-RPC response: the body, or the last event of type `message` that is a JSON-RPC message.
    pub fn response_text(&self) -> String {
        let body = self.answer.text();
        if self.answer.header("content-type") != Some("text/event-stream") {
            return body;
        }
        let is_message =
            |event: &&str| event.lines().filter_map(|l| l.strip_prefix("event:")).all(|t| t.trim() == "message");
        let messages = body.split("\n\n").filter(is_message).flat_map(str::lines);
        let data = messages.filter_map(|line| line.strip_prefix("data:")).map(str::trim_start);
        data.filter(|data| data.starts_with('{')).last().unwrap_or_default().to_owned()
    }

    /// The JSON-RPC response; `Null` when the body is something else.
    pub fn response(&self) -> Value {
        serde_json::from_str(&self.response_text()).unwrap_or_default()
    }

    /// The response's id, byte for byte.
    pub fn id(&self) -> Option<String> {
        let text = self.response_text();
        serde_json::from_str::<Identified<'_>>(&text).ok()?.id.map(|id| id.get().to_owned())
    }

    /// `result`; `Null` when there is none.
    pub fn result(&self) -> Value {
        self.response()["result"].take()
    }

    /// `error`; `Null` when there is none.
    pub fn error(&self) -> Value {
        self.response()["error"].take()
    }

    /// Whether it is a kept answer that is fresh no longer.
    pub fn is_stale(&self) -> bool {
        self.result()["_meta"]["dualpath/cache"]["stale"] == Value::Bool(true)
    }

    /// The name of the stub that answered, wherever in the result it stands; `None` for an error.
    pub fn served_by(&self) -> Option<String> {
        served_by(&self.result())
    }
}

/// Searches a result for the name that every stub puts into its answers.
fn served_by(value: &Value) -> Option<String> {
    match value {
        Value::Object(fields) => match fields.get("SERVED_BY") {
            Some(name) => name.as_str().map(str::to_owned),
            None => fields.values().find_map(served_by),
        },
        Value::Array(items) => items.iter().find_map(served_by),
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(inner @ Value::Object(_)) => served_by(&inner).or_else(|| sql_row(&inner)),
            _ => text.split_once(" says: ").map(|(name, _)| name.to_owned()),
        },
        _ => None,
    }
}

/// The second column of the stub's only row.
fn sql_row(text: &Value) -> Option<String> {
    text.pointer("/result_set/data/0/1").and_then(Value::as_str).map(str::to_owned)
}

/// An answer read event by event. Dropping it closes the connection.
#[derive(Debug)]
pub struct Events {
    /// The HTTP answer's status and headers, and the rest of its body.
    pub stream: Streaming,
    buffer: String,
}

impl Events {
    /// The data of the next event; `None` at the end of the stream. Comments are skipped.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        loop {
            while let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let data: Vec<_> =
                    block.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim_start).collect();
                let data = data.join("\n");
                self.buffer = rest.to_owned();
                if !data.is_empty() {
                    return Ok(Some(data));
                }
            }
            match self.stream.chunk().await? {
                Some(bytes) => self.buffer.push_str(&String::from_utf8_lossy(&bytes)),
                None => return Ok(None),
            }
        }
    }
}
