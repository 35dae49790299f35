use serde_json::{Value, json};
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::tests::mapping;
use super::*;
use crate::jsonrpc::{self, RequestId};

fn with_answer(answer: Value) -> Mapping {
    mapping(&json!({"method": "GET", "path": "/", "answer": answer}))
}

fn plain() -> Mapping {
    mapping(&json!({"method": "GET", "path": "/"}))
}

fn result(answer: &ToolAnswer) -> Value {
    serde_json::from_str(answer.result()).unwrap()
}

fn text(answer: &ToolAnswer) -> String {
    result(answer)["content"][0]["text"].as_str().unwrap().to_owned()
}

#[test]
fn an_answer_without_mapping_is_one_text_item() {
    let got = answer(&plain(), 200, br#"{"n": 90071992547409931}"#).unwrap();
    assert_eq!(text(&got), r#"{"n": 90071992547409931}"#);
    assert_eq!(result(&got)["isError"], false);
    let got = answer(&plain(), 201, br#""just \"text\"""#).unwrap();
    assert_eq!(text(&got), "just \"text\"");
}

#[test]
fn content_structured_and_meta_follow_their_templates() {
    let mapping = with_answer(json!({
        "content": ["${response.title}", {"n": "${response.n}"}, "${response.none?}"],
        "structured": {"n": "${response.n}"},
        "meta": {"id": "${response.id?}"},
    }));
    let got = answer(&mapping, 200, br#"{"title": "T", "n": 1.50}"#).unwrap();
    assert_eq!(
        got.result(),
        r#"{"content":[{"type":"text","text":"T"},{"type":"text","text":"{\"n\":1.50}"}],"structuredContent":{"n":1.50},"_meta":{},"isError":false,"resultType":"complete"}"#
    );
}

/// Envoy's mcp_json_rest_bridge does not handle 204.
#[test]
fn an_empty_success_is_a_result_without_content() {
    for (status, body) in [(204, b"".as_slice()), (200, b" \r\n")] {
        assert_eq!(result(&answer(&plain(), status, body).unwrap())["content"], json!([]));
    }
}

/// Gateways have passed a refusal of the API on as a successful tool call.
#[test]
fn a_4xx_is_never_a_success() {
    let body = br#"{"message": "bad filter", "code": "390142", "request_id": "r-1"}"#;
    for status in [400, 402, 403, 404, 405, 408, 409, 413, 415, 422] {
        let got = answer(&plain(), status, body).unwrap();
        assert!(got.is_error());
        assert_eq!(result(&got)["isError"], true);
        assert_eq!(
            text(&got),
            format!("the API refused the call (HTTP {status}, code 390142): bad filter\nrequest-id: r-1")
        );
    }
}

#[test]
fn a_status_about_the_proxys_credential_or_the_server_is_not_the_callers() {
    for status in [0, 100, 301, 302, 401, 407, 429, 500, 502, 503, 504, 600] {
        assert_eq!(answer(&plain(), status, b"{\"message\": \"token x\"}"), Err(AnswerError::Status(status)));
    }
}

#[test]
fn a_call_still_running_is_an_error_that_names_its_handle() {
    let mapping = with_answer(json!({"error": {"request_id": "${response.statementHandle?}"}}));
    let got =
        answer(&mapping, 202, br#"{"code": "333334", "message": "in progress", "statementHandle": "h-1"}"#).unwrap();
    assert!(got.is_error());
    assert!(text(&got).contains("not finished"));
    assert!(text(&got).ends_with("(HTTP 202, code 333334): in progress\nrequest-id: h-1"));
}

#[test]
fn an_error_answer_in_another_shape_is_quoted_and_cut() {
    let mapping =
        with_answer(json!({"error": {"message": "${response.error.detail?}", "code": "${response.error.n?}"}}));
    let got = answer(&mapping, 404, br#"{"error": {"detail": "gone", "n": 7}}"#).unwrap();
    assert_eq!(text(&got), "the API refused the call (HTTP 404, code 7): gone");
    let page = "é".repeat(1 << 20);
    let got = answer(&mapping, 404, page.as_bytes()).unwrap();
    assert!(got.result().len() < 3 * MAX_ERROR_TEXT);
    assert!(answer(&mapping, 404, b"\xff\xfe").unwrap().is_error());
    assert_eq!(text(&answer(&mapping, 404, b"").unwrap()), "the API refused the call (HTTP 404)");
}

#[test]
fn a_success_that_is_no_json_or_lacks_a_field_is_an_error_of_the_server() {
    let mapping = with_answer(json!({"content": "${response.choices.0.text}"}));
    for (body, reason) in [
        (b"<html>".as_slice(), "it is not JSON"),
        (b"{\"choices\": [", "it is not JSON"),
        (b"\xff\xff", "it is not JSON"),
        (b"{} {}", "it is not JSON"),
        (b"{\"choices\": []}", "\"choices.0.text\" is required"),
        (b"", "\"choices.0.text\" is required"),
    ] {
        assert_eq!(answer(&mapping, 200, body), Err(AnswerError::Unreadable(reason.to_owned())));
    }
}

#[test]
fn an_answer_nested_very_deep_does_not_exhaust_the_stack() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
    let mapping = with_answer(json!({"content": "${response.a.0.0}", "structured": "${response}"}));
    assert!(answer(&mapping, 200, deep.as_bytes()).unwrap().result().len() > deep.len());
}

#[test]
fn structured_content_is_an_object_or_the_answer_is_unreadable() {
    let mapping = with_answer(json!({"structured": "${response?}"}));
    assert!(answer(&mapping, 200, b"[1]").is_err());
    assert_eq!(result(&answer(&mapping, 200, b"{\"a\":1}").unwrap())["structuredContent"], json!({"a": 1}));
    assert!(result(&answer(&mapping, 200, b"").unwrap()).get("structuredContent").is_none());
}

/// Higress' filter parses the id as an int or a string: a float or null comes back as 0.
#[test]
fn the_id_comes_back_byte_for_byte() {
    for id in ["1", "1.0", "12345678901234567890123", "\"1\"", "\"\\u0041\"", "-0"] {
        let bytes = jsonrpc::result(RequestId::from_json(id).unwrap(), ToolAnswer::failure("x").result());
        let whole = String::from_utf8(bytes).unwrap();
        assert!(whole.starts_with(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{")), "{whole}");
    }
}

#[test]
fn arguments_that_do_not_fit_become_a_failed_tool_call() {
    let mapping = mapping(&json!({"method": "POST", "path": "/", "body": "${arguments.sql}"}));
    let refused = super::super::request(&mapping, ("/", ""), None, [0; 16]).unwrap_err();
    let got = ToolAnswer::from(&refused);
    assert!(got.is_error());
    assert_eq!(text(&got), "invalid arguments: \"sql\" is required");
}
