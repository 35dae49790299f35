//! A small MCP client of the endpoint that is validated.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::admin;
use crate::sse::Scanner;
use crate::wiring::header;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest answer that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// The most pages of a list that are read.
const PAGES: usize = 50;

/// The version that it asks for.
const VERSION: &str = "2025-06-18";

/// A client, in a session once it has initialised.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    url: String,
    drill: Option<String>,
    session: Option<String>,
    version: Option<String>,
    /// How many requests it has sent.
    asked: u32,
}

/// An answer with a JSON-RPC response in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The response.
    pub message: Value,
    /// Who has given it, where answers tell that.
    pub server: Option<String>,
    /// How long it took.
    pub took: Duration,
}

impl Client {
    /// A client of the endpoint at `url`.
    pub fn new(url: &str) -> Self {
        Client {
            agent: admin::client(PATIENCE),
            url: url.to_owned(),
            drill: None,
            session: None,
            version: None,
            asked: 0,
        }
    }

    /// A client without a session whose requests order this drill.
    pub fn drilled(&self, order: String) -> Self {
        Client { drill: Some(order), session: None, version: None, ..self.clone() }
    }

    /// Asks.
    ///
    /// # Errors
    /// Why there is no response to that, in words.
    pub fn ask(&mut self, method: &str, params: &Value) -> Result<Answer, String> {
        let started = Instant::now();
        self.asked = self.asked.saturating_add(1);
        let id = &*format!("validate-{}", self.asked);
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let mut answer = self.send(&body)?;
        let read = answer.body_mut().with_config().limit(LARGEST).read_to_vec();
        let bytes = read.map_err(|error| format!("the answer can't be read: {error}"))?;
        let head = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let is_stream = head("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        let Some(message) = response(&bytes, is_stream, id) else {
            return Err(format!("HTTP {} without a JSON-RPC response to the request", answer.status().as_u16()));
        };
        if method == "initialize" {
            self.session = head("mcp-session-id");
            self.version = message.pointer("/result/protocolVersion").and_then(Value::as_str).map(str::to_owned);
        }
        Ok(Answer { message, server: head(header::SERVER), took: started.elapsed() })
    }

    /// Initialises, and says that it is ready.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn initialize(&mut self) -> Result<Answer, String> {
        let client = json!({"name": "dualpath-validate", "version": env!("CARGO_PKG_VERSION")});
        let params = json!({"protocolVersion": VERSION, "capabilities": {}, "clientInfo": client});
        let answer = self.ask("initialize", &params)?;
        if answer.error().is_none() {
            let _ = self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        }
        Ok(answer)
    }

    /// The whole list of tools.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn tools(&mut self) -> Result<Vec<Value>, String> {
        let (mut tools, mut params) = (Vec::new(), json!({}));
        for _ in 0..PAGES {
            let answer = self.ask("tools/list", &params)?;
            if let Some(error) = answer.error() {
                return Err(error);
            }
            let page = answer.message.pointer("/result/tools").and_then(Value::as_array);
            tools.extend(page.ok_or("the result has no list of tools")?.iter().cloned());
            match answer.message.pointer("/result/nextCursor").and_then(Value::as_str) {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => break,
            }
        }
        Ok(tools)
    }

    /// Ends the session, if there is one.
    pub fn end(self) {
        if let Some(session) = &self.session {
            let request = self.agent.delete(&self.url).header("mcp-session-id", session);
            let _ = request.call();
        }
    }

    fn send(&self, body: &Value) -> Result<ureq::http::Response<ureq::Body>, String> {
        let own =
            [(header::DRILL, &self.drill), ("mcp-session-id", &self.session), ("mcp-protocol-version", &self.version)];
        let mut request = self
            .agent
            .post(&self.url)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        for (name, value) in own {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        request.send(body.to_string()).map_err(|error| format!("no answer: {error}"))
    }
}

impl Answer {
    /// The JSON-RPC error in it, in words.
    pub fn error(&self) -> Option<String> {
        let error = self.message.get("error")?;
        let message = error.get("message").and_then(Value::as_str).unwrap_or("an error without a message");
        let code = error.get("code").map(|code| format!("{code} ")).unwrap_or_default();
        Some(format!("{code}{message}"))
    }

    /// The reason that Dualpath gives for an error of its own.
    pub fn reason(&self) -> Option<&str> {
        let data = self.message.pointer("/error/data")?;
        data.get("reason").filter(|_| data.get("source").is_some_and(|it| it == "dualpath"))?.as_str()
    }
}

/// The response to `id` in a body.
fn response(bytes: &[u8], is_stream: bool, id: &str) -> Option<Value> {
    let read =
        |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok().filter(|it| it.get("id").is_some_and(|it| it == id));
    if !is_stream {
        // An error about a request that could not be read has no id.
        let whole: Value = serde_json::from_slice(bytes).ok()?;
        let is_error = whole.get("error").is_some() && whole.get("id").is_none_or(Value::is_null);
        return read(bytes).or_else(|| is_error.then_some(whole));
    }
    let mut scanner = Scanner::default();
    scanner.push(bytes);
    std::iter::from_fn(|| scanner.next_event()).filter(|event| event.is_message).find_map(|event| read(&event.data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_response_is_found_in_json_and_among_events() {
        let own = r#"{"jsonrpc":"2.0","id":"v","result":{}}"#;
        let stream = format!("event: ping\ndata: {own}\n\ndata: {{\"id\":\"x\"}}\n\ndata: {own}\n\ndata: [DONE]\n\n");
        assert!(response(own.as_bytes(), false, "v").is_some());
        assert!(response(stream.as_bytes(), true, "v").is_some());
        assert!(response(own.as_bytes(), false, "w").is_none());
        assert!(response(br#"{"jsonrpc":"2.0","id":null,"error":{"code":1}}"#, false, "v").is_some());
        for body in ["", "<html>", "[]", "data: "] {
            assert!(response(body.as_bytes(), false, "v").is_none() && response(body.as_bytes(), true, "v").is_none());
        }
    }
}
