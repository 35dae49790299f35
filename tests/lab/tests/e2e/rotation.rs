//! Rotating tokens on the real Envoy: no call is lost, a refused token rests, and operators hear of everything.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dualpath_lab::metrics::Metrics;
use dualpath_lab::stub::{Behaviour, Config, Stub};
use dualpath_lab::traffic::Traffic;
use serde_json::{Value, json};

use crate::world::{Options, World};

const OLD: &str = "pat-old-5d1c77";
const NEW: &str = "pat-new-e208b4";
const DAY: u64 = 86_400;

fn wall_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A token that tells when it was issued and when it ends.
fn token(name: &str, issued: u64, expires: u64) -> String {
    let payload = json!({"sub": name, "iat": issued, "exp": expires}).to_string();
    format!("eyJhbGciOiJSUzI1NiJ9.{}.{name}", URL_SAFE_NO_PAD.encode(payload))
}

/// The primary's credential in two files with these tokens; it accepts `accepted`.
fn slots(options: &mut Options, [a, b]: [&str; 2], accepted: &[&str]) {
    let files = [("a", a), ("b", b)].map(|(slot, secret)| {
        let file = format!("pat-primary-{slot}.json");
        options.scratch.write_secret(&file, &format!("pat-primary-{slot}"), secret).expect("a secret file")
    });
    options.set("/credentials/0/slots", json!({"a": {"sds_file": files[0]}, "b": {"sds_file": files[1]}}));
    options.primary.tokens = accepted.iter().map(|&token| token.to_owned()).collect();
}

fn put(world: &World, slot: &str, secret: &str) {
    let file = format!("pat-primary-{slot}.json");
    world.envoy.scratch().write_secret(&file, &format!("pat-primary-{slot}"), secret).expect("a secret file");
}

/// The tokens that the stub has been shown, in order, each run of the same one once.
fn shown(stub: &Stub) -> Vec<String> {
    let mut tokens: Vec<_> = stub
        .received()
        .iter()
        .filter(|request| request.header("user-agent").is_none_or(|agent| !agent.starts_with("dualpath-prober")))
        .map(|request| request.header("authorization").unwrap_or("none").trim_start_matches("Bearer ").to_owned())
        .collect();
    tokens.dedup();
    tokens
}

async fn until(world: &World, holds: impl Fn(&Metrics) -> bool) -> Metrics {
    let (metrics, held) = world.envoy.metrics_until(holds).await.expect("metrics");
    assert!(held, "{}", world.envoy.admin("/stats/prometheus").await.unwrap_or_default());
    metrics
}

