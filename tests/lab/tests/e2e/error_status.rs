//! A failure's HTTP status as a registry has it by default: no client ends a session for it.

use dualpath_lab::stub::Behaviour;
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn a_failed_request_is_a_json_rpc_error_with_http_200() {
    let world = World::start_with(|options| options.set("/listener/error_status", Value::Null)).await;
    world.primary.set(Behaviour::ResetBeforeHeaders);
    let lost = world.client.call("sql", json!({"sql": "insert"})).await;
    assert_eq!((lost.status(), lost.error()["code"].clone()), (200, json!(50304)), "{}", lost.answer.text());
    for (stub, _) in world.stubs() {
        stub.set(Behaviour::status(500));
    }
    let failed = world.client.search("q").await;
    assert_eq!((failed.status(), failed.error()["code"].clone()), (200, json!(50303)), "{}", failed.answer.text());
    for (stub, _) in world.stubs() {
        stub.stop().await.expect("stop");
    }
    let unreached = world.client.search("q").await;
    assert_eq!((unreached.status(), unreached.error()["code"].clone()), (200, json!(50303)));
    assert_eq!(unreached.id().as_deref(), Some("1"));
    assert_eq!(unreached.answer.header("content-type"), Some("application/json"));
}
