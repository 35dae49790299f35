//! Servers that answer HTTP 200 and say nothing, or not what they say it is.

use crate::fixture::{World, first};
use crate::host::{Behaviour, Played, Response};

const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;

/// A call while the first server answers so.
fn call(tool: &str, kind: &str, pieces: &[&str]) -> Played {
    let mut answer = Response::new(200, kind, "");
    answer.headers.remove("content-length");
    answer.pieces = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
    World::new().call(tool, first(Behaviour::Answer(answer)))
}

#[test]
fn a_stream_that_is_done_before_it_said_anything_is_no_answer() {
    for pieces in [&["data: [DONE]\n\n"][..], &["data: [DONE]\n\n", ""], &[": hello\n\n", "data: [DO", "NE]\n\n"]] {
        let played = call("search", "text/event-stream", pieces);
        assert_eq!(played.servers(), ["mcp-a", "mcp-b"], "{pieces:?}");
        assert!(played.reply().text().contains("mcp-b"), "{}", played.reply().text());
    }
    let played = call("write", "text/event-stream", &["data: [DONE]\n\n", ""]);
    assert_eq!((played.servers(), played.reply().status()), (vec!["mcp-a"], 502), "{}", played.reply().text());
}

#[test]
fn a_stream_that_ends_early_is_an_answer_only_if_it_can_be_resumed() {
    for (stream, servers) in [
        ("id: 7\ndata:\n\n", &["mcp-a"][..]),
        ("id: 7\n", &["mcp-a", "mcp-b"]),
        ("data:\n\n", &["mcp-a", "mcp-b"]),
        (": hello\n\n", &["mcp-a", "mcp-b"]),
        ("", &["mcp-a", "mcp-b"]),
    ] {
        assert_eq!(call("search", "text/event-stream", &[stream]).servers(), servers, "{stream:?}");
    }
}

#[test]
fn a_json_answer_reaches_the_client_as_json_whatever_the_server_calls_it() {
    for kind in ["text/html", "application/octet-stream", "", "application/json", "application/json; charset=utf-8"] {
        let played = call("search", kind, &[RESULT]);
        let told = played.reply().headers.get("content-type").unwrap_or_default();
        assert_eq!(played.reply().text(), RESULT, "{kind:?}");
        assert!(told.starts_with("application/json"), "{kind:?}: {told}");
        assert_eq!(told.contains("charset"), kind.contains("charset"), "what is right stays as it is");
    }
}

/// What one of the official SDKs reads is an answer: one server executes the call, its breaker hears of a success, and the
/// client gets the bytes.
#[test]
fn what_a_client_can_read_passes_byte_for_byte() {
    for body in [
        r#"{"jsonrpc":"2.0","id":"1","result":{"content":[]}}"#,
        r#"{"jsonrpc":"2.0","id":1.0,"result":{"content":[]},"error":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":false,"isError":false}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":"false"}}"#,
        r#"[{"jsonrpc":"2.0","id":1,"result":{"content":[]}}]"#,
        "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[]}}",
    ] {
        for tool in ["search", "write"] {
            assert_passes(tool, "application/json", &[body], "success");
        }
    }
    for error in [r#"{"code":-32602.0,"message":"x"}"#, r#"{"code":"-32602","message":"x"}"#] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":null,"error":{error}}}"#);
        assert_passes("search", "application/json", &[&body], "caller");
    }
    let answer = format!("data: {RESULT}\n\n");
    for event in
        ["event: keepalive\ndata: {}\n\n", "event: ping\ndata: {\"timestamp\":1}\n\n", "event: heartbeat\ndata: 7\n\n"]
    {
        for tool in ["search", "write"] {
            assert_passes(tool, "text/event-stream", &[event, &answer], "success");
            assert_passes(tool, "text/event-stream", &[event, event, "event: message\n", &answer], "success");
        }
    }
}

#[test]
fn a_compressed_answer_passes_and_says_that_the_server_is_well() {
    for kind in ["application/json", "text/event-stream"] {
        let world = World::new();
        let mut answer = Response::new(200, kind, b"\x1f\x8b\x08\x00not really");
        answer.headers.add("content-encoding", "gzip");
        let played = world.call("search", first(Behaviour::Answer(answer.clone())));
        assert_eq!((played.servers(), &played.reply().body), (vec!["mcp-a"], &answer.pieces.concat()));
        assert_eq!(played.reply().headers.get("content-encoding").as_deref(), Some("gzip"));
        assert_eq!(world.metric("dualpath_attempts_total.server.mcp-a.outcome.success"), 1);
    }
}

/// A server that answers so has answered: `outcome` is what the attempt is counted as.
fn assert_passes(tool: &str, kind: &str, pieces: &[&str], outcome: &str) {
    let world = World::new();
    let mut answer = Response::new(200, kind, "");
    answer.headers.remove("content-length");
    answer.pieces = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
    let played = world.call(tool, first(Behaviour::Answer(answer)));
    assert_eq!((played.servers(), played.reply().status()), (vec!["mcp-a"], 200), "{pieces:?}");
    assert_eq!(played.reply().text(), pieces.concat());
    assert_eq!(world.metric(&format!("dualpath_attempts_total.server.mcp-a.outcome.{outcome}")), 1, "{pieces:?}");
}

/// Snowflake's documented shapes: its search has no `content`, which the SDK for Python refuses, and its streams end with
/// `[DONE]`, which is no JSON. With `normalise` every client reads them; what else is in the answer stays.
#[test]
fn snowflakes_shapes_become_what_every_client_reads() {
    let raw = r#"{"jsonrpc":"2.0","id":1,"result":{"results":[{"CHUNK":"c"}]}}"#;
    let progress = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n";
    let mut registry = crate::fixture::registry();
    registry["servers"][0]["dialect"] = serde_json::json!("snowflake");
    let event = format!("data: {raw}\n\n");
    for (kind, pieces) in [
        ("application/json", vec![raw]),
        ("text/event-stream", vec![&event, "data: [DONE]\n\n"]),
        ("text/event-stream", vec![": keep-alive\n\n", progress, &event[..20], &event[20..], "data: [DO", "NE]\n\n"]),
    ] {
        let mut answer = Response::new(200, kind, "");
        answer.headers.remove("content-length");
        answer.pieces = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
        for tool in ["search", "write", "unlisted"] {
            let played = World::under(&registry).call(tool, first(Behaviour::Answer(answer.clone())));
            let text = played.reply().text();
            assert_eq!(played.servers(), ["mcp-a"]);
            assert!(!text.contains("[DONE]") && played.reply().complete, "{text}");
            let json = text.split("data: ").last().unwrap_or_default();
            let message: serde_json::Value = serde_json::from_str(json.trim()).unwrap_or_else(|_| panic!("{text}"));
            let result = &message["result"];
            assert_eq!(result["structuredContent"], serde_json::json!({"results": [{"CHUNK": "c"}]}), "{text}");
            assert_eq!(result["content"][0]["text"], r#"{"results":[{"CHUNK":"c"}]}"#);
            assert_eq!(text.contains("notifications/progress"), pieces.contains(&progress));
        }
        let as_it_is = World::new().call("search", first(Behaviour::Answer(answer)));
        assert_eq!(as_it_is.reply().text(), pieces.concat(), "of another vendor nothing is changed");
    }
    // A list of tools has no `content` either, and needs none.
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let body = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#;
    let played =
        World::under(&registry).play(crate::fixture::exchange(list, first(crate::fixture::json_answer(200, body))));
    assert_eq!(played.reply().text(), body);
}
