//! The life of a token, on clocks that are turned by hand.

use std::time::Duration;

use dualpath::credential::date::{DAY_S, parse};
use dualpath::credential::{Declared, FingerprintKey, Report, Slot, SlotPair};
use serde_json::json;

use crate::fixture::{
    World, all, call_body, exchange, first, healthy, json_answer, mcp_answer, registry, route, start,
};
use crate::host::{Behaviour, Exchange, Played, Response, play};

/// Where the emulated host's wall clock begins, in seconds since 1970: 2026-05-28T20:26:40Z.
const START: &str = "2026-05-28";

/// The credentials that the servers were shown, in order.
fn shown(played: &Played) -> Vec<String> {
    let sent = played.attempts.iter().filter(|attempt| attempt.sent);
    sent.map(|attempt| String::from_utf8_lossy(attempt.headers.first("authorization").unwrap_or_default()).into_owned())
        .collect()
}

fn search(servers: [Behaviour; 3]) -> Exchange<'static> {
    exchange(&call_body("search", "1"), servers)
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

/// A server that accepts no token but this one.
fn accepts(token: &'static str) -> Behaviour {
    // The behaviours of the host are functions without surroundings.
    match token {
        "secret-mcp-a-2" => Behaviour::Reply(|attempt| match attempt.headers.first("authorization") {
            Some(b"Bearer secret-mcp-a-2") => mcp_answer(attempt),
            _ => Response::new(401, "application/json", "{}"),
        }),
        other => panic!("{other}"),
    }
}

#[test]
fn a_refused_token_is_shown_once_until_it_has_rested_while_the_other_slot_takes_over() {
    let world = World::new();
    let accepting = || first(accepts("secret-mcp-a-2"));
    assert_eq!(shown(&world.call("write", accepting())), ["Bearer secret-mcp-a-1", "Bearer secret-mcp-a-2"]);
    for _ in 0..20 {
        assert_eq!(shown(&world.call("write", accepting())), ["Bearer secret-mcp-a-2"]);
    }
    world.process.advance(Duration::from_secs(601));
    assert!(shown(&world.call("write", healthy()))[0].starts_with("Bearer secret-mcp-a-"));
}

#[test]
fn a_call_that_every_server_refuses_takes_no_server_from_the_next_client() {
    let world = World::new();
    for _ in 0..50 {
        assert_eq!(world.call("search", all(&refusal())).reply().status(), 503);
        let next = world.call("search", healthy());
        assert_eq!((next.reply().status(), next.servers()), (200, vec!["mcp-a"]));
    }
}

#[test]
fn a_call_that_every_server_refuses_takes_no_server_from_the_next_client_with_one_slot_either() {
    let mut world = World::new();
    world.route.slots.values_mut().for_each(|[_, b]| *b = None);
    for _ in 0..50 {
        world.call("search", all(&refusal()));
        assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"]);
    }
}

#[test]
fn servers_that_refused_every_call_are_asked_again_within_two_seconds() {
    let world = World::new();
    while !world.call("search", all(&refusal())).servers().is_empty() {}
    world.process.advance(Duration::from_secs(2));
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"]);
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"], "and all is well at once");
}

#[test]
fn a_server_that_refused_a_token_which_it_had_accepted_is_asked_when_nobody_else_can_answer() {
    let world = World::new();
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"]);
    for _ in 0..10 {
        world.call("search", all(&refusal()));
    }
    let played = world.call("search", healthy());
    assert_eq!((played.reply().status(), played.servers()), (200, vec!["mcp-a"]));
}

#[test]
fn a_token_that_is_refused_for_a_minute_is_not_shown_as_a_last_resort_any_more() {
    let world = World::new();
    world.call("search", healthy());
    world.process.advance(Duration::from_secs(61));
    let mut shown = 0;
    for _ in 0..100 {
        shown += world.call("search", all(&refusal())).servers().len();
    }
    assert!(shown <= 3 * 2 * 3, "{shown}");
}

#[test]
fn a_success_of_one_worker_clears_the_doubts_of_another() {
    let world = World::new();
    while !world.call("search", all(&refusal())).servers().is_empty() {}
    world.process.advance(Duration::from_millis(1));
    assert!(world.call("search", healthy()).servers().is_empty(), "so far nobody has heard of a success");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let other = start(&world.process);
            assert_eq!(play(&other, "gate", &route(), search(healthy())).servers(), ["mcp-a"]);
            other.tick("gate");
        });
    });
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"]);
}

#[test]
fn who_is_refused_while_others_are_not_takes_no_server_from_them() {
    let world = World::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let other = start(&world.process);
            play(&other, "gate", &route(), search(healthy()));
            other.tick("gate");
        });
    });
    for _ in 0..50 {
        assert_eq!(world.call("write", first(refusal())).servers()[0], "mcp-a");
    }
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
    // A minute: three servers, two slots each, shown by three calls and then by one a second.
    assert!(attempts <= 3 * 2 * 62, "{attempts} attempts");
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

