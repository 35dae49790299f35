//! Kept answers: who gets which, how long, and what is never kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::{
    SECRETS, World, all, call_body, exchange, first, healthy, json_answer, registry, rest_answer, route, start_with,
};
use crate::host::{Attempt, Behaviour, Exchange, Played, Process, Response, play};
use crate::runtime::set;

/// A registry whose `search` keeps answers so.
fn keeping(cache: Value) -> Value {
    let mut registry = registry();
    registry["tools"][0]["cache"] = cache;
    registry
}

fn shared() -> Value {
    keeping(json!({"ttl": "60s", "stale_if_error": "1h", "scope": "shared"}))
}

fn by_caller() -> Value {
    let mut registry = keeping(json!({"ttl": "60s", "stale_if_error": "1h"}));
    registry["cache"] = json!({"caller_header": "x-user-id"});
    registry
}

/// A call of `search` with these arguments.
fn body(id: &str, arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"search","arguments":{arguments}}}}}"#
    )
}

fn asks(arguments: &str) -> Exchange<'static> {
    exchange(&body("1", arguments), healthy())
}

fn with(mut exchange: Exchange<'static>, headers: &[(&str, &str)]) -> Exchange<'static> {
    headers.iter().for_each(|(name, value)| exchange.headers.set(name, value));
    exchange
}

fn answer(played: &Played) -> Value {
    let reply = played.reply();
    assert_eq!(reply.status(), 200, "{}", reply.text());
    serde_json::from_str(&reply.text()).unwrap_or_else(|error| panic!("{error}: {}", reply.text()))
}

/// What an answer says of being a kept one.
fn said(played: &Played) -> Value {
    answer(played)["result"]["_meta"]["dualpath/cache"].clone()
}

/// Whether the same question is answered without a server, once it has been asked.
#[track_caller]
fn is_kept(world: &World, exchange: impl Fn() -> Exchange<'static>) -> bool {
    assert!(!world.play(exchange()).attempts.is_empty(), "the first is asked of a server");
    world.play(exchange()).attempts.is_empty()
}

fn count(world: &World, outcome: &str) -> u64 {
    world.metric(&format!("dualpath_cache_total.task.search.outcome.{outcome}"))
}

fn failing() -> [Behaviour; 3] {
    [Behaviour::Reset, json_answer(503, "{}"), json_answer(500, "{}")]
}

#[test]
fn the_same_question_is_answered_without_a_server_under_its_own_id_with_its_age() {
    let world = World::under(&shared());
    let first = world.play(asks(r#"{"query":"q","limit":1.0}"#));
    assert_eq!((first.servers(), said(&first)), (vec!["mcp-a"], Value::Null));
    world.process.advance(Duration::from_millis(1500));
    // Another order, other space, another id, a progress token.
    let again = r#"{"jsonrpc":"2.0","id":"x-7","method":"tools/call","params":{"_meta":{"progressToken":3},"arguments":{ "limit" : 1 , "query":"\u0071"},"name":"search"}}"#;
    let second = world.play(exchange(again, healthy()));
    assert!(second.attempts.is_empty());
    assert_eq!(second.reply().headers.get("content-type").as_deref(), Some("application/json"));
    assert_eq!(said(&second), json!({"age_ms": 1500, "stale": false}));
    let mut given = answer(&second);
    assert_eq!(given["id"], "x-7");
    given["result"].as_object_mut().expect("a result").remove("_meta");
    assert_eq!(given["result"], answer(&first)["result"]);
    assert_eq!(second.filter_state.get("wasm.story"), None, "nothing to tell");
    let counted = ["hit", "miss", "stored"].map(|outcome| count(&world, outcome));
    assert_eq!(counted, [1, 1, 1]);
    assert_eq!(world.metric("cortex_calls_total.mode.cache.task.search.status.success"), 1);
}

#[test]
fn an_answer_from_the_direct_path_is_kept_too() {
    let world = World::under(&shared());
    let down =
        || exchange(&call_body("search", "1"), [Behaviour::ConnectFailure, Behaviour::ConnectFailure, rest_answer()]);
    let first = world.play(down());
    assert_eq!(first.servers().last(), Some(&"api"));
    let second = world.play(down());
    assert!(second.attempts.is_empty());
    assert_eq!(answer(&second)["result"]["content"], answer(&first)["result"]["content"]);
}

#[test]
fn an_answer_that_comes_as_an_event_is_kept_and_given_in_the_form_that_the_client_reads() {
    let world = World::under(&shared());
    let event = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\ndata: \"result\":{\"content\":[]}}\n\n";
    let events = Behaviour::Answer(Response::events(&[event]));
    world.play(exchange(&call_body("search", "1"), first(events)));
    let as_json = world.play(exchange(&call_body("search", "1"), healthy()));
    assert!(as_json.attempts.is_empty());
    answer(&as_json);
    let only_events = with(exchange(&call_body("search", "1"), healthy()), &[("accept", "text/event-stream")]);
    let as_event = world.play(only_events);
    assert!(as_event.attempts.is_empty());
    assert_eq!(as_event.reply().headers.get("content-type").as_deref(), Some("text/event-stream"));
    let text = as_event.reply().text();
    let data = text.strip_prefix("event: message\ndata: ").and_then(|rest| rest.strip_suffix("\n\n")).expect(&text);
    assert!(!data.contains('\n'));
    serde_json::from_str::<Value>(data).expect("JSON");
}

#[test]
fn an_answer_that_is_completed_for_its_client_is_kept_as_the_client_got_it() {
    let bare = r#"{"jsonrpc":"2.0","id":1,"result":{"results":[{"a":1}]}}"#;
    let event = Response::events(&[&format!("data: {bare}\n\ndata: [DONE]\n\n")]);
    for (n, given) in [json_answer(200, bare), Behaviour::Answer(event)].into_iter().enumerate() {
        let mut registry = shared();
        registry["servers"][0]["dialect"] = json!("snowflake");
        // On a thread of its own, as a VM has one.
        std::thread::scope(|scope| {
            let check = || {
                let world = World::under(&registry);
                let asked = || world.play(exchange(&call_body("search", "1"), first(given.clone())));
                let got = asked().reply().text();
                let got = got.split('\n').find_map(|line| line.strip_prefix("data: ")).unwrap_or(&got).to_owned();
                let got: Value = serde_json::from_str(&got).expect("JSON");
                let kept = asked();
                assert!(kept.attempts.is_empty(), "{n}");
                let mut kept = answer(&kept);
                kept["result"].as_object_mut().expect("a result").remove("_meta");
                assert_eq!(kept, got, "{n}");
                assert!(got["result"]["content"].is_array(), "{n}");
            };
            scope.spawn(check).join().expect("no trap");
        });
    }
}

#[test]
fn no_answer_crosses_a_question_a_tool_a_version_or_a_registry() {
    let mut registry = shared();
    registry["tools"][1]["replayable"] = json!(true);
    registry["tools"][1]["cache"] = registry["tools"][0]["cache"].clone();
    registry["listener"]["query"] = json!("forward");
    let process = Process::new();
    let worker = start_with(&process, &registry);
    let world = World { worker, process, route: route() };
    world.play(asks(r#"{"query":"q"}"#));
    for other in
        [r#"{"query":"Q"}"#, r#"{"query":["q"]}"#, r#"{"query":"q","limit":null}"#, "{}", r#"{"query":"q","limit":1}"#]
    {
        assert_eq!(world.play(asks(other)).servers(), ["mcp-a"], "{other}");
    }
    let other_tool = body("1", r#"{"query":"q"}"#).replace("\"search\"", "\"write\"");
    assert_eq!(world.play(exchange(&other_tool, healthy())).servers(), ["mcp-a"]);
    let version = with(asks(r#"{"query":"q"}"#), &[("mcp-protocol-version", "2025-11-25")]);
    assert_eq!(world.play(version).servers(), ["mcp-a"]);
    let query = with(asks(r#"{"query":"q"}"#), &[(":path", "/mcp?tenant=2")]);
    assert_eq!(world.play(query).servers(), ["mcp-a"]);
    let mut changed = registry.clone();
    changed["servers"][0]["url"] = json!("https://other.example/mcp");
    // Another worker: its registry is another one.
    let process = &world.process;
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let worker = start_with(process, &changed);
            play(&worker, "gate", &route(), asks(r#"{"query":"q"}"#)).servers().join(",")
        });
        assert_eq!(other.join().expect("no trap"), "mcp-a");
    });
    assert!(world.play(asks(r#"{"query":"q"}"#)).attempts.is_empty(), "and its own is still there");
}

#[test]
fn a_caller_gets_what_that_caller_has_asked_and_nobody_elses() {
    let world = World::under(&by_caller());
    let of = |headers: &[(&str, &str)], certificate: Option<&str>| {
        let mut exchange = with(asks("{}"), headers);
        exchange.certificate = certificate.map(str::to_owned);
        world.play(exchange)
    };
    let (alice, bob) = ("spiffe://mesh/alice", "spiffe://mesh/bob");
    type Headers<'h> = &'h [(&'h str, &'h str)];
    let callers: [(Headers<'_>, Option<&str>); 8] = [
        (&[("x-user-id", "1")], None),
        (&[("x-user-id", "2")], None),
        (&[], Some(alice)),
        (&[], Some(bob)),
        (&[("x-user-id", "1")], Some(alice)),
        (&[("authorization", "Bearer one-token")], None),
        (&[("authorization", "Bearer another-token")], None),
        (&[("x-user-id", "1"), ("authorization", "Bearer one-token")], Some(bob)),
    ];
    for (headers, certificate) in callers {
        assert_eq!(of(headers, certificate).servers(), ["mcp-a"], "{headers:?} {certificate:?}");
    }
    for (headers, certificate) in callers {
        assert!(of(headers, certificate).attempts.is_empty(), "{headers:?} {certificate:?}");
    }
    let rotated = of(&[("x-user-id", "1"), ("authorization", "Bearer fresh")], None);
    assert!(rotated.attempts.is_empty(), "who has a name keeps it with another token");
    let stored = format!("{:?}", world.process.shared_data().all());
    let bytes = world.process.shared_data().all();
    for secret in ["one-token", "another-token", "spiffe", "x-user-id"] {
        assert!(!stored.contains(secret));
        assert!(bytes.iter().all(|(_, value)| value.windows(secret.len()).all(|part| part != secret.as_bytes())));
    }
}

#[test]
fn without_a_caller_nothing_is_kept() {
    let world = World::under(&by_caller());
    assert!(!is_kept(&world, || asks("{}")));
    let twice = || {
        let mut exchange = asks("{}");
        exchange.headers.0.push(("x-user-id".into(), b"1".to_vec()));
        exchange.headers.0.push(("x-user-id".into(), b"2".to_vec()));
        exchange
    };
    assert!(!is_kept(&world, twice), "nor where two are named");
    assert_eq!((count(&world, "no_caller"), count(&world, "miss")), (4, 0));
    let inexact = || with(asks(r#"{"a":1.00000000000000000001}"#), &[("x-user-id", "1")]);
    assert!(!is_kept(&world, inexact), "nor what can't be told from another question for certain");
    assert_eq!(count(&world, "no_key"), 2);
}

#[test]
fn where_servers_see_what_a_client_authenticates_with_it_always_counts() {
    let mut registry = by_caller();
    registry["listener"]["client_authorization"] = json!("pass");
    registry["servers"][0].as_object_mut().expect("a server").remove("credential");
    let world = World::under(&registry);
    let of = |token: &str| world.play(with(asks("{}"), &[("x-user-id", "1"), ("authorization", token)]));
    assert_eq!(of("Bearer token-one").servers(), ["mcp-a"]);
    assert_eq!(of("Bearer token-two").servers(), ["mcp-a"]);
    assert!(of("Bearer token-one").attempts.is_empty());
}

#[test]
fn an_answer_kept_for_a_session_stays_in_it() {
    let world = World::under(&keeping(json!({"ttl": "60s", "scope": "session"})));
    let session = |id: &str| {
        let id = dualpath::mcp::SessionId::wrap("mcp-a", "", id.as_bytes());
        String::from_utf8(id).expect("text")
    };
    let of = |id: &str| world.play(with(asks("{}"), &[("mcp-session-id", &session(id))]));
    assert_eq!(of("one").servers(), ["mcp-a"]);
    assert_eq!(of("two").servers(), ["mcp-a"]);
    assert!(of("one").attempts.is_empty() && of("two").attempts.is_empty());
    assert!(!is_kept(&world, || asks("{}")), "and out of a session nothing is kept");
    assert!(!is_kept(&world, || with(asks("{}"), &[("mcp-session-id", "made-up")])));
}

#[test]
fn only_whole_successes_are_kept() {
    let result = |result: &str| json_answer(200, &format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#));
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"m"}}"#;
    for given in [
        result(r#"{"content":[],"isError":true}"#),
        result(r#"{"resultType":"input_required","inputRequests":{},"requestState":"s","content":[]}"#),
        result(r#"{"content":[],"ttlMs":0}"#),
        result(r#"{"content":[],"cacheScope":"private"}"#),
        json_answer(200, error),
        result(&format!(r#"{{"content":[{{"type":"text","text":"{}"}}]}}"#, "x".repeat(40_000))),
    ] {
        let world = World::under(&shared());
        assert!(!is_kept(&world, || exchange(&call_body("search", "1"), first(given.clone()))), "{given:?}");
        assert_eq!(count(&world, "stored"), 0);
    }
}

#[test]
fn an_answer_counts_no_longer_than_the_operator_or_it_itself_says() {
    for (ttl, counts_ms) in [("", 60_000), (r#","ttlMs":5000"#, 5_000), (r#","ttlMs":600000"#, 60_000)] {
        let world = World::under(&shared());
        let given = json_answer(200, &format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[]{ttl}}}}}"#));
        let asked = || world.play(exchange(&call_body("search", "1"), first(given.clone())));
        asked();
        world.process.advance(Duration::from_millis(counts_ms - 1));
        assert!(asked().attempts.is_empty(), "{ttl}");
        // Whatever happens to the calendar.
        world.process.set_wall_clock(-86_400);
        assert!(asked().attempts.is_empty(), "{ttl}");
        world.process.set_wall_clock(86_400);
        world.process.advance(Duration::from_millis(1));
        assert_eq!(asked().servers(), ["mcp-a"], "{ttl}");
    }
}

/// No value in the shared data has any of these in it.
fn assert_hidden(world: &World, secrets: &[&str]) {
    for (key, value) in world.process.shared_data().all() {
        for secret in secrets {
            assert!(value.windows(secret.len()).all(|part| part != secret.as_bytes()), "{key}");
        }
    }
}

fn quote(secret: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":["{secret}"]}}}}"#)
}

#[test]
fn an_answer_that_quotes_a_token_is_not_kept() {
    let text = quote(SECRETS[0][0]);
    let whole = json_answer(200, &text);
    let world = World::under(&shared());
    assert!(!is_kept(&world, || exchange(&call_body("search", "1"), first(whole.clone()))));
    for cut in [50, 55, 60] {
        let (one, two) = text.split_at(cut);
        let events = Response::events(&[&format!("data: {one}"), &format!("{two}\n\n")]);
        let asked = || exchange(&call_body("search", "1"), first(Behaviour::Answer(events.clone())));
        assert!(!is_kept(&world, asked), "{cut}");
    }
    assert_hidden(&world, &SECRETS.concat());
}

#[test]
fn an_answer_that_quotes_what_its_client_authenticates_with_is_not_kept() {
    let mut registry = by_caller();
    registry["listener"]["client_authorization"] = json!("pass");
    registry["servers"][0].as_object_mut().expect("a server").remove("credential");
    let world = World::under(&registry);
    let given = json_answer(200, &quote("Bearer clients-own-token"));
    let own = || {
        let own = exchange(&call_body("search", "1"), first(given.clone()));
        with(own, &[("authorization", "Bearer clients-own-token")])
    };
    assert!(!is_kept(&world, own));
    assert_hidden(&world, &["clients-own-token"]);
}

#[test]
fn where_every_server_fails_a_kept_answer_is_the_last_hop_and_says_that_it_is_stale() {
    let world = World::under(&shared());
    world.call("search", healthy());
    world.process.advance(Duration::from_secs(120));
    let played = world.call("search", failing());
    assert_eq!(played.servers(), ["mcp-a", "mcp-b", "api"], "all are asked first");
    assert_eq!(said(&played), json!({"age_ms": 120_000, "stale": true}));
    assert_eq!(played.reply().headers.get("retry-after"), None);
    let story: Value = serde_json::from_slice(&played.filter_state["wasm.story"]).expect("JSON");
    assert_eq!(story["mode"], "cache");
    assert_eq!(count(&world, "stale"), 1);
    assert_eq!(world.metric("cortex_calls_total.mode.cache.task.search.status.fallback"), 1);
    world.process.advance(Duration::from_secs(3600));
    let played = world.call("search", failing());
    assert_ne!(played.reply().status(), 200, "but not for ever");
}

#[test]
fn where_nobody_can_be_asked_a_kept_answer_is_given_too() {
    type Until = fn(&World);
    let nobody: [(&str, Until); 2] = [
        ("open breakers, of which the last one sheds", |world| {
            for _ in 0..200 {
                world.call("search", all(&Behaviour::ConnectFailure));
            }
        }),
        ("switched off", |world| {
            set(world, &[("server.mcp-a.enabled", "0"), ("server.mcp-b.enabled", "0"), ("server.api.enabled", "0")]);
        }),
    ];
    for (why, until) in nobody {
        let world = World::under(&shared());
        world.call("search", healthy());
        world.process.advance(Duration::from_secs(120));
        until(&world);
        for _ in 0..20 {
            let played = world.call("search", all(&Behaviour::ConnectFailure));
            assert_eq!(said(&played)["stale"], true, "{why}");
        }
        assert_eq!(
            world.call("write", all(&Behaviour::ConnectFailure)).reply().status() / 100,
            5,
            "{why}: another tool"
        );
    }
}

#[test]
fn without_a_token_that_may_be_sent_a_kept_answer_is_given() {
    let world = World::under(&shared());
    world.call("search", healthy());
    world.process.advance(Duration::from_secs(120));
    let refused = || world.call("search", all(&json_answer(401, "{}")));
    for _ in 0..5 {
        assert_eq!(said(&refused())["stale"], true);
    }
}

#[test]
fn what_is_about_the_call_is_not_covered_up_by_a_kept_answer() {
    let world = World::under(&shared());
    world.call("search", healthy());
    world.process.advance(Duration::from_secs(120));
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"m"}}"#;
    let failed = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}"#;
    for (status, body) in [(200, error), (200, failed), (403, "{}"), (400, error)] {
        let played = world.call("search", first(json_answer(status, body)));
        assert!(!played.reply().text().contains("dualpath/cache"), "{status} {body}");
    }
    assert_eq!(count(&world, "stale"), 0);
}

#[test]
fn a_tool_that_keeps_answers_only_for_failures_asks_a_server_each_time() {
    let world = World::under(&keeping(json!({"ttl": "0s", "stale_if_error": "1h", "scope": "shared"})));
    assert!(!is_kept(&world, || exchange(&call_body("search", "1"), healthy())));
    world.process.advance(Duration::from_secs(1));
    let down = world.call("search", failing());
    assert_eq!(said(&down), json!({"age_ms": 1000, "stale": true}));
}

#[test]
fn a_drill_sees_the_servers_and_falls_back_on_a_kept_answer() {
    let mut registry = shared();
    registry["drill"] = json!({"enabled": true, "sources": ["192.0.2.0/24"]});
    let world = World::under(&registry);
    world.play(asks("{}"));
    let played = world.play(with(asks("{}"), &[("x-dualpath-drill", "fail=mcp-a")]));
    assert!(!played.attempts.is_empty());
}

#[test]
fn a_purge_throws_everything_away_for_every_worker() {
    let world = World::under(&shared());
    assert!(is_kept(&world, || asks("{}")));
    world.process.advance(Duration::from_millis(5));
    set(&world, &[("cache.purge", "2026-11-28")]);
    let left = world.process.shared_data().all();
    assert!(left.iter().all(|(key, value)| !key.contains("x1:") || value.is_empty()), "its memory too");
    world.process.advance(Duration::from_millis(5));
    assert!(is_kept(&world, || asks("{}")), "asked once, then kept again");
    set(&world, &[("cache.purge", "2026-11-28"), ("server.mcp-b.weight", "0")]);
    assert!(world.play(asks("{}")).attempts.is_empty(), "the same text again is no purge");
    set(&world, &[]);
    assert!(world.play(asks("{}")).attempts.is_empty());
    world.process.advance(Duration::from_millis(5));
    set(&world, &[("cache.purge", "later")]);
    assert_eq!(world.metric("dualpath_runtime_ignored"), 0);
    assert_eq!(world.play(asks("{}")).servers(), ["mcp-a"]);
}

#[test]
fn tools_without_a_cache_keep_nothing() {
    let world = World::under(&shared());
    for _ in 0..2 {
        assert_eq!(world.call("write", healthy()).servers(), ["mcp-a"]);
    }
    assert!(!world.process.shared_data().all().iter().any(|(key, _)| key.contains("x1:")));
}

/// What the servers of the race answer: the arguments that they were asked with.
fn echo(attempt: &Attempt) -> Response {
    let request: Value = serde_json::from_slice(&attempt.body).unwrap_or_default();
    let text = request["params"]["arguments"].to_string();
    let result = json!({"content": [{"type": "text", "text": text}]});
    Response::new(200, "application/json", json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string())
}

#[test]
fn racing_workers_never_mix_two_answers() {
    let mut registry = shared();
    // Few places, so that answers push each other out all the time.
    registry["cache"] = json!({"memory": "1MiB", "slots": 256});
    registry["tools"][0]["cache"]["max_size"] = json!("3KiB");
    let process = Process::new();
    let hits = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..4_usize {
            let (process, registry, hits) = (&process, &registry, &hits);
            scope.spawn(move || {
                let vm = start_with(process, registry);
                for n in 0..400 {
                    let which = (n * 7 + worker * 13) % 40;
                    let arguments = json!({"n": which, "pad": "p".repeat(which * 50)}).to_string();
                    let servers = || first(Behaviour::Reply(echo));
                    let played = play(&vm, "gate", &route(), exchange(&body(&n.to_string(), &arguments), servers()));
                    let given = answer(&played);
                    assert_eq!(given["id"], n);
                    let text = given["result"]["content"][0]["text"].as_str().expect("a text");
                    assert_eq!(
                        serde_json::from_str::<Value>(text).expect("JSON"),
                        serde_json::from_str::<Value>(&arguments).expect("JSON")
                    );
                    hits.fetch_add(usize::from(played.attempts.is_empty()), Ordering::Relaxed);
                }
            });
        }
    });
    assert!(hits.load(Ordering::Relaxed) > 100, "{hits:?}");
    let data = process.shared_data().all();
    let table: Vec<_> = data.iter().filter(|(key, _)| key.contains("x1:")).collect();
    assert!(table.len() <= 256 && table.iter().all(|(_, value)| value.len() <= 4096));
}
