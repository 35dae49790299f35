//! What one caller sends takes nothing from the others: no breaker opens for it, and no token rests.

use serde_json::{Value, json};

use crate::fixture::{World, all, healthy, json_answer, registry};
use crate::host::Behaviour;

/// The registry with servers that speak as Snowflake's do.
fn snowflake() -> Value {
    let mut registry = registry();
    for server in registry["servers"].as_array_mut().expect("servers") {
        server["dialect"] = json!("snowflake");
    }
    registry
}

fn states(world: &World) -> [u64; 3] {
    ["mcp-a", "mcp-b", "api"].map(|server| world.metric(&format!("cortex_circuit_breaker_state.server.{server}")))
}

#[test]
fn words_of_a_caller_in_a_400_open_no_breaker_and_send_no_call_on() {
    let world = World::under(&snowflake());
    for words in ["all requests were throttled by remote service", "session not found"] {
        let body = json!({"message": format!("SQL compilation error: unknown column '{words}'")}).to_string();
        for _ in 0..12 {
            let played = world.call("write", all(&json_answer(400, &body)));
            assert_eq!((played.servers(), played.reply().status()), (vec!["mcp-a"], 400), "{words}");
        }
    }
    assert_eq!(states(&world), [0; 3]);
    assert_eq!(world.call("search", healthy()).servers(), ["mcp-a"]);
}

#[test]
fn no_400_and_no_code_about_a_role_lets_a_token_rest() {
    let world = World::under(&snowflake());
    for (status, code) in [(400, "394400"), (400, "390317"), (403, "390317")] {
        let refusal: Behaviour = json_answer(status, &format!(r#"{{"code":"{code}","message":"x"}}"#));
        world.call("write", all(&refusal));
        let played = world.call("search", healthy());
        let sent = played.attempts[0].headers.get("authorization");
        assert_eq!(sent.as_deref(), Some("Bearer secret-mcp-a-1"), "{status} {code}");
    }
    assert_eq!(world.metric_sum("dualpath_pat_rejected_total"), 0);
}
