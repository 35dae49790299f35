//! The line that each call leaves for the call log: what is known of it, and nothing that is secret.

use serde_json::{Value, json};

use crate::fixture::{SECRETS, World, all, call_body, exchange, first, healthy, json_answer, registry};
use crate::host::{Behaviour, Exchange, Played, Response};

fn world() -> World {
    World::under(&logged())
}

fn logged() -> Value {
    let mut registry = registry();
    registry["log"] = json!({"calls": "/dev/stdout"});
    registry
}

/// The line as Envoy writes it, held against the published schema.
fn line(played: &Played) -> Value {
    let members = played.filter_state.get("wasm.call").map(|members| String::from_utf8_lossy(members).into_owned());
    let members = members.unwrap_or_else(|| panic!("no line of {:?}", played.servers()));
    let envoys =
        r#""time":"2026-11-28T09:12:44.301Z","status":200,"duration_ms":1,"request_bytes":1,"response_bytes":1"#;
    let line = format!("{{{envoys},{members}}}");
    let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let schema = serde_json::from_str(include_str!("../../envoy/call-log.schema.json")).expect("the published schema");
    assert_fits(&schema, &line, "line");
    line
}

/// What of JSON Schema the published one uses. The chaos run's lines are held against it by a whole validator.
fn assert_fits(schema: &Value, value: &Value, at: &str) {
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{at}: {value}");
    }
    match schema["type"].as_str() {
        Some("string") => assert!(value.is_string(), "{at}: {value}"),
        Some("integer") => assert!(value.is_i64() || value.is_u64(), "{at}: {value}"),
        Some("number") => assert!(value.is_number(), "{at}: {value}"),
        Some("array") => value.as_array().expect(at).iter().for_each(|item| assert_fits(&schema["items"], item, at)),
        Some("object") => {
            for (name, member) in value.as_object().expect(at) {
                assert!(schema["properties"][name].is_object(), "{at}.{name} is not in the schema");
                assert_fits(&schema["properties"][name], member, name);
            }
            for name in schema["required"].as_array().expect("names") {
                assert!(value.get(name.as_str().expect("a name")).is_some(), "{at}.{name} is missing: {value}");
            }
        }
        _ => {}
    }
}

fn asking(headers: &[(&str, &str)], servers: [Behaviour; 3]) -> Exchange<'static> {
    let mut exchange = exchange(&call_body("search", "1"), servers);
    headers.iter().for_each(|(name, value)| exchange.headers.set(name, value));
    exchange
}

#[test]
fn a_plain_call_says_who_asked_what_of_whom_with_which_token() {
    let played = world().play(asking(
        &[
            ("x-request-id", "r-1"),
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("mcp-session-id", "of-some-client"),
        ],
        healthy(),
    ));
    let line = line(&played);
    for (name, value) in [
        ("request_id", json!("r-1")),
        ("trace_id", json!("4bf92f3577b34da6a3ce929d0e0e4736")),
        ("method", json!("tools/call")),
        ("tool", json!("search")),
        ("task", json!("search")),
        ("mode", json!("mcp")),
        ("server", json!("mcp-a")),
        ("class", json!("success")),
        ("outcome", json!("success")),
        ("attempts", json!(1)),
    ] {
        assert_eq!(line[name], value, "{name}");
    }
    assert_eq!((&line["hops"][0]["server"], &line["hops"][0]["reason"]), (&json!("mcp-a"), &json!("first")));
    assert!(line["hops"][0]["ms"].is_u64(), "{line}");
    assert!(line["credential"].as_str().is_some_and(|credential| credential.starts_with("pat-mcp-a/a/")), "{line}");
    assert!(line["caller"].is_string() && line.get("error_code").is_none(), "{line}");
    let text = line.to_string();
    assert!(!text.contains("of-some-client"), "the session's id: {text}");
    assert!(SECRETS.iter().flatten().all(|secret| !text.contains(secret)), "{text}");
}

#[test]
fn no_server_brings_its_token_into_the_log_as_a_models_name_not_even_in_pieces() {
    let token = SECRETS[0][0];
    let answer = format!(
        r#"data: {{"jsonrpc":"2.0","id":1,"result":{{"content":[],"structuredContent":{{"model":"{token}","usage":{{"prompt_tokens":1,"completion_tokens":1}}}}}}}}"#
    );
    let middle = answer.find(token).unwrap() + token.len() / 2;
    for pieces in [vec![answer.as_str(), "\n\n"], vec![&answer[..middle], &answer[middle..], "\n\n"]] {
        let answers = Behaviour::Answer(Response::events(&pieces));
        let line = line(&world().play(asking(&[], [answers, Behaviour::Reset, Behaviour::Reset])));
        assert_eq!(line["class"], "success", "{line}");
        assert!(!line.to_string().contains(token), "{line}");
    }
}

