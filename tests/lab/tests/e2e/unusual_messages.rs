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

/// A filter that reads header values as text ends its worker with such a one (proxy-wasm-rust-sdk#25, #217).
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

/// A server that answers every request on a connection with these bytes.
async fn raw_server(answer: Vec<u8>) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 65_536];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    if stream.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    addr
}

/// See [`header_values_that_are_not_utf_8_do_no_harm`]: a server's are no better.
#[tokio::test]
async fn header_values_of_a_server_that_are_not_utf_8_do_no_harm() {
    let body = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"about q"}]}}"#;
    for status in ["200 OK", "429 Too Many Requests", "500 Internal Server Error"] {
        let mut answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len()).into_bytes();
        answer.extend_from_slice(b"content-type: application/json; x=\xff\r\nx-latin: caf\xe9\r\n");
        for name in ["mcp-session-id", "retry-after", "www-authenticate", "content-encoding-x", "x-dualpath-failover"] {
            answer.extend_from_slice(name.as_bytes());
            answer.extend_from_slice(b": \xff\xfe\r\n");
        }
        answer.extend_from_slice(b"\r\n");
        answer.extend_from_slice(body.as_bytes());
        let addr = raw_server(answer).await;
        let url = json!(format!("http://{addr}/mcp"));
        let world = World::start_with(|options| options.set("/servers/0/url", url)).await;
        for _ in 0..5 {
            let reply = world.client.search("q").await;
            assert_eq!(reply.status(), 200, "{status}: {}", reply.answer.text());
            let is_first = status.starts_with("200");
            assert_eq!(reply.served_by().as_deref(), (!is_first).then_some("secondary"), "{}", reply.answer.text());
            assert_eq!(reply.answer.header("x-latin").is_some(), is_first, "what is a server's own passes");
        }
        assert!(!world.envoy.logs().contains("unreachable"), "nothing trapped");
    }
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
