//! Requests and results as in Snowflake's OpenAPI files and in recorded traffic of its managed MCP server.

use serde_json::{Value, json};
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::tests::{UUID, mapping, raw, read as read_mapping};
use super::super::{RestRequest, answer, request};
use super::*;

fn preset(name: &str, with: Value) -> Mapping {
    mapping(&json!({"preset": name, "with": with}))
}

fn search() -> Mapping {
    preset("snowflake.search", json!({"database": "DOCS", "schema": "My Schema", "service": "S"}))
}

fn sent(mapping: &Mapping, arguments: Value) -> (RestRequest, Value) {
    let made = request(mapping, ("/", ""), Some(raw(&arguments.to_string())), UUID).unwrap();
    let body = serde_json::from_slice(made.body.as_deref().unwrap()).unwrap();
    (made, body)
}

fn received(mapping: &Mapping, body: Value) -> Value {
    serde_json::from_str(answer(mapping, 200, body.to_string().as_bytes()).unwrap().result()).unwrap()
}

#[test]
fn every_preset_is_a_sound_mapping() {
    for (name, json) in PRESETS {
        let mut wire: Value = serde_json::from_str(json).unwrap();
        match name {
            "snowflake.search" => wire["with"] = json!({"database": "D", "schema": "S", "service": "V"}),
            "snowflake.agent" => wire["with"] = json!({"database": "D", "schema": "S", "agent": "A"}),
            _ => {}
        }
        // Spelled out in a registry, a preset means the same as named.
        let named = preset(name, wire.get("with").cloned().unwrap_or(json!({})));
        assert_eq!(mapping(&wire), named);
        assert!(named.header_names().any(|header| header == "user-agent"));
    }
}

#[test]
fn a_search_is_sent_as_the_tool_was_called() {
    let arguments = json!({"query": "pat", "columns": ["TEXT"], "filter": {"@eq": {"LANG": "en"}}, "limit": 3});
    let (made, body) = sent(&search(), arguments.clone());
    assert_eq!(made.method, "POST");
    assert_eq!(made.path_and_query, "/api/v2/databases/DOCS/schemas/My%20Schema/cortex-search-services/S:query");
    assert_eq!(body, arguments);
    assert_eq!(sent(&search(), json!({"query": "pat"})).1, json!({"query": "pat"}));
}

#[test]
fn search_results_come_as_text_and_as_structured_content() {
    let results = json!([{"TEXT": "a", "@scores": {"cosine_similarity": 0.5}}]);
    let got = received(&search(), json!({"results": results, "request_id": "r-1"}));
    let expected = json!({"results": results});
    assert_eq!(got["structuredContent"], expected);
    assert_eq!(serde_json::from_str::<Value>(got["content"][0]["text"].as_str().unwrap()).unwrap(), expected);
    assert_eq!(got["_meta"], json!({"request_id": "r-1"}));
    assert_eq!(got["isError"], false);
}

#[test]
fn a_statement_carries_the_calls_uuid_so_that_it_runs_once() {
    let sql = preset(
        "snowflake.sql",
        json!({"warehouse": "W", "timeout": 60, "database": "D", "schema": "S", "role": "READER"}),
    );
    let (made, body) = sent(&sql, json!({"sql": "select 1"}));
    let (path, query) = made.path_and_query.split_once('?').unwrap();
    assert_eq!(path, "/api/v2/statements");
    let mut query: Vec<_> = query.split('&').collect();
    query.sort_unstable();
    let uuid = "requestId=ffffffff-ffff-4fff-bfff-ffffffffffff";
    assert_eq!(query, ["async=false", "nullable=true", uuid, "retry=true"]);
    assert_eq!(
        body,
        json!({"statement": "select 1", "timeout": 60, "database": "D", "schema": "S", "warehouse": "W", "role": "READER"})
    );
    for header in [("accept", "application/json"), ("content-type", "application/json"), ("user-agent", "dualpath")] {
        assert!(made.headers.iter().any(|(name, value)| (name.as_str(), value.as_str()) == header));
    }
    assert_eq!(sent(&preset("snowflake.sql", json!({})), json!({"sql": "x"})).1, json!({"statement": "x"}));
}

