//! The failure table: which failure sends the same call on, which does not, and what the client sees.

use dualpath_lab::client::Reply;
use dualpath_lab::stub::Behaviour;
use serde_json::json;

use crate::world::{World, since};

/// Something that goes wrong at the primary.
#[derive(Debug, Clone)]
enum Failure {
    /// The port refuses connections.
    Refused,
    /// The server does not accept the secret.
    ForeignToken,
    Behaves(Behaviour),
}

impl Failure {
    async fn befall(&self, world: &World) {
        match self {
            Failure::Refused => world.primary.stop().await.expect("stop"),
            Failure::ForeignToken => world.primary.accept(&["another"]),
            Failure::Behaves(behaviour) => world.primary.set(behaviour.clone()),
        }
    }

    /// Whether the primary sees the call at all.
    fn arrives(&self) -> bool {
        !matches!(self, Failure::Refused)
    }
}

/// Failures after which the call has certainly not been executed: any call goes on.
fn before_execution() -> Vec<Failure> {
    let redirect = vec![("location".to_owned(), "/mcp/".to_owned())];
    let no_session =
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Bad Request: Missing session ID"}}"#.to_owned();
    let unavailable = vec![("retry-after".to_owned(), "1".to_owned())];
    vec![
        Failure::Refused,
        Failure::Behaves(Behaviour::too_many_requests(None)),
        Failure::Behaves(Behaviour::too_many_requests(Some(1))),
        Failure::Behaves(Behaviour::Status { status: 503, headers: unavailable, body: String::new() }),
        // Refused unread, by an ingress or by a server that wants a session.
        Failure::Behaves(Behaviour::status(404)),
        Failure::Behaves(Behaviour::status(421)),
        Failure::Behaves(Behaviour::Status { status: 307, headers: redirect, body: String::new() }),
        Failure::Behaves(Behaviour::Status { status: 400, headers: Vec::new(), body: no_session }),
    ]
}

/// The same, but the secret rests afterwards, and the server with it.
fn refused_credentials() -> Vec<Failure> {
    let body = r#"{"code":"394401","message":"Programmatic access token is expired"}"#.to_owned();
    vec![Failure::ForeignToken, Failure::Behaves(Behaviour::Status { status: 403, headers: Vec::new(), body })]
}

/// Failures after which it may have been executed: only a replayable call goes on.
fn after_execution() -> Vec<Failure> {
    let behaviours = [
        Behaviour::status(500),
        Behaviour::status(502),
        Behaviour::status(503),
        Behaviour::status(504),
        Behaviour::ResetBeforeHeaders,
        Behaviour::ResetMidBody,
        Behaviour::Hang,
        Behaviour::GarbageJson,
        Behaviour::GarbageHttp,
        Behaviour::rpc_error(-32603, "Internal error"),
        Behaviour::sse_error(-32603, "Internal error"),
    ];
    behaviours.map(Failure::Behaves).to_vec()
}

