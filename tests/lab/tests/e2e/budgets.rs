//! What sending calls again may cost: tokens, the client's time, waiting.

use std::time::{Duration, Instant};

use dualpath_lab::stub::Behaviour;
use serde_json::{Value, json};

use crate::world::{World, since};

const REFUSED: &str = "dualpath_replay_refused_total";

/// A world in which each of the two workers may fail one call over, and then hardly any.
async fn world_with_a_small_budget() -> World {
    let budget = json!({"ratio": 0.001, "min_per_second": 0, "reserve": 1});
    World::start_with(|options| options.set("/failover", json!({"budget": budget}))).await
}

/// How many of twenty calls somebody has answered, and the time all of them took.
async fn answered(world: &World, tool: &str, arguments: &Value) -> (usize, Duration) {
    let began = Instant::now();
    let mut answered = 0;
    for _ in 0..20 {
        answered += usize::from(world.client.call(tool, arguments.clone()).await.status() == 200);
    }
    (answered, began.elapsed())
}

async fn refused(world: &World, task: &str, reason: &str, times: f64) {
    let labels = [("task", task), ("reason", reason)];
    let (metrics, held) = world.envoy.metrics_until(|m| m.sum(REFUSED, &labels) == times).await.expect("metrics");
    assert!(held, "{times} expected: {:?}", metrics.series(REFUSED, &[]).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_storm_of_failures_is_not_sent_on_beyond_the_budget() {
    let search = json!({"query": "q"});
    // An answer, a broken connection that the router sends on by itself, and silence.
    for failure in [Behaviour::status(500), Behaviour::ResetBeforeHeaders] {
        let world = world_with_a_small_budget().await;
        world.primary.set(failure.clone());
        let (answered, _) = answered(&world, "search", &search).await;
        assert!((1..=2).contains(&answered), "{failure:?}: {answered} answered");
        assert_eq!(world.calls(), [20, answered, 0], "{failure:?}");
        refused(&world, "search", "budget", (20 - answered) as f64).await;
        let reply = world.client.search("q").await;
        assert_eq!(reply.status(), 503, "{failure:?}");
        assert_eq!(reply.error()["data"]["server"], json!("primary"), "{failure:?}: {}", reply.answer.text());
        assert!(!reply.answer.text().contains("secondary"), "{failure:?}: {}", reply.answer.text());
    }
}

#[tokio::test]
async fn a_call_that_was_not_executed_goes_on_whatever_the_budget() {
    let world = world_with_a_small_budget().await;
    world.primary.set(Behaviour::too_many_requests(None));
    assert_eq!(answered(&world, "sql", &json!({"sql": "insert"})).await.0, 20);
    world.primary.accept(&["another"]);
    assert_eq!(answered(&world, "sql", &json!({"sql": "insert"})).await.0, 20);
    world.primary.stop().await.expect("stop");
    assert_eq!(answered(&world, "search", &json!({"query": "q"})).await.0, 20);
}

#[tokio::test]
async fn the_usual_budget_fails_over_every_call_of_an_outage() {
    let world = World::start().await;
    world.primary.set(Behaviour::status(500));
    world.secondary.set(Behaviour::ResetBeforeHeaders);
    assert_eq!(answered(&world, "search", &json!({"query": "q"})).await.0, 20);
}

#[tokio::test]
async fn hanging_servers_leave_enough_of_the_clients_time_for_the_next() {
    let world = World::start_with(|options| options.set("/listener/client_timeout", json!("3s"))).await;
    world.primary.set(Behaviour::Hang);
    world.secondary.set(Behaviour::Hang);
    let began = Instant::now();
    let reply = world.client.search("q").await;
    assert_eq!(reply.served_by().as_deref(), Some("rest"), "{}", reply.answer.text());
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());

    world.rest.set(Behaviour::Hang);
    let began = Instant::now();
    let reply = world.client.search("q").await;
    let took = began.elapsed();
    assert_eq!(reply.status(), 504, "{}", reply.answer.text());
    assert_eq!(reply.error()["data"]["reason"], json!("OUTCOME_UNKNOWN"), "{}", reply.answer.text());
    assert!((Duration::from_millis(2500)..Duration::from_millis(3300)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn no_attempt_starts_that_cannot_end_in_the_clients_time() {
    let world = World::start_with(|options| options.set("/tools/1/client_timeout", json!("1s"))).await;
    // Not executed, so the call could go on; but what is left is less than an attempt may take.
    world.primary.set(Behaviour::Delay { ms: 600 });
    world.primary.accept(&["another"]);
    let before = world.calls();
    let reply = world.client.call("sql", json!({"sql": "insert"})).await;
    assert_eq!(reply.status(), 503, "{}", reply.answer.text());
    assert_eq!(since(before, world.calls()), [1, 0, 0]);
    refused(&world, "sql", "no_time", 1.0).await;
}

/// A world whose tools have only the direct path, which may be tried so often.
async fn direct_only_world(attempts: u8, base: &str) -> World {
    World::start_with(|options| {
        for tool in 0..3 {
            options.set(&format!("/tools/{tool}/servers"), json!([]));
        }
        options.set("/servers/2/attempts", json!(attempts));
        options.set("/failover", json!({"back_off": {"base": base, "max": "2s"}}));
    })
    .await
}

#[tokio::test]
async fn the_only_server_is_waited_for_if_the_call_was_not_executed() {
    let world = direct_only_world(10, "400ms").await;
    world.rest.stop().await.expect("stop");
    let call = tokio::spawn({
        let client = world.client.clone();
        async move { client.call("sql", json!({"sql": "select 1"})).await }
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    world.rest.resume().expect("resume");
    let reply = call.await.expect("a reply");
    assert_eq!(reply.served_by().as_deref(), Some("rest"), "{}", reply.answer.text());
    assert_eq!(world.calls(), [0, 0, 1]);
}

#[tokio::test]
async fn the_only_server_is_asked_as_often_as_it_says_and_the_waits_grow() {
    let world = direct_only_world(3, "300ms").await;
    world.rest.set(Behaviour::too_many_requests(None));
    let mut longest = Duration::ZERO;
    for _ in 0..6 {
        let (before, began) = (world.calls(), Instant::now());
        let reply = world.client.call("sql", json!({"sql": "insert"})).await;
        assert_eq!(reply.status(), 429, "{}", reply.answer.text());
        assert_eq!(since(before, world.calls()), [0, 0, 3]);
        longest = longest.max(began.elapsed());
        // The waits are below 300 ms and 900 ms.
        assert!(began.elapsed() < Duration::from_millis(1700), "{:?}", began.elapsed());
    }
    assert!(longest > Duration::from_millis(150), "{longest:?}: nothing was waited for");
    world.rest.set(Behaviour::status(500));
    let before = world.calls();
    assert_eq!(world.client.search("q").await.status(), 503);
    assert_eq!(since(before, world.calls()), [0, 0, 1], "what may have been executed is not sent there again");
}

#[tokio::test]
async fn a_server_that_names_a_time_is_given_it_or_not_asked_again() {
    let world = direct_only_world(3, "10ms").await;
    world.rest.set_for(1, Behaviour::too_many_requests(Some(1)));
    let began = Instant::now();
    let reply = world.client.call("sql", json!({"sql": "insert"})).await;
    assert_eq!(reply.served_by().as_deref(), Some("rest"), "{}", reply.answer.text());
    assert!((1000..2200).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    world.rest.set(Behaviour::too_many_requests(Some(30)));
    let before = world.calls();
    assert_eq!(world.client.call("sql", json!({"sql": "insert"})).await.status(), 429);
    assert_eq!(since(before, world.calls()), [0, 0, 1]);
}

#[tokio::test]
async fn failing_over_beats_waiting_and_only_the_last_server_is_waited_for() {
    let world = World::start_with(|options| {
        for server in 0..3 {
            options.set(&format!("/servers/{server}/attempts"), json!(3));
        }
    })
    .await;
    world.primary.stop().await.expect("stop");
    world.secondary.set(Behaviour::too_many_requests(Some(1)));
    let (all, took) = answered(&world, "sql", &json!({"sql": "insert"})).await;
    assert_eq!((all, world.calls()), (20, [0, 20, 20]));
    assert!(took < Duration::from_secs(2), "{took:?} for twenty calls");

    world.rest.set_for(1, Behaviour::too_many_requests(None));
    let (before, began) = (world.calls(), Instant::now());
    let reply = world.client.call("sql", json!({"sql": "insert"})).await;
    assert_eq!(reply.served_by().as_deref(), Some("rest"), "{}", reply.answer.text());
    assert_eq!(since(before, world.calls()), [0, 1, 2]);
    assert!((1000..2200).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}
