//! Sessions of MCP servers behind ids that say whose they are.

use std::sync::Arc;

use dualpath_lab::client::Client;
use dualpath_lab::envoy::{Envoy, Settings};
use dualpath_lab::scratch::Scratch;
use dualpath_lab::stub::{Behaviour, Received, Sessions};
use serde_json::json;

use crate::world::{PRIMARY_PAT, REST_PAT, World};

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
    assert!(wrapped.starts_with("dp2~primary~") && wrapped.ends_with("~primary-session-1"), "{wrapped}");
    assert_eq!(client.search("q").await.served_by().as_deref(), Some("primary"));
    let received = world.primary.received();
    assert_eq!(received.last().and_then(session), Some("primary-session-1"));
}

#[tokio::test]
async fn a_session_stays_with_its_server_when_a_preferred_one_returns() {
    let world = world_with(Sessions::NotFound).await;
    world.primary.stop().await.expect("stop");
    let (client, wrapped) = initialized(&world.client).await;
    assert!(wrapped.starts_with("dp2~secondary~") && wrapped.ends_with("~secondary-session-1"), "{wrapped}");
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
    assert_eq!(client.search("q").await.served_by().as_deref(), Some("secondary"));
    for stub in [&world.secondary, &world.rest] {
        let own = |id: &str| id.starts_with(&format!("{}-session-", stub.name()));
        assert!(stub.received().iter().filter_map(session).all(own), "{:#?}", stub.received());
    }
}