/// Failures that another server would answer alike, or that are the caller's.
fn not_an_outage() -> Vec<Failure> {
    let behaviours = [
        Behaviour::status(403),
        Behaviour::rpc_error(-32603, "MCP server ONE does not exist or not authorized"),
        Behaviour::rpc_error(-32602, "Invalid params"),
        Behaviour::rpc_error(-32601, "Method not found"),
        Behaviour::tool_error("SQL compilation error"),
        Behaviour::Status { status: 400, headers: Vec::new(), body: r#"{"message":"bad request"}"#.to_owned() },
        Behaviour::status(422),
    ];
    behaviours.map(Failure::Behaves).to_vec()
}

fn assert_error_of_dualpath(reply: &Reply, failure: &dyn std::fmt::Debug) {
    let text = reply.answer.text();
    assert!(matches!(reply.status(), 502..=504), "{failure:?}: {} {text}", reply.status());
    assert_eq!(reply.error()["data"]["source"], json!("dualpath"), "{failure:?}: {text}");
    assert_eq!(reply.id().as_deref(), Some("1"), "{failure:?}: {text}");
    let code = reply.error()["code"].as_i64().expect("a code");
    assert!(!(-32768..=-32000).contains(&code), "{failure:?}: reserved code {code}");
    assert_eq!(reply.answer.header("www-authenticate"), None, "{failure:?}");
}

#[tokio::test]
async fn a_replayable_call_survives_every_failure_of_its_server() {
    let world = World::start().await;
    for failure in before_execution().into_iter().chain(after_execution()) {
        let before = world.calls();
        failure.befall(&world).await;
        let reply = world.client.search("q").await;
        assert_eq!(reply.served_by().as_deref(), Some("secondary"), "{failure:?}: {}", reply.answer.text());
        assert_eq!((reply.status(), reply.id().as_deref()), (200, Some("1")), "{failure:?}");
        let seen = since(before, world.calls());
        assert_eq!(seen, [usize::from(failure.arrives()), 1, 0], "{failure:?}");
        world.heal();
    }
}

#[tokio::test]
async fn a_call_that_may_not_be_replayed_goes_on_only_if_it_was_not_executed() {
    let world = World::start().await;
    for failure in before_execution() {
        let before = world.calls();
        failure.befall(&world).await;
        let reply = world.client.call("sql", json!({"sql": "insert"})).await;
        assert_eq!(reply.served_by().as_deref(), Some("secondary"), "{failure:?}: {}", reply.answer.text());
        assert_eq!(since(before, world.calls()), [usize::from(failure.arrives()), 1, 0], "{failure:?}");
        world.heal();
    }
}

#[tokio::test]
async fn a_call_that_has_reached_no_server_is_told_so() {
    let world = World::start().await;
    for (stub, _) in world.stubs() {
        stub.stop().await.expect("stop");
    }
    for tool in ["search", "sql"] {
        let argument = if tool == "sql" { json!({"sql": "insert"}) } else { json!({"query": "q"}) };
        let reply = world.client.call(tool, argument).await;
        let data = &reply.error()["data"];
        assert_eq!(
            (&data["reason"], &data["class"]),
            (&json!("UPSTREAM_FAILED"), &json!("not_sent")),
            "{tool}: {data}"
        );
    }
}

#[tokio::test]
async fn a_refused_credential_sends_any_call_on_and_its_server_rests() {
    for failure in refused_credentials() {
        let world = World::start().await;
        failure.befall(&world).await;
        for tool in ["sql", "search"] {
            let argument = if tool == "sql" { json!({"sql": "insert"}) } else { json!({"query": "q"}) };
            for _ in 0..10 {
                let reply = world.client.call(tool, argument.clone()).await;
                assert_eq!(reply.served_by().as_deref(), Some("secondary"), "{failure:?}: {}", reply.answer.text());
            }
        }
        // Three calls make a worker sure that it is not one caller's fault; then the token is tried once a second.
        let asked = world.primary.calls();
        assert!((1..=12).contains(&asked), "two workers, twenty calls: {failure:?}, asked {asked} times");
    }
}

#[tokio::test]
async fn a_call_that_may_not_be_replayed_is_never_sent_twice() {
    let world = World::start().await;
    for failure in after_execution() {
        let before = world.calls();
        failure.befall(&world).await;
        let reply = world.client.call("sql", json!({"sql": "insert"})).await;
        assert_eq!(since(before, world.calls()), [1, 0, 0], "{failure:?}");
        if let Failure::Behaves(Behaviour::RpcError { .. } | Behaviour::SseError { .. }) = failure {
            assert_eq!(reply.error()["code"], json!(-32603), "the server's own words: {}", reply.answer.text());
        } else {
            assert_error_of_dualpath(&reply, &failure);
        }
        assert!(!reply.answer.text().contains("secondary"), "not tried: {failure:?}: {}", reply.answer.text());
        world.heal();
    }
}

#[tokio::test]
async fn an_answer_that_is_no_outage_reaches_the_client_as_it_is() {
    let world = World::start().await;
    for failure in not_an_outage() {
        failure.befall(&world).await;
        let direct = dualpath_lab::client::Client::new(world.primary.addr, "/mcp")
            .header("authorization", &format!("Bearer {}", crate::world::PRIMARY_PAT))
            .search("q")
            .await;
        let before = world.calls();
        let reply = world.client.search("q").await;
        assert_eq!(since(before, world.calls()), [1, 0, 0], "{failure:?}");
        assert_eq!(reply.status(), direct.status(), "{failure:?}");
        assert_eq!(reply.response(), direct.response(), "{failure:?}");
        world.heal();
    }
}

#[tokio::test]
async fn with_every_mcp_server_gone_rest_answers_in_the_shape_of_mcp() {
    let world = World::start().await;
    world.stop_mcp().await;
    for (tool, arguments) in
        [("search", json!({"query": "q"})), ("sql", json!({"sql": "select 1"})), ("complete", json!({"prompt": "p"}))]
    {
        let reply = world.client.call(tool, arguments).await;
        assert_eq!(reply.served_by().as_deref(), Some("rest"), "{tool}: {}", reply.answer.text());
        assert_eq!((reply.status(), reply.id().as_deref()), (200, Some("1")), "{tool}");
        assert_ne!(reply.result()["isError"], json!(true), "{tool}");
    }
}

#[tokio::test]
async fn the_direct_sql_result_is_the_text_that_the_mcp_server_gives() {
    let world = World::start().await;
    let text = |reply: Reply| {
        let text = reply.result()["content"][0]["text"].as_str().expect("a text block").to_owned();
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON in the text")
    };
    let by_mcp = text(world.client.call("sql", json!({"sql": "select 1"})).await);
    world.stop_mcp().await;
    let direct = text(world.client.call("sql", json!({"sql": "select 1"})).await);
    assert_eq!(direct["result_set"]["resultSetMetaData"], by_mcp["result_set"]["resultSetMetaData"]);
    assert_eq!(direct["result_set"]["data"], json!([["1", "rest"]]));
    assert_eq!(direct["query_id"], by_mcp["query_id"]);
}

#[tokio::test]
async fn a_statement_that_rest_refuses_is_a_tool_error() {
    let world = World::start().await;
    world.stop_mcp().await;
    let reply = world.client.call("sql", json!({"sql": "select * from no_such_table"})).await;
    assert_eq!((reply.status(), &reply.result()["isError"]), (200, &json!(true)), "{}", reply.answer.text());
    assert!(reply.answer.text().contains("SQL compilation error"), "{}", reply.answer.text());
}

#[tokio::test]
async fn with_every_server_gone_the_client_gets_one_clear_error() {
    let world = World::start().await;
    world.stop_mcp().await;
    world.rest.stop().await.expect("stop");
    let reply = world.client.search("q").await;
    assert_error_of_dualpath(&reply, &"all stopped");
}

#[tokio::test]
async fn a_refused_secret_is_never_shown_as_the_client_s_own_401() {
    let world = World::start().await;
    for (stub, _) in world.stubs() {
        stub.accept(&["another"]);
    }
    let reply = world.client.search("q").await;
    assert_error_of_dualpath(&reply, &"all refuse");
}

#[tokio::test]
async fn a_server_whose_name_does_not_resolve_is_passed_over() {
    let world = World::start_with(|options| {
        options.set("/servers/0/url", json!("https://no-such-host.invalid/mcp"));
    })
    .await;
    for _ in 0..3 {
        let reply = world.client.call("sql", json!({"sql": "insert"})).await;
        assert_eq!(reply.served_by().as_deref(), Some("secondary"), "{}", reply.answer.text());
    }
    assert_eq!(world.calls(), [0, 3, 0]);
}

#[tokio::test]
async fn a_call_walks_the_whole_chain_in_order() {
    let world = World::start().await;
    world.primary.set(Behaviour::status(503));
    world.secondary.set(Behaviour::ResetBeforeHeaders);
    let reply = world.client.search("q").await;
    assert_eq!(reply.served_by().as_deref(), Some("rest"), "{}", reply.answer.text());
    assert_eq!(world.calls(), [1, 1, 1]);
    assert_eq!(world.rest.received()[0].header("x-dualpath-slot-a"), None);
}

#[tokio::test]
async fn a_call_whose_last_server_hangs_is_told_that_it_may_have_been_executed() {
    let world = World::start_with(|options| options.set("/servers/2/timeout", json!("600ms"))).await;
    world.stop_mcp().await;
    world.rest.set(Behaviour::Hang);
    let reply = world.client.call("sql", json!({"sql": "insert"})).await;
    assert_eq!(reply.error()["data"]["class"], json!("lost"), "{}", reply.answer.text());
    assert_eq!(reply.error()["data"]["reason"], json!("OUTCOME_UNKNOWN"), "{}", reply.answer.text());
    assert_eq!(reply.error()["data"]["server"], json!("rest"), "{}", reply.answer.text());
}

#[tokio::test]
async fn an_mcp_server_answers_after_rest_as_if_it_had_been_asked_first() {
    let world = World::start_with(|options| {
        for tool in 0..3 {
            options.set(&format!("/tools/{tool}/rest/first"), json!(true));
        }
    })
    .await;
    let mut reply = world.client.search("q").await;
    assert_eq!(reply.served_by().as_deref(), Some("rest"), "{}", reply.answer.text());
    for failure in [Failure::Behaves(Behaviour::too_many_requests(None)), Failure::Refused] {
        match failure {
            Failure::Behaves(behaviour) => world.rest.set(behaviour),
            _ => world.rest.stop().await.expect("stop"),
        }
        reply = world.client.call("sql", json!({"sql": "insert"})).await;
        assert_eq!(reply.served_by().as_deref(), Some("primary"), "{}", reply.answer.text());
        assert_eq!((reply.status(), reply.id().as_deref()), (200, Some("1")));
    }
    for received in world.primary.received() {
        assert_eq!(received.method, "POST");
        assert_eq!(received.header("authorization"), Some(format!("Bearer {}", crate::world::PRIMARY_PAT).as_str()));
        assert_eq!(received.header("accept"), Some("application/json, text/event-stream"));
        assert_eq!(received.header("content-type"), Some("application/json"));
        assert_eq!(received.tool().as_deref(), Some("sql"));
    }
    assert_eq!(world.calls(), [2, 0, 2]);
}
