//! How messages are framed: trailers instead of an end, no body where one is expected, sizes at the limits.

use serde_json::Value;

use crate::fixture::{World, all, call_body, exchange, first, healthy, json_answer, rest_answer};
use crate::host::{Behaviour, Headers, Played, Response};

fn trailers() -> Option<Headers> {
    Some(Headers::new(&[("x-trailer", "1")]))
}

/// The only message of the client's answer.
fn message(played: &Played) -> Value {
    let reply = played.reply();
    assert!(reply.complete, "{reply:?}");
    let length = reply.headers.get("content-length");
    assert!(length.is_none_or(|length| length == reply.body.len().to_string()), "{reply:?}");
    serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.text()))
}

/// A call of `search` while no MCP server can be reached and the API answers with this.
fn direct(answer: Response) -> Played {
    let [dead, dead_too, _] = all(&Behaviour::ConnectFailure);
    World::new().call("search", [dead, dead_too, Behaviour::Answer(answer)])
}

/// An error of a server in these pieces, without a length.
fn failure(status: u16, pieces: &[&str]) -> Response {
    let mut response = Response::new(status, "application/json", "");
    response.headers.remove("content-length");
    response.pieces = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
    response
}

/// What the module puts in the place of an answer or a request has to fit into Envoy's buffer: beyond that Envoy ends the
/// stream within the callback, which is the end of the process.
#[test]
fn an_answer_that_has_no_room_to_grow_passes_as_it_is_or_counts_as_too_long() {
    let mut registry = crate::fixture::registry();
    registry["servers"][0]["dialect"] = "snowflake".into();
    let long = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"results":["{}"]}}}}"#,
        "\"x\"".escape_default().to_string().repeat(400_000)
    );
    for length in [600_000, 2_000_000, 4_000_000] {
        let text = "x".repeat(length);
        let json = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"results":["{text}"]}}}}"#);
        let stream = format!("data: {json}\n\n");
        for (kind, body) in [("application/json", &json), ("text/event-stream", &stream)] {
            let served = Behaviour::Answer(Response::new(200, kind, body.as_str()));
            let played = World::under(&registry).call("search", first(served));
            let is_completed = played.reply().text().contains("structuredContent");
            assert_eq!((played.reply().status(), is_completed), (200, length < 1_000_000), "{kind} {length}");
            assert!(is_completed || played.reply().text() == *body, "{kind} {length}");
        }
        let reply = direct(Response::new(200, "application/json", format!(r#"{{"results":["{text}"]}}"#)));
        let reason = message(&reply)["error"]["data"]["reason"].clone();
        assert_eq!(reason == "ANSWER_UNUSABLE", length > 3_000_000, "{length}: {reason}");
    }
    let served = Behaviour::Answer(Response::new(200, "application/json", long.as_str()));
    assert_eq!(World::under(&registry).call("search", first(served)).reply().text(), long);
}

#[test]
fn a_list_of_tools_that_is_longer_than_any_message_may_be_comes_whole() {
    let mut registry = crate::fixture::registry();
    registry["limits"] = serde_json::json!({"request_body": "16KiB", "response_body": "16KiB"});
    registry["tools"][0]["description"] = "x".repeat(300_000).into();
    let mut world = World::under(&registry);
    world.route.buffer_limit = (16 << 10) + (128 << 10);
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    for failure in [json_answer(500, "{}"), json_answer(503, ""), Behaviour::Reset, Behaviour::ConnectFailure] {
        let played = world.play(exchange(list, all(&failure)));
        assert_eq!(played.reply().status(), 200, "{failure:?}");
        let tools = message(&played)["result"]["tools"].clone();
        assert_eq!(tools[0]["description"].as_str().map(str::len), Some(300_000), "{failure:?}");
    }
}

#[test]
fn a_call_with_trailers_is_translated_for_rest_on_every_attempt() {
    for servers in [
        [Behaviour::ConnectFailure, Behaviour::ConnectFailure, rest_answer()],
        [Behaviour::Reset, Behaviour::Reset, rest_answer()],
    ] {
        let mut exchange = exchange(&call_body("search", "1"), servers);
        exchange.trailers = trailers();
        let played = World::new().play(exchange);
        let sent = &played.attempts.last().expect("an attempt");
        assert!(!sent.body.is_empty() && !String::from_utf8_lossy(&sent.body).contains("jsonrpc"), "{sent:?}");
        assert_eq!(sent.headers.get("content-length"), Some(sent.body.len().to_string()));
        assert!(message(&played)["result"].is_object());
    }
}

#[test]
fn a_rest_answer_that_ends_with_trailers_is_translated() {
    let body = r#"{"results":[{"text":"from api"}],"request_id":"r"}"#;
    let answer = Response { trailers: trailers(), ..Response::new(200, "application/json", body) };
    assert!(message(&direct(answer))["result"]["content"].is_array());
}

#[test]
fn an_answer_of_trailers_alone_ends_in_one_error() {
    for status in [200, 400, 500] {
        let answer = Response { trailers: trailers(), ..failure(status, &[]) };
        assert_eq!(message(&direct(answer))["id"], 1, "{status}");
    }
}

#[test]
fn an_answer_that_ends_with_trailers_is_settled_as_what_it_is() {
    let world = World::new();
    let body = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
    let answer = Response { trailers: trailers(), ..Response::new(200, "application/json", body) };
    world.call("search", first(Behaviour::Answer(answer)));
    assert_eq!(world.metric("dualpath_attempts_total.server.mcp-a.outcome.success"), 1);
}

#[test]
fn the_gates_error_takes_the_place_of_the_answer_however_that_is_framed() {
    for status in [200, 401, 429, 500, 503] {
        for pieces in [&[][..], &["{}"], &["{", "}"], &["", "{}", ""]] {
            for trailers in [None, trailers()] {
                let answer = Response { trailers, ..failure(status, pieces) };
                let played = World::new().call("search", all(&Behaviour::Answer(answer)));
                let message = message(&played);
                assert_eq!(message["error"]["data"]["source"], "dualpath", "{status} {pieces:?}");
                assert_eq!(played.reply().headers.get("content-type").as_deref(), Some("application/json"));
            }
        }
    }
}

#[test]
fn an_error_that_never_ends_does_not_keep_the_client_waiting() {
    let endless = Response { stall: true, ..failure(500, &["{"]) };
    let played = World::new().call("write", first(Behaviour::Answer(endless)));
    assert_eq!(played.servers(), ["mcp-a"]);
    assert_eq!(message(&played)["error"]["data"]["source"], "dualpath");
}

#[test]
fn the_gates_error_ends_even_if_the_event_stream_it_replaces_does_not() {
    let stray = "data: {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n\n";
    let endless = Response { stall: true, ..Response::events(&[stray]) };
    let played = World::new().call("write", first(Behaviour::Answer(endless)));
    assert_eq!(message(&played)["error"]["data"]["source"], "dualpath");
}

#[test]
fn of_an_api_error_too_long_to_be_held_nothing_follows_the_translation() {
    let piece = "x".repeat(40 << 10);
    for status in [400, 422] {
        let answer = failure(status, &[&piece, &piece, &piece, "the end"]);
        assert_eq!(message(&direct(answer))["id"], 1, "{status}");
    }
}

#[test]
fn a_session_with_the_gate_opens_if_the_failed_answer_had_a_body_or_not() {
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
    let bodiless = Behaviour::Answer(Response { headers: Headers::new(&[(":status", "503")]), ..Response::default() });
    for behaviour in [bodiless, json_answer(503, "{}"), Behaviour::ConnectFailure] {
        let played = World::new().play(exchange(initialize, all(&behaviour)));
        let session = played.reply().headers.get("mcp-session-id").unwrap_or_default();
        assert!(session.starts_with("dp2~~"), "{behaviour:?}: {session}");
        assert_eq!(message(&played)["id"], 0);
    }
}

#[test]
fn a_request_body_at_the_limit_passes_and_one_byte_more_does_not() {
    let limit = 1 << 20;
    let call = call_body("search", "1");
    for (size, declared) in [(limit, true), (limit, false), (limit + 1, true), (limit + 1, false)] {
        let body = format!("{call}{}", " ".repeat(size - call.len()));
        let mut exchange = exchange(&body, healthy());
        if !declared {
            exchange.headers.remove("content-length");
        }
        let played = World::new().play(exchange);
        let expected = if size == limit { 200 } else { 413 };
        assert_eq!(played.reply().status(), expected, "{size} {declared}");
        assert_eq!(played.servers().len(), usize::from(size == limit));
        assert_eq!(message(&played)["jsonrpc"], "2.0");
    }
}

#[test]
fn an_answer_at_the_limit_is_judged_and_a_longer_one_streams() {
    let limit = 4 << 20;
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"internal"}}"#;
    for (size, servers) in [(limit, &["mcp-a", "mcp-b"][..]), (limit + 1, &["mcp-a"])] {
        let body = format!("{error}{}", " ".repeat(size - error.len()));
        let played = World::new().call("search", first(json_answer(200, &body)));
        assert_eq!(played.servers(), servers, "{size}");
    }
}

#[test]
fn a_rest_answer_over_the_limit_is_an_error_and_not_half_a_result() {
    let body = format!(r#"{{"results":["{}"]}}"#, "x".repeat(5 << 20));
    let played = direct(Response::new(200, "application/json", body));
    assert_eq!(message(&played)["error"]["data"]["source"], "dualpath");
}
