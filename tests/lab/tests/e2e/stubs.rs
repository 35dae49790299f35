//! The stubs themselves: what they claim to do to a client, they do.

use dualpath_lab::client::Client;
use dualpath_lab::stub::{Behaviour, Config, Control, End, Process, Sessions, Stub};
use serde_json::json;

async fn stub_and_client(config: Config) -> (Stub, Client) {
    let stub = Stub::start(config).await.expect("a stub");
    let client = Client::new(stub.addr, "/mcp");
    (stub, client)
}

#[tokio::test]
async fn a_tool_call_is_answered_as_an_event_stream_that_ends_with_done() {
    let (_stub, client) = stub_and_client(Config::mcp("one")).await;
    let reply =
        client.request("\"a\\u0000\"", "tools/call", &json!({"name": "search", "arguments": {"query": "q"}})).await;
    let reply = reply.expect("an answer");
    assert_eq!(reply.answer.header("content-type"), Some("text/event-stream"));
    assert!(reply.answer.text().ends_with("data: [DONE]\n\n"), "{}", reply.answer.text());
    assert_eq!(reply.id().as_deref(), Some("\"a\\u0000\""), "the id comes back byte for byte");
    assert_eq!(reply.served_by().as_deref(), Some("one"));
}

#[tokio::test]
async fn every_tool_says_who_answered() {
    let (_stub, client) = stub_and_client(Config::mcp("one").json()).await;
    for (tool, arguments) in
        [("search", json!({"query": "q"})), ("sql", json!({"sql": "s"})), ("complete", json!({"prompt": "p"}))]
    {
        assert_eq!(client.call(tool, arguments).await.served_by().as_deref(), Some("one"), "{tool}");
    }
}

#[tokio::test]
async fn requests_are_recorded_with_headers_body_and_id() {
    let (stub, client) = stub_and_client(Config::mcp("one")).await;
    client.header("authorization", "Bearer t").search("q").await;
    let received = stub.received().pop().expect("one request");
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/mcp"));
    assert_eq!(received.header("authorization"), Some("Bearer t"));
    assert_eq!(received.tool().as_deref(), Some("search"));
    assert_eq!(received.rpc_id.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_token_other_than_the_expected_one_is_refused_with_394400() {
    let (stub, client) = stub_and_client(Config::mcp("one").token("right")).await;
    for client in [client.clone(), client.clone().header("authorization", "Bearer wrong")] {
        let reply = client.search("q").await;
        assert_eq!((reply.status(), reply.response()["code"].as_str()), (401, Some("394400")));
    }
    let right = client.header("authorization", "Bearer right");
    assert_eq!(right.search("q").await.status(), 200);
    stub.accept(&["new"]);
    assert_eq!(right.search("q").await.status(), 401);
}

#[tokio::test]
async fn failures_at_http_level_look_as_ordered() {
    let (stub, client) = stub_and_client(Config::mcp("one")).await;
    stub.set(Behaviour::too_many_requests(Some(7)));
    let reply = client.search("q").await;
    assert_eq!((reply.status(), reply.answer.header("retry-after")), (429, Some("7")));

    stub.set(Behaviour::rpc_error(-32603, "no"));
    let reply = client.search("q").await;
    assert_eq!((reply.status(), reply.error()["code"].as_i64()), (200, Some(-32603)));

    stub.set(Behaviour::tool_error("boom"));
    assert_eq!(client.search("q").await.result()["isError"], json!(true));

    stub.set(Behaviour::sse_error(-32603, "no"));
    assert_eq!(client.search("q").await.error()["code"].as_i64(), Some(-32603));

    stub.set(Behaviour::GarbageJson);
    let reply = client.search("q").await;
    assert_eq!((reply.status(), reply.response()), (200, json!(null)));

    stub.set(Behaviour::Huge { bytes: 100_000 });
    assert!(client.search("q").await.answer.body.len() > 100_000);
}

#[tokio::test]
async fn failures_below_http_end_the_connection() {
    let (stub, client) = stub_and_client(Config::mcp("one")).await;
    for behaviour in [Behaviour::ResetBeforeHeaders, Behaviour::GarbageHttp] {
        stub.set(behaviour.clone());
        assert!(client.request("1", "ping", &json!({})).await.is_err(), "{behaviour:?}");
    }
    for behaviour in [Behaviour::ResetMidBody, Behaviour::SseBreaks] {
        stub.set(behaviour.clone());
        let answer = client
            .open(
                "POST",
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"sql","arguments":{"sql":"s"}}}"#,
            )
            .await;
        let mut answer = answer.expect("headers");
        assert!(answer.chunk().await.is_ok_and(|chunk| chunk.is_some()), "a part arrives: {behaviour:?}");
        assert!(answer.whole().await.is_err(), "and then a reset: {behaviour:?}");
    }
    assert!(stub.received().iter().all(|r| r.end == End::Done), "{:#?}", stub.received());
}