/// Waits until calls that begin now are sent with `wanted`.
async fn until_used(world: &World, wanted: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while shown(&world.primary).last().map(String::as_str) != Some(wanted) {
        assert!(Instant::now() < deadline, "{wanted} is not used: {:?}", shown(&world.primary));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_rotation_under_load_loses_no_call() {
    let world = World::start_with(|options| slots(options, [OLD, ""], &[OLD, NEW])).await;
    // About 200 calls a second.
    let traffic = Traffic::start(&world.client, 4, Duration::from_millis(18));
    traffic.next(200).await;
    put(&world, "b", NEW);
    // Both are there; the old one works and stays, since nothing says that the other is newer.
    traffic.next(200).await;
    put(&world, "a", "");
    until_used(&world, NEW).await;
    world.primary.accept(&[NEW]);
    traffic.next(200).await;
    let outcomes = traffic.outcomes();
    drop(traffic);
    let failed: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.answered_by.as_ref().err()).collect();
    assert!(outcomes.len() >= 600 && failed.is_empty(), "{} calls, failed: {failed:?}", outcomes.len());
    let elsewhere = outcomes.iter().filter(|outcome| outcome.answered_by.as_deref() != Ok("primary")).count();
    assert_eq!(elsewhere, 0, "of {}", outcomes.len());
    assert_eq!(shown(&world.primary).last().map(String::as_str), Some(NEW));
}

#[tokio::test]
async fn a_token_that_was_issued_later_is_used_at_once() {
    let now = wall_s();
    let (old, new) = (token("old", now - 50 * DAY, now + 20 * DAY), token("new", now - 10, now + 90 * DAY - 10));
    let accepted = [old.as_str(), new.as_str()];
    let world = World::start_with(|options| slots(options, [&old, ""], &accepted)).await;
    // A worker that has never sent the old token has nothing to switch from.
    let traffic = Traffic::start(&world.client, 2, Duration::from_millis(10));
    until_used(&world, &old).await;
    put(&world, "b", &new);
    until_used(&world, &new).await;
    drop(traffic);
    until(&world, |metrics| {
        metrics.sum("dualpath_pat_switch_total", &[("from", "a"), ("to", "b"), ("reason", "newer")]) >= 1.0
    })
    .await;
}

#[tokio::test]
async fn a_token_revoked_without_warning_costs_no_call_and_is_not_shown_again() {
    let world = World::start_with(|options| slots(options, [OLD, NEW], &[OLD, NEW])).await;
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"));
    world.primary.accept(&[NEW]);
    for _ in 0..40 {
        // Not replayable: a refused credential is certain not to have executed anything.
        let reply = world.client.call("sql", json!({"sql": "insert"})).await;
        assert_eq!(reply.served_by().as_deref(), Some("primary"), "{}", reply.answer.text());
    }
    let received = world.primary.received();
    let refused = received.iter().filter(|r| r.header("authorization") == Some(&format!("Bearer {OLD}"))).count() - 1;
    assert!((1..=2).contains(&refused), "each of two workers finds out once, not {refused} times");
    let metrics = world.envoy.metrics_settled().await.expect("metrics");
    let labels = [("credential", "pat-primary"), ("slot", "a")];
    assert_eq!(metrics.sum("dualpath_pat_rejected_total", &labels), refused as f64);
    assert!(metrics.sum("dualpath_pat_switch_total", &[("reason", "rejected")]) >= 1.0);
}

#[tokio::test]
async fn two_bad_tokens_are_named_as_the_cause_and_not_hammered() {
    let world = World::start_with(|options| {
        slots(options, [OLD, NEW], &["pat-third"]);
        options.set("/servers/1/credential", json!("pat-primary"));
        options.set("/servers/2/credential", json!("pat-primary"));
    })
    .await;
    let began = Instant::now();
    for _ in 0..60 {
        let reply = world.client.search("q").await;
        assert_eq!(reply.status(), 503, "never 401, which would start an OAuth flow: {}", reply.answer.text());
        assert_eq!(reply.error()["data"]["source"], json!("dualpath"));
        assert!(reply.answer.header("www-authenticate").is_none());
        assert!(reply.answer.text().contains("credential"), "{}", reply.answer.text());
    }
    let reply = world.client.search("q").await;
    assert!(
        reply.answer.text().contains("pat-primary slot a was refused, slot b was refused"),
        "{}",
        reply.answer.text()
    );
    for (stub, _) in world.stubs() {
        let attempts = stub.received().iter().filter(|r| r.path != "/_control").count();
        // Three calls with two slots each make a worker sure, and another that has not heard of it yet; then one call a second
        // and worker, and the prober.
        let most = 16 + 5 * usize::try_from(began.elapsed().as_secs()).expect("a short time");
        assert!(attempts <= most, "{}: {attempts} attempts for 61 calls, not {most}", stub.name());
    }
    let metrics = world.envoy.metrics_settled().await.expect("metrics");
    assert!(metrics.sum("dualpath_alerts_total", &[("class", "credential")]) >= 1.0);
    until(&world, |metrics| {
        let sent = |slot| metrics.value("dualpath_pat_sent", &[("credential", "pat-primary"), ("slot", slot)]);
        let critical = [("credential", "pat-primary"), ("severity", "critical")];
        sent("a") == Some(0.0)
            && sent("b") == Some(0.0)
            && metrics.value("snowflake_pat_rotation_alerts", &critical) == Some(1.0)
    })
    .await;
    // A new token is noticed without waiting for the end of the rest.
    world.primary.accept(&[NEW, "pat-third"]);
    put(&world, "b", "pat-third");
    let deadline = Instant::now() + Duration::from_secs(10);
    while world.client.search("q").await.served_by().as_deref() != Some("primary") {
        assert!(Instant::now() < deadline, "the new token is not noticed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_token_that_expires_while_calls_flow_is_not_sent_any_more() {
    let long = token("long", wall_s() - 2 * DAY, wall_s() + 60 * DAY);
    let world = World::start_with(|options| slots(options, ["", &long], &[&long])).await;
    let traffic = Traffic::start(&world.client, 2, Duration::from_millis(10));
    until_used(&world, &long).await;
    let end = wall_s() + 5;
    let short = token("short", wall_s() - DAY, end);
    world.primary.accept(&[&short, &long]);
    put(&world, "a", &short);
    until_used(&world, &short).await;
    until_used(&world, &long).await;
    let expired_s = wall_s();
    traffic.next(50).await;
    let outcomes = traffic.outcomes();
    drop(traffic);
    assert!(expired_s >= end, "it was good until then");
    assert!(outcomes.iter().all(|outcome| outcome.answered_by.as_deref() == Ok("primary")), "{outcomes:?}");
    assert_eq!(shown(&world.primary), [long.clone(), short, long]);
    until(&world, |metrics| metrics.sum("dualpath_pat_switch_total", &[("reason", "expired")]) >= 1.0).await;
    until(&world, |metrics| {
        metrics.value("snowflake_pat_days_until_expiry", &[("credential", "pat-primary"), ("slot", "a")]) == Some(0.0)
    })
    .await;
}

#[tokio::test]
async fn the_age_of_tokens_shows_without_any_call() {
    let now = wall_s();
    let ending = token("ending", now - 87 * DAY, now + 2 * DAY + 3600);
    let world = World::start_with(|options| slots(options, [&ending, ""], &[&ending])).await;
    let of = |slot| [("credential", "pat-primary"), ("slot", slot)];
    let metrics =
        until(&world, |metrics| metrics.value("snowflake_pat_days_until_expiry", &of("a")) == Some(2.0)).await;
    let alert = |metrics: &Metrics, severity| {
        metrics.value("snowflake_pat_rotation_alerts", &[("credential", "pat-primary"), ("severity", severity)])
    };
    assert_eq!((alert(&metrics, "alert"), alert(&metrics, "critical")), (Some(1.0), Some(0.0)));
    assert_eq!(metrics.value("dualpath_pat_age_violation", &[("credential", "pat-primary")]), Some(0.0));
    // What tells nothing of itself is unknown and not fresh.
    let secondary = [("credential", "pat-secondary"), ("slot", "a")];
    until(&world, |metrics| metrics.value("dualpath_pat_expiry_known", &secondary) == Some(0.0)).await;
    assert_eq!(metrics.value("snowflake_pat_days_until_expiry", &secondary), None);

    put(&world, "a", &token("too-long", now - DAY, now + 200 * DAY));
    until(&world, |metrics| {
        metrics.value("dualpath_pat_age_violation", &[("credential", "pat-primary")]) == Some(1.0)
            && alert(metrics, "alert") == Some(0.0)
    })
    .await;
    put(&world, "a", "");
    let metrics = until(&world, |metrics| metrics.value("dualpath_pat_present", &of("a")) == Some(0.0)).await;
    assert_eq!(metrics.value("snowflake_pat_days_until_expiry", &of("a")), Some(0.0), "not those of what was there");
    assert_eq!(metrics.value("dualpath_pat_expiry_known", &of("a")), Some(0.0));
    assert_eq!(alert(&metrics, "critical"), Some(1.0), "there is no token to send");
    let present = |slot| metrics.value("dualpath_pat_present", &[("credential", "pat-secondary"), ("slot", slot)]);
    assert_eq!((present("a"), present("b")), (Some(1.0), None), "the registry has no slot b of it");
    assert_eq!(world.calls(), [0, 0, 0]);
}

/// An opaque token with its dates beside it, on several lines.
fn dated(token: &str, issued: u64, expires: u64) -> String {
    format!("{:#}", json!({"token": token, "issued": issued, "expires": expires}))
}

#[tokio::test]
async fn one_file_brings_a_token_and_its_dates_and_a_new_one_does_not_inherit_them() {
    let now = wall_s();
    let ending = dated(OLD, now - 80 * DAY, now + 2 * DAY + 3600);
    let world = World::start_with(|options| {
        slots(options, [&ending, ""], &[OLD, NEW]);
        let slots =
            json!({"a": {"sds_file": options.scratch.path().join("pat-primary-a.json"), "expires": "2020-01-01"}});
        options.set("/credentials/0/slots", slots);
    })
    .await;
    let days = |metrics: &Metrics| {
        metrics.value("snowflake_pat_days_until_expiry", &[("credential", "pat-primary"), ("slot", "a")])
    };
    let alert = |metrics: &Metrics| {
        metrics.value("snowflake_pat_rotation_alerts", &[("credential", "pat-primary"), ("severity", "alert")])
    };
    until(&world, |metrics| (days(metrics), alert(metrics)) == (Some(2.0), Some(1.0))).await;
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"));
    put(&world, "a", &dated(NEW, now, now + 60 * DAY + 3600));
    until(&world, |metrics| (days(metrics), alert(metrics)) == (Some(60.0), Some(0.0))).await;
    let traffic = Traffic::start(&world.client, 2, Duration::from_millis(10));
    until_used(&world, NEW).await;
    drop(traffic);
    assert_eq!(shown(&world.primary), [OLD, NEW], "the tokens alone");
    put(&world, "a", "pat-opaque-7f3b21");
    until(&world, |metrics| {
        metrics.value("dualpath_pat_expiry_known", &[("credential", "pat-primary"), ("slot", "a")]) == Some(0.0)
    })
    .await;
    for secret in [OLD, NEW] {
        assert!(!world.envoy.logs().contains(secret));
    }
}

#[tokio::test]
async fn a_token_with_a_line_break_inside_is_an_empty_slot_and_costs_no_call() {
    let world = World::start_with(|options| slots(options, ["tok-0123456789\nabcdef", NEW], &[NEW])).await;
    for _ in 0..10 {
        let reply = world.client.call("sql", json!({"sql": "insert"})).await;
        assert_eq!(reply.served_by().as_deref(), Some("primary"), "{}", reply.answer.text());
    }
    assert_eq!(shown(&world.primary), [NEW]);
    let of = |slot| [("credential", "pat-primary"), ("slot", slot)];
    until(&world, |metrics| {
        metrics.value("dualpath_pat_present", &of("a")) == Some(0.0)
            && metrics.value("dualpath_pat_sent", &of("b")) == Some(1.0)
    })
    .await;
    let logs = world.envoy.logs();
    assert!(logs.contains(r#""event":"defective""#) && !logs.contains("tok-0123456789"), "{logs}");
    // Nothing but such a token: the next server, and the operator hears of it.
    put(&world, "b", "{\"token\": \"broken-9281");
    let critical = [("credential", "pat-primary"), ("severity", "critical")];
    until(&world, |metrics| metrics.value("snowflake_pat_rotation_alerts", &critical) == Some(1.0)).await;
    // A worker that has seen the good token a moment ago finds out by a call.
    let deadline = Instant::now() + Duration::from_secs(10);
    let elsewhere = async || {
        let reply = world.client.call("sql", json!({"sql": "insert"})).await;
        reply.served_by().as_deref() == Some("secondary")
    };
    while !(elsewhere().await && elsewhere().await && elsewhere().await) {
        assert!(Instant::now() < deadline, "the next server is not used");
    }
    assert!(!world.envoy.logs().contains("broken-9281"));
}

#[tokio::test]
async fn a_token_comes_from_an_http_endpoint_and_is_replaced_from_there() {
    let endpoint = Stub::start(Config::rest("endpoint")).await.expect("a stub");
    let answer =
        |token: &str| Behaviour::Status { status: 200, headers: Vec::new(), body: json!({"token": token}).to_string() };
    endpoint.set(answer(OLD));
    let url = endpoint.url("/v1/pat");
    let world = World::start_with(|options| {
        options.primary.tokens = vec![OLD.to_owned(), NEW.to_owned()];
        options.set("/credentials/0/slots", json!({"a": {"http": {"url": url, "field": "token", "every": "1s"}}}));
    })
    .await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while world.client.search("q").await.served_by().as_deref() != Some("primary") {
        assert!(Instant::now() < deadline, "the endpoint's token is not used");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(shown(&world.primary), [OLD]);
    // An outage of the endpoint changes nothing, a new token does.
    endpoint.set(Behaviour::status(500));
    world.client.search("q").await;
    endpoint.set(answer(NEW));
    let traffic = Traffic::start(&world.client, 2, Duration::from_millis(10));
    until_used(&world, NEW).await;
    let failed = traffic.outcomes().into_iter().filter(|outcome| outcome.answered_by.is_err()).count();
    assert_eq!(failed, 0);
}

/// Every line of the audit trail, from Envoy's log and from the access log.
fn audit(log: &str, access_log: &str) -> (Vec<Value>, Vec<Value>) {
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let lifecycle = log.lines().filter_map(|line| Some(json(&line[line.find("{\"audit\":")?..]))).collect();
    (lifecycle, access_log.lines().map(json).collect())
}

#[tokio::test]
async fn the_audit_trail_tells_every_decision_and_no_token() {
    let now = wall_s();
    let expired = token("expired", now - 80 * DAY, now - 5);
    let world = World::start_with(|options| {
        slots(options, [OLD, NEW], &[NEW]);
        let log = options.scratch.path().join("audit.log");
        options.set("/audit", json!({"access_log": log}));
    })
    .await;
    let caller = world
        .client
        .clone()
        .header("x-request-id", "req-77")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    assert_eq!(caller.search("q").await.served_by().as_deref(), Some("primary"));
    until(&world, |metrics| {
        metrics.value("dualpath_pat_expiry_known", &[("credential", "pat-primary"), ("slot", "a")]) == Some(0.0)
    })
    .await;
    put(&world, "a", &expired);
    until(&world, |metrics| {
        metrics.value("snowflake_pat_days_until_expiry", &[("credential", "pat-primary"), ("slot", "a")]) == Some(0.0)
    })
    .await;
    let path = world.envoy.scratch().path().join("audit.log");
    let deadline = Instant::now() + Duration::from_secs(20);
    while std::fs::read_to_string(&path).unwrap_or_default().is_empty() {
        assert!(Instant::now() < deadline, "nothing in the access log");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (log, access_log) = (world.envoy.logs(), std::fs::read_to_string(&path).expect("the access log"));
    for secret in [OLD, NEW, expired.as_str(), "5d1c77", "e208b4"] {
        assert!(!log.contains(secret) && !access_log.contains(secret), "{secret} shows");
    }
    let (lifecycle, calls) = audit(&log, &access_log);
    let events: Vec<_> = lifecycle
        .iter()
        .filter(|event| event["credential"] == "pat-primary" && event["slot"] == "a")
        .map(|event| event["event"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(events, ["loaded", "changed", "expired"], "{lifecycle:?}");
    assert!(lifecycle.iter().all(|event| event["time"].as_str().is_some_and(|time| time.ends_with('Z'))));
    let call = calls
        .iter()
        .find(|call| call["traceparent"].as_str().is_some_and(|t| t.contains("4bf92f35")))
        .expect("the call");
    assert_eq!((&call["audit"], &call["status"]), (&json!("call"), &json!(200)));
    assert_eq!(call["caller"], json!("127.0.0.1"));
    assert!(call["request_id"].as_str().is_some_and(|id| !id.is_empty()));
    let decisions: Vec<Value> = serde_json::from_str(call["decisions"].as_str().expect("text")).expect("a JSON array");
    let told: Vec<_> =
        decisions.iter().map(|d| format!("{} {}", d["event"].as_str().unwrap(), d["slot"].as_str().unwrap())).collect();
    assert_eq!(told, ["selected a", "rejected a", "switched b"]);
    let fingerprint = |at: usize| decisions[at]["fingerprint"].as_str().expect("a fingerprint").to_owned();
    assert!(fingerprint(0) == fingerprint(1) && fingerprint(1) != fingerprint(2), "{decisions:?}");
    let loaded =
        lifecycle.iter().find(|event| event["slot"] == "a" && event["credential"] == "pat-primary").expect("loaded");
    assert_eq!(loaded["fingerprint"], json!(fingerprint(0)), "the same token has one fingerprint all over the process");
}
