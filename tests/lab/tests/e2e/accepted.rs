//! An API that accepts a call and is at work on it, on the real Envoy, whose router asks it again.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::world::World;

/// The SQL API answers 202 after 45 s, and again for as long as the statement runs.
#[tokio::test]
async fn a_statement_that_is_still_running_is_asked_for_until_it_is_done() {
    let world = World::start().await;
    world.stop_mcp().await;
    let began = Instant::now();
    let reply = world.client.call("sql", json!({"sql": "select slow()"})).await;
    assert_eq!(reply.served_by().as_deref(), Some("rest"), "{}", reply.answer.text());
    let asked: Vec<_> = world.rest.received().into_iter().map(|asked| (asked.method, asked.path)).collect();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert_eq!(asked[0].0, "POST");
    assert!(asked[1..].iter().all(|(method, path)| method == "GET" && path.starts_with("/api/v2/statements/")));
    let took = began.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(9)).contains(&took), "one second, then two: {took:?}");
}
