//! Headers, credentials and ids: who gets to see what.

use crate::fixture::{SECRETS, SERVERS, World, call_body, exchange, first, healthy, rest_answer};
use crate::host::{Behaviour, Played};

/// A call that visits all three servers.
fn grand_tour(world: &World) -> Played {
    world.call("search", [Behaviour::Reset, Behaviour::Reset, rest_answer()])
}

#[test]
fn no_server_gets_the_credential_of_another() {
    let played = grand_tour(&World::new());
    assert_eq!(played.servers(), SERVERS);
    for (attempt, own) in played.attempts.iter().zip(SECRETS) {
        assert_eq!(attempt.headers.get("authorization"), Some(format!("Bearer {}", own[0])));
        assert_eq!(attempt.headers.count("authorization"), 1);
        let others = SECRETS.iter().flatten().filter(|secret| **secret != own[0]);
        for secret in others {
            assert!(!attempt.headers.contain(secret), "{} got {secret}", attempt.server);
        }
        assert!(!attempt.headers.contain("x-dualpath-"), "{}", attempt.server);
    }
}

#[test]
fn no_server_learns_the_clients_address_or_what_this_envoy_tells_of_itself() {
    let mut exchange = exchange(&call_body("search", "1"), [Behaviour::Reset, Behaviour::Reset, rest_answer()]);
    for name in ["x-forwarded-for", "x-envoy-external-address", "x-envoy-internal", "x-forwarded-client-cert"] {
        exchange.headers.set(name, "of-the-connection-manager");
    }
    let played = World::new().play(exchange);
    assert_eq!(played.servers(), SERVERS);
    for attempt in &played.attempts {
        let told = |name: &str| name.starts_with("x-envoy-") || name.starts_with("x-forwarded-");
        assert!(!attempt.headers.0.iter().any(|(name, _)| told(name)), "{attempt:?}");
    }
}

#[test]
fn nothing_of_mcp_goes_to_a_rest_server() {
    let mut exchange = exchange(&call_body("search", "1"), [Behaviour::Reset, Behaviour::Reset, rest_answer()]);
    for (name, value) in
        [("mcp-session-id", "s"), ("mcp-method", "tools/call"), ("mcp-name", "search"), ("last-event-id", "3")]
    {
        exchange.headers.set(name, value);
    }
    let played = World::new().play(exchange);
    let rest = played.attempts.last().expect("an attempt");
    assert_eq!(rest.server, "api");
    assert!(rest.headers.0.iter().all(|(name, _)| !name.starts_with("mcp-") && name != "last-event-id"));
    assert_eq!(rest.headers.get(":authority").as_deref(), Some("api.example"));
    assert_ne!(rest.headers.get(":path").as_deref(), Some("/a/mcp"));
    let length = rest.headers.get("content-length");
    assert!(length.is_none_or(|length| length == rest.body.len().to_string()));
}

#[test]
fn each_server_is_asked_under_its_own_name_and_path() {
    let played = grand_tour(&World::new());
    let asked = |n: usize, name: &str| played.attempts[n].headers.get(name).unwrap_or_default();
    assert_eq!((asked(0, ":authority"), asked(0, ":path")), ("a.example".into(), "/a/mcp".into()));
    assert_eq!((asked(1, ":authority"), asked(1, ":path")), ("b.example".into(), "/b/mcp".into()));
    assert_eq!(played.attempts[0].body, played.attempts[1].body);
}

#[test]
fn what_the_client_sends_in_reserved_headers_reaches_nobody() {
    let mut exchange = exchange(&call_body("search", "1"), first(Behaviour::ConnectFailure));
    for name in ["authorization", "x-dualpath-slot-a", "x-dualpath-slot-b", "x-dualpath-failover", "x-envoy-retry-on"] {
        exchange.headers.add(name, "from-the-client");
    }
    exchange.headers.set("x-envoy-max-retries", "99");
    let played = World::new().play(exchange);
    for attempt in &played.attempts {
        assert!(!attempt.headers.contain("from-the-client"), "{attempt:?}");
    }
}

#[test]
fn of_two_session_ids_none_reaches_a_server() {
    for ids in [["s", "dp1~mcp-b~secret"], ["dp1~mcp-a~s", "dp1~mcp-b~t"]] {
        let mut exchange = exchange(&call_body("search", "1"), healthy());
        for id in ids {
            exchange.headers.add("mcp-session-id", id);
        }
        let played = World::new().play(exchange);
        assert!(played.attempts.iter().all(|attempt| attempt.headers.count("mcp-session-id") == 0), "{ids:?}");
    }
}

#[test]
fn a_missing_credential_is_refused_and_never_replaced_by_the_clients() {
    let mut world = World::new();
    world.route.slots.clear();
    let mut exchange = exchange(&call_body("search", "1"), healthy());
    exchange.headers.add("authorization", "Bearer from-the-client");
    exchange.headers.add("x-dualpath-slot-a", "from-the-client");
    let played = world.play(exchange);
    assert!(played.servers().is_empty(), "{:?}", played.attempts);
    assert_eq!(played.reply().status(), 503);
}

#[test]
fn the_id_comes_back_byte_for_byte() {
    let ids = ["0", "-1", "1.0", "1e3", "12345678901234567890123", r#""a""#, r#""\u00e9\/""#, r#""ÿ""#];
    for id in ids {
        let world = World::new();
        let servers = [Behaviour::ConnectFailure, Behaviour::ConnectFailure, rest_answer()];
        let direct = world.play(exchange(&call_body("search", id), servers)).reply().text();
        assert!(direct.contains(&format!(r#""id":{id}"#)), "{id}: {direct}");
        let none = [Behaviour::ConnectFailure, Behaviour::ConnectFailure, Behaviour::ConnectFailure];
        let error = world.play(exchange(&call_body("search", id), none)).reply().text();
        assert!(error.contains(&format!(r#""id":{id}"#)), "{id}: {error}");
    }
}

#[test]
fn no_secret_is_left_in_logs_metrics_shared_data_or_filter_state() {
    let world = World::new();
    let played = [grand_tour(&world), world.call("write", first(crate::fixture::json_answer(401, "{}")))];
    let mut traces: Vec<Vec<u8>> = world.process.log().into_iter().map(|(_, line)| line.into_bytes()).collect();
    traces.extend(world.metric_names().into_iter().map(String::into_bytes));
    traces.extend(world.process.shared_data().all().into_iter().flat_map(|(key, value)| [key.into_bytes(), value]));
    traces.extend(played.iter().flat_map(|played| played.filter_state.values().cloned()));
    traces.extend(played.iter().map(|played| played.reply().body.clone()));
    for trace in &traces {
        let text = String::from_utf8_lossy(trace);
        assert!(!text.contains("secret-"), "{text}");
    }
}