/// Leaves what the keeper of the first server's credential leaves once it has seen these slots.
fn keeper_saw(world: &World, slots: [Option<&str>; 2], declared: Declared) {
    let mut pair = SlotPair::default();
    for (slot, text) in Slot::BOTH.into_iter().zip(slots) {
        pair.observe(slot, text.map(str::as_bytes), |_| declared, FingerprintKey([1; 16]));
    }
    let report = Report::of(&pair).encode();
    world.process.shared_data().set("dualpath", "cr1:pat-mcp-a", &report, 0).expect("a write");
}

const TWO_LINES: &str = "tok-0123456789\nabcdef";

#[test]
fn a_token_that_no_header_can_carry_is_as_good_as_none_and_the_other_slot_is_used() {
    let mut world = World::new();
    for bad in [TWO_LINES, "tok\0", "tok\r", "{\"token\": ", r#"{"token": "a\u0000b"}"#] {
        world.route.slots.insert("mcp-a".into(), [Some(bad.into()), Some("secret-mcp-a-2".into())]);
        world.process.advance(Duration::from_secs(1));
        let played = world.call("write", healthy());
        assert_eq!((played.servers(), shown(&played)), (vec!["mcp-a"], vec!["Bearer secret-mcp-a-2".to_owned()]));
    }
}

#[test]
fn a_server_with_nothing_but_a_token_that_no_header_can_carry_is_passed_over() {
    let mut world = World::new();
    world.route.slots.insert("mcp-a".into(), [Some(TWO_LINES.into()), None]);
    keeper_saw(&world, [Some(TWO_LINES), None], Declared::default());
    for _ in 0..5 {
        let played = world.call("write", healthy());
        assert_eq!((played.reply().status(), played.servers()), (200, vec!["mcp-b"]), "from the first call on");
    }
    assert_eq!(world.metric("cortex_circuit_breaker_state.server.mcp-a"), 0);
}

#[test]
fn the_first_call_after_a_start_with_ended_tokens_fails_over() {
    let declared = Declared { issued_s: None, expires_s: parse("2026-01-01") };
    let mut registry = registry();
    for slot in ["a", "b"] {
        registry["credentials"][0]["slots"][slot]["expires"] = json!("2026-01-01");
    }
    let world = World::under(&registry);
    keeper_saw(&world, [Some("secret-mcp-a-1"), Some("secret-mcp-a-2")], declared);
    let played = world.call("search", healthy());
    assert_eq!((played.reply().status(), played.servers()), (200, vec!["mcp-b"]));
}

#[test]
fn nobody_is_told_that_a_server_refused_what_was_never_sent_to_it() {
    let mut world = World::new();
    world.route.slots.insert("mcp-a".into(), [None, None]);
    let reply = world.call("search", healthy());
    let text = reply.reply().text();
    assert!(text.contains("has no token that may be sent") && text.contains("asked: none"), "{text}");
    assert!(!text.contains("did not accept"), "{text}");
    for counted in ["dualpath_attempts_total.server.mcp-a", "dualpath_alerts_total.server.mcp-a"] {
        assert_eq!(world.metric_sum(counted), 0, "{counted}");
    }
}

#[test]
fn a_token_with_dates_beside_it_is_sent_alone_and_not_after_its_end() {
    let mut world = World::new();
    let dated = |token: &str, expires: &str| json!({"token": token, "expires": expires}).to_string();
    let put = |world: &mut World, text: String| {
        world.route.slots.insert("mcp-a".into(), [Some(text), Some("secret-mcp-a-2".into())]);
        world.process.advance(Duration::from_secs(1));
    };
    put(&mut world, dated("secret-mcp-a-1", "2026-06-30"));
    assert_eq!(shown(&world.call("search", healthy())), ["Bearer secret-mcp-a-1"]);
    world.process.advance(Duration::from_secs(40 * DAY_S));
    assert_eq!(shown(&world.call("search", healthy())), ["Bearer secret-mcp-a-2"]);
    put(&mut world, dated("secret-mcp-a-3", "2026-12-31"));
    assert!(shown(&world.call("search", healthy()))[0].starts_with("Bearer secret-mcp-a-"));
    world.route.slots.insert("mcp-a".into(), [Some(dated("secret-mcp-a-3", "2026-12-31")), None]);
    world.process.advance(Duration::from_secs(1));
    assert_eq!(shown(&world.call("search", healthy())), ["Bearer secret-mcp-a-3"]);
}