#[test]
fn a_call_that_failed_over_has_all_its_hops() {
    let mut api = Response::new(200, "application/json", r#"{"results":[{"text":"from api"}],"request_id":"r"}"#);
    api.headers.set("x-snowflake-request-id", "snow-1");
    let played = world().call("search", [Behaviour::Reset, json_answer(429, "{}"), Behaviour::Answer(api)]);
    let line = line(&played);
    let hops: Vec<_> =
        line["hops"].as_array().expect("hops").iter().map(|hop| (&hop["server"], &hop["class"])).collect();
    assert_eq!(json!(hops), json!([["mcp-a", "lost"], ["mcp-b", "overload"], ["api", "success"]]));
    assert_eq!([&line["mode"], &line["outcome"], &line["attempts"]], [&json!("direct"), &json!("fallback"), &json!(3)]);
    assert_eq!(line["upstream_request_id"], "snow-1");
    assert!(line["credential"].as_str().is_some_and(|credential| credential.starts_with("pat-api/a/")), "{line}");
}

#[test]
fn a_call_that_is_refused_or_fails_says_by_which_error() {
    let world = world();
    let played = world.call("search", all(&Behaviour::ConnectFailure));
    let failed = line(&played);
    assert_eq!([&failed["outcome"], &failed["error_code"]], [&json!("failed"), &json!(50303)]);
    let refused = line(&world.play(asking(&[("origin", "https://evil.example")], healthy())));
    assert_eq!([&refused["mode"], &refused["outcome"]], [&json!("gate"), &json!("refused")]);
    assert_eq!((&refused["error_code"], &refused["hops"], refused.get("class")), (&json!(40301), &json!([]), None));
}

#[test]
fn a_call_that_nobody_may_answer_says_why_for_each_server() {
    let mut forced = logged();
    forced["breaker"]["mode"] = json!("forced_open");
    let none = line(&World::under(&forced).call("search", healthy()));
    let reasons: Vec<_> = none["hops"].as_array().expect("hops").iter().map(|hop| &hop["reason"]).collect();
    assert_eq!(json!(reasons), json!(["forced_open", "forced_open", "forced_open"]));
    assert_eq!(none["error_code"], 50301);
}

#[test]
fn a_client_that_leaves_has_a_line_that_says_so() {
    let mut exchange = exchange(&call_body("search", "1"), first(Behaviour::Hang));
    exchange.abort = Some(crate::host::Abort::Waiting(1));
    let line = line(&world().play(exchange));
    assert_eq!([&line["outcome"], &line["class"]], [&json!("cancelled"), &json!("cancelled")]);
}

#[test]
fn what_a_client_chooses_is_cut_and_can_not_break_the_line() {
    let name = format!("\\\"}},{}", "x".repeat(5000));
    let mut registry = logged();
    registry["log"]["caller_header"] = json!("x-user");
    let mut exchange = exchange(&call_body(&name, "1"), healthy());
    exchange.headers.set("x-user", "\"},{\"outcome\":\"success");
    exchange.headers.set("x-request-id", "r".repeat(9000));
    let line = line(&World::under(&registry).play(exchange));
    assert_eq!(line["caller"], "\"},{\"outcome\":\"success");
    assert!(line["tool"].as_str().is_some_and(|tool| tool.starts_with("\"},x") && tool.len() == 256), "{line}");
    assert_eq!(line["request_id"].as_str().map(str::len), Some(256));
    assert_eq!([&line["task"], &line["outcome"]], [&json!("other"), &json!("success")]);
}

#[test]
fn what_is_not_for_the_endpoint_leaves_no_line_and_nothing_does_with_the_log_off() {
    let mut elsewhere = exchange(&call_body("search", "1"), healthy());
    elsewhere.headers.set(":path", "/other");
    assert_eq!(world().play(elsewhere).filter_state.get("wasm.call"), None);
    assert_eq!(World::new().call("search", healthy()).filter_state.get("wasm.call"), None);
}