#[test]
fn a_result_set_is_wrapped_as_the_managed_server_wraps_it() {
    let meta = json!({"format": "jsonv2", "numRows": 1, "partition": 0, "rowType": []});
    let sql = preset("snowflake.sql", json!({}));
    let body = |data: Value| {
        json!({"code": "090001", "data": data, "resultSetMetaData": meta, "statementHandle": "h",
            "statementStatusUrl": "/x", "message": "ok", "createdOn": 1, "sqlState": "00000"})
    };
    let text = |got: Value| got["content"][0]["text"].as_str().unwrap().to_owned();
    let got = text(received(&sql, body(json!([["1", null]]))));
    assert_eq!(
        got,
        r#"{"query_id":"h","result_set":{"data":[["1",null]],"resultSetMetaData":{"format":"jsonv2","numRows":1,"partition":0,"rowType":[]},"statementHandle":"h"}}"#
    );
    let got: Value = serde_json::from_str(&text(received(&sql, body(json!([]))))).unwrap();
    assert_eq!(got, json!({"query_id": "h", "result_set": {"resultSetMetaData": meta, "statementHandle": "h"}}));
}

#[test]
fn a_statement_that_does_not_compile_is_a_failed_tool_call() {
    let body =
        json!({"code": "001003", "message": "SQL compilation error", "sqlState": "42000", "statementHandle": "h"});
    let got = answer(&preset("snowflake.sql", json!({})), 422, body.to_string().as_bytes()).unwrap();
    assert!(got.is_error());
    assert!(got.result().contains("(HTTP 422, code 001003): SQL compilation error\\nrequest-id: h"));
}

#[test]
fn a_completion_takes_a_prompt_or_messages() {
    let complete = preset("snowflake.complete", json!({"model": "llama3.1-8b"}));
    let (made, body) = sent(&complete, json!({"prompt": "hi", "max_tokens": 5}));
    assert_eq!(made.path_and_query, "/api/v2/cortex/inference:complete");
    assert_eq!(
        body,
        json!({"model": "llama3.1-8b", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5, "stream": false})
    );
    let messages = json!([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]);
    let (_, body) = sent(&complete, json!({"messages": messages, "model": "m", "temperature": 0.5}));
    assert_eq!(body, json!({"model": "m", "messages": messages, "temperature": 0.5, "stream": false}));
    assert_eq!(
        sent(&mapping(&json!({"preset": "snowflake.complete"})), json!({"prompt": ""})).1["model"],
        "claude-sonnet-4-6"
    );
}

#[test]
fn a_completion_is_its_first_choices_text_with_the_usage_beside_it() {
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7});
    let body =
        json!({"id": "c-1", "model": "m", "choices": [{"message": {"content": "line\n\"two\""}}], "usage": usage});
    let got = received(&preset("snowflake.complete", json!({})), body);
    assert_eq!(got["content"], json!([{"type": "text", "text": "line\n\"two\""}]));
    assert_eq!(got["_meta"], json!({"model": "m", "usage": usage, "request_id": "c-1"}));
}