#[tokio::test]
async fn a_behaviour_for_two_requests_is_over_after_two() {
    let (stub, client) = stub_and_client(Config::mcp("one")).await;
    stub.set_for(2, Behaviour::status(503));
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(client.search("q").await.status());
    }
    assert_eq!(seen, [503, 503, 200]);
}

#[tokio::test]
async fn progress_arrives_while_the_call_runs() {
    let (stub, client) = stub_and_client(Config::mcp("one")).await;
    stub.set(Behaviour::SseProgress { events: 2, every_ms: 20 });
    let mut events = client.call_streaming("search", json!({"query": "q"})).await.expect("a stream");
    let mut kinds = Vec::new();
    while let Some(data) = events.next().await.expect("an event") {
        kinds.push(if data.contains("notifications/progress") {
            "progress"
        } else if data == "[DONE]" {
            "done"
        } else {
            "result"
        });
    }
    assert_eq!(kinds, ["progress", "progress", "result", "done"]);
}

#[tokio::test]
async fn a_client_that_goes_away_is_recorded_as_aborted() {
    let (stub, client) = stub_and_client(Config::mcp("one")).await;
    stub.set(Behaviour::Hang);
    let call = tokio::spawn(async move { client.search("q").await });
    stub.wait_for(|r| r.end == End::Open).await;
    call.abort();
    stub.wait_for(|r| r.end == End::Aborted).await;
}

#[tokio::test]
async fn a_stopped_stub_refuses_connections_and_comes_back_on_its_port() {
    let (stub, client) = stub_and_client(Config::mcp("one")).await;
    stub.stop().await.expect("stop");
    assert!(client.request("1", "ping", &json!({})).await.is_err());
    stub.resume().expect("resume");
    assert_eq!(client.search("q").await.status(), 200);
}

#[tokio::test]
async fn a_session_that_is_not_known_is_refused_in_either_way() {
    for (sessions, status) in [(Sessions::NotFound, 404), (Sessions::BadRequest, 400)] {
        let (stub, client) = stub_and_client(Config::mcp("one").sessions(sessions)).await;
        let (client, reply) = client.initialize().await.expect("initialize");
        assert!(reply.answer.header("mcp-session-id").is_some());
        assert_eq!(client.search("q").await.status(), 200);
        stub.forget_sessions();
        assert_eq!(client.search("q").await.status(), status);
    }
}

#[tokio::test]
async fn the_rest_stub_answers_search_sql_and_complete() {
    let stub = Stub::start(Config::rest("rest")).await.expect("a stub");
    let post = async |path: &str, body: serde_json::Value| {
        let client = Client::new(stub.addr, path).header("accept", "application/json").header("user-agent", "lab");
        let answer = client.post(body.to_string()).await.expect("an answer");
        (answer.status, serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap_or_default())
    };
    let (status, body) =
        post("/api/v2/databases/D/schemas/S/cortex-search-services/V:query", json!({"query": "q", "limit": 1})).await;
    assert_eq!((status, &body["results"][0]["SERVED_BY"]), (200, &json!("rest")));
    let (status, body) = post("/api/v2/statements?requestId=1&retry=true", json!({"statement": "select 1"})).await;
    assert_eq!((status, &body["data"]), (200, &json!([["1", "rest"]])));
    assert_eq!(post("/api/v2/statements", json!({"statement": "select * from no_such_table"})).await.0, 422);
    assert_eq!(post("/api/v2/statements", json!({"statement": "select slow()"})).await.0, 202);
    let message = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": false});
    let (status, body) = post("/api/v2/cortex/inference:complete", message).await;
    assert_eq!((status, &body["choices"][0]["message"]["content"]), (200, &json!("rest says: hi")));
}

#[tokio::test]
async fn a_stub_as_a_child_process_is_steered_asked_and_killed() {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_dualpath-lab"));
    let mut process = Process::spawn(program, &Config::mcp("child").token("t")).expect("a child");
    let client = Client::new(process.addr, "/mcp").header("authorization", "Bearer t");
    assert_eq!(client.search("q").await.served_by().as_deref(), Some("child"));
    let order = Control { behaviour: Some(Behaviour::status(503)), times: Some(1), ..Control::default() };
    process.control(&order).await.expect("an order");
    assert_eq!(client.search("q").await.status(), 503);
    assert_eq!(process.received().await.expect("a list").len(), 2, "orders and questions are not recorded");
    process.kill().expect("kill");
    assert!(client.request("1", "ping", &json!({})).await.is_err());
}
