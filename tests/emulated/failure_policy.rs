//! What operators say of failures in the registry, and what a call's own nature forbids whatever they say.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::{World, exchange, first, healthy, json_answer, registry};
use crate::host::{Behaviour, Played, Response};

const INTERNAL_ERROR: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"internal"}}"#;
const VENDOR_ERROR: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32050,"message":"warehouse suspended"}}"#;

/// The registry of the tests with `value` where the JSON pointer says.
fn with(pointer: &str, value: Value) -> Value {
    let mut registry = registry();
    let (parent, key) = pointer.rsplit_once('/').expect("a JSON pointer");
    registry.pointer_mut(parent).expect("the parent exists")[key] = value;
    registry
}

fn refused(world: &World, task: &str, reason: &str) -> u64 {
    world.metric(&format!("dualpath_replay_refused_total.task.{task}.reason.{reason}"))
}

fn alerts(world: &World, server: &str, class: &str) -> u64 {
    world.metric(&format!("dualpath_alerts_total.server.{server}.class.{class}"))
}

fn breaker_state(world: &World) -> u64 {
    world.metric("cortex_circuit_breaker_state.server.mcp-a")
}

#[test]
fn a_rule_gives_an_answer_its_class() {
    let world = World::under(&with("/servers/0/rules", json!([{"jsonrpc_code": -32050, "class": "overload"}])));
    assert_eq!(world.call("write", first(json_answer(200, VENDOR_ERROR))).servers(), ["mcp-a", "mcp-b"]);
    assert_eq!(world.call("write", first(json_answer(500, VENDOR_ERROR))).servers(), ["mcp-a", "mcp-b"]);
    assert_eq!(world.call("write", first(json_answer(500, "{}"))).servers(), ["mcp-a"]);
    drop(world);
    let world = World::new();
    assert_eq!(world.call("search", first(json_answer(200, VENDOR_ERROR))).servers(), ["mcp-a"], "without the rule");
}

#[test]
fn a_rule_for_all_servers_counts_at_each() {
    let world = World::under(&with("/failure", json!({"rules": [{"status": 409, "class": "overload"}]})));
    let [_, _, rest] = healthy();
    let played = world.call("write", [json_answer(409, "{}"), json_answer(409, "{}"), rest]);
    assert_eq!(played.servers(), ["mcp-a", "mcp-b", "api"]);
}

#[test]
fn a_tool_keeps_its_calls_at_the_first_server_by_its_own_word() {
    let world = World::under(&with("/tools/0/outcomes", json!({"server": {"failover": "never"}})));
    assert_eq!(world.call("search", first(json_answer(200, INTERNAL_ERROR))).servers(), ["mcp-a"]);
    assert_eq!(refused(&world, "search", "policy"), 1);
    assert_eq!(world.call("search", first(Behaviour::ConnectFailure)).servers(), ["mcp-b"]);
    assert_eq!(world.call("search", first(Behaviour::Reset)).servers(), ["mcp-a", "mcp-b"], "another class");
}

#[test]
fn a_lost_call_stays_lost_where_a_server_says_so() {
    for behaviour in [Behaviour::Reset, Behaviour::Hang] {
        let world = World::under(&with("/servers/0/outcomes", json!({"lost": {"failover": "never"}})));
        assert_eq!(world.call("search", first(behaviour.clone())).servers(), ["mcp-a"], "{behaviour:?}");
        assert_eq!(refused(&world, "search", "policy"), 1);
    }
}

#[test]
fn an_operator_may_have_a_tool_sent_on_that_is_not_replayable() {
    let on = json!({"server": {"failover": "always"}, "lost": {"failover": "always"}});
    for behaviour in [json_answer(500, "{}"), Behaviour::Reset, Behaviour::Hang] {
        let world = World::under(&with("/tools/1/outcomes", on.clone()));
        assert_eq!(world.call("write", first(behaviour.clone())).servers(), ["mcp-a", "mcp-b"], "{behaviour:?}");
    }
}

#[test]
fn no_policy_repeats_a_call_that_continues_an_exchange_or_is_of_a_task() {
    let on = json!({"server": {"failover": "always"}, "lost": {"failover": "always"}});
    let extras = [
        r#""requestState":"s""#,
        r#""inputResponses":{}"#,
        r#""task":{"ttl":1}"#,
        r#""_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}}"#,
    ];
    for extra in extras {
        for behaviour in [json_answer(500, "{}"), Behaviour::Reset, Behaviour::Hang] {
            let world = World::under(&with("/tools/0/outcomes", on.clone()));
            let body =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"search",{extra}}}}}"#);
            let played = world.play(exchange(&body, first(behaviour)));
            assert_eq!(played.servers(), ["mcp-a"], "{extra}");
            assert_eq!(refused(&world, "search", "pinned"), 1, "{extra}");
        }
    }
}

#[test]
fn a_batch_is_never_repeated() {
    let world = World::new();
    let body = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#;
    assert_eq!(world.play(exchange(body, first(json_answer(500, "{}")))).servers(), ["mcp-a"]);
    assert_eq!(world.play(exchange(body, first(Behaviour::Reset))).servers(), ["mcp-a"]);
    assert_eq!(refused(&world, "other", "batch"), 2);
}

/// A refused token rests no longer than this.
const REST: Duration = Duration::from_secs(600);

