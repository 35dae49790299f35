//! Snowflake's REST API, as far as the direct path uses it: Cortex search, SQL statements, completions, embeddings,
//! the analyst and agents.

use serde_json::{Value, json};

use super::Behaviour;
use super::answer::Answer;
use super::record::Received;
use super::shared::Shared;

const REQUEST_ID: &str = "01c0ffee-0000-4000-8000-000000000001";

pub(super) fn answer(shared: &Shared, received: &Received, behaviour: &Behaviour) -> Answer {
    let name = &shared.config.name;
    let path = received.path.split('?').next().unwrap_or_default();
    let body = received.json();
    let answer = match (received.method.as_str(), path) {
        // Both headers are required by the SQL API; every endpoint is held to it, so that none goes without.
        _ if !received.header("accept").is_some_and(|accept| accept.contains("application/json")) => {
            error(400, "391902", "Unsupported Accept header null is specified.")
        }
        _ if received.header("user-agent").is_none() => error(400, "391903", "User-Agent header is required."),
        ("POST", path) if path.contains("/cortex-search-services/") && path.ends_with(":query") => search(name, &body),
        ("POST", "/api/v2/statements") => statement(shared, &body),
        ("GET", path) if path.starts_with("/api/v2/statements/") => poll(shared, path),
        ("POST", "/api/v2/cortex/inference:complete") => complete(name, &body),
        ("POST", "/api/v2/cortex/inference:embed") => embed(&body),
        ("POST", "/api/v2/cortex/analyst/message") => analyst(name, &body),
        ("POST", path) if path.contains("/agents/") && path.ends_with(":run") => agent(name, &body),
        _ => error(404, "390404", "no such path"),
    };
    let answer = answer.header("x-snowflake-request-id", REQUEST_ID);
    match behaviour {
        Behaviour::Huge { bytes } => Answer::json(200, json!({ "results": ["x".repeat(*bytes)] })),
        _ => answer,
    }
}

/// What both the MCP server and the REST API answer to a token they do not know.
pub(super) fn invalid_token() -> Answer {
    error(401, "394400", "Programmatic access token is invalid.").header(
        "www-authenticate",
        r#"Bearer resource_metadata="https://stub.invalid/.well-known/oauth-protected-resource""#,
    )
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    let body = json!({ "message": message, "code": code, "error_code": code, "request_id": REQUEST_ID });
    Answer::json(status, body)
}

fn search(name: &str, body: &Value) -> Answer {
    let Some(query) = body.get("query").and_then(Value::as_str) else {
        return error(400, "370001", "query is required");
    };
    let result = json!({ "CHUNK": format!("about {query}"), "SERVED_BY": name });
    Answer::json(200, json!({ "results": [result], "request_id": REQUEST_ID }))
}

/// A statement that names `no_such_table` fails to compile; one that says `slow` is still running when the answer is sent.
fn statement(shared: &Shared, body: &Value) -> Answer {
    let Some(statement) = body.get("statement").and_then(Value::as_str) else {
        return error(400, "390142", "statement is required");
    };
    if statement.contains("no_such_table") {
        let failure = json!({
            "code": "002003", "sqlState": "42S02", "statementHandle": REQUEST_ID,
            "message": "SQL compilation error:\nObject 'NO_SUCH_TABLE' does not exist or not authorized.",
        });
        return Answer::json(422, failure);
    }
    if statement.contains("slow") {
        shared.state.lock().unwrap().pending.insert(REQUEST_ID.to_owned());
        return running();
    }
    Answer::json(200, result_set(&shared.config.name, statement))
}

/// The first question after a statement is answered with "still running", the next with the result.
fn poll(shared: &Shared, path: &str) -> Answer {
    let handle = path.rsplit('/').next().unwrap_or_default();
    if handle != REQUEST_ID {
        return error(404, "390404", "no such statement");
    }
    if shared.state.lock().unwrap().pending.remove(handle) {
        return running();
    }
    Answer::json(200, result_set(&shared.config.name, ""))
}

fn running() -> Answer {
    let status = json!({
        "code": "333334", "message": "Asynchronous execution in progress.", "statementHandle": REQUEST_ID,
        "statementStatusUrl": format!("/api/v2/statements/{REQUEST_ID}"),
    });
    Answer::json(202, status)
}

