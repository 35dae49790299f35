//! The client's own `Authorization` on the real Envoy: it goes where the operator lets it, and nowhere else.

use dualpath_lab::client::Client;
use dualpath_lab::stub::{Behaviour, Stub};
use serde_json::json;

use crate::world::{SECONDARY_PAT, World};

const OWN: &str = "token-of-the-client-77aa01";

/// A world in which only the secondary has a credential. The primary and the REST API know the client's token.
async fn world(policy: &str) -> World {
    let mut world = World::start_with(|options| {
        options.set("/listener/client_authorization", json!(policy));
        options.set("/drill", json!({"enabled": true}));
        options.set("/servers/0/credential", json!(null));
        options.set("/servers/2/credential", json!(null));
        options.primary.tokens = vec![OWN.to_owned()];
        options.rest.tokens = vec![OWN.to_owned()];
    })
    .await;
    world.client = world.client.clone().header("authorization", &format!("Bearer {OWN}"));
    world
}

/// Every value of `authorization` that the stub has been shown in calls, each once.
fn shown(stub: &Stub) -> Vec<Option<String>> {
    let calls = stub
        .received()
        .into_iter()
        .filter(|request| request.header("user-agent").is_none_or(|agent| !agent.starts_with("dualpath-prober")));
    let mut shown: Vec<_> = calls.map(|request| request.header("authorization").map(str::to_owned)).collect();
    shown.sort_unstable();
    shown.dedup();
    shown
}

#[tokio::test]
async fn each_server_sees_the_clients_token_or_its_own_on_every_way() {
    let world = world("pass").await;
    let by = async |expected: &str| {
        let reply = world.client.search("q").await;
        assert_eq!(reply.served_by().as_deref(), Some(expected), "{}", reply.answer.text());
    };
    by("primary").await;
    world.primary.set(Behaviour::status(503));
    by("secondary").await;
    world.secondary.set(Behaviour::ResetBeforeHeaders);
    by("rest").await;
    world.stop_mcp().await;
    by("rest").await;
    world.primary.set(Behaviour::Normal);
    world.secondary.set(Behaviour::Normal);
    world.primary.resume().expect("resume");
    world.secondary.resume().expect("resume");
    by("primary").await;
    for (fail, server) in [("fail=primary", "secondary"), ("fail=primary; fail=secondary", "rest")] {
        let reply = world.client.clone().header("x-dualpath-drill", fail).search("q").await;
        assert_eq!(reply.served_by().as_deref(), Some(server), "{fail}: {}", reply.answer.text());
    }
    let own = [Some(format!("Bearer {OWN}"))];
    assert_eq!(shown(&world.primary), own);
    assert_eq!(shown(&world.secondary), [Some(format!("Bearer {SECONDARY_PAT}"))]);
    assert_eq!(shown(&world.rest), own);
}

#[tokio::test]
async fn a_token_that_its_server_refuses_is_the_clients_to_renew() {
    let world = world("pass").await;
    world.primary.accept(&["another"]);
    let reply = world.client.search("q").await;
    assert_eq!(reply.status(), 401, "{}", reply.answer.text());
    assert!(reply.answer.header("www-authenticate").is_some(), "{:?}", reply.answer.headers);
    assert!(reply.answer.text().contains("394400"), "as the server says it: {}", reply.answer.text());
    assert_eq!(world.calls()[1..], [0, 0], "no other server answers in its place");
    world.primary.accept(&[OWN]);
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"), "nothing rests");
    let metrics = world.envoy.metrics_settled().await.expect("metrics");
    assert_eq!(metrics.sum("dualpath_alerts_total", &[]), 0.0);
    assert_eq!(metrics.sum("dualpath_attempts_total", &[("server", "primary"), ("outcome", "authorization")]), 1.0);
}

#[tokio::test]
async fn the_direct_path_alone_gets_the_token_where_the_operator_says_so() {
    let world = world("rest_only").await;
    world.primary.accept(&[]);
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"));
    world.stop_mcp().await;
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("rest"));
    assert_eq!(shown(&world.primary), [None]);
    assert_eq!(shown(&world.rest), [Some(format!("Bearer {OWN}"))]);
}

/// A client that hears of OAuth forgets the token that it was given, and wants its user to log in: no use to an agent without
/// one (anthropics/claude-code#59467, #7290, #50629). Here the token is Envoy's.
#[tokio::test]
async fn while_the_token_is_the_proxys_no_client_hears_of_oauth() {
    let challenge = r#"Bearer resource_metadata="https://a.example/.well-known/oauth-protected-resource""#;
    let world = World::start().await;
    let hears = |answer: &dualpath_lab::http::Answer| {
        answer.headers.iter().any(|(name, value)| name == "www-authenticate" || value.contains("well-known"))
            || answer.text().contains("well-known")
    };
    for path in ["oauth-protected-resource/mcp", "oauth-protected-resource", "oauth-authorization-server"] {
        for method in ["GET", "POST"] {
            let client = Client::new(world.envoy.addr(), &format!("/.well-known/{path}"));
            let answer = client.open(method, "").await.expect("an answer").whole().await.expect("its body");
            assert!(answer.status == 404 && !hears(&answer), "{method} {path}: {answer:?}");
        }
    }
    for status in [200, 400, 401, 403, 404, 500, 503] {
        let headers = vec![("www-authenticate".to_owned(), challenge.to_owned())];
        for body in [r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#, ""] {
            let refuses = Behaviour::Status { status, headers: headers.clone(), body: body.to_owned() };
            for stub in [&world.primary, &world.secondary, &world.rest] {
                stub.set(refuses.clone());
            }
            let (listens, ends) = (world.client.clone().header("accept", "text/event-stream"), &world.client);
            let mut answers = vec![world.client.search("q").await.answer];
            for (client, method) in [(&listens, "GET"), (ends, "DELETE")] {
                answers.push(client.open(method, "").await.expect("an answer").whole().await.expect("its body"));
            }
            for answer in answers {
                assert!(!hears(&answer), "{status} {body}: {answer:?}");
            }
        }
    }
    assert!(world.stubs().iter().all(|(stub, _)| stub.received().iter().all(|r| !r.path.contains("well-known"))));
}

#[tokio::test]
async fn oauth_is_discovered_at_the_server_that_the_client_authenticates_with() {
    let world = world("pass").await;
    let get = async |path: &str| {
        let client = Client::new(world.envoy.addr(), path).header("authorization", &format!("Bearer {OWN}"));
        client.open("GET", "").await.expect("an answer").whole().await.expect("its body").status
    };
    let known = |document: &str| format!("/.well-known/{document}");
    for (asked, path) in [
        ("oauth-protected-resource/mcp", "oauth-protected-resource/api/v2/databases/D/schemas/S/mcp-servers/one"),
        ("oauth-protected-resource", "oauth-protected-resource"),
        ("oauth-authorization-server", "oauth-authorization-server"),
    ] {
        get(&known(asked)).await;
        let received = world.primary.received();
        let request = received.iter().find(|request| request.path == known(path));
        let request = request.unwrap_or_else(|| panic!("{asked}: {received:#?}"));
        assert_eq!((request.method.as_str(), request.header("authorization")), ("GET", None));
    }
    assert_eq!(get(&known("something-else")).await, 404);
    assert_eq!(world.secondary.received().len() + world.rest.received().len(), 0);
}
