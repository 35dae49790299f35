//! Every order of callbacks: each filter of the chain, cut off after every frame of every shape of message.

use std::rc::Rc;
use std::time::Duration;

use crate::fixture::{World, call_body, exchange, healthy, registry};
use crate::host::{Frame, Headers, interrupt, under_way};

/// The shapes of one message: with and without a body, in one piece or two, ended by the last piece, an empty one, or
/// trailers.
fn shapes(headers: &Headers, body: &[u8]) -> Vec<Vec<Frame>> {
    let head = |end| Frame::Headers(headers.clone(), end);
    let data = |bytes: &[u8], end| Frame::Data(bytes.to_vec(), end);
    let (left, right) = body.split_at(body.len() / 2);
    let trailers = || Frame::Trailers(Headers::new(&[("x-trailer", "1")]));
    vec![
        vec![head(true)],
        vec![head(false), data(body, true)],
        vec![head(false), data(left, false), data(right, true)],
        vec![head(false), data(b"", false), data(body, false), data(b"", true)],
        vec![head(false), data(body, false), trailers()],
        vec![head(false), data(b"", false), trailers()],
        vec![head(false), trailers()],
    ]
}

/// Every beginning of every shape, the empty one included.
fn beginnings(shapes: Vec<Vec<Frame>>) -> Vec<Vec<Frame>> {
    shapes.into_iter().flat_map(|shape| (0..=shape.len()).map(move |n| shape[..n].to_vec())).collect()
}

fn answers() -> Vec<Vec<Frame>> {
    let messages = [
        ("200", "application/json", r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#),
        ("200", "text/event-stream", "data: {\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}\n\n"),
        ("401", "text/plain", "no"),
        ("404", "application/json", "{}"),
        ("503", "text/plain", "upstream connect error"),
    ];
    let shapes = messages.iter().flat_map(|(status, kind, body)| {
        shapes(&Headers::new(&[(":status", status), ("content-type", kind)]), body.as_bytes())
    });
    beginnings(shapes.collect())
}

#[test]
fn a_gate_that_is_cut_off_anywhere_does_no_harm() {
    let world = World::new();
    let call = call_body("search", "1");
    let headers = exchange("", healthy()).headers;
    for request in beginnings(shapes(&headers, call.as_bytes())).iter().filter(|frames| !frames.is_empty()) {
        for answer in answers() {
            interrupt(&world.worker, "gate", &Rc::default(), request, &answer);
        }
    }
    assert_eq!(world.call("search", healthy()).reply().status(), 200);
}

#[test]
fn an_attempt_that_is_cut_off_anywhere_does_no_harm_and_is_settled_once() {
    // Most of these are failures, and none is to keep the next from its server.
    let mut registry = registry();
    registry["breaker"]["mode"] = "metrics_only".into();
    let world = World::under(&registry);
    let call = call_body("search", "1");
    let body = Frame::Data(call.clone().into_bytes(), true);
    let plain = [Frame::Headers(exchange(&call, healthy()).headers, false), body];
    let mut headers = exchange("", healthy()).headers;
    headers.set("x-dualpath-slot-a", "as Envoy's injector sets it");
    // The router takes the call to its first server, or past it: while MCP is switched off it reaches none but the last.
    for plugin in ["attempt-mcp-a", "attempt-mcp-b", "attempt-api"] {
        for request in beginnings(shapes(&headers, call.as_bytes())).iter().filter(|frames| !frames.is_empty()) {
            for answer in answers() {
                // A token that was refused has rested by then.
                world.process.advance(Duration::from_secs(700));
                let before = world.metric_sum("dualpath_attempts_total.");
                let mut left = None;
                under_way(&world.worker, "gate", &plain, |info| {
                    interrupt(&world.worker, plugin, info, request, &answer);
                    let settled = world.metric_sum("dualpath_attempts_total.") - before;
                    assert_eq!(settled, 1, "{plugin} {request:?} {answer:?}");
                    // Whatever the router has left for it, one that has begun at a server is not begun there again.
                    interrupt(&world.worker, plugin, info, request, &answer);
                    left = Some(info.clone());
                });
                // Nor is one whose client has left.
                interrupt(&world.worker, plugin, &left.expect("the stream's state"), request, &answer);
                let settled = world.metric_sum("dualpath_attempts_total.") - before;
                assert_eq!(settled, 1, "{plugin} {request:?} {answer:?}");
            }
        }
    }
    world.process.advance(Duration::from_secs(700));
    let played = world.call("search", healthy());
    assert_eq!(played.reply().status(), 200, "{}", played.reply().text());
}