/// One row that says who answered, as the SQL API returns it. Its first column is the text that the statement selects
/// (`select 'text'`), 1 for any other statement.
pub(super) fn result_set(server: &str, statement: &str) -> Value {
    let selected = statement.strip_prefix("select '").and_then(|rest| rest.strip_suffix('\''));
    json!({
        "code": "090001",
        "message": "Statement executed successfully.",
        "statementHandle": REQUEST_ID,
        "statementStatusUrl": format!("/api/v2/statements/{REQUEST_ID}"),
        "resultSetMetaData": {
            "format": "jsonv2", "numRows": 1, "partition": 0,
            "partitionInfo": [{ "rowCount": 1, "uncompressedSize": 32 }],
            "rowType": [
                { "name": "N", "type": "fixed", "nullable": false },
                { "name": "SERVED_BY", "type": "text", "nullable": false },
            ],
        },
        "data": [[selected.unwrap_or("1"), server]],
    })
}

/// The text of the last message, as analyst and agents take it.
fn question(body: &Value) -> Option<&str> {
    body.get("messages")?.as_array()?.last()?.pointer("/content/0/text")?.as_str()
}

/// The interpretation, then the statement.
fn analyst(name: &str, body: &Value) -> Answer {
    let models = ["semantic_view", "semantic_model_file", "semantic_model", "semantic_models"];
    let (Some(question), true) = (question(body), models.iter().any(|model| body.get(model).is_some())) else {
        return error(400, "392700", "messages and a semantic model are required");
    };
    let content = json!([
        { "type": "text", "text": format!("{name} takes this for: {question}") },
        { "type": "sql", "statement": "SELECT 1", "confidence": { "verified_query_used": null } },
    ]);
    let message = json!({ "role": "analyst", "content": content });
    let metadata = json!({ "model_names": ["m"], "question_category": "CLEAR_SQL" });
    Answer::json(
        200,
        json!({ "message": message, "request_id": REQUEST_ID, "warnings": [], "response_metadata": metadata }),
    )
}

/// Streams unless told not to. A question that says `fail` ends with an error.
fn agent(name: &str, body: &Value) -> Answer {
    let Some(question) = question(body) else { return error(400, "399504", "messages are required") };
    let text = format!("{name} says: {question}");
    let usage = json!({ "tokens_consumed": [{ "model_name": "m", "input_tokens": { "total": 7 }, "output_tokens": { "total": 5 } }] });
    let whole = json!({
        "role": "assistant", "run_id": REQUEST_ID, "metadata": { "usage": usage },
        "content": [{ "type": "thinking", "thinking": { "text": "hm" } }, { "type": "text", "text": text }],
    });
    if body.get("stream") == Some(&Value::Bool(false)) {
        return Answer::json(200, whole);
    }
    let typed = |kind: &str, data: Value| format!("event: {kind}\ndata: {data}\n\n");
    let begun = Answer::stream()
        .send(typed("response.status", json!({ "status": "planning", "message": "Planning the next steps" })))
        .send(typed("response.thinking.delta", json!({ "content_index": 0, "text": "hm" })));
    if question.contains("fail") {
        let error = json!({ "code": "399504", "message": "No tool result received", "request_id": REQUEST_ID });
        return begun.send(typed("error", error));
    }
    begun
        .send(typed("response.text.delta", json!({ "content_index": 1, "text": text })))
        .send(typed("response.text", json!({ "content_index": 1, "text": text })))
        .send(typed("response", whole))
}

fn embed(body: &Value) -> Answer {
    let (Some(model), Some(texts)) = (body.get("model"), body.get("text").and_then(Value::as_array)) else {
        return error(400, "390142", "model and text are required");
    };
    let data: Vec<_> = (0..texts.len())
        .map(|index| json!({ "object": "embedding", "embedding": [[0.25, -0.5]], "index": index }))
        .collect();
    Answer::json(
        200,
        json!({ "object": "list", "data": data, "model": model, "usage": { "total_tokens": texts.len() } }),
    )
}

/// Streams unless told not to, which is the endpoint's default.
fn complete(name: &str, body: &Value) -> Answer {
    let prompt = body.pointer("/messages/0/content").and_then(Value::as_str);
    let (Some(model), Some(prompt)) = (body.get("model").and_then(Value::as_str), prompt) else {
        return error(400, "390142", "model and messages are required");
    };
    if model == "no-such-model" {
        return error(400, "390400", "unknown model \"no-such-model\"");
    }
    let content = format!("{name} says: {prompt}");
    let usage = json!({ "prompt_tokens": 7, "completion_tokens": 5, "guard_tokens": 0, "total_tokens": 12 });
    let chunk = |choice: Value, usage: Value| json!({ "id": REQUEST_ID, "created": 1_760_000_000, "model": model, "choices": [choice], "usage": usage });
    if body.get("stream") == Some(&Value::Bool(false)) {
        return Answer::json(200, chunk(json!({ "message": { "role": "assistant", "content": content } }), usage));
    }
    let chunk =
        |text: &str, usage: Value| chunk(json!({ "delta": { "type": "text", "content": text } }), usage).to_string();
    Answer::events([chunk(&content, json!({})), chunk("", usage)])
}