/// Clients don't begin a new session after the 404 that a restarted server gives them, though the specification says so:
/// nothing works for hours (sparfenyuk/mcp-proxy#149, anthropics/claude-ai-mcp#450, neotoma#2312).
#[tokio::test]
async fn a_session_that_its_server_has_forgotten_is_opened_there_again_and_not_failed_over() {
    for sessions in [Sessions::NotFound, Sessions::BadRequest] {
        let world = world_with(sessions).await;
        let (client, _) = initialized(&world.client).await;
        world.primary.forget_sessions();
        for _ in 0..3 {
            assert_eq!(client.search("q").await.served_by().as_deref(), Some("primary"), "{sessions:?}");
        }
        assert_eq!(world.secondary.received().len() + world.rest.received().len(), 0, "{sessions:?}");
        let received = world.primary.received();
        assert_eq!(initializes(&received), 2, "the client's own and one more");
        assert_eq!(received.last().and_then(session), Some("primary-session-2"));
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
        assert_eq!(reply.status(), 200, "{}", reply.answer.text());
        if let Some(server @ ("primary" | "secondary")) = reply.served_by().as_deref() {
            // The session is that of whichever server came back first, and stays there.
            let (stub, id) = if server == "primary" {
                (&world.primary, "primary-session-1")
            } else {
                (&world.secondary, "secondary-session-1")
            };
            assert!(stub.received().iter().any(|received| session(received) == Some(id)));
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{}", reply.answer.text());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Another Envoy under the same registry, which has nothing in common with that of the world.
async fn another_envoy(world: &World) -> Envoy {
    let env = [("LAB_PAT_PRIMARY", PRIMARY_PAT), ("LAB_PAT_REST", REST_PAT)];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let scratch = Arc::new(Scratch::new().expect("a directory"));
    let settings = Settings { env, ..Settings::default() };
    Envoy::launch(&world.registry, &scratch, &settings).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Gateways that have sessions in the memory of one replica lose them behind a load balancer (agentgateway#754,
/// mcp-hangar#877, mcp-gateway-registry#960).
#[tokio::test]
async fn a_session_is_good_at_every_replica_of_the_proxy_whoever_has_opened_it() {
    let world = world_with(Sessions::NotFound).await;
    let other = another_envoy(&world).await;
    let at_both = |session: &str| {
        [&world.envoy, &other].map(|envoy| Client::new(envoy.addr(), "/mcp").header("mcp-session-id", session))
    };
    let (_, of_a_server) = initialized(&world.client).await;
    for client in at_both(&of_a_server).iter().cycle().take(10) {
        let reply = client.search("q").await;
        assert_eq!(reply.served_by().as_deref(), Some("primary"), "{}", reply.answer.text());
    }
    assert_eq!(initializes(&world.primary.received()), 1, "the client's own");

    world.stop_mcp().await;
    let (_, of_the_proxy) = initialized(&Client::new(other.addr(), "/mcp")).await;
    for client in at_both(&of_the_proxy).iter().cycle().take(10) {
        assert_eq!(client.search("q").await.served_by().as_deref(), Some("rest"));
        let reply = client.request("2", "tools/list", &json!({})).await.expect("an answer");
        assert!(reply.result()["tools"].is_array(), "{}", reply.answer.text());
    }
    world.heal();
    for client in at_both(&of_the_proxy).iter().cycle().take(10) {
        let reply = client.search("q").await;
        assert_eq!(reply.served_by().as_deref(), Some("primary"), "{}", reply.answer.text());
    }
}

/// MCP's conformance suite has a server answer with 404 in a session that has been ended.
#[tokio::test]
async fn a_session_that_its_client_has_ended_is_over_on_every_worker() {
    let world = world_with(Sessions::NotFound).await;
    let (client, _) = initialized(&world.client).await;
    assert_eq!(client.search("q").await.served_by().as_deref(), Some("primary"));
    let answer = client.open("DELETE", "").await.expect("an answer").whole().await.expect("its body");
    assert!((200..300).contains(&answer.status), "{answer:?}");
    for _ in 0..10 {
        let reply = client.request("1", "prompts/list", &json!({})).await.expect("an answer");
        assert_eq!(reply.status(), 404, "{}", reply.answer.text());
    }
    assert_eq!(
        initializes(&world.primary.received()) + initializes(&world.secondary.received()),
        1,
        "the client's own"
    );
}

/// How many sessions clients, or Envoy for them, have asked for.
fn initializes(received: &[Received]) -> usize {
    received.iter().filter(|received| received.rpc_method.as_deref() == Some("initialize")).count()
}

/// Calls of so many connections at a time, which all must be answered by the second server.
async fn call_at_once(client: &Client, calls: usize) {
    let calls = (0..calls).map(|n| {
        let client = client.clone();
        tokio::spawn(async move { client.search(&format!("q{n}")).await })
    });
    for call in calls.collect::<Vec<_>>() {
        let reply = call.await.expect("a call");
        assert_eq!(reply.served_by().as_deref(), Some("secondary"), "{} {}", reply.status(), reply.answer.text());
        assert_eq!(reply.answer.header("mcp-session-id"), None, "the client keeps its own");
    }
}

#[tokio::test]
async fn a_client_goes_on_when_the_server_of_its_session_is_killed_whatever_the_worker_and_the_envoy() {
    for concurrency in [1, 4] {
        let world = World::start_with(|options| {
            options.primary = options.primary.clone().sessions(Sessions::NotFound);
            options.secondary = options.secondary.clone().sessions(Sessions::NotFound);
            options.concurrency = concurrency;
        })
        .await;
        let (client, wrapped) = initialized(&world.client).await;
        world.primary.stop().await.expect("stop");
        for _ in 0..20 {
            call_at_once(&client, 1).await;
        }
        let workers = usize::try_from(concurrency).unwrap();
        assert!(initializes(&world.secondary.received()) <= workers, "each session is opened once");
        call_at_once(&client, 40).await;
        assert!(initializes(&world.secondary.received()) <= workers);
        let known = |received: &Received| session(received).is_none_or(|id| id.starts_with("secondary-session-"));
        assert!(world.secondary.received().iter().all(known));

        // Another Envoy has nothing but the id that the client sends.
        let other = another_envoy(&world).await;
        let there = Client::new(other.addr(), "/mcp").header("mcp-session-id", &wrapped);
        let before = initializes(&world.secondary.received());
        for _ in 0..5 {
            call_at_once(&there, 1).await;
        }
        assert_eq!(initializes(&world.secondary.received()), before + 1);

        // The first server is back and has forgotten everything; the session stays where it is.
        world.primary.resume().expect("resume");
        world.primary.forget_sessions();
        call_at_once(&client, 10).await;
        for envoy in [&world.envoy, &other] {
            assert!(!envoy.logs().contains("panic"), "{}", envoy.logs());
        }
    }
}

#[tokio::test]
async fn whatever_is_sent_as_a_session_id_traps_nothing_and_opens_one_session_at_most() {
    let world = world_with(Sessions::NotFound).await;
    let (_, genuine) = initialized(&world.client).await;
    let (mark, _) = genuine.rsplit_once('~').expect("an id of ours");
    let introduction = mark.strip_prefix("dp2~primary~").expect("an introduction");
    let forged = [
        format!("{mark}~unknown"),
        format!("{mark}~{}", "x".repeat(30_000)),
        format!("dp2~nobody~{introduction}~x"),
        format!("dp2~rest~{introduction}~x"),
        format!("dp2~~{introduction}~AAAAAAAAAAAAAAAAAAAAAAAA"),
        format!("dp2~primary~{}~x", "A".repeat(1024)),
        format!("dp2~primary~{}~x", "A".repeat(60_000)),
        "dp2~primary~e30~x".to_owned(),
        "dp2~primary~~x".to_owned(),
        "dp2~".to_owned(),
        format!("{genuine}~"),
        genuine[..genuine.len() - 30].to_owned(),
    ];
    world.primary.forget_sessions();
    let all = || initializes(&world.primary.received()) + initializes(&world.secondary.received());
    for primary_lives in [true, false] {
        if !primary_lives {
            world.primary.stop().await.expect("stop");
        }
        for forged in &forged {
            let before = all();
            world.client.clone().header("mcp-session-id", forged).search("q").await;
            assert!(all() <= before + 1, "{forged}");
        }
    }
    for stub in [&world.primary, &world.secondary, &world.rest] {
        assert!(stub.received().iter().all(|received| session(received).is_none_or(|id| !id.contains(introduction))));
    }
    assert!(!world.envoy.logs().contains("panic"), "{}", world.envoy.logs());
    let client = world.client.clone().header("mcp-session-id", &genuine);
    assert_eq!(client.search("q").await.served_by().as_deref(), Some("secondary"));
}

#[tokio::test]
async fn a_call_whose_session_cannot_be_opened_now_fails_in_time_and_ends_no_session() {
    let world = world_with(Sessions::NotFound).await;
    let (client, _) = initialized(&world.client).await;
    world.primary.stop().await.expect("stop");
    for behaviour in [Behaviour::status(503), Behaviour::Hang, Behaviour::ResetBeforeHeaders, Behaviour::GarbageJson] {
        world.secondary.set(behaviour.clone());
        let reply = client.request("1", "prompts/list", &json!({})).await.expect("an answer");
        assert!(reply.status() >= 500, "{behaviour:?}: {} {}", reply.status(), reply.answer.text());
    }
    world.secondary.set(Behaviour::Normal);
    assert_eq!(client.search("q").await.served_by().as_deref(), Some("secondary"));
}

#[tokio::test]
async fn servers_get_the_query_of_their_url_and_behind_it_what_clients_may_add() {
    let world = World::start_with(|options| {
        options.primary = options.primary.clone().sessions(Sessions::NotFound);
        options.secondary = options.secondary.clone().sessions(Sessions::NotFound);
        options.query = "?tenant=a";
        options.set("/listener/query", json!("forward"));
    })
    .await;
    let all_have = |received: Vec<Received>, query: &str| {
        assert!(!received.is_empty());
        for request in received {
            assert_eq!(request.path.split_once('?').map(|(_, query)| query), Some(query), "{}", request.path);
        }
    };
    let (client, _) = initialized(&Client::new(world.envoy.addr(), "/mcp?toolsets=core")).await;
    assert_eq!(client.search("q").await.served_by().as_deref(), Some("primary"));
    all_have(world.primary.received(), "tenant=a&toolsets=core");

    world.primary.stop().await.expect("stop");
    assert_eq!(client.search("q").await.served_by().as_deref(), Some("secondary"));
    assert_eq!(initializes(&world.secondary.received()), 1, "the session has moved");
    all_have(world.secondary.received(), "tenant=a&toolsets=core");

    world.secondary.stop().await.expect("stop");
    assert_eq!(client.search("q").await.served_by().as_deref(), Some("rest"));
    all_have(world.rest.received(), "tenant=a");

    let refused = Client::new(world.envoy.addr(), "/mcp?tenant=b").search("q").await;
    assert_eq!(refused.status(), 422, "{}", refused.answer.text());
}
