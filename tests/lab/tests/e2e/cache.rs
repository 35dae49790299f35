//! Kept answers on the real Envoy: all workers see them, they are the last hop, and they can be thrown away.

use std::time::{Duration, Instant};

use dualpath_lab::bench::process::cpu_time;
use dualpath_lab::client::Reply;
use serde_json::{Value, json};

use crate::world::{PRIMARY_PAT, REST_PAT, SECONDARY_PAT, World};

/// By when a key has taken effect.
const SEEN: Duration = Duration::from_secs(1);

async fn keeping(ttl: &str) -> World {
    let cache = json!({"ttl": ttl, "stale_if_error": "1h", "scope": "shared"});
    World::start_with(|options| {
        options.concurrency = 4;
        options.set("/tools/0/cache", cache);
    })
    .await
}

/// What an answer says of being a kept one.
fn said(reply: &Reply) -> Value {
    reply.result()["_meta"]["dualpath/cache"].clone()
}

async fn counted(world: &World, outcome: &str, times: f64) {
    let labels = [("task", "search"), ("outcome", outcome)];
    let told = world.envoy.metrics_until(|m| m.value("dualpath_cache_total", &labels) >= Some(times)).await;
    let (metrics, told) = told.expect("metrics");
    assert!(told, "{outcome}: {metrics:#?}");
}

#[tokio::test]
async fn every_worker_gives_what_one_has_kept() {
    let world = keeping("1h").await;
    let first = world.client.search("q").await;
    assert_eq!((first.served_by().as_deref(), said(&first)), (Some("primary"), Value::Null));
    let before = world.primary.calls();
    for _ in 0..40 {
        let again = world.client.search("q").await;
        assert_eq!(said(&again)["stale"], false);
        assert_eq!(again.served_by(), first.served_by());
    }
    assert_eq!(world.primary.calls(), before, "no server was asked");
    let other = world.client.search("other").await;
    assert_eq!((said(&other), world.primary.calls()), (Value::Null, before + 1));
    counted(&world, "hit", 40.0).await;
}

#[tokio::test]
async fn with_every_server_dead_the_last_answer_is_given_until_it_is_thrown_away() {
    let world = keeping("0s").await;
    let first = world.client.search("q").await;
    assert_eq!(first.served_by().as_deref(), Some("primary"));
    for (stub, _) in world.stubs() {
        stub.stop().await.expect("it stops");
    }
    for _ in 0..20 {
        let kept = world.client.search("q").await;
        assert_eq!((kept.status(), said(&kept)["stale"].clone()), (200, json!(true)), "{}", kept.response_text());
        assert_eq!(kept.result()["content"], first.result()["content"]);
    }
    assert_ne!(world.client.search("other").await.status(), 200, "another question");
    counted(&world, "stale", 20.0).await;
    let labels = [("mode", "cache"), ("task", "search"), ("status", "fallback")];
    let (metrics, _) =
        world.envoy.metrics_until(|m| m.value("cortex_calls_total", &labels).is_some()).await.expect("metrics");
    assert_eq!(metrics.value("cortex_calls_total", &labels), Some(20.0));

    world.envoy.modify_runtime("dualpath.cache.purge", "1").await.expect("runtime");
    let until = Instant::now() + SEEN;
    // Each connection may be another worker's.
    let mut in_a_row = 0;
    while in_a_row < 20 {
        let gone = world.client.search("q").await.status() != 200;
        in_a_row = if gone { in_a_row + 1 } else { 0 };
        assert!(Instant::now() < until, "not within a second");
    }
    let logs = world.envoy.logs();
    assert!([PRIMARY_PAT, SECONDARY_PAT, REST_PAT].iter().all(|pat| !logs.contains(pat)));
}

#[tokio::test]
async fn a_hit_costs_at_most_six_tenths_of_a_call() {
    const CALLS: u32 = 1500;
    let world = keeping("1h").await;
    let spent = async |fresh: bool| {
        let before = cpu_time(world.envoy.id()).expect("an account");
        for n in 0..CALLS {
            let query = if fresh { format!("q{n}") } else { "q".to_owned() };
            assert_eq!(world.client.search(&query).await.status(), 200);
        }
        cpu_time(world.envoy.id()).expect("an account") - before
    };
    world.client.search("q").await;
    let (calls, hits) = (spent(true).await, spent(false).await);
    println!("CPU of {CALLS}: calls {calls:?}, hits {hits:?}");
    assert!(hits.as_secs_f64() <= 0.6 * calls.as_secs_f64(), "calls {calls:?}, hits {hits:?}");
}
