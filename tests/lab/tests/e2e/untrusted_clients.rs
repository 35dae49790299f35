//! What clients do: go away, send too much, try to steer the filter.

use dualpath_lab::client::{Client, request_text};
use dualpath_lab::http::Answer;
use dualpath_lab::stub::{Behaviour, End, Kind};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_web_page_that_is_not_allowed_gets_403_and_reaches_no_server() {
    let world = World::start_with(|options| {
        options.set("/listener/allowed_origins", json!(["https://tools.example"]));
    })
    .await;
    let from = |origin: &str| world.client.clone().header("origin", origin);
    let reply = from("https://evil.example").search("q").await;
    assert_eq!(reply.status(), 403, "{}", reply.answer.text());
    assert_eq!(reply.error()["data"]["reason"], json!("ORIGIN_NOT_ALLOWED"));
    assert_eq!(world.primary.received().len(), 0);
    assert_eq!(from("https://tools.example").search("q").await.served_by().as_deref(), Some("primary"));
}

#[tokio::test]
async fn a_web_page_that_is_allowed_may_read_whoever_answers() {
    const PAGE: &str = "https://tools.example";
    let world = World::start_with(|options| options.set("/listener/allowed_origins", json!([PAGE]))).await;
    let page = world.client.clone().header("origin", PAGE).header("sec-fetch-site", "cross-site");
    let told = |answer: &Answer| {
        let origins: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "access-control-allow-origin").collect();
        assert_eq!(origins.len(), 1, "{:?}", answer.headers);
        assert_eq!(origins[0].1, PAGE);
        assert_eq!(answer.header("vary"), Some("Origin"), "{:?}", answer.headers);
        let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
        assert!(exposed.contains("mcp-session-id"), "{exposed}");
    };
    let preflight = page.clone().header("access-control-request-headers", "mcp-session-id, x-own");
    let preflight = preflight.open("OPTIONS", "").await.expect("an answer").whole().await.expect("a body");
    told(&preflight);
    assert_eq!(
        (preflight.status, preflight.header("access-control-allow-headers")),
        (204, Some("mcp-session-id, x-own"))
    );
    assert_eq!(world.primary.received().len(), 0, "a preflight reaches no server");

    let reply = page.search("q").await;
    assert_eq!(reply.served_by().as_deref(), Some("primary"));
    told(&reply.answer);
    let seen = &world.primary.received()[0];
    assert_eq!((seen.header("origin"), seen.header("sec-fetch-site")), (None, None));

    told(&page.open("PUT", "").await.expect("an answer").whole().await.expect("a body"));
    told(&page.post("x".repeat(2 << 20)).await.expect("an answer"));
    let limited = page.clone().header("x-dualpath-drill", "fail=nobody");
    told(&limited.search("q").await.answer);
    world.stop_mcp().await;
    let direct = page.search("q").await;
    assert_eq!(direct.served_by().as_deref(), Some("rest"));
    told(&direct.answer);
    told(&page.request("1", "tools/list", &json!({})).await.expect("an answer").answer);
    world.rest.stop().await.expect("stop");
    let error = page.call("sql", json!({"sql": "s"})).await;
    assert_eq!(error.error()["data"]["source"], json!("dualpath"), "{}", error.answer.text());
    told(&error.answer);
}

#[tokio::test]
async fn the_path_may_end_in_a_slash_and_a_page_of_the_listener_itself_may_call() {
    let world = World::start().await;
    let port = world.envoy.addr().port();
    for origin in [format!("http://127.0.0.1:{port}"), format!("http://localhost:{port}")] {
        let client = Client::new(world.envoy.addr(), "/mcp/").header("origin", &origin);
        assert_eq!(client.search("q").await.served_by().as_deref(), Some("primary"), "{origin}");
    }
    world.primary.set(Behaviour::status(503));
    let client = Client::new(world.envoy.addr(), "/mcp/");
    assert_eq!(client.search("q").await.served_by().as_deref(), Some("secondary"), "and goes on as any other");
    let elsewhere = Client::new(world.envoy.addr(), "/mcp/x").post("{}").await.expect("an answer");
    assert_eq!(elsewhere.status, 404);
}

