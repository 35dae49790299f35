//! Every order of callbacks: each filter of the chain, cut off after every frame of every shape of message.

use crate::fixture::{World, call_body, exchange, first, healthy, json_answer};
use crate::host::{Behaviour, Frame, Headers, StreamInfo, interrupt};

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
            interrupt(&world.worker, "gate", StreamInfo::default(), request, &answer);
        }
    }
    assert_eq!(world.call("search", healthy()).reply().status(), 200);
}

#[test]
fn an_attempt_that_is_cut_off_anywhere_does_no_harm_and_is_settled_once() {
    let world = World::new();
    // The plans that a call leaves behind name the next server, whose attempt is then played here.
    let at_mcp = world.call("search", healthy()).filter_state;
    let at_rest = world.call("search", first(Behaviour::ConnectFailure)).filter_state;
    let spent = world.call("search", [Behaviour::Reset, Behaviour::Reset, json_answer(500, "")]).filter_state;
    let call = call_body("search", "1");
    let mut headers = exchange("", healthy()).headers;
    headers.set("x-dualpath-slot-a", "as Envoy's injector sets it");
    for (plugin, state) in
        [("attempt-mcp-b", &at_mcp), ("attempt-api", &at_rest), ("attempt-api", &spent), ("attempt-mcp-a", &at_rest)]
    {
        for request in beginnings(shapes(&headers, call.as_bytes())).iter().filter(|frames| !frames.is_empty()) {
            for answer in answers() {
                let before = world.metric_sum("dualpath_attempts_total.");
                let info = StreamInfo { filter_state: state.clone(), ..StreamInfo::default() };
                interrupt(&world.worker, plugin, info, request, &answer);
                let settled = world.metric_sum("dualpath_attempts_total.") - before;
                let planned = matches!((plugin, std::ptr::eq(state, &spent)), ("attempt-mcp-b" | "attempt-api", false));
                assert_eq!(settled, u64::from(planned), "{plugin} {request:?} {answer:?}");
            }
        }
    }
    let played = world.call("search", healthy());
    assert_eq!(played.reply().status(), 200, "{}", played.reply().text());
}
