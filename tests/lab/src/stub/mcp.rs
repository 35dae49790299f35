//! A managed MCP server as Snowflake's is: tools only, no session unless asked for, `tools/call` answered as an event
//! stream with `data: [DONE]` at its end, everything else as JSON.

use serde_json::{Value, json};

use super::answer::{Answer, event};
use super::message::Message;
use super::record::Received;
use super::shared::Shared;
use super::{Behaviour, CLIENT, Framing, PADDING, Sessions, padding};

pub(super) fn answer(
    shared: &Shared,
    received: &Received,
    message: Option<&Message<'_>>,
    behaviour: &Behaviour,
    refusal: Option<Answer>,
) -> Answer {
    let path = received.path.split('?').next().unwrap_or_default();
    if !path.ends_with("/mcp") && !path.contains("/mcp-servers/") {
        return Answer::json(404, json!({ "message": "no such path", "code": "390404" }));
    }
    let session = received.header("mcp-session-id");
    if received.method == "DELETE" && shared.config.sessions != Sessions::None {
        let known = shared.state.lock().unwrap().sessions.remove(session.unwrap_or_default());
        return Answer::empty(if known.is_some() { 200 } else { 404 });
    }
    let offered = matches!(shared.config.sessions, Sessions::Offered | Sessions::OfferedBadRequest);
    if received.method == "GET" && offered && session.is_some() {
        return refusal.unwrap_or_else(|| listen(shared, session));
    }
    if received.method != "POST" {
        return Answer::empty(405).header("allow", "POST");
    }
    let Some(message) = message else { return error(400, "null", -32700, "Parse error") };
    let Some(method) = message.method.as_deref() else { return Answer::empty(202) };
    if method != "initialize"
        && let Some(refusal) = refusal
    {
        return refusal;
    }
    let Some(id) = message.id.map(|id| id.get()) else { return Answer::empty(202) };
    match behaviour {
        Behaviour::RpcError { code, message } => return error(200, id, *code, message),
        Behaviour::SseError { code, message } => return Answer::events([error_text(id, *code, message)]),
        _ => {}
    }
    let answer = match method {
        "initialize" => initialize(shared, received, id, message),
        "ping" => Answer::json(200, result_text(id, &json!({}))),
        "tools/list" => Answer::json(200, result_text(id, &json!({ "tools": tools(&shared.lacks()) }))),
        "tools/call" => call(shared, id, message, behaviour),
        _ => error(200, id, -32601, "Method not found"),
    };
    match behaviour {
        Behaviour::SseOpen { answer_after_ms, open_ms } => answer.left_open(*answer_after_ms, *open_ms),
        _ => answer,
    }
}

/// What a request is refused with that is not in the session that it must be in.
pub(super) fn session_refusal(shared: &Shared, received: &Received) -> Option<Answer> {
    let id = received.rpc_id.as_deref().unwrap_or("null");
    let known = |session| shared.state.lock().unwrap().sessions.contains_key(session);
    match (shared.config.sessions, received.header("mcp-session-id")) {
        (Sessions::None, _) => None,
        (Sessions::Offered | Sessions::OfferedBadRequest, None) if received.header(CLIENT).is_none() => None,
        (_, None) => Some(error(400, id, -32600, "Bad Request: Missing session ID")),
        (_, Some(session)) if known(session) => None,
        (Sessions::BadRequest | Sessions::OfferedBadRequest, _) => {
            Some(error(400, id, -32000, "Bad Request: No valid session ID provided"))
        }
        (Sessions::NotFound | Sessions::Offered, _) => Some(error(404, id, -32600, "Session not found")),
    }
}

/// Events on the stream of a session, and milliseconds before each.
const NEWS: (usize, u64) = (8, 100);

/// The stream of a session: its news are the name of the client that has opened it.
fn listen(shared: &Shared, session: Option<&str>) -> Answer {
    let client = shared.state.lock().unwrap().sessions.get(session.unwrap_or_default()).cloned().unwrap_or_default();
    let params = json!({ "level": "info", "data": client });
    let news = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": params });
    let news = format!("event: message\n{}", event(&news.to_string()));
    let (events, every_ms) = NEWS;
    (0..events).fold(Answer::stream().send(PRIMING), |answer, _| answer.wait(every_ms).send(news.clone()))
}

/// An event from which a client could go on, and nothing in it.
const PRIMING: &str = "id: 1\nretry: 1000\ndata:\n\n";

/// How long an endless stream stays open, in ms.
const ENDLESS_MS: u64 = 60_000;

fn initialize(shared: &Shared, received: &Received, id: &str, message: &Message<'_>) -> Answer {
    let name = &shared.config.name;
    let version = message.params.get("protocolVersion").and_then(Value::as_str).unwrap_or("2025-11-25");
    let result = json!({
        "protocolVersion": version,
        "capabilities": { "tools": { "listChanged": false } },
        "serverInfo": { "name": name, "title": format!("Snowflake Server: {name}"), "version": "1.0.0" },
    });
    let answer = Answer::json(200, result_text(id, &result));
    if shared.config.sessions == Sessions::None {
        return answer;
    }
    let mut state = shared.state.lock().unwrap();
    let session = format!("{name}-session-{}", state.next_session);
    state.next_session += 1;
    let client = message.params.pointer("/clientInfo/name").and_then(Value::as_str).unwrap_or_default();
    state.sessions.insert(session.clone(), client.to_owned());
    if let Some(journal) = &shared.journal {
        journal.note_opened(received, &session);
    }
    answer.header("mcp-session-id", &session)
}

