//! A small MCP server for `dualpath init --from-mcp`, which keeps what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::{Value, json};

/// How it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Sessions and event streams, which it keeps open; its list has two pages.
    Events,
    /// Version 2026-07-28 alone: no handshake.
    Stateless,
    /// It wants the token `hunter2-hunter2`.
    Guarded,
    /// Every answer is this status, and names another place.
    Status(u16),
    /// Its list never ends.
    Endless,
}

/// A request: its first line, its headers in lower case, its body.
pub struct Asked(pub String, pub Vec<(String, String)>, pub Value);

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.1.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// Its URL, and what it is asked from now on. It ends with the test's process.
pub fn start(manner: Manner) -> (String, Receiver<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    let (tell, asked) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            thread::spawn(move || while serve(&stream, manner, &tell).is_some() {});
        }
    });
    (url, asked)
}

fn serve(mut stream: &TcpStream, manner: Manner, tell: &std::sync::mpsc::Sender<Asked>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let (first, mut headers) = (line.trim().to_owned(), Vec::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, length)| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let asked = Asked(first, headers, body);
    let answer = answer(manner, &asked);
    let _ = tell.send(asked);
    stream.write_all(answer.as_bytes()).ok()
}

fn answer(manner: Manner, asked: &Asked) -> String {
    let reply = |status: u16, more: &str, body: &str| {
        format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{more}content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    if let Manner::Status(status) = manner {
        return reply(status, "location: http://127.0.0.1:1/elsewhere\r\n", "{}");
    }
    if manner == Manner::Guarded && asked.header("authorization") != Some("Bearer hunter2-hunter2") {
        return reply(401, "", "{}");
    }
    let Some(id) = asked.2.get("id") else { return reply(202, "", "") };
    let result = |result: Value| json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
    let method = asked.2["method"].as_str().unwrap_or_default();
    match (manner, method) {
        (Manner::Stateless, "tools/list") if asked.header("mcp-method") == Some("tools/list") => {
            reply(200, "", &result(json!({"tools": [tool("search", json!({"readOnlyHint": true}))]})))
        }
        (Manner::Stateless, _) => reply(400, "", "{}"),
        (Manner::Endless, "tools/list") => reply(200, "", &result(json!({"tools": [], "nextCursor": "more"}))),
        (Manner::Events, "initialize") => events("mcp-session-id: s-1\r\n", &result(initialized())),
        (Manner::Events, "tools/list") => events("", &result(page(asked))),
        (_, "initialize") => reply(200, "", &result(initialized())),
        (_, "tools/list") => reply(200, "", &result(json!({"tools": [tool("search", json!({}))]}))),
        _ => reply(404, "", ""),
    }
}

fn initialized() -> Value {
    json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "stub", "version": "1"}})
}

fn tool(name: &str, annotations: Value) -> Value {
    let schema = json!({"type": "object", "properties": {"query": {"type": "string"}}});
    json!({"name": name, "description": format!("Does {name}."), "inputSchema": schema, "annotations": annotations})
}

fn page(asked: &Asked) -> Value {
    match asked.2.pointer("/params/cursor").and_then(Value::as_str) {
        None => json!({"tools": [tool("search", json!({"readOnlyHint": true}))], "nextCursor": "2"}),
        Some(_) => {
            json!({"tools": [tool("delete", json!({"readOnlyHint": false})), tool("put", json!({"idempotentHint": true}))]})
        }
    }
}

/// A stream of events of which only one is the answer, and which does not end.
fn events(more: &str, answer: &str) -> String {
    let note = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#;
    let body = format!(": hello\n\nevent: message\ndata: {note}\n\ndata: {answer}\n\n");
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{more}transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n",
        body.len()
    )
}