/// What the connection manager adds by itself counts as well.
#[tokio::test]
async fn no_server_learns_which_way_a_call_has_come_and_an_api_gets_few_headers() {
    let world = World::start().await;
    let names = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-user", "forwarded", "via"];
    let names = names.iter().chain(&["x-real-ip", "x-http-method-override", "x-original-url", "x-rewrite-url", "sudo"]);
    let client = names.fold(world.client.clone(), |client, name| client.header(name, "deceives"));
    let client =
        client.header("accept-encoding", "gzip").header("user-agent", "agent").header("traceparent", "00-1-2-01");
    world.primary.set(Behaviour::status(503));
    world.secondary.set(Behaviour::status(503));
    assert_eq!(client.search("q").await.served_by().as_deref(), Some("rest"));
    for stub in [&world.primary, &world.secondary, &world.rest] {
        let seen = &stub.received()[0];
        let of_the_way = |name: &str| name.starts_with("x-forwarded") || name.starts_with("x-envoy") || name == "via";
        let told: Vec<_> =
            seen.headers.iter().filter(|(name, value)| of_the_way(name) || value == "deceives").collect();
        let allowed: &[&str] = if stub.kind() == Kind::Mcp { &["sudo"] } else { &[] };
        assert!(told.iter().all(|(name, _)| allowed.contains(&name.as_str())), "{}: {told:?}", stub.name());
        assert_eq!(seen.header("accept-encoding"), Some("identity"), "{}", stub.name());
    }
    let api = &world.rest.received()[0];
    let mut names: Vec<_> = api.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let expected = [
        "accept",
        "accept-encoding",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "traceparent",
        "user-agent",
        "x-request-id",
        "x-snowflake-authorization-token-type",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_body_of_get_or_delete_reaches_no_server() {
    let world = World::start().await;
    for method in ["GET", "DELETE"] {
        let answer = world.client.open(method, "{}").await.expect("an answer").whole().await.expect("a body");
        assert_eq!(answer.status, 400, "{method}: {}", answer.text());
        let plain = world.client.clone().header("accept", "*/*").open(method, "").await.expect("an answer");
        assert_eq!(plain.status, if method == "GET" { 406 } else { 405 }, "{method}");
    }
    assert_eq!(world.primary.received().len(), 1, "the DELETE without a body");
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_call_along_and_not_the_breaker() {
    let world = World::start_with(|options| {
        options.set("/breaker", json!({"consecutive": 1, "failure_rate": 0, "base_open": "20s"}));
        options.set("/servers/0/timeout", json!("20s"));
    })
    .await;
    world.primary.set(Behaviour::Hang);
    for _ in 0..3 {
        let before = world.primary.calls();
        let client = world.client.clone();
        let call = tokio::spawn(async move { client.search("q").await });
        while world.primary.calls() == before {
            tokio::task::yield_now().await;
        }
        call.abort();
        world.primary.wait_for(|r| r.end == End::Aborted).await;
    }
    world.primary.set(Behaviour::Normal);
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"), "the breaker is closed");
    assert_eq!(world.secondary.calls(), 0, "a call nobody waits for goes nowhere");
    let labels = [("server", "primary"), ("outcome", "cancelled")];
    let (metrics, counted) =
        world.envoy.metrics_until(|m| m.sum("dualpath_attempts_total", &labels) == 3.0).await.expect("metrics");
    assert!(counted, "{:?}", metrics.series("dualpath_attempts_total", &[]).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_413_and_a_json_rpc_error() {
    let world = World::start_with(|options| options.set("/limits/request_body", json!("8KiB"))).await;
    let call = |size: usize| {
        request_text("7", "tools/call", &json!({"name": "search", "arguments": {"query": "x".repeat(size)}}))
    };
    let answer = world.client.post(call(100_000)).await.expect("an answer");
    assert_eq!(answer.status, 413, "{}", answer.text());
    let error: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(error["error"]["data"]["source"], json!("dualpath"), "{error}");
    assert_eq!(world.calls(), [0, 0, 0]);

    world.primary.set(Behaviour::status(503));
    let under = world.client.post(call(7_000)).await.expect("an answer");
    assert_eq!(under.status, 200, "a body under the limit still fails over: {}", under.text());
    assert_eq!(world.calls(), [1, 1, 0]);
}

#[tokio::test]
async fn a_body_that_is_not_json_is_no_server_s_fault() {
    let world = World::start().await;
    for body in ["not json", "", "\u{0}", "[", "{\"jsonrpc\":\"2.0\""] {
        let answer = world.client.post(body).await.expect("an answer");
        assert!(answer.status < 500, "{body:?}: {} {}", answer.status, answer.text());
        assert_eq!(world.secondary.calls() + world.rest.calls(), 0, "{body:?}");
    }
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"));
}

#[tokio::test]
async fn reserved_headers_from_a_client_mean_nothing() {
    let world = World::start().await;
    let client = [
        ("x-dualpath-slot-a", "stolen"),
        ("x-dualpath-slot-b", "stolen"),
        ("x-dualpath-failover", "1"),
        ("x-dualpath-server", "rest"),
        ("x-envoy-retry-on", "5xx,reset,retriable-4xx"),
        ("x-envoy-max-retries", "9"),
        ("x-envoy-upstream-rq-per-try-timeout-ms", "1"),
        ("x-envoy-upstream-rq-timeout-ms", "1"),
        ("x-envoy-retriable-status-codes", "500"),
        ("x-envoy-retriable-header-names", "content-type"),
    ]
    .into_iter()
    .fold(world.client.clone(), |client, (name, value)| client.header(name, value));

    let reply = client.search("q").await;
    assert_eq!(reply.served_by().as_deref(), Some("primary"), "{}", reply.answer.text());
    let seen = &world.primary.received()[0];
    assert!(!seen.headers.iter().any(|(name, _)| name.starts_with("x-dualpath-")), "{:?}", seen.headers);

    world.primary.set(Behaviour::ResetBeforeHeaders);
    client.call("sql", json!({"sql": "insert"})).await;
    world.primary.set(Behaviour::status(500));
    client.call("sql", json!({"sql": "insert"})).await;
    assert_eq!(world.calls(), [3, 0, 0], "a client cannot have a call repeated that may not be");
}

#[tokio::test]
async fn an_answer_carries_no_private_header() {
    let world = World::start_with(|options| options.set("/listener/expose_headers", json!(false))).await;
    world.primary.set(Behaviour::status(503));
    let reply = world.client.search("q").await;
    assert_eq!(reply.served_by().as_deref(), Some("secondary"));
    let private = |name: &str| name.starts_with("x-dualpath-") || name == "www-authenticate";
    assert!(!reply.answer.headers.iter().any(|(name, _)| private(name)), "{:?}", reply.answer.headers);
}

#[tokio::test]
async fn cookies_stay_on_their_side_of_the_proxy() {
    let world = World::start().await;
    let headers = vec![("set-cookie".to_owned(), "of=primary".to_owned())];
    world.primary.set(Behaviour::Status { status: 400, headers, body: "{}".to_owned() });
    let reply = world.client.clone().header("cookie", "of=elsewhere").search("q").await;
    assert_eq!((reply.status(), reply.answer.header("set-cookie")), (400, None));
    let seen = &world.primary.received()[0];
    assert!(!seen.headers.iter().any(|(name, _)| name == "cookie"), "{:?}", seen.headers);
}