/// ruby-mcp-client #196: never auto-retry `tools/call`.
#[test]
fn a_tool_call_that_nobody_vouches_for_is_executed_once_and_counted() {
    let world = World::new();
    for behaviour in [json_answer(500, "{}"), json_answer(200, INTERNAL_ERROR), Behaviour::Reset, Behaviour::Hang] {
        assert_eq!(world.call("write", first(behaviour)).servers(), ["mcp-a"]);
    }
    assert_eq!(refused(&world, "write", "not_replayable"), 4);
    world.call("write", first(json_answer(429, "{}")));
    world.call("write", first(json_answer(200, r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"x"}}"#)));
    world.call("write", healthy());
    assert_eq!(world.metric_sum("dualpath_replay_refused_total"), 4, "nothing else is a refused replay");
}

#[test]
fn a_call_whose_last_server_failed_is_no_refused_replay() {
    let world = World::new();
    let servers = [Behaviour::ConnectFailure, Behaviour::ConnectFailure, json_answer(500, "{}")];
    assert_eq!(world.call("write", servers).servers(), ["api"]);
    assert_eq!(world.metric_sum("dualpath_replay_refused_total"), 0);
}

/// notra #1094 wants a 401 to fall back, routatic #108 wants it to end the call: it is the operator's to say. Neither
/// opens the server's breaker, and neither shows the client a 401.
#[test]
fn a_refused_credential_ends_the_call_where_the_operator_says_so() {
    let world = World::under(&with("/servers/0/outcomes", json!({"credential": {"failover": "never"}})));
    for _ in 0..10 {
        world.process.advance(REST);
        let played = world.call("search", first(json_answer(401, "{}")));
        assert_eq!(played.servers(), ["mcp-a", "mcp-a"], "the other slot is no other server");
        assert_no_401(&played);
    }
    assert_eq!((alerts(&world, "mcp-a", "credential"), breaker_state(&world)), (20, 0));
    let on = json!({"credential": {"failover": "never", "other_slot": false, "alert": false}});
    drop(world);
    let world = World::under(&with("/servers/0/outcomes", on));
    assert_eq!(world.call("search", first(json_answer(401, "{}"))).servers(), ["mcp-a"]);
    assert_eq!(alerts(&world, "mcp-a", "credential"), 0);
}

#[test]
fn a_forbidden_call_stays_with_its_caller_unless_the_operator_objects() {
    let world = World::new();
    for _ in 0..10 {
        assert_eq!(world.call("search", first(json_answer(403, "{}"))).servers(), ["mcp-a"]);
    }
    assert_eq!((breaker_state(&world), world.metric_sum("dualpath_alerts_total")), (0, 0));
    let on = json!({"authorization": {"failover": "when_replayable", "alert": true}});
    drop(world);
    let world = World::under(&with("/servers/0/outcomes", on));
    assert_eq!(world.call("search", first(json_answer(403, "{}"))).servers(), ["mcp-a", "mcp-b"]);
    assert_eq!(world.call("write", first(json_answer(403, "{}"))).servers(), ["mcp-a"]);
    assert_eq!(alerts(&world, "mcp-a", "authorization"), 2);
}

#[test]
fn no_rule_shows_a_client_a_401() {
    for class in ["authorization", "caller", "session", "server", "tool_error", "lost", "overload"] {
        let rules = json!({"rules": [{"status": 401, "class": class}]});
        let all = || [json_answer(401, "{}"), json_answer(401, "{}"), json_answer(401, "{}")];
        for tool in ["search", "write"] {
            assert_no_401(&World::under(&with("/failure", rules.clone())).call(tool, all()));
        }
        let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let played = World::under(&with("/failure", rules)).play(exchange(ping, all()));
        assert_no_401(&played);
    }
}

#[track_caller]
fn assert_no_401(played: &Played) {
    assert_ne!(played.reply().status(), 401);
    assert!(played.reply().headers.first("www-authenticate").is_none());
}

#[test]
fn the_breaker_is_told_what_the_policy_says() {
    let fail = |registry: &Value, answer: Behaviour| {
        let world = World::under(registry);
        for _ in 0..5 {
            world.process.advance(REST);
            world.call("write", first(answer.clone()));
        }
        breaker_state(&world)
    };
    assert_eq!(fail(&registry(), json_answer(500, "{}")), 1);
    assert_eq!(
        fail(&with("/servers/0/outcomes", json!({"server": {"breaker": "neutral"}})), json_answer(500, "{}")),
        0
    );
    assert_eq!(fail(&with("/tools/1/outcomes", json!({"server": {"breaker": "neutral"}})), json_answer(500, "{}")), 0);
    assert_eq!(fail(&with("/tools/0/outcomes", json!({"server": {"breaker": "neutral"}})), json_answer(500, "{}")), 1);
    assert_eq!(fail(&registry(), json_answer(401, "{}")), 0);
    assert_eq!(
        fail(&with("/servers/0/outcomes", json!({"credential": {"breaker": "failure"}})), json_answer(401, "{}")),
        1
    );
}

#[test]
fn what_a_rest_server_calls_a_fault_of_the_call_comes_as_the_tools_answer() {
    let world = World::under(&with("/servers/2/rules", json!([{"status": 404, "class": "tool_error"}])));
    let mut answer = Response::new(404, "application/json", r#"{"message":"no such service"}"#);
    answer.headers.set("etag", "x");
    let servers = [Behaviour::ConnectFailure, Behaviour::ConnectFailure, Behaviour::Answer(answer)];
    let played = world.call("search", servers);
    assert_eq!(played.reply().status(), 200);
    let answer: Value = serde_json::from_slice(&played.reply().body).expect("JSON");
    assert_eq!((&answer["id"], &answer["result"]["isError"]), (&json!(1), &json!(true)), "{answer}");
}
