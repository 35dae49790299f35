//! `listener.allowed_tools`: what clients may not call is unknown on every path, and in no list.

use serde_json::{Value, json};

use crate::fixture::{World, all, call_body, exchange, first, healthy, json_answer, registry};
use crate::host::{Behaviour, Exchange, Response};

fn restricted() -> Value {
    let mut registry = registry();
    registry["listener"]["allowed_tools"] = json!(["search", "report_*"]);
    registry
}

fn refused(world: &World, exchange: Exchange<'static>) -> Value {
    let played = world.play(exchange);
    assert!(played.servers().is_empty(), "no server may see it: {:?}", played.servers());
    serde_json::from_slice(&played.reply().body).unwrap_or_default()
}

#[test]
fn a_call_of_a_tool_that_is_not_allowed_is_one_of_an_unknown_tool_whoever_could_answer_it() {
    let world = World::under(&restricted());
    let [a, b, _] = all(&Behaviour::ConnectFailure);
    let [.., api] = healthy();
    for servers in [healthy(), [a, b, api]] {
        let error = refused(&world, exchange(&call_body("write", "1"), servers));
        assert_eq!((&error["id"], &error["error"]["code"]), (&json!(1), &json!(-32602)));
        assert_eq!(error["error"]["message"], "Unknown tool: write");
    }
    refused(&world, exchange(&call_body("reports", "1"), healthy()));
    assert_eq!(world.metric("dualpath_tools_refused_total"), 3);
    assert_eq!(world.metric("cortex_calls_total.mode.gate.task.write.status.refused"), 2);
    for allowed in ["search", "report_daily"] {
        assert_eq!(world.play(exchange(&call_body(allowed, "1"), healthy())).servers(), ["mcp-a"], "{allowed}");
    }
}

#[test]
fn no_way_of_writing_a_message_slips_a_call_past() {
    let world = World::under(&restricted());
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write"}}"#;
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\u0077rite"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","name":"write"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","Name":"write"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["write"]}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write","taskId":"t"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"write"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"write"}}"#.to_owned(),
        format!("[{call}]"),
        format!("{call}{call}"),
        format!("\u{feff}{call}"),
    ] {
        let answer = refused(&world, exchange(&body, healthy()));
        assert!(answer.is_null() || answer["error"]["code"] == -32602, "{body}: {answer}");
    }
    let mut charset = exchange(call, healthy());
    charset.headers.set("content-type", "application/json; charset=utf-16");
    refused(&world, charset);
}

fn lists(names: &[&str]) -> String {
    let tools: Vec<_> = names.iter().map(|name| json!({"name": name, "inputSchema": {"type": "object"}})).collect();
    json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools, "nextCursor": "c"}}).to_string()
}

fn listed(world: &World, servers: [Behaviour; 3]) -> Vec<String> {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let played = world.play(exchange(body, servers));
    let text = String::from_utf8(played.reply().body.clone()).expect("text");
    let json = text.lines().find_map(|line| line.strip_prefix("data: ").filter(|data| data.contains("result")));
    let answer: Value = serde_json::from_str(json.unwrap_or(&text)).unwrap_or_else(|_| panic!("{text}"));
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{text}"));
    tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn lists_reach_clients_without_what_they_may_not_call() {
    let world = World::under(&restricted());
    let list = lists(&["write", "search", "report_daily", "admin"]);
    let expected = ["search", "report_daily"];
    assert_eq!(listed(&world, first(json_answer(200, &list))), expected, "as JSON");
    let progress = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n";
    let event = format!("event: message\ndata: {list}\n\n");
    for events in [vec![event.as_str()], vec![": alive\n\n", &event], vec![progress, &event]] {
        assert_eq!(listed(&world, first(Behaviour::Answer(Response::events(&events)))), expected, "{events:?}");
    }
    assert_eq!(listed(&world, all(&Behaviour::ConnectFailure)), ["search"], "the gate's own");
    drop(world);
    assert_eq!(listed(&World::new(), first(json_answer(200, &list))).len(), 4, "without a policy");
}

#[test]
fn a_list_that_cannot_be_looked_into_is_not_shown() {
    let mut registry = restricted();
    registry["limits"] = json!({"response_body": 1024});
    let world = World::under(&registry);
    let long = lists(&["write", &"x".repeat(4096)]);
    let mut packed = Response::new(200, "application/json", lists(&["write"]));
    packed.headers.set("content-encoding", "gzip");
    for answer in [json_answer(200, &long), Behaviour::Answer(packed)] {
        assert_eq!(listed(&world, all(&answer)), ["search"], "the gate's own list");
    }
    let event = format!("event: message\ndata: {long}\n\n");
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let played = world.play(exchange(body, first(Behaviour::Answer(Response::events(&[&event])))));
    assert!(!String::from_utf8_lossy(&played.reply().body).contains("write"), "{:?}", played.reply());
}

/// With `Last-Event-ID` such a stream brings a client the answer to a request whose own stream has ended.
#[test]
fn a_stream_that_a_client_opens_itself_brings_no_list_with_what_it_may_not_call() {
    let progress = "id: 4\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n\n";
    let other = "event: message\nid: 6\ndata: {\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{\"content\":[]}}\n\n";
    let stream = |list: &str| format!("id: 3\ndata:\n\n{progress}id: 5\ndata: {list}\n\n: still here\n\n{other}");
    let got = |stream: &str, size: usize, encoding: Option<&str>| {
        let world = World::under(&restricted());
        let pieces: Vec<&str> =
            stream.as_bytes().chunks(size).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
        let mut response = Response::events(&pieces);
        response.headers.set("content-length", stream.len().to_string());
        encoding.iter().for_each(|coding| response.headers.set("content-encoding", coding));
        let [_, b, api] = healthy();
        let mut get = exchange("", [Behaviour::Answer(response), b, api]).without_body();
        get.headers.set(":method", "GET");
        get.headers.set("accept", "text/event-stream");
        get.headers.set("last-event-id", "2");
        get.headers.set("mcp-session-id", "dp1~mcp-a~s-1");
        let played = world.play(get);
        assert_eq!((played.servers(), played.reply().status()), (vec!["mcp-a"], 200));
        assert_eq!(played.reply().headers.get("content-length"), None);
        played.reply().text()
    };
    for size in [1, 7, 10_000] {
        let text = got(&stream(&lists(&["search", "write", "report_daily"])), size, None);
        assert_eq!(text, stream(&lists(&["search", "report_daily"])), "in pieces of {size}");
        let doubtful = format!("[{}]", lists(&["write"]));
        assert!(!got(&stream(&doubtful), size, None).contains("write"), "{doubtful}");
    }
    assert_eq!(got(&stream(&lists(&["write"])), 100, Some("gzip")), "", "what can't be read can't be shown");
}
