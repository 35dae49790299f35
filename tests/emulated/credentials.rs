//! The life of a token, on clocks that are turned by hand.

use std::time::Duration;

use dualpath::credential::date::DAY_S;
use serde_json::json;

use crate::fixture::{World, all, first, healthy, json_answer, registry};
use crate::host::{Behaviour, Played};

/// Where the emulated host's wall clock begins, in seconds since 1970: 2026-05-28T20:26:40Z.
const START: &str = "2026-05-28";

/// The credentials that the servers were shown, in order.
fn shown(played: &Played) -> Vec<String> {
    let sent = played.attempts.iter().filter(|attempt| attempt.sent);
    sent.map(|attempt| String::from_utf8_lossy(attempt.headers.first("authorization").unwrap_or_default()).into_owned())
        .collect()
}

fn refusal() -> Behaviour {
    json_answer(401, "{}")
}

#[test]
fn a_token_is_not_sent_any_more_from_the_second_in_which_it_expires() {
    let mut registry = registry();
    registry["credentials"][0]["slots"]["a"]["expires"] = json!("2026-05-29");
    let world = World::under(&registry);
    let ends_in = Duration::from_secs(dualpath::credential::date::parse("2026-05-29").unwrap() - 1_780_000_000);
    world.process.advance(ends_in - Duration::from_secs(1));
    assert_eq!(shown(&world.call("search", healthy())), ["Bearer secret-mcp-a-1"]);
    world.process.advance(Duration::from_secs(1));
    assert_eq!(shown(&world.call("search", healthy())), ["Bearer secret-mcp-a-2"]);
    let switch = "dualpath_pat_switch_total.credential.pat-mcp-a.from.a.to.b.reason.expired";
    assert_eq!(world.metric(switch), 1);
}

#[test]
fn a_token_that_was_issued_in_the_future_waits_for_its_time() {
    let mut registry = registry();
    registry["credentials"][0]["slots"]["b"]["issued"] = json!("2026-05-30");
    registry["credentials"][0]["slots"]["a"]["issued"] = json!(START);
    let world = World::under(&registry);
    assert_eq!(shown(&world.call("search", healthy())), ["Bearer secret-mcp-a-1"]);
    world.process.advance(Duration::from_secs(2 * DAY_S));
    assert_eq!(shown(&world.call("search", healthy())), ["Bearer secret-mcp-a-2"], "the later one of two");
}

#[test]
fn a_server_whose_tokens_all_expired_is_passed_over_and_no_call_is_lost() {
    let mut registry = registry();
    for slot in ["a", "b"] {
        registry["credentials"][0]["slots"][slot]["expires"] = json!("2026-01-01");
    }
    let world = World::under(&registry);
    // Nothing watches the credentials here, so the first call has to find out.
    let _ = world.call("search", healthy());
    for _ in 0..5 {
        assert_eq!(world.call("search", healthy()).servers(), ["mcp-b"]);
    }
}

#[test]
fn a_refused_token_is_shown_once_until_it_has_rested() {
    let world = World::new();
    assert_eq!(shown(&world.call("write", first(refusal())))[..1], ["Bearer secret-mcp-a-1"]);
    for _ in 0..20 {
        let played = world.call("write", first(refusal()));
        assert!(!shown(&played).contains(&"Bearer secret-mcp-a-1".to_owned()), "{:?}", shown(&played));
    }
    world.process.advance(Duration::from_secs(601));
    assert!(shown(&world.call("write", healthy()))[0].starts_with("Bearer secret-mcp-a-"));
}

#[test]
fn when_every_token_is_refused_attempts_are_bounded_and_the_cause_named() {
    let world = World::new();
    let mut attempts = 0;
    for _ in 0..100 {
        world.process.advance(Duration::from_millis(600));
        let played = world.call("search", all(&refusal()));
        assert_eq!(played.reply().status(), 503);
        attempts += played.servers().len();
    }
    // A minute: three servers, two slots each, shown at the beginning and once more after 30 s.
    assert!(attempts <= 12, "{attempts} attempts");
    let body = String::from_utf8_lossy(&world.call("search", all(&refusal())).reply().body).into_owned();
    assert!(body.contains("pat-mcp-a slot a was refused, slot b was refused"), "{body}");
    for secret in crate::fixture::SECRETS.as_flattened() {
        assert!(!body.contains(secret), "{body}");
    }
}

#[test]
fn a_new_token_in_the_place_of_a_refused_one_is_used_at_once() {
    let mut world = World::new();
    world.route.slots.insert("mcp-a".into(), [Some("secret-mcp-a-1".into()), None]);
    assert_eq!(world.call("search", first(refusal())).servers(), ["mcp-a", "mcp-b"]);
    world.route.slots.insert("mcp-a".into(), [Some("secret-mcp-a-1".into()), Some("secret-mcp-a-3".into())]);
    // Without the prober's watch the rest has to end; a call then sees both slots as they are.
    world.process.advance(Duration::from_secs(31));
    let played = world.call("search", healthy());
    assert_eq!(played.servers(), ["mcp-a"]);
}