fn call(shared: &Shared, id: &str, message: &Message<'_>, behaviour: &Behaviour) -> Answer {
    let tool = message.params.get("name").and_then(Value::as_str).unwrap_or_default();
    let found = tool_result(&shared.config.name, &message.params);
    let Some(mut result) = found.filter(|_| !shared.lacks().iter().any(|lacking| lacking == tool)) else {
        return error(200, id, -32602, "Unknown tool");
    };
    match behaviour {
        Behaviour::ToolError { text } => {
            result = json!({ "content": [{ "type": "text", "text": text }], "isError": true });
        }
        Behaviour::Huge { bytes } => result[PADDING] = Value::String("x".repeat(*bytes)),
        _ => {}
    }
    let ordered = padding::ordered(&message.params);
    if ordered.is_some() {
        result[PADDING] = Value::String(String::new());
    }
    let mut result = match behaviour {
        Behaviour::WrongId => result_text("\"somebody-else\"", &result),
        _ => result_text(id, &result),
    };
    if let Some((word, bytes)) = ordered {
        let place = format!("\"{PADDING}\":\"");
        result = result.replacen(&place, &format!("{place}{}", padding(&word, bytes)), 1);
    }
    let token = message.params.pointer("/_meta/progressToken").cloned().unwrap_or(json!("none"));
    let progress = |n: u32, of: u32| {
        let params = json!({ "progressToken": token, "progress": n, "total": of });
        event(&json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params }).to_string())
    };
    match behaviour {
        Behaviour::SseProgress { events, every_ms } => {
            let answer =
                (1..=*events).fold(Answer::stream(), |answer, n| answer.wait(*every_ms).send(progress(n, *events)));
            answer.wait(*every_ms).send(event(&result)).send(event("[DONE]"))
        }
        Behaviour::SseNamed { primed, every_ms } => {
            let other = result_text("\"somebody-else\"", &json!({ "content": [] }));
            let begun = if *primed { Answer::stream().send(PRIMING) } else { Answer::stream() };
            let begun = begun.wait(*every_ms).send(": working\n\n");
            let begun = begun.wait(*every_ms).send(format!("event: ping\n{}", event(&other)));
            begun.wait(*every_ms).send(format!("event: message\nid: 2\n{}event: end\ndata: [DONE]\n\n", event(&result)))
        }
        Behaviour::SseBreaks => Answer::stream().send(progress(1, 2)).wait(30).reset(),
        Behaviour::SseSilent => Answer::stream().send(": thinking\n\n").wait(30).reset(),
        Behaviour::SseEndless { bytes } => {
            Answer::stream().send("data: ").send("x".repeat(*bytes)).wait(ENDLESS_MS).reset()
        }
        Behaviour::OnlyDone => Answer::events(["[DONE]"]),
        Behaviour::WrongType => Answer::empty(200).header("content-type", "text/html").send(result),
        _ => match shared.config.framing {
            Framing::Sse => Answer::events([result.as_str(), "[DONE]"]),
            Framing::Json => Answer::json(200, result),
        },
    }
}

/// The tools' results in the shapes that Snowflake gives them: search without `content`, SQL as text that is JSON.
fn tool_result(server: &str, params: &Value) -> Option<Value> {
    let argument = |name: &str| params.pointer(&format!("/arguments/{name}")).and_then(Value::as_str);
    Some(match params.get("name")?.as_str()? {
        "search" => match argument("query") {
            Some(query) => json!({ "results": [{ "CHUNK": format!("about {query}"), "SERVED_BY": server }] }),
            None => tool_error("query request parameter is required and cannot be empty"),
        },
        "sql" => match argument("sql") {
            Some(statement) => {
                let text = super::snowflake::result_set(server, statement);
                let text = json!({ "query_id": text["statementHandle"], "result_set": text }).to_string();
                json!({ "content": [{ "type": "text", "text": text }], "isError": false })
            }
            None => tool_error("sql request parameter is required and cannot be empty"),
        },
        "complete" => {
            let text = format!("{server} says: {}", argument("prompt").unwrap_or_default());
            json!({ "content": [{ "type": "text", "text": text }], "isError": false })
        }
        // Not in the list: few tests have a use for it.
        "analyst" => {
            let text = format!("{server} takes this for: {}", argument("message").unwrap_or_default());
            json!({ "content": [{ "type": "text", "text": text }], "isError": false })
        }
        _ => return None,
    })
}

fn tool_error(cause: &str) -> Value {
    let text = format!("MCP error calling tool: MCP Server tool error: {cause}\nrequest-id: 01c0ffee");
    json!({ "content": [{ "type": "text", "text": text }], "isError": true })
}

fn tools(lacks: &[String]) -> Value {
    let tool = |name: &str, description: &str, argument: &str| {
        let schema =
            json!({ "type": "object", "properties": { argument: { "type": "string" } }, "required": [argument] });
        json!({ "name": name, "description": description, "inputSchema": schema })
    };
    let all = [
        ("search", "Searches the documents.", "query"),
        ("sql", "Executes a SQL query.", "sql"),
        ("complete", "Completes a prompt.", "prompt"),
    ];
    let has = all.into_iter().filter(|(name, ..)| !lacks.iter().any(|lacking| lacking == name));
    has.map(|(name, description, argument)| tool(name, description, argument)).collect()
}

fn result_text(id: &str, result: &Value) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

fn error_text(id: &str, code: i64, message: &str) -> String {
    let error = json!({ "code": code, "message": message });
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
}

fn error(status: u16, id: &str, code: i64, message: &str) -> Answer {
    Answer::json(status, error_text(id, code, message))
}
