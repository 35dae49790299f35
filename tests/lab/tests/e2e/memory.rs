//! However many long messages are held at a time, the memory of a worker is bounded, and others are served; however long they
//! are, it comes back.

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

/// The length of a tool's answer, in bytes.
const FIFTY_MB: usize = 50_000_000;

/// How much Envoy may have over what it began with, in bytes: at the peak, while four answers of 50 MB pass at once, and after.
struct Bounds {
    peak: u64,
    left: u64,
}

/// An answer in JSON is held in Envoy up to `limits.response_body`, 4 MiB, and the filter doesn't look at it: 16 MiB at the
/// peak, twice for the allocator's sake. All of it is freed, but for what an allocator keeps at hand.
const OF_JSON: Bounds = Bounds { peak: 32 << 20, left: 16 << 20 };

/// An event is also searched by the filter, in a copy of 4 MiB that moves while it grows, for which 12 MiB are needed. A VM's
/// memory never shrinks, so what four of them need stays for the next answers: 48 MiB, and half as much again because each
/// copy wants a place of its own in one piece. With the above that is 88 MiB; the answers are 200 MB a time.
const OF_EVENTS: Bounds = Bounds { peak: 104 << 20, left: 88 << 20 };

/// Reads an answer to its end, piece by piece, and counts its bytes.
async fn length(client: Client) -> usize {
    let call = request_text("7", "tools/call", &json!({"name": "search", "arguments": {"query": "q"}}));
    let mut answer = client.open("POST", call).await.expect("an answer");
    assert_eq!(answer.status, 200);
    let mut length = 0;
    while let Some(piece) = answer.chunk().await.expect("the whole answer") {
        length += piece.len();
    }
    length
}

/// Answers of 50 MB, four in turn and then four at once, with Envoy's memory watched; the most that it grows by.
async fn peak_of_a_round(world: &World, before: u64) -> u64 {
    let calls = async {
        for _ in 0..4 {
            assert!(length(world.client.clone()).await > FIFTY_MB);
        }
        let at_once: Vec<_> = (0..4).map(|_| tokio::spawn(length(world.client.clone()))).collect();
        for call in at_once {
            assert!(call.await.expect("an answer") > FIFTY_MB);
        }
    };
    let mut calls = std::pin::pin!(calls);
    let mut peak = 0;
    while tokio::time::timeout(Duration::from_millis(5), &mut calls).await.is_err() {
        peak = peak.max(grown(world, before));
    }
    peak
}

/// Polls until Envoy has no more than `most` over what it began with, in bytes; what it then has.
async fn until_back(world: &World, before: u64, most: u64) -> u64 {
    let started = Instant::now();
    while grown(world, before) > most && started.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    grown(world, before)
}

/// Users of a gateway that took whole answers into its filters saw 3 GiB after twenty answers of 50 MB, and still ten minutes
/// later (higress-group/higress#3917).
#[tokio::test]
async fn memory_comes_back_after_answers_of_fifty_megabytes() {
    for (framing, bounds) in [("JSON", OF_JSON), ("events", OF_EVENTS)] {
        let world = World::start_with(|options| {
            options.concurrency = 1;
            options.set("/servers/0/timeout", json!("90s"));
            if framing == "JSON" {
                options.primary = options.primary.clone().json();
            }
        })
        .await;
        for _ in 0..50 {
            assert_eq!(world.client.search("q").await.status(), 200);
        }
        let before = resident_memory(world.envoy.id()).expect("Envoy runs");
        world.primary.set(Behaviour::Huge { bytes: FIFTY_MB });
        for round in 1..=3 {
            let peak = peak_of_a_round(&world, before).await;
            // However many answers there have been, the bound is the same.
            let left = until_back(&world, before, bounds.left).await;
            println!("{framing}, round {round}: {} MiB at the peak, {} after", peak >> 20, left >> 20);
            assert!(peak <= bounds.peak, "{framing}, round {round}: {} MiB at the peak", peak >> 20);
            assert!(left <= bounds.left, "{framing}, round {round}: {} MiB are left", left >> 20);
        }
        assert_eq!(world.calls(), [50 + 3 * 8, 0, 0], "each was executed once");
    }
}
