//! Sessions of MCP servers behind ids that say whose they are.

use dualpath_lab::client::Client;
use dualpath_lab::stub::{Received, Sessions};
use serde_json::json;

use crate::world::World;

async fn world_with(sessions: Sessions) -> World {
    World::start_with(|options| {
        options.primary = options.primary.clone().sessions(sessions);
        options.secondary = options.secondary.clone().sessions(sessions);
    })
    .await
}

async fn initialized(client: &Client) -> (Client, String) {
    let (client, reply) = client.initialize().await.expect("initialize");
    let session = reply.answer.header("mcp-session-id").map(str::to_owned);
    (client, session.unwrap_or_else(|| panic!("a session: {} {}", reply.status(), reply.answer.text())))
}

fn session(received: &Received) -> Option<&str> {
    received.header("mcp-session-id")
}

#[tokio::test]
async fn a_session_id_names_its_server_and_is_unwrapped_for_it() {
    let world = world_with(Sessions::NotFound).await;
    let (client, wrapped) = initialized(&world.client).await;
    assert_eq!(wrapped, "dp1~primary~primary-session-1");
    assert_eq!(client.search("q").await.served_by().as_deref(), Some("primary"));
    let received = world.primary.received();
    assert_eq!(received.last().and_then(session), Some("primary-session-1"));
}

#[tokio::test]
async fn a_session_stays_with_its_server_when_a_preferred_one_returns() {
    let world = world_with(Sessions::NotFound).await;
    world.primary.stop().await.expect("stop");
    let (client, wrapped) = initialized(&world.client).await;
    assert_eq!(wrapped, "dp1~secondary~secondary-session-1");
    world.primary.resume().expect("resume");
    for _ in 0..3 {
        assert_eq!(client.search("q").await.served_by().as_deref(), Some("secondary"));
    }
    assert_eq!(world.primary.received().len(), 0);
}

#[tokio::test]
async fn a_session_of_one_server_is_never_shown_to_another() {
    let world = world_with(Sessions::NotFound).await;
    let (client, _) = initialized(&world.client).await;
    world.primary.stop().await.expect("stop");
    let reply = client.search("q").await;
    assert!(
        matches!(reply.status(), 200 | 404),
        "an answer or a lost session: {} {}",
        reply.status(),
        reply.answer.text()
    );
    for stub in [&world.secondary, &world.rest] {
        assert!(stub.received().iter().all(|r| session(r).is_none()), "{:#?}", stub.received());
    }
}

#[tokio::test]
async fn a_lost_session_is_not_failed_over_and_the_client_can_start_anew() {
    for sessions in [Sessions::NotFound, Sessions::BadRequest] {
        let world = world_with(sessions).await;
        let (client, _) = initialized(&world.client).await;
        world.primary.forget_sessions();
        let reply = client.search("q").await;
        assert!(matches!(reply.status(), 400 | 404), "{sessions:?}: {} {}", reply.status(), reply.answer.text());
        assert_eq!(world.secondary.received().len() + world.rest.received().len(), 0, "{sessions:?}");
        let (client, wrapped) = initialized(&world.client).await;
        assert_eq!(wrapped, "dp1~primary~primary-session-2");
        assert_eq!(client.search("q").await.served_by().as_deref(), Some("primary"), "{sessions:?}");
    }
}

#[tokio::test]
async fn a_session_of_a_server_that_is_not_there_is_shown_to_nobody() {
    let world = World::start().await;
    world.client.clone().header("mcp-session-id", "dp1~nobody~secret-session").search("q").await;
    world.stop_mcp().await;
    for session in ["dp1~nobody~secret-session", "dp1~primary~secret-session", "of-unknown-origin"] {
        let reply = world.client.clone().header("mcp-session-id", session).search("q").await;
        assert!(reply.status() < 500, "{session}: {} {}", reply.status(), reply.answer.text());
    }
    for (stub, _) in world.stubs() {
        assert!(stub.received().iter().all(|r| session(r).is_none()), "{}: {:#?}", stub.name(), stub.received());
    }
}

#[tokio::test]
async fn a_forged_session_id_reaches_no_server_as_it_is() {
    let world = world_with(Sessions::NotFound).await;
    for forged in ["dp1~nobody~x", "dp1~", "dp1~primary~", "dp1~~short", "plain"] {
        let reply = world.client.clone().header("mcp-session-id", forged).search("q").await;
        assert!(reply.status() < 500, "{forged}: {} {}", reply.status(), reply.answer.text());
    }
    let known = |r: &Received| session(r).is_none_or(|id| !id.starts_with("dp1~"));
    for (stub, _) in world.stubs() {
        assert!(stub.received().iter().all(known), "{}: {:#?}", stub.name(), stub.received());
    }
}

#[tokio::test]
async fn the_gate_has_its_own_session_while_no_server_answers_and_no_longer() {
    let world = World::start_with(|options| {
        options.primary = options.primary.clone().sessions(Sessions::NotFound);
        options.secondary = options.secondary.clone().sessions(Sessions::NotFound);
        options.set(
            "/breaker",
            json!({"consecutive": 1, "failure_rate": 0, "base_open": "1s", "max_open": "1s", "jitter": 0}),
        );
    })
    .await;
    world.stop_mcp().await;
    // Opens both breakers: from here on the gate knows that there is nobody.
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("rest"));
    let (client, reply) = world.client.initialize().await.expect("initialize");
    assert_eq!(reply.status(), 200, "{}", reply.answer.text());
    assert!(reply.result()["capabilities"]["tools"].is_object(), "{}", reply.answer.text());
    assert_eq!(client.search("q").await.served_by().as_deref(), Some("rest"));

    world.heal();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let reply = client.search("q").await;
        if reply.status() == 404 {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{} {}", reply.status(), reply.answer.text());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let (client, _) = initialized(&world.client).await;
    assert_eq!(client.search("q").await.served_by().as_deref(), Some("primary"));
}