#[test]
fn the_registry_s_dates_are_the_first_token_s_for_every_worker() {
    let mut registry = registry();
    registry["credentials"][0]["slots"]["a"]["expires"] = json!("2026-06-30");
    let mut world = World::under(&registry);
    let only = |token: &str| [Some(token.to_owned()), None];
    world.route.slots.insert("mcp-a".into(), only("secret-mcp-a-1"));
    assert_eq!(shown(&world.call("search", healthy())), ["Bearer secret-mcp-a-1"]);
    world.process.advance(Duration::from_secs(40 * DAY_S));
    let new = only("secret-mcp-a-3");
    world.route.slots.insert("mcp-a".into(), new.clone());
    assert_eq!(
        shown(&world.call("search", healthy())),
        ["Bearer secret-mcp-a-3"],
        "it is not held to the old one's dates"
    );
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let later = crate::fixture::start_with(&world.process, &registry);
            let mut route = route();
            route.slots.insert("mcp-a".into(), new);
            assert_eq!(shown(&play(&later, "gate", &route, search(healthy()))), ["Bearer secret-mcp-a-3"]);
        });
    });
}

#[test]
fn a_token_that_is_too_old_for_its_policy_is_sent() {
    let mut registry = registry();
    registry["credentials"][0]["slots"]["a"]["issued"] = json!("2026-01-01");
    registry["credentials"][0]["slots"]["b"]["issued"] = json!("2025-01-01");
    assert_eq!(shown(&World::under(&registry).call("search", healthy())), ["Bearer secret-mcp-a-1"]);
}

/// What a server says that shows its callers the request: every header, in whatever it answers.
fn telling(status: u16, kind: &'static str) -> Behaviour {
    match (status, kind) {
        (200, "json") => Behaviour::Reply(|attempt| Response::new(200, "application/json", echo(attempt))),
        (400, "json") => Behaviour::Reply(|attempt| {
            let mut answer = Response::new(400, "application/json", echo(attempt));
            answer.headers.add("x-seen", secret_of(attempt));
            answer
        }),
        (200, "events") => Behaviour::Reply(|attempt| {
            Response::new(200, "text/event-stream", format!(": {}\n\ndata: {}\n\n", secret_of(attempt), echo(attempt)))
        }),
        other => panic!("{other:?}"),
    }
}

fn secret_of(attempt: &crate::host::Attempt) -> String {
    String::from_utf8_lossy(attempt.headers.first("authorization").unwrap_or_default()).into_owned()
}

fn echo(attempt: &crate::host::Attempt) -> String {
    let request: serde_json::Value = serde_json::from_slice(&attempt.body).unwrap_or_default();
    let text = format!("you sent {0} and {0}", secret_of(attempt));
    let result = json!({"content": [{"type": "text", "text": text}], "isError": false});
    json!({"jsonrpc": "2.0", "id": request["id"], "result": result, "message": text}).to_string()
}

fn assert_hides_token(world: &World, played: &Played, what: &str) {
    let reply = played.reply();
    let headers = format!("{:?}", reply.headers);
    let text = reply.text();
    assert!(text.contains("****"), "{what}: {text}");
    for secret in crate::fixture::SECRETS.as_flattened() {
        assert!(!text.contains(secret) && !headers.contains(secret), "{what}: {headers} {text}");
    }
    assert_eq!(world.metric_sum("dualpath_pat_quoted_total"), 1, "{what}");
}

#[test]
fn an_answer_that_quotes_the_token_reaches_no_client_before_that_is_unreadable() {
    for (status, kind) in [(200, "json"), (400, "json"), (200, "events")] {
        std::thread::spawn(move || {
            let world = World::new();
            let played = world.call("write", first(telling(status, kind)));
            assert_eq!(played.servers(), ["mcp-a"]);
            assert_hides_token(&world, &played, &format!("{status} {kind}"));
        })
        .join()
        .expect(kind);
    }
}

#[test]
fn an_api_s_answer_that_quotes_the_token_is_translated_without_it() {
    type Answer = fn(&crate::host::Attempt) -> Response;
    let of_api: [(u16, Answer); 2] = [
        (200, |attempt| {
            Response::new(200, "application/json", json!({"results": [{"text": secret_of(attempt)}]}).to_string())
        }),
        (400, |attempt| {
            Response::new(
                400,
                "application/json",
                json!({"message": format!("bad token {}", secret_of(attempt))}).to_string(),
            )
        }),
    ];
    for (status, answer) in of_api {
        std::thread::spawn(move || {
            let mut registry = registry();
            registry["tools"][0]["servers"] = json!([]);
            let world = World::under(&registry);
            let [a, b, _] = healthy();
            let played = world.call("search", [a, b, Behaviour::Reply(answer)]);
            assert_eq!(played.servers(), ["api"]);
            assert_hides_token(&world, &played, &format!("{status}"));
        })
        .join()
        .expect("no panic");
    }
}
