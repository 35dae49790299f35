//! Secrets: each server gets its own and nobody else's, and they show up nowhere.

use std::time::{Duration, Instant};

use dualpath_lab::stub::{Behaviour, Stub};
use serde_json::json;

use crate::world::{Options, PRIMARY_PAT, REST_PAT, SECONDARY_PAT, World};

/// Drives calls over every server and every way to fail over.
async fn exercise(world: &World) {
    world.client.search("q").await;
    world.primary.set(Behaviour::status(503));
    world.client.search("q").await;
    world.secondary.set(Behaviour::ResetBeforeHeaders);
    world.client.search("q").await;
    world.primary.accept(&["another"]);
    world.primary.set(Behaviour::Normal);
    world.client.call("sql", json!({"sql": "s"})).await;
    world.stop_mcp().await;
    world.client.call("complete", json!({"prompt": "p"})).await;
    world.client.search("q").await;
    world.heal();
}

fn assert_only_its_own(stub: &Stub, own: &str) {
    let received = stub.received();
    assert!(!received.is_empty(), "{} was asked", stub.name());
    for request in received {
        assert_eq!(request.header("authorization"), Some(format!("Bearer {own}").as_str()), "{}", stub.name());
        assert_eq!(
            request.header("x-snowflake-authorization-token-type"),
            Some("PROGRAMMATIC_ACCESS_TOKEN"),
            "{}",
            stub.name()
        );
        let whole = serde_json::to_string(&request).expect("JSON");
        for pat in [PRIMARY_PAT, SECONDARY_PAT, REST_PAT, "pat-of-the-client"] {
            assert!(pat == own || !whole.contains(pat), "{} saw {pat}: {whole}", stub.name());
        }
        assert!(!whole.contains("x-dualpath-"), "{}: {whole}", stub.name());
    }
}

#[tokio::test]
async fn no_server_ever_sees_the_secret_of_another_or_of_the_client() {
    let mut world = World::start().await;
    world.client = world.client.clone().header("authorization", "Bearer pat-of-the-client");
    exercise(&world).await;
    for (stub, own) in world.stubs() {
        assert_only_its_own(stub, own);
    }
}

#[tokio::test]
async fn no_secret_shows_in_logs_stats_or_admin_output() {
    let world = World::start().await;
    exercise(&world).await;
    let pages = [
        "/stats",
        "/stats/prometheus",
        "/clusters",
        "/listeners",
        "/runtime",
        "/server_info",
        "/config_dump?resource=&mask=bootstrap",
        "/config_dump",
    ];
    let mut outputs = vec![("log".to_owned(), world.envoy.logs())];
    for page in pages {
        outputs.push((page.to_owned(), world.envoy.admin(page).await.expect("an admin page")));
    }
    for (place, output) in outputs {
        assert!(!output.is_empty(), "{place}");
        for pat in [PRIMARY_PAT, SECONDARY_PAT, REST_PAT] {
            assert!(!output.contains(pat), "{pat} shows in {place}");
        }
    }
}

#[tokio::test]
async fn without_its_secret_a_server_is_never_asked() {
    let world = World::start_with(|options| options.env.retain(|(name, _)| name != "LAB_PAT_PRIMARY")).await;
    let reply = world.client.search("q").await;
    assert_eq!(reply.served_by().as_deref(), Some("secondary"), "{}", reply.answer.text());
    assert_eq!(world.primary.received().len(), 0);
}

#[tokio::test]
async fn without_any_secret_the_call_is_refused_with_a_clear_error() {
    let world = World::start_with(|options| {
        options.env.clear();
        options.set("/servers/1/credential", json!("pat-primary"));
    })
    .await;
    let reply = world.client.search("q").await;
    assert_eq!(reply.status(), 503, "{}", reply.answer.text());
    assert_eq!(reply.error()["data"]["source"], json!("dualpath"));
    assert!(reply.answer.text().contains("credential"), "{}", reply.answer.text());
    for (stub, _) in world.stubs() {
        assert_eq!(stub.received().len(), 0, "{}", stub.name());
    }
}

/// The primary's credential in two files.
fn two_slots(options: &mut Options) {
    let file = |slot: &str, secret: &str| {
        let file = format!("pat-primary-{slot}.json");
        options.scratch.write_secret(&file, &format!("pat-primary-{slot}"), secret).expect("a secret file")
    };
    let (a, b) = (file("a", "pat-revoked"), file("b", PRIMARY_PAT));
    options.set("/credentials/0/slots", json!({"a": {"sds_file": a}, "b": {"sds_file": b}}));
}

#[tokio::test]
async fn the_other_slot_is_tried_on_the_same_server_before_the_next_server() {
    let world = World::start_with(two_slots).await;
    let reply = world.client.call("sql", json!({"sql": "insert"})).await;
    assert_eq!(reply.served_by().as_deref(), Some("primary"), "{}", reply.answer.text());
    let sent: Vec<_> =
        world.primary.received().iter().map(|r| r.header("authorization").unwrap_or_default().to_owned()).collect();
    assert_eq!(sent, ["Bearer pat-revoked".to_owned(), format!("Bearer {PRIMARY_PAT}")]);
    assert_eq!(world.secondary.calls(), 0);
}

#[tokio::test]
async fn a_rotated_secret_takes_effect_without_a_restart() {
    let world = World::start().await;
    world.primary.stop().await.expect("stop");
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("secondary"));
    world.secondary.accept(&["pat-rotated"]);
    world.envoy.scratch().write_secret("pat-secondary.json", "pat-secondary-a", "pat-rotated").expect("rotation");
    let deadline = Instant::now() + Duration::from_secs(10);
    while world.client.search("q").await.served_by().as_deref() != Some("secondary") {
        assert!(Instant::now() < deadline, "the new secret is not used");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
