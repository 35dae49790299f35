//! However many long messages are held at a time, the worker's memory is bounded, and others are served.

use std::time::{Duration, Instant};

use dualpath_lab::bench::process::resident_memory;
use dualpath_lab::client::{Client, request_text};
use dualpath_lab::metrics::Metrics;
use dualpath_lab::stub::Behaviour;
use serde_json::json;

use crate::world::World;

/// What Envoy may grow by while `limits.held` is 64 MiB: what is held, as much again that the allocators keep, and 128 KiB of
/// buffers for each of 300 connections.
const MOST: u64 = 176 << 20;

fn grown(world: &World, before: u64) -> u64 {
    resident_memory(world.envoy.id()).expect("Envoy runs").saturating_sub(before)
}

async fn world(servers: Behaviour) -> (World, u64) {
    let world = World::start_with(|options| {
        options.concurrency = 1;
        options.set("/servers/0/timeout", json!("90s"));
        options.set("/servers/1/timeout", json!("90s"));
    })
    .await;
    for _ in 0..50 {
        assert_eq!(world.client.search("q").await.status(), 200);
    }
    world.primary.set(servers.clone());
    world.secondary.set(servers);
    let before = resident_memory(world.envoy.id()).expect("Envoy runs");
    (world, before)
}

/// Polls until so many messages of a kind have found no room.
async fn until_full(world: &World, kind: &str, times: f64) {
    let refused = |metrics: &Metrics| metrics.sum("dualpath_held_refused_total", &[("reason", kind)]);
    let started = Instant::now();
    loop {
        let (metrics, _) = world.envoy.metrics_until(|metrics| refused(metrics) > times).await.expect("metrics");
        if refused(&metrics) > times {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "there is no bound: {} of {kind}", refused(&metrics));
    }
}

#[tokio::test]
async fn five_hundred_held_calls_of_a_megabyte_leave_memory_bounded_and_others_served() {
    let (world, before) = world(Behaviour::Hang).await;
    let long = request_text("7", "tools/call", &json!({"name": "sql", "arguments": {"sql": "x".repeat(1_000_000)}}));
    let calls: Vec<_> = (0..500)
        .map(|_| {
            let (client, long) = (Client::new(world.envoy.addr(), "/mcp"), long.clone());
            tokio::spawn(async move { client.post(long).await.map(|answer| (answer.status, answer.text())) })
        })
        .collect();
    until_full(&world, "request", 300.0).await;
    let grown = grown(&world, before);
    println!("Envoy has grown by {} MiB from {}", grown >> 20, before >> 20);
    assert!(grown < MOST, "{} MiB", grown >> 20);
    let (metrics, held) =
        world.envoy.metrics_until(|metrics| metrics.sum("dualpath_held_bytes", &[]) > 40e6).await.expect("metrics");
    assert!(held, "{metrics:?}");
    world.heal();
    assert_eq!(world.client.search("q").await.status(), 200, "a short call is served");
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    let (_, gone) =
        world.envoy.metrics_until(|metrics| metrics.sum("dualpath_held_bytes", &[]) == 0.0).await.expect("metrics");
    assert!(gone, "the room is given back with the clients gone");
    assert!(!world.envoy.logs().contains("unreachable"), "nothing trapped");
}

#[tokio::test]
async fn three_hundred_answers_without_end_leave_memory_bounded_and_others_served() {
    let (world, before) = world(Behaviour::SseEndless { bytes: 4_180_000 }).await;
    let streams: Vec<_> = (0..300)
        .map(|_| {
            let client = Client::new(world.envoy.addr(), "/mcp");
            tokio::spawn(async move {
                let Ok(mut stream) = client
                    .open(
                        "POST",
                        request_text("7", "tools/call", &json!({"name": "search", "arguments": {"query": "q"}})),
                    )
                    .await
                else {
                    return 0;
                };
                let mut size = 0;
                while let Ok(Some(piece)) = stream.chunk().await {
                    size += piece.len();
                }
                size
            })
        })
        .collect();
    until_full(&world, "answer", 200.0).await;
    let grown = grown(&world, before);
    println!("Envoy has grown by {} MiB from {}", grown >> 20, before >> 20);
    assert!(grown < MOST, "{} MiB", grown >> 20);
    world.heal();
    assert_eq!(world.client.search("q").await.status(), 200);
    streams.iter().for_each(tokio::task::JoinHandle::abort);
    assert!(!world.envoy.logs().contains("unreachable"), "nothing trapped");
}
