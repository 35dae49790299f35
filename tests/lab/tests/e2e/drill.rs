//! The drill: one request sees a server fail that is well, and the real Envoy really fails it over.

use dualpath_lab::client::{Client, Reply};
use serde_json::json;

use crate::world::{World, since};

const HEADER: &str = "x-dualpath-drill";
const STATE: &str = "cortex_circuit_breaker_state";

async fn world() -> World {
    World::start_with(|options| {
        options.set("/drill", json!({"enabled": true}));
        options.set("/breaker", json!({"consecutive": 1, "base_open": "20s"}));
    })
    .await
}

fn ordering(world: &World, orders: &str) -> Client {
    world.client.clone().header(HEADER, orders)
}

async fn sql(client: &Client) -> Reply {
    client.call("sql", json!({"sql": "insert"})).await
}

/// No breaker has moved, and no attempt is counted at a server that was not asked.
async fn assert_untouched(world: &World, asked: [f64; 3]) {
    let metrics = world.envoy.metrics_settled().await.expect("metrics");
    for (server, asked) in ["primary", "secondary", "rest"].into_iter().zip(asked) {
        assert_eq!(metrics.value(STATE, &[("server", server)]), Some(0.0), "{server}");
        assert_eq!(metrics.sum("dualpath_attempts_total", &[("server", server)]), asked, "{server}");
    }
    assert_eq!(metrics.sum("dualpath_breaker_transitions_total", &[]), 0.0);
}

#[tokio::test]
async fn a_replayable_call_goes_to_the_next_server_whatever_the_drill() {
    let world = world().await;
    for class in ["", ",server", ",lost", ",not_sent", ",overload", ",credential"] {
        let before = world.calls();
        let reply = ordering(&world, &format!("fail=primary{class}")).search("q").await;
        assert_eq!(reply.served_by().as_deref(), Some("secondary"), "{class}: {}", reply.answer.text());
        assert_eq!(since(before, world.calls()), [0, 1, 0], "{class}: the primary is not asked");
        assert_eq!(reply.answer.header("x-dualpath-attempts"), Some("2"), "{class}");
    }
    assert_untouched(&world, [0.0, 6.0, 0.0]).await;
    let metrics = world.envoy.metrics_settled().await.expect("metrics");
    for (class, times) in [("server", 2.0), ("lost", 1.0), ("not_sent", 1.0), ("overload", 1.0), ("credential", 1.0)] {
        let labels = [("server", "primary"), ("class", class)];
        assert_eq!(metrics.value("dualpath_drill_total", &labels), Some(times), "{class}");
    }
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"), "only requests that order it");
}

#[tokio::test]
async fn an_unreplayable_call_fails_over_only_where_it_was_not_executed() {
    let world = world().await;
    for (class, fails_over) in
        [("server", false), ("lost", false), ("not_sent", true), ("overload", true), ("credential", true)]
    {
        let before = world.calls();
        let reply = sql(&ordering(&world, &format!("fail=primary,{class}"))).await;
        if fails_over {
            assert_eq!(reply.served_by().as_deref(), Some("secondary"), "{class}: {}", reply.answer.text());
            assert_eq!(since(before, world.calls()), [0, 1, 0], "{class}");
        } else {
            assert_eq!(reply.error()["data"]["source"], json!("dualpath"), "{class}: {}", reply.answer.text());
            assert_eq!(reply.error()["data"]["class"], json!(class), "{}", reply.answer.text());
            assert_eq!(reply.error()["data"]["server"], json!("primary"), "{}", reply.answer.text());
            assert_eq!(reply.id().as_deref(), Some("1"), "{class}");
            assert_eq!(since(before, world.calls()), [0, 0, 0], "{class}: nobody executes it");
        }
    }
    assert_untouched(&world, [0.0, 3.0, 0.0]).await;
}

#[tokio::test]
async fn several_servers_can_fail_down_to_the_direct_path_and_beyond() {
    let world = world().await;
    let reply = ordering(&world, "fail=primary; fail=secondary,overload").search("q").await;
    assert_eq!(reply.served_by().as_deref(), Some("rest"), "{}", reply.answer.text());
    let reply = ordering(&world, "fail=secondary").search("q").await;
    assert_eq!(reply.served_by().as_deref(), Some("primary"), "it never comes to the secondary");
    let reply = ordering(&world, "fail=primary;fail=secondary;fail=rest").search("q").await;
    assert_eq!(reply.error()["data"]["source"], json!("dualpath"), "{}", reply.answer.text());
    assert_eq!(world.calls(), [1, 0, 1]);
    assert_untouched(&world, [1.0, 0.0, 1.0]).await;
}

#[tokio::test]
async fn a_refused_secret_is_drilled_by_asking_with_the_other_one() {
    let world = World::start_with(|options| {
        options.set("/drill", json!({"enabled": true}));
        options.env.push(("LAB_PAT_B".to_owned(), "pat-b-of-primary-77aa".to_owned()));
        options.set("/credentials/0/slots/b", json!({"env": "LAB_PAT_B"}));
        options.primary.tokens.push("pat-b-of-primary-77aa".to_owned());
    })
    .await;
    let reply = sql(&ordering(&world, "fail=primary,credential")).await;
    assert_eq!(reply.served_by().as_deref(), Some("primary"), "{}", reply.answer.text());
    assert_eq!(world.primary.received()[0].header("authorization"), Some("Bearer pat-b-of-primary-77aa"));
}

#[tokio::test]
async fn a_long_call_survives_its_drill() {
    let world = world().await;
    let query = "q".repeat(300_000);
    let reply = ordering(&world, "fail=primary").search(&query).await;
    assert_eq!(reply.served_by().as_deref(), Some("secondary"));
    assert!(world.secondary.received()[0].body.contains(&query), "the call is whole");
}

#[tokio::test]
async fn an_order_that_nobody_may_give_is_ignored_and_counted() {
    for (drill, reason) in [
        (json!({"enabled": false}), "off"),
        (json!({"enabled": true, "sources": ["192.0.2.0/24", "::1/128"]}), "source"),
    ] {
        let world = World::start_with(|options| options.set("/drill", drill)).await;
        let forged = ordering(&world, "nonsense").header("x-forwarded-for", "192.0.2.1");
        let reply = forged.search("q").await;
        assert_eq!(reply.served_by().as_deref(), Some("primary"), "{reason}: {}", reply.answer.text());
        assert_eq!(world.primary.received()[0].header(HEADER), None);
        let labels = [("reason", reason)];
        let (_, counted) = world
            .envoy
            .metrics_until(|m| m.value("dualpath_drill_ignored_total", &labels) == Some(1.0))
            .await
            .expect("metrics");
        assert!(counted, "{reason}");
    }
}

#[tokio::test]
async fn an_order_that_cannot_be_carried_out_is_refused_and_says_why() {
    let world = world().await;
    for (orders, word) in [("primary", "fail=SERVER"), ("fail=nobody", "registry"), ("fail=primary,caller", "not_sent")]
    {
        let reply = ordering(&world, orders).search("q").await;
        assert_eq!(reply.status(), 422, "{orders}");
        assert_eq!(reply.error()["data"]["reason"], json!("DRILL_MALFORMED"), "{orders}");
        assert!(reply.error()["message"].as_str().is_some_and(|text| text.contains(word)), "{}", reply.answer.text());
    }
    assert_eq!(world.calls(), [0, 0, 0]);
}
