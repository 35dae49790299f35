//! What only one server can go on with goes to that one and nowhere else, and what could not be delivered is told.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::{World, all, call_body, exchange, healthy, json_answer, registry};
use crate::host::{Behaviour, Exchange, Headers, Played, Response};

/// Requests that name what a server has issued: a page, a task, an exchange.
const REQUESTS: [&str; 12] = [
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"50"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"resources/list","params":{"cursor":""}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"t"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tasks/result","params":{"taskId":"t"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tasks/cancel","params":{"taskId":"t"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tasks/update","params":{"taskId":"t","inputResponses":{}}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tasks/list"}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tasks/list","params":{"cursor":"c"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"p","requestState":"s"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","requestState":"s"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write","inputResponses":{"a":{}}}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}}}}"#,
];

/// Messages without an answer that are about a request or a task of one server.
const ONE_WAY: [&str; 5] = [
    r#"{"jsonrpc":"2.0","id":"asked-by-the-server","result":{"action":"accept"}}"#,
    r#"{"jsonrpc":"2.0","id":"asked-by-the-server","error":{"code":-1,"message":"declined"}}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"t"}}"#,
];

const SESSIONS: [Option<&str>; 2] = [None, Some("dp1~mcp-a~s-1")];

fn failures() -> Vec<Behaviour> {
    let mut busy = Response::new(503, "text/plain", "busy");
    busy.headers.set("retry-after", "1");
    vec![
        Behaviour::ConnectFailure,
        Behaviour::RefusedStream,
        Behaviour::Reset,
        Behaviour::Hang,
        Behaviour::Answer(busy),
        json_answer(429, "{}"),
        json_answer(500, "{}"),
        json_answer(401, "{}"),
    ]
}

fn in_session<'a>(body: &str, session: Option<&str>, servers: [Behaviour; 3]) -> Exchange<'a> {
    let mut exchange = exchange(body, servers);
    if let Some(session) = session {
        exchange.headers.set("mcp-session-id", session);
    }
    exchange
}

/// The servers that an attempt was made at, whether or not that got so far as to send anything.
fn asked(played: &Played) -> Vec<&str> {
    let mut servers: Vec<_> = played.attempts.iter().map(|attempt| attempt.server.as_str()).collect();
    servers.dedup();
    servers
}

fn error(played: &Played) -> Value {
    let answer: Value = serde_json::from_slice(&played.reply().body).unwrap_or_else(|_| panic!("{:?}", played.reply()));
    assert_eq!(played.reply().headers.get("content-type").as_deref(), Some("application/json"));
    assert!(answer["error"]["code"].is_i64(), "{answer}");
    answer["error"].clone()
}

/// A server that accepts what wants no answer.
fn accepts() -> Behaviour {
    Behaviour::Answer(Response { headers: Headers::new(&[(":status", "202")]), ..Response::default() })
}

#[test]
fn what_a_server_has_issued_goes_back_to_it_and_to_no_other_however_it_fails() {
    for (body, session) in REQUESTS.iter().chain(&ONE_WAY).flat_map(|body| SESSIONS.map(|session| (*body, session))) {
        for failure in failures() {
            let [_, second, third] = healthy();
            let played = World::new().play(in_session(body, session, [failure.clone(), second, third]));
            assert_eq!(asked(&played), ["mcp-a"], "{body} {session:?} {failure:?}");
            assert_ne!(played.reply().status(), 202, "{body} {session:?} {failure:?}");
            error(&played);
        }
    }
}

#[test]
fn an_api_gets_nothing_that_only_an_mcp_server_can_have_issued() {
    let mut registry = registry();
    registry["tools"][0]["rest"]["first"] = json!(true);
    for body in REQUESTS {
        let played = World::under(&registry).play(exchange(body, healthy()));
        assert_eq!(played.servers(), ["mcp-a"], "{body}");
    }
}

/// A world in which the first server is known to be down.
fn without_the_first() -> World {
    let world = World::new();
    let [_, second, third] = healthy();
    for _ in 0..5 {
        world.call("search", [Behaviour::Reset, second.clone(), third.clone()]);
    }
    world
}

#[test]
fn out_of_a_session_the_server_that_gets_the_calls_now_has_issued_it() {
    for body in REQUESTS.iter().chain(&ONE_WAY) {
        let played = without_the_first().play(exchange(body, all(&Behaviour::ConnectFailure)));
        assert_eq!(asked(&played), ["mcp-b"], "{body}");
        // A server that is due for a probe is not asked for what it can hardly have issued.
        let world = without_the_first();
        world.process.advance(Duration::from_secs(11));
        assert_eq!(asked(&world.play(exchange(body, all(&Behaviour::ConnectFailure)))), ["mcp-b"], "{body}");
    }
}

#[test]
fn in_a_session_it_is_for_its_owner_also_while_that_is_down() {
    for body in REQUESTS.iter().chain(&ONE_WAY) {
        let played = without_the_first().play(in_session(body, SESSIONS[1], all(&Behaviour::ConnectFailure)));
        assert!(matches!(asked(&played)[..], [] | ["mcp-a"]), "{body}: {:?}", asked(&played));
        error(&played);
    }
}

