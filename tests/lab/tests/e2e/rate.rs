//! Limits of how often tools may be called, kept by Envoy's own filter behind the gate.

use serde_json::{Value, json};

use crate::world::{World, since};

async fn world(rate: Value, concurrency: u32) -> World {
    World::start_with(|options| {
        options.concurrency = concurrency;
        options.set("/limits/rate", rate);
        let log = options.scratch.path().join("calls.log");
        options.set("/log", json!({"calls": log}));
    })
    .await
}

#[tokio::test]
async fn calls_over_the_limit_of_their_tool_get_a_readable_error_that_says_when_and_reach_no_server() {
    // Of all workers together.
    let world = world(json!([{"tool": "sql", "calls": 3, "per": "1h"}]), 4).await;
    let sql = || world.client.call("sql", json!({"sql": "select 1"}));
    let before = world.calls();
    for _ in 0..3 {
        assert_eq!(sql().await.served_by().as_deref(), Some("primary"));
    }
    for _ in 0..3 {
        let refused = sql().await;
        assert_eq!(refused.status(), 429, "{}", refused.response_text());
        let error = refused.error();
        assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(42901), &json!("RATE_LIMITED")));
        let seconds: u64 = refused.answer.header("retry-after").expect("when").parse().expect("seconds");
        assert!((1..=1200).contains(&seconds), "{seconds}: a third of an hour for a third of the calls");
        assert_eq!(error["data"]["retryAfterMs"], json!(seconds * 1000));
    }
    assert_eq!(since(before, world.calls()), [3, 0, 0]);
    let log = world.log("calls.log", 6).await;
    let codes: Vec<_> = log.iter().map(|line| line["error_code"].as_i64()).collect();
    assert_eq!(codes, [None, None, None, Some(42901), Some(42901), Some(42901)], "{log:?}");
    assert_eq!(world.client.search("a").await.served_by().as_deref(), Some("primary"), "another tool is not limited");
    let (metrics, told) = world
        .envoy
        .metrics_until(|metrics| metrics.sum("envoy_http_local_rate_limit_rate_limited", &[]) == 3.0)
        .await
        .expect("metrics");
    assert!(told, "{metrics:?}");
}

#[tokio::test]
async fn each_caller_has_a_limit_of_its_own() {
    let world = world(json!([{"tool": "search", "calls": 2, "per": "1h", "caller": "x-user-id"}]), 1).await;
    for user in ["alice", "bob"] {
        let client = world.client.clone().header("x-user-id", user);
        for expected in [200, 200, 429] {
            assert_eq!(client.search("a").await.status(), expected, "{user}");
        }
    }
    for _ in 0..3 {
        assert_eq!(world.client.search("a").await.status(), 200, "nobody in particular");
    }
}
