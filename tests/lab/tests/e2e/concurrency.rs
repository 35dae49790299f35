//! A server's limit on the real Envoy, under load.

use std::time::{Duration, Instant};

use dualpath_lab::stub::Behaviour;
use serde_json::json;

use crate::world::World;

const LIMIT: &str = "dualpath_concurrency_limit";
const IN_FLIGHT: &str = "dualpath_concurrency_in_flight";
const OVER: &str = "dualpath_concurrency_over_total";
const PRIMARY: [(&str, &str); 1] = [("server", "primary")];

#[tokio::test]
async fn calls_over_the_limit_of_a_slow_server_do_not_wait_for_it() {
    let world = World::start_with(|options| {
        options.concurrency = 1;
        options.set("/servers/0/concurrency", json!({"min": 2, "max": 2}));
    })
    .await;
    world.primary.set(Behaviour::Delay { ms: 1_000 });
    let calls = (0..10).map(|_| {
        let client = world.client.clone();
        tokio::spawn(async move {
            let began = Instant::now();
            (client.search("q").await.served_by(), began.elapsed())
        })
    });
    let calls: Vec<_> = calls.collect();
    let (metrics, held) = world.envoy.metrics_until(|m| m.sum(IN_FLIGHT, &PRIMARY) == 2.0).await.expect("metrics");
    assert!(held, "{:?}", metrics.series(IN_FLIGHT, &[]).collect::<Vec<_>>());
    let mut slow = 0;
    for call in calls {
        let (server, took) = call.await.expect("a reply");
        slow += usize::from(server.as_deref() == Some("primary"));
        assert_eq!(server.as_deref() == Some("primary"), took > Duration::from_millis(900), "{server:?} {took:?}");
    }
    assert_eq!((slow, world.calls()), (2, [2, 8, 0]));
    let wanted = [(IN_FLIGHT, 0.0), (LIMIT, 2.0), (OVER, 8.0)];
    let (_, told) = world
        .envoy
        .metrics_until(|m| wanted.iter().all(|(name, value)| m.sum(name, &PRIMARY) == *value))
        .await
        .expect("metrics");
    assert!(told);
}

#[tokio::test]
async fn a_server_that_gets_slow_under_load_gets_fewer_calls_and_all_again_when_that_is_over() {
    let world = World::start_with(|options| {
        options.set("/servers/0/concurrency", json!({"min": 1, "max": 50}));
    })
    .await;
    world.primary.set(Behaviour::Delay { ms: 100 });
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let client = world.client.clone();
            tokio::spawn(async move {
                loop {
                    client.search("q").await;
                }
            })
        })
        .collect();
    // Two workers, each of which begins at 20.
    let (_, grown) = world.envoy.metrics_until(|m| m.sum(LIMIT, &PRIMARY) > 42.0).await.expect("metrics");
    assert!(grown);
    world.primary.set(Behaviour::Delay { ms: 600 });
    let (_, cut) = world.envoy.metrics_until(|m| m.sum(LIMIT, &PRIMARY) < 25.0).await.expect("metrics");
    assert!(cut);
    world.primary.set(Behaviour::Delay { ms: 100 });
    let (_, grown) = world.envoy.metrics_until(|m| m.sum(LIMIT, &PRIMARY) > 42.0).await.expect("metrics");
    callers.iter().for_each(|caller| caller.abort());
    assert!(grown);
    // More at once than it had left.
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut elsewhere = usize::MAX;
    while elsewhere > 0 {
        assert!(Instant::now() < deadline, "{elsewhere} of 30 calls went elsewhere");
        let calls: Vec<_> = (0..30)
            .map(|_| {
                let client = world.client.clone();
                tokio::spawn(async move { client.search("q").await.served_by() })
            })
            .collect();
        elsewhere = 0;
        for call in calls {
            elsewhere += usize::from(call.await.expect("a reply").as_deref() != Some("primary"));
        }
    }
}