#[test]
fn a_question_to_the_analyst_is_its_interpretation_and_the_statement() {
    let analyst = preset("snowflake.analyst", json!({"semantic_view": "DB.S.SALES"}));
    let (made, body) = sent(&analyst, json!({"message": "How much?"}));
    assert_eq!(made.path_and_query, "/api/v2/cortex/analyst/message");
    let asked = json!([{"role": "user", "content": [{"type": "text", "text": "How much?"}]}]);
    assert_eq!(body, json!({"messages": asked, "semantic_view": "DB.S.SALES", "stream": false}));
    let statement = json!({"type": "sql", "statement": "SELECT 1", "confidence": {"verified_query_used": null}});
    let suggestions = json!({"type": "suggestions", "suggestions": ["a", "b"]});
    for (item, text) in [(statement, "SELECT 1"), (suggestions, r#"["a","b"]"#)] {
        let content = json!([{"type": "text", "text": "This is about sales"}, item]);
        let message = json!({"role": "analyst", "content": content});
        let got = received(&analyst, json!({"message": message, "request_id": "r", "warnings": []}));
        assert_eq!(got["content"][0]["text"], "This is about sales");
        assert_eq!(got["content"][1]["text"], text);
        assert_eq!(got["structuredContent"], json!({"content": content}));
        assert_eq!(got["_meta"], json!({"request_id": "r"}));
    }
}

#[test]
fn an_agents_run_is_one_result() {
    let agent = preset("snowflake.agent", json!({"database": "D", "schema": "S", "agent": "A"}));
    let (made, body) = sent(&agent, json!({"message": "Why?", "thread_id": 7}));
    assert_eq!(made.path_and_query, "/api/v2/databases/D/schemas/S/agents/A:run");
    assert!(made.headers.contains(&("accept".to_owned(), "application/json, text/event-stream".to_owned())));
    assert_eq!((&body["stream"], &body["thread_id"]), (&json!(true), &json!(7)));
    let usage = json!({"tokens_consumed": [{"model_name": "m", "input_tokens": {"total": 90071992547409931u64}}]});
    let last = json!({"role": "assistant", "content": [{"type": "text", "text": "Because."}],
        "metadata": {"usage": usage}, "run_id": "run-1"});
    let stream = format!(
        "event: response.status\ndata: {{\"status\":\"planning\"}}\n\nevent: response.text\ndata: {{\"text\":\"Because.\"}}\n\nevent: response\ndata: {last}\n\n"
    );
    let read = |body: &str| answer(&agent, 200, body.as_bytes());
    for body in [stream.as_str(), &last.to_string()] {
        let got: Value = serde_json::from_str(read(body).unwrap().result()).unwrap();
        assert!(got["content"][0]["text"].as_str().unwrap().contains("Because."), "{got}");
        assert_eq!(got["_meta"], json!({"usage": usage, "run_id": "run-1"}));
    }
    let failed =
        read("event: error\ndata: {\"code\":\"399504\",\"message\":\"no warehouse\",\"request_id\":\"r\"}\n\n")
            .unwrap();
    assert!(failed.is_error());
    assert!(failed.result().contains("code 399504): no warehouse\\nrequest-id: r"), "{}", failed.result());
    assert!(read("event: response.text\ndata: {\"text\":\"Bec\"}\n\n").is_err(), "it has ended too early");
}

#[test]
fn texts_are_embedded_one_or_many() {
    let embed = preset("snowflake.embed", json!({"model": "e5-base-v2"}));
    let (made, body) = sent(&embed, json!({"text": "a"}));
    assert_eq!(made.path_and_query, "/api/v2/cortex/inference:embed");
    assert_eq!(body, json!({"model": "e5-base-v2", "text": ["a"]}));
    assert_eq!(sent(&embed, json!({"texts": ["a", "b"]})).1["text"], json!(["a", "b"]));
    let data = json!([{"object": "embedding", "embedding": [[0.25, -1e-7]], "index": 0}]);
    let answer = json!({"object": "list", "data": data, "model": "e5-base-v2", "usage": {"total_tokens": 2}});
    let got = received(&embed, answer);
    assert_eq!(got["structuredContent"], json!({"data": data}));
    assert_eq!(got["_meta"], json!({"model": "e5-base-v2", "usage": {"total_tokens": 2}}));
}

#[test]
fn an_unknown_preset_or_constant_is_refused_with_the_known_ones() {
    let (mapping, problems) = read_mapping(&json!({"preset": "snowflake.serch", "method": "GET"}));
    assert_eq!(mapping, None);
    assert_eq!(
        problems[0].rule,
        "must be one of snowflake.agent, snowflake.analyst, snowflake.complete, snowflake.embed, snowflake.search, snowflake.sql"
    );
    assert_eq!(problems[1].path, "method");
    let (_, problems) =
        read_mapping(&json!({"preset": "snowflake.search", "with": {"database": "..", "servise": "x", "schema": "S"}}));
    let paths: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(paths, ["with.service", "with.database", "with.servise"]);
}
