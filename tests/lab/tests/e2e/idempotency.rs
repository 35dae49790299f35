//! The idempotency key on the real Envoy, which has to frame the longer message anew.

use dualpath_lab::stub::Behaviour;
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn every_attempt_of_a_call_carries_the_same_idempotency_key() {
    let world = World::start_with(|options| {
        options.set("/tools/0/idempotency", json!({"header": "idempotency-key", "meta": "example.com/key"}));
    })
    .await;
    world.primary.set(Behaviour::status(500));
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("secondary"));
    let key = |received: Vec<dualpath_lab::stub::Received>| {
        let request = received.into_iter().find(|request| request.tool().is_some()).expect("the call");
        let meta = request.json().pointer("/params/_meta/example.com~1key").and_then(Value::as_str).map(str::to_owned);
        assert_eq!(request.header("idempotency-key"), meta.as_deref().map(|key| format!("\"{key}\"")).as_deref());
        assert_eq!(request.header("content-length"), Some(request.body.len().to_string().as_str()));
        meta.expect("a key")
    };
    assert_eq!(key(world.primary.received()), key(world.secondary.received()));
}
