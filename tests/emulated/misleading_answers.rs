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
