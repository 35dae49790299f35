//! Event streams: judged by their first event, then left alone.

use std::time::{Duration, Instant};

use dualpath_lab::stub::Behaviour;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn events_reach_the_client_when_the_server_sends_them() {
    let world = World::start().await;
    world.primary.set(Behaviour::SseProgress { events: 3, every_ms: 300 });
    let started = Instant::now();
    let mut events = world.client.call_streaming("search", json!({"query": "q"})).await.expect("a stream");
    let mut arrivals = Vec::new();
    while let Some(data) = events.next().await.expect("an event") {
        arrivals.push((started.elapsed(), data));
    }
    assert!(arrivals.len() >= 4, "{arrivals:?}");
    for (earlier, later) in arrivals.iter().zip(&arrivals[1..4]) {
        assert!(later.0 - earlier.0 > Duration::from_millis(150), "not held together: {arrivals:?}");
    }
    assert!(arrivals[3].1.contains("SERVED_BY"), "{arrivals:?}");
}

/// Proxies cut tool calls off after their route's 30 seconds, however alive the stream was (pomerium#6288).
#[tokio::test]
async fn a_stream_longer_than_the_timeout_is_not_cut() {
    let world = World::start().await;
    world.primary.set(Behaviour::SseProgress { events: 8, every_ms: 300 });
    let mut events = world.client.call_streaming("search", json!({"query": "q"})).await.expect("a stream");
    let mut last = String::new();
    while let Some(data) = events.next().await.expect("an event") {
        last = if data.starts_with('{') { data } else { last };
    }
    assert!(last.contains("\"result\""), "{last}");
    assert_eq!(world.calls(), [1, 0, 0]);
}

/// Field case: a call that may be repeated was cut off at its timeout, run again elsewhere and failed, however alive it was.
#[tokio::test]
async fn a_stream_that_shows_life_is_not_cut_at_the_timeout() {
    let world = World::start().await;
    world.primary.set(Behaviour::SseOpen { answer_after_ms: 2500, open_ms: 0 });
    for (nth, tool) in [(1, "search"), (2, "complete")] {
        let reply = world.client.call(tool, json!({"query": "q", "prompt": "p"})).await;
        assert_eq!(
            (reply.served_by().as_deref(), world.calls()),
            (Some("primary"), [nth, 0, 0]),
            "{}",
            reply.answer.text()
        );
    }
}

#[tokio::test]
async fn a_compressed_answer_reaches_the_client_as_it_is() {
    let world = World::start().await;
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    world.primary.set(Behaviour::Status { status: 200, headers, body: "\u{1f}not for us".to_owned() });
    let reply = world.client.search("q").await;
    assert_eq!((reply.status(), reply.answer.text().as_str()), (200, "\u{1f}not for us"));
    assert_eq!(reply.answer.header("content-encoding"), Some("gzip"));
    assert_eq!(world.calls(), [1, 0, 0]);
}

#[tokio::test]
async fn after_the_first_event_there_is_no_failover() {
    let world = World::start().await;
    world.primary.set(Behaviour::SseBreaks);
    let mut events = world.client.call_streaming("search", json!({"query": "q"})).await.expect("a stream");
    let first = events.next().await.expect("the first event").expect("an event");
    assert!(first.contains("notifications/progress"), "{first}");
    assert!(events.next().await.is_err(), "the break is not hidden");
    assert_eq!(world.calls(), [1, 0, 0]);
}

#[tokio::test]
async fn an_answer_longer_than_the_limit_passes_through() {
    let world = World::start_with(|options| {
        options.primary = options.primary.clone().json();
        options.set("/limits/response_body", json!("16KiB"));
    })
    .await;
    world.primary.set(Behaviour::Huge { bytes: 500_000 });
    let reply = world.client.search("q").await;
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.result()["padding"].as_str().map(str::len), Some(500_000));
    assert_eq!(world.calls(), [1, 0, 0]);
}

#[tokio::test]
async fn a_result_that_has_no_room_for_what_it_lacks_passes_as_it_is_and_envoy_lives() {
    let mut world = World::start().await;
    for bytes in [1_000_000, 2 << 20, 4 << 20, 6 << 20] {
        let reply = world.client.search(&format!("q bytes={bytes}")).await;
        assert_eq!((reply.status(), reply.served_by().as_deref()), (200, Some("primary")), "{bytes}");
        assert_eq!(reply.result()["padding"].as_str().map(str::len), Some(bytes));
        assert_eq!(reply.result()["content"].is_array(), bytes < 1 << 20, "{bytes}");
    }
    // The same on the direct path, whose answer becomes a result.
    world.stop_mcp().await;
    for bytes in [1_000_000, 2 << 20] {
        world.rest.set(Behaviour::Huge { bytes });
        let reply = world.client.search("q").await;
        assert_eq!(reply.result().is_object(), bytes < 1 << 20, "{bytes}: {}", reply.status());
    }
    assert!(world.envoy.is_running());
}

#[tokio::test]
async fn an_answer_that_comes_in_drops_is_read_to_its_end() {
    for json_framing in [false, true] {
        let world = World::start_with(|options| {
            if json_framing {
                options.primary = options.primary.clone().json();
            }
        })
        .await;
        world.primary.set(Behaviour::Drip { bytes: 7, every_ms: 5 });
        let reply = world.client.search("q").await;
        assert_eq!(reply.served_by().as_deref(), Some("primary"), "{}", reply.answer.text());
    }
}
