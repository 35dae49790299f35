//! Tokens from a secret server (SDS over gRPC) on the real Envoy.

use std::time::{Duration, Instant};

use dualpath_lab::envoy::free_ports;
use dualpath_lab::sds::SecretServer;
use dualpath_lab::traffic::Traffic;
use serde_json::json;

use crate::world::{Options, World};

const OLD: &str = "pat-served-old-0b66f2";
const NEW: &str = "pat-served-new-93ce4d";

/// The primary's credential is what the secret server at this URL says.
fn served(options: &mut Options, url: &str) {
    options.set("/credentials/0/slots", json!({"a": {"sds_grpc": url}}));
    options.primary.tokens = vec![OLD.to_owned(), NEW.to_owned()];
}

/// Waits until the primary answers, and was shown `token` last.
async fn until_used(world: &World, token: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let sent = format!("Bearer {token}");
    while world.client.search("q").await.served_by().as_deref() != Some("primary")
        || world.primary.received().last().and_then(|request| request.header("authorization")) != Some(&sent)
    {
        assert!(Instant::now() < deadline, "{token} is not used: {}", world.envoy.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_pushed_token_takes_effect_under_load_and_outlives_its_server() {
    let server = SecretServer::start(0).expect("a secret server");
    server.set("pat-primary-a", OLD);
    let world = World::start_with(|options| served(options, &server.url())).await;
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"), "the very first call");
    let traffic = Traffic::start(&world.client, 2, Duration::from_millis(10));
    traffic.next(50).await;
    server.set("pat-primary-a", NEW);
    until_used(&world, NEW).await;
    world.primary.accept(&[NEW]);
    traffic.next(50).await;
    drop(server);
    traffic.next(100).await;
    let outcomes = traffic.outcomes();
    let elsewhere: Vec<_> = outcomes.iter().filter(|call| call.answered_by.as_deref() != Ok("primary")).collect();
    assert!(outcomes.len() >= 200 && elsewhere.is_empty(), "of {}: {elsewhere:?}", outcomes.len());
}

#[tokio::test]
async fn a_secret_server_that_is_down_at_the_start_costs_its_slot_and_no_more() {
    let (port, _) = free_ports().expect("a port");
    let mut world = World::start_with(|options| served(options, &format!("http://127.0.0.1:{port}"))).await;
    let labels = [("credential", "pat-primary"), ("slot", "a")];
    let empty = |metrics: &dualpath_lab::metrics::Metrics| {
        let critical = [("credential", "pat-primary"), ("severity", "critical")];
        metrics.value("dualpath_pat_present", &labels) == Some(0.0)
            && metrics.value("snowflake_pat_rotation_alerts", &critical) == Some(1.0)
    };
    let (metrics, held) = world.envoy.metrics_until(empty).await.expect("metrics");
    assert!(held, "{metrics:?}");
    // The prober has looked, so that no call has to find it out.
    for _ in 0..10 {
        let reply = world.client.search("q").await;
        assert_eq!(reply.served_by().as_deref(), Some("secondary"), "{}", reply.answer.text());
    }
    assert_eq!(world.primary.calls(), 0, "never without a token");
    assert!(world.envoy.is_running());

    let server = SecretServer::start(port).expect("the port is free again");
    server.set("pat-primary-a", OLD);
    until_used(&world, OLD).await;
    let (_, present) =
        world.envoy.metrics_until(|m| m.value("dualpath_pat_present", &labels) == Some(1.0)).await.expect("metrics");
    assert!(present);
}

#[tokio::test]
async fn beside_a_file_a_secret_server_is_the_other_slot() {
    let server = SecretServer::start(0).expect("a secret server");
    server.set("pat-primary-b", NEW);
    let world = World::start_with(|options| {
        let file = options.scratch.write_secret("pat-primary-a.json", "pat-primary-a", OLD).expect("a secret file");
        options.set("/credentials/0/slots", json!({"a": {"sds_file": file}, "b": {"sds_grpc": server.url()}}));
        options.primary.tokens = vec![NEW.to_owned()];
    })
    .await;
    let reply = world.client.call("sql", json!({"sql": "insert"})).await;
    assert_eq!(reply.served_by().as_deref(), Some("primary"), "{}", reply.answer.text());
    let shown: Vec<_> = world.primary.received().iter().map(|r| r.header("authorization").map(str::to_owned)).collect();
    assert_eq!(shown, [Some(format!("Bearer {OLD}")), Some(format!("Bearer {NEW}"))]);
}
