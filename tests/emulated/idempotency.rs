//! The idempotency key of a call: one for all its attempts, on every kind of server.

use serde_json::{Value, json};

use crate::fixture::{World, call_body, exchange, json_answer, registry, rest_answer};
use crate::host::{Behaviour, Played};

const META: &str = "example.com/key";

fn world(wanted: &Value, rest_first: bool) -> World {
    let mut registry = registry();
    registry["tools"][0]["idempotency"] = wanted.clone();
    registry["tools"][0]["rest"]["first"] = json!(rest_first);
    World::under(&registry)
}

fn both() -> Value {
    json!({"header": "idempotency-key", "meta": META})
}

/// The key of each attempt: in the header, without its quotes, and in the message.
fn keys(played: &Played) -> Vec<(Option<String>, Option<String>)> {
    let of = |attempt: &crate::host::Attempt| {
        let header = attempt.headers.get("idempotency-key");
        let header =
            header.map(|value| value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).expect(&value).to_owned());
        let message: Value = serde_json::from_slice(&attempt.body).unwrap_or_default();
        (header, message["params"]["_meta"][META].as_str().map(str::to_owned))
    };
    played.attempts.iter().map(of).collect()
}

#[test]
fn every_attempt_of_a_call_has_the_same_key_and_every_call_its_own() {
    for rest_first in [false, true] {
        let world = world(&both(), rest_first);
        let failing = [Behaviour::Reset, json_answer(429, "{}"), json_answer(500, "{}")];
        let calls = [(); 2].map(|()| world.call("search", failing.clone()));
        let keys = calls.each_ref().map(keys);
        for (played, keys) in calls.iter().zip(&keys) {
            assert_eq!(keys.len(), 3, "{:?}", played.servers());
            let key = keys[0].0.as_ref().expect("a key");
            assert_eq!(key.len(), 36, "a UUID");
            for (attempt, (header, meta)) in played.attempts.iter().zip(keys) {
                assert_eq!(header.as_ref(), Some(key), "{}", attempt.server);
                let expected = (attempt.server != "api").then_some(key);
                assert_eq!(meta.as_ref(), expected, "{}", attempt.server);
                let length = attempt.headers.get("content-length").expect("a length");
                assert_eq!(length, attempt.body.len().to_string(), "{}", attempt.server);
            }
        }
        assert_ne!(keys[0][0], keys[1][0]);
    }
}

#[test]
fn a_clients_own_key_goes_to_every_server() {
    let servers = || [Behaviour::Reset, json_answer(429, "{}"), rest_answer()];
    let mut own = exchange(&call_body("search", "1"), servers());
    own.headers.set("idempotency-key", "\"mine\"");
    let played = world(&both(), false).play(own);
    let mine = Some("mine".to_owned());
    assert_eq!(keys(&played), [(mine.clone(), mine.clone()), (mine.clone(), mine.clone()), (mine.clone(), None)]);
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"search","arguments":{{"query":"q"}},"_meta":{{"{META}":"mine"}}}}}}"#
    );
    let played = world(&both(), false).play(exchange(&body, servers()));
    assert_eq!(keys(&played), [(mine.clone(), mine.clone()), (mine.clone(), mine.clone()), (mine, None)]);
    assert_eq!(played.attempts[0].body, body.as_bytes());
}

#[test]
fn a_key_is_put_where_the_registry_says_and_nowhere_else() {
    let played = world(&json!({"header": "x-request-key"}), false).call("search", crate::fixture::healthy());
    assert!(played.attempts[0].headers.get("x-request-key").is_some());
    assert_eq!(played.attempts[0].body, call_body("search", "1").as_bytes());
    let played = world(&json!({"meta": META}), false).call("search", crate::fixture::healthy());
    assert!(played.attempts[0].headers.get("idempotency-key").is_none());
    assert!(keys(&played)[0].1.is_some());
    let played = world(&both(), false).call("write", crate::fixture::healthy());
    assert_eq!(keys(&played), [(None, None)], "another tool");
}
