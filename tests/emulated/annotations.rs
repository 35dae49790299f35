//! What trusted servers say of their tools, learned from the lists that clients ask for.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::{SERVERS, World, exchange, first, healthy, json_answer, registry, start_with};
use crate::host::{Behaviour, Response, play};

const SECOND: Duration = Duration::from_secs(1);

/// The registry of the tests where the MCP servers of these names are trusted and `write` is left to annotations.
fn trusting(trusted: &[&str]) -> Value {
    let mut registry = registry();
    // These tests fail calls by the dozen.
    registry["breaker"] = json!({"consecutive": 100, "failure_rate": 0});
    for server in registry["servers"].as_array_mut().expect("a list") {
        if trusted.contains(&server["id"].as_str().expect("a name")) {
            server["trust_annotations"] = json!(true);
        }
    }
    registry["tools"][1].as_object_mut().expect("a mapping").remove("replayable");
    registry
}

fn listing(tools: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}).to_string()
}

fn read_only(name: &str) -> Value {
    json!([{"name": name, "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}}])
}

/// A client lists the tools while the first server answers like this.
fn list(world: &World, params: &str, answer: Behaviour) {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{params}}}"#);
    assert_eq!(world.play(exchange(&body, first(answer))).servers(), ["mcp-a"]);
}

/// The servers that get a call of `tool` whose first server fails after it may have executed it.
fn way(world: &World, tool: &str) -> Vec<String> {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}"}}}}"#);
    let failing = world.play(exchange(&body, first(json_answer(500, "{}"))));
    let reset = world.play(exchange(&body, first(Behaviour::Reset)));
    assert_eq!(failing.servers(), reset.servers(), "an answer and a reset come to the same");
    failing.servers().into_iter().map(Into::into).collect()
}

fn refused(world: &World, task: &str, reason: &str) -> u64 {
    world.metric(&format!("dualpath_replay_refused_total.task.{task}.reason.{reason}"))
}

#[test]
fn a_tool_that_trusted_servers_call_read_only_is_sent_on() {
    let world = World::under(&trusting(&["mcp-a", "mcp-b"]));
    assert_eq!(way(&world, "write"), ["mcp-a"], "nothing is known yet");
    assert_eq!(refused(&world, "write", "unknown_annotation"), 2);
    list(&world, "{}", json_answer(200, &listing(&read_only("write"))));
    assert_eq!(way(&world, "write"), ["mcp-a", "mcp-b"]);
    list(&world, "{}", json_answer(200, &listing(&json!([{"name": "write"}]))));
    assert_eq!(way(&world, "write"), ["mcp-a"], "its server has changed its mind");
}

#[test]
fn so_is_a_tool_that_only_the_servers_know() {
    let world = World::under(&trusting(&["mcp-a", "mcp-b"]));
    list(&world, "{}", json_answer(200, &listing(&read_only("weather"))));
    assert_eq!(way(&world, "weather"), ["mcp-a", "mcp-b"]);
    assert_eq!(way(&world, "delete"), ["mcp-a"]);
    assert_eq!(refused(&world, "other", "unknown_annotation"), 2);
}

#[test]
fn a_list_that_comes_as_an_event_is_read_as_well() {
    let world = World::under(&trusting(&["mcp-a", "mcp-b"]));
    let event = format!("event: message\ndata: {}\n\n", listing(&read_only("write")));
    list(&world, "{}", Behaviour::Answer(Response::events(&[&event])));
    assert_eq!(way(&world, "write"), ["mcp-a", "mcp-b"]);
}

#[test]
fn pages_add_to_the_first_one() {
    let world = World::under(&trusting(&["mcp-a", "mcp-b"]));
    list(&world, "{}", json_answer(200, &listing(&read_only("one"))));
    list(&world, r#"{"cursor":"2"}"#, json_answer(200, &listing(&read_only("two"))));
    assert_eq!((way(&world, "one").len(), way(&world, "two").len()), (2, 2));
    list(&world, "{}", json_answer(200, &listing(&read_only("two"))));
    assert_eq!((way(&world, "one").len(), way(&world, "two").len()), (1, 2));
}

#[test]
fn one_server_that_is_not_trusted_spoils_it() {
    for trusted in [&["mcp-a"][..], &["mcp-b"], &[]] {
        let world = World::under(&trusting(trusted));
        list(&world, "{}", json_answer(200, &listing(&read_only("write"))));
        assert_eq!(way(&world, "write"), ["mcp-a"], "{trusted:?}");
    }
}

#[test]
fn the_operators_word_stands_above_annotations() {
    let mut registry = trusting(&["mcp-a", "mcp-b"]);
    registry["tools"][1]["replayable"] = json!(false);
    let world = World::under(&registry);
    list(&world, "{}", json_answer(200, &listing(&read_only("write"))));
    assert_eq!(way(&world, "write"), ["mcp-a"]);
    assert_eq!(refused(&world, "write", "not_replayable"), 2);
    assert_eq!(way(&world, "search"), ["mcp-a", "mcp-b"], "and so does a yes, whatever the server lists");
}

#[test]
fn no_annotation_has_a_continued_exchange_repeated() {
    let world = World::under(&trusting(&["mcp-a", "mcp-b"]));
    list(&world, "{}", json_answer(200, &listing(&read_only("write"))));
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write","requestState":"s"}}"#;
    assert_eq!(world.play(exchange(body, first(Behaviour::Reset))).servers(), ["mcp-a"]);
}

#[test]
fn an_answer_to_anything_else_teaches_nothing() {
    let world = World::under(&trusting(&["mcp-a", "mcp-b"]));
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search"}}"#;
    world.play(exchange(body, first(json_answer(200, &listing(&read_only("write"))))));
    world.play(exchange(
        &body.replace("tools/call", "prompts/list"),
        first(json_answer(200, &listing(&read_only("write")))),
    ));
    assert_eq!(way(&world, "write"), ["mcp-a"]);
}

#[test]
fn what_one_worker_has_learned_all_workers_know() {
    let trusting = trusting(&["mcp-a", "mcp-b"]);
    let world = World::under(&trusting);
    list(&world, "{}", json_answer(200, &listing(&read_only("write"))));
    let (process, route) = (&world.process, &world.route);
    process.advance(SECOND);
    let servers = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let worker = start_with(process, &trusting);
            let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write"}}"#;
            play(&worker, "gate", route, exchange(body, first(Behaviour::Reset))).servers().len()
        });
        other.join().expect("a worker")
    });
    assert_eq!(servers, 2);
    process.advance(24 * 3600 * SECOND);
    assert_eq!(way(&world, "write"), ["mcp-a"], "and forget after a day");
}

#[test]
fn a_hostile_list_does_no_harm() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let many: Vec<Value> =
        (0..3000).map(|at| json!({"name": format!("t{at}"), "annotations": {"readOnlyHint": true}})).collect();
    for tools in [json!(many).to_string(), deep, r#"[{"name":"write","name":"x"}]"#.to_owned(), "[1,null]".to_owned()] {
        let world = World::under(&trusting(&["mcp-a", "mcp-b"]));
        let answer = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":{tools}}}}}"#);
        list(&world, "{}", json_answer(200, &answer));
        assert_eq!(way(&world, "write"), ["mcp-a"]);
        assert_eq!(world.call("search", healthy()).servers(), [SERVERS[0]]);
    }
}
