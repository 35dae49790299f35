//! Messages that are malformed, odd or too long. A trap aborts the test binary, so a played stream is itself the assertion.

use crate::fixture::{World, call_body, exchange, first, healthy, json_answer};
use crate::host::{Abort, Behaviour, Headers, Response};

#[test]
fn headers_that_are_not_utf_8_do_no_harm() {
    let names = ["accept", "content-type", "mcp-session-id", "mcp-protocol-version", "authorization", "x-any", ":path"];
    for name in names {
        let mut exchange = exchange(&call_body("search", "1"), healthy());
        exchange.headers.set(name, b"\xff\xfe\x80");
        assert!(World::new().play(exchange).reply.is_some(), "{name}");
    }
    for name in ["content-type", "retry-after", "mcp-session-id", "content-length", "content-encoding"] {
        let mut response = Response::new(503, "application/json", "{}");
        response.headers.set(name, b"\xff\xfe\x80");
        assert!(World::new().call("search", first(Behaviour::Answer(response))).reply.is_some(), "{name}");
    }
}

#[test]
fn a_body_split_anywhere_is_the_same_call() {
    let body = call_body("search", "1");
    for at in 0..=body.len() {
        for late_end in [false, true] {
            let mut exchange = exchange(&body, healthy());
            let (left, right) = body.as_bytes().split_at(at);
            exchange.pieces = vec![left.to_vec(), right.to_vec()];
            exchange.late_end = late_end;
            let played = World::new().play(exchange);
            assert_eq!(played.attempts[0].body, body.as_bytes(), "{at}");
            assert!(played.reply().text().contains("from mcp-a"));
        }
    }
}

#[test]
fn an_answer_split_anywhere_is_judged_the_same() {
    let body = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"é"}}"#.as_bytes();
    for at in 0..=body.len() {
        for trailers in [None, Some(Headers::new(&[("x", "y")]))] {
            let mut response = Response::new(200, "application/json", body);
            response.pieces = vec![body[..at].to_vec(), body[at..].to_vec()];
            response.trailers = trailers;
            let played = World::new().call("search", first(Behaviour::Answer(response)));
            assert_eq!(played.servers(), ["mcp-a", "mcp-b"], "{at}");
        }
    }
}

#[test]
fn request_trailers_do_not_hang_the_call() {
    let mut exchange = exchange(&call_body("search", "1"), healthy());
    exchange.trailers = Some(Headers::new(&[("x", "y")]));
    assert_eq!(World::new().play(exchange).reply().status(), 200);
}

#[test]
fn a_call_that_can_be_read_two_ways_is_never_repeated() {
    let bodies = [
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"write"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","name":"write"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","n\u0061me":"write"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search"},"params":{"name":"write"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search"}} {"id":2}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call","params":{"name":"write"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search"},"Params":{"name":"write"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","Name":"write"}}"#,
    ];
    for body in bodies {
        let played = World::new().play(exchange(body, first(Behaviour::Reset)));
        assert_eq!(played.servers(), ["mcp-a"], "{body}");
    }
}

#[test]
fn a_message_in_another_charset_is_never_repeated() {
    let hidden =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","+AG0AZQB0AGgAbwBk-":"tools/call","params":{"name":"write"}}"#;
    for (kind, asked) in [
        ("application/json; charset=utf-7", &["mcp-a"][..]),
        ("application/json;charset=\"iso-8859-1\"", &["mcp-a"]),
        ("application/json; charset=UTF-8", &["mcp-a", "mcp-b"]),
    ] {
        let mut exchange = exchange(hidden, first(Behaviour::Reset));
        exchange.headers.set("content-type", kind);
        assert_eq!(World::new().play(exchange).servers(), asked, "{kind}");
    }
}

#[test]
fn an_encoded_message_is_refused_with_415() {
    for (coding, status) in [("gzip", 415), ("br, identity", 415), ("identity", 200), ("Identity", 200)] {
        let mut exchange = exchange(&call_body("search", "1"), healthy());
        exchange.headers.set("content-encoding", coding);
        let played = World::new().play(exchange);
        assert_eq!(played.reply().status(), status, "{coding}");
        assert!(played.attempts.iter().all(|attempt| attempt.headers.count("content-encoding") == 0));
        assert_eq!(played.attempts.is_empty(), status == 415);
    }
}

#[test]
fn every_shape_of_request_gets_some_answer() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies = ["", "[]", "{}", "null", "1", "\"", "[1]", "[[]]", "\u{0}", "{\"jsonrpc\":\"2.0\"}", deep.as_str()];
    for body in bodies {
        let played = World::new().play(exchange(body, healthy()));
        assert!(played.reply().status() >= 200, "{:.20}", body);
    }
    let played = World::new().play(exchange("", healthy()).without_body());
    assert!(played.reply().status() >= 200);
}

#[test]
fn every_method_without_a_body_gets_some_answer() {
    for method in ["GET", "DELETE", "PUT", "OPTIONS", "HEAD", "\u{7f}"] {
        let mut exchange = exchange("", healthy()).without_body();
        exchange.headers.set(":method", method);
        assert!(World::new().play(exchange).reply.is_some(), "{method}");
    }
}

#[test]
fn a_method_that_the_transport_does_not_know_reaches_no_server() {
    for method in ["PUT", "PATCH", "OPTIONS", "HEAD", "TRACE", "CONNECT", "post", "Get", "\u{7f}"] {
        let mut with_body = exchange(&call_body("search", "1"), healthy());
        with_body.headers.set(":method", method);
        let played = World::new().play(with_body);
        assert_eq!(played.reply().status(), 405, "{method}");
        assert_eq!(played.reply().headers.get("allow").as_deref(), Some("POST, GET, DELETE"));
        assert!(played.attempts.is_empty(), "{method}");
    }
}

#[test]
fn a_body_over_the_registrys_limit_is_refused_with_413() {
    let mut exchange = exchange("", healthy());
    exchange.pieces = vec![vec![b' '; 1 << 18]; 5];
    let played = World::new().play(exchange);
    assert_eq!(played.reply().status(), 413);
    assert!(played.servers().is_empty());
}

#[test]
fn an_answer_over_the_registrys_limit_does_not_end_the_worker() {
    let world = World::new();
    let mut response = Response::new(200, "application/json", "");
    response.headers.remove("content-length");
    response.pieces = vec![vec![b' '; 1 << 20]; 6];
    assert!(world.call("search", first(Behaviour::Answer(response))).reply.is_some());
    assert_eq!(world.call("search", healthy()).reply().status(), 200);
}

#[test]
fn odd_answers_do_no_harm() {
    let empty = Response { headers: Headers::new(&[(":status", "200")]), ..Response::default() };
    let odd_status = Response { headers: Headers::new(&[(":status", "abc")]), ..Response::default() };
    let halves = Response::events(&["data: {", "\u{feff}\r", "\n\r\n", "data"]);
    for response in [empty, odd_status, halves] {
        assert!(World::new().call("search", first(Behaviour::Answer(response))).reply.is_some());
    }
    assert!(World::new().call("search", first(json_answer(204, ""))).reply.is_some());
}

#[test]
fn a_client_may_leave_at_any_point() {
    let world = World::new();
    for abort in
        [Abort::RequestHeaders, Abort::Waiting(1), Abort::Waiting(2), Abort::ResponseHeaders, Abort::ResponsePieces(1)]
    {
        let mut exchange = exchange(&call_body("search", "1"), first(Behaviour::ConnectFailure));
        exchange.abort = Some(abort);
        world.play(exchange);
    }
    assert_eq!(world.call("search", healthy()).reply().status(), 200);
}