#[test]
fn a_notification_of_a_session_goes_to_its_owner_and_is_told_to_be_lost() {
    for method in ["notifications/initialized", "notifications/roots/list_changed", "notifications/of/mine"] {
        let body = format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#);
        for failure in failures() {
            let servers = [failure.clone(), accepts(), healthy()[2].clone()];
            let played = World::new().play(in_session(&body, SESSIONS[1], servers));
            assert_eq!(asked(&played), ["mcp-a"], "{method} {failure:?}");
            assert!(played.reply().status() >= 429, "{method} {failure:?}: {}", played.reply().status());
            error(&played);
        }
        let served = World::new().play(in_session(&body, SESSIONS[1], all(&accepts())));
        assert_eq!(served.reply().status(), 202);
    }
}

#[test]
fn out_of_a_session_a_notification_that_was_sent_and_lost_is_told() {
    let lost = r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#;
    for failure in [Behaviour::Reset, Behaviour::Hang, Behaviour::ConnectFailure] {
        let played = World::new().play(exchange(lost, all(&failure)));
        assert!(played.reply().status() >= 503, "{failure:?}: {}", played.reply().status());
        error(&played);
    }
    let unreached = World::new().play(exchange(lost, all(&Behaviour::ConnectFailure)));
    assert_eq!(unreached.reply().headers.get("retry-after").as_deref(), Some("1"));
}

#[test]
fn the_gate_accepts_notifications_of_its_own_session_and_a_clients_word_that_it_is_ready() {
    let gates = Some("dp1~~AAAAAAAAAAAAAAAAAAAAAAAA");
    let notification = |method: &str| format!(r#"{{"jsonrpc":"2.0","method":"notifications/{method}"}}"#);
    for (method, session) in [("initialized", None), ("initialized", gates), ("cancelled", gates), ("mine", gates)] {
        let played = World::new().play(in_session(&notification(method), session, all(&Behaviour::ConnectFailure)));
        assert_eq!((played.reply().status(), played.reply().body.len()), (202, 0), "{method} {session:?}");
    }
    // The gate has asked nothing, so an answer is for somebody else.
    let played = World::new().play(in_session(ONE_WAY[0], gates, all(&Behaviour::ConnectFailure)));
    assert_eq!(error(&played)["data"]["source"], "dualpath");
}

fn without_a_body<'a>(method: &str, session: &str) -> Exchange<'a> {
    let mut exchange = in_session("", Some(session), healthy());
    exchange.headers.set(":method", method);
    exchange.headers.set("accept", "text/event-stream");
    exchange.headers.remove("content-length");
    exchange.headers.remove("content-type");
    exchange.pieces.clear();
    exchange
}

#[test]
fn a_session_of_a_server_that_has_none_is_the_gates_own() {
    for session in ["dp1~api~x", "dp1~nobody~x"] {
        for (method, status) in [("GET", 405), ("DELETE", 200)] {
            let played = World::new().play(without_a_body(method, session));
            assert_eq!((asked(&played).len(), played.reply().status()), (0, status), "{method} {session}");
        }
        let played = World::new().play(in_session(&call_body("search", "1"), Some(session), healthy()));
        assert_eq!((played.servers(), played.reply().status()), (vec!["mcp-a"], 200), "{session}");
        assert!(played.attempts[0].headers.get("mcp-session-id").is_none());
    }
}

#[test]
fn whatever_fails_the_client_gets_json_and_nothing_that_envoy_says() {
    let batch = format!("[{}]", call_body("search", "1"));
    for behaviour in [Behaviour::ConnectFailure, Behaviour::RefusedStream, Behaviour::Reset, Behaviour::Hang] {
        for body in [batch.as_str(), "no JSON", ONE_WAY[0], REQUESTS[1]] {
            let played = World::new().play(exchange(body, all(&behaviour)));
            assert_eq!(error(&played)["data"]["source"], "dualpath", "{body} {behaviour:?}");
        }
        if !matches!(behaviour, Behaviour::Hang) {
            for method in ["GET", "DELETE"] {
                let mut exchange = without_a_body(method, "dp1~mcp-a~s-1");
                exchange.servers.values_mut().for_each(|script| *script = [behaviour.clone()].into());
                let played = World::new().play(exchange);
                assert_eq!(error(&played)["data"]["source"], "dualpath", "{method} {behaviour:?}");
            }
        }
    }
}

#[test]
fn a_batch_of_a_session_goes_to_its_owner_only() {
    let batch = format!("[{},{}]", ONE_WAY[0], call_body("search", "1"));
    let played = World::new().play(in_session(&batch, SESSIONS[1], {
        let [_, second, third] = healthy();
        [Behaviour::ConnectFailure, second, third]
    }));
    assert_eq!((asked(&played), played.reply().status()), (vec!["mcp-a"], 503));
}

#[test]
fn a_server_that_calls_its_own_session_unknown_with_400_is_heard_as_404() {
    let refusal =
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}"#;
    let search = call_body("search", "1");
    let own = World::new().play(in_session(&search, SESSIONS[1], all(&json_answer(400, refusal))));
    assert_eq!((own.reply().status(), own.reply().text().as_str()), (404, refusal));
    assert_eq!(asked(&own), ["mcp-a"]);
}
