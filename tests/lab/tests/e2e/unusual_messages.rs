//! Answers without a body, bytes that are no text, and other things that are legal and rare.

use dualpath_lab::stub::Behaviour;
use serde_json::json;

use crate::world::World;

fn bodiless(status: u16) -> Behaviour {
    Behaviour::Status { status, headers: Vec::new(), body: String::new() }
}

#[tokio::test]
async fn an_api_that_answers_204_gives_an_empty_result() {
    let mapping =
        json!({"server": "rest", "method": "POST", "path": "/ping", "answer": {"content": "${response.text?}"}});
    let world = World::start_with(|options| options.set("/tools/2/rest", mapping)).await;
    world.stop_mcp().await;
    world.rest.set(bodiless(204));
    let reply = world.client.call("complete", json!({"prompt": "p"})).await;
    assert_eq!(reply.status(), 200, "{}", reply.answer.text());
    assert_eq!(reply.id().as_deref(), Some("1"));
    assert_eq!(reply.result()["content"], json!([]), "{}", reply.answer.text());
}

#[tokio::test]
async fn a_failure_without_a_body_is_a_failure_all_the_same() {
    let world = World::start().await;
    for status in [429, 500, 503] {
        world.primary.set(bodiless(status));
        assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("secondary"), "{status}");
        world.secondary.set(bodiless(status));
        assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("rest"), "{status}");
        world.rest.set(bodiless(status));
        let reply = world.client.search("q").await;
        assert_eq!(reply.error()["data"]["source"], json!("dualpath"), "{status}: {}", reply.answer.text());
        assert_eq!(reply.id().as_deref(), Some("1"), "{status}");
        world.heal();
    }
}

#[tokio::test]
async fn a_notification_is_accepted_whatever_has_happened_to_the_servers() {
    let world = World::start().await;
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    for _ in 0..2 {
        let answer = world.client.post(notification).await.expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (202, ""), "{}", answer.text());
        world.stop_mcp().await;
    }
}

#[tokio::test]
async fn header_values_that_are_not_utf_8_do_no_harm() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::start().await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","arguments":{"query":"q"}}}"#;
    let mut stream = tokio::net::TcpStream::connect(world.envoy.addr()).await.expect("a connection");
    let mut request = Vec::new();
    request
        .extend_from_slice(b"POST /mcp HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n");
    request.extend_from_slice(b"accept: application/json, text/event-stream\r\nmcp-session-id: \xff\xfe\r\n");
    request.extend_from_slice(b"x-latin: caf\xe9\r\nx-dualpath-\x66oo: \xff\r\n");
    request.extend_from_slice(format!("content-length: {}\r\n\r\n{body}", body.len()).as_bytes());
    stream.write_all(&request).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("about q"), "{text}");
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"));
}

/// Envoy adds a piece to what is held before the filter can let go of it; over its buffer it resets the stream.
#[tokio::test]
async fn an_answer_over_what_is_held_streams_through_however_long_its_pieces() {
    let world = World::start_with(|options| options.set("/servers/0/timeout", json!("60s"))).await;
    for bytes in [3 << 20, 5 << 20, 8 << 20, 20 << 20, 50 << 20] {
        world.primary.set(Behaviour::Huge { bytes });
        for _ in 0..4 {
            let reply = world.client.call("sql", json!({"sql": "select 1"})).await;
            assert_eq!(reply.status(), 200, "{bytes}: {}", reply.answer.text());
            assert!(reply.answer.text().len() > bytes);
        }
    }
}
