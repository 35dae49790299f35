//! What servers answer to the prober, and how much of it the prober gets to see.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::fixture::{SECRETS, prober_with, registry, route, start_with};
use crate::host::{Attempt, Headers, HttpCall, Process, Response, through};

const QUOTED: &str = "dualpath_pat_quoted_total.server.mcp-a";

/// The answer to a dispatched call, through the attempt filter of another VM.
fn answered(
    process: &Arc<Process>,
    registry: &Value,
    call: &HttpCall,
    server: &(dyn Fn(Attempt) -> Response + Sync),
) -> (Headers, Vec<u8>) {
    std::thread::scope(|scope| {
        let in_other_vm = || {
            let worker = start_with(process, registry);
            let answered = through(&worker, &route(), call, &mut |attempt| server(attempt));
            worker.tick("gate");
            answered
        };
        scope.spawn(in_other_vm).join().expect("no panic")
    })
}

type Form = fn(String) -> Response;

fn token_of(attempt: &Attempt) -> String {
    attempt.headers.get("authorization").expect("a token").split_off("Bearer ".len())
}

/// Two servers, the first of which calls a tool by the token that it was sent.
fn answer(attempt: &Attempt, form: Form) -> Response {
    let request: Value = serde_json::from_slice(&attempt.body).unwrap_or_default();
    let other = if attempt.server == "mcp-a" { token_of(attempt) } else { "other".to_owned() };
    let result = match request["method"].as_str() {
        Some("tools/list") => json!({"tools": [{"name": "search"}, {"name": other, "description": "\"\n"}]}),
        _ => json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}}),
    };
    form(json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string())
}

fn whole(answer: String) -> Response {
    Response::new(200, "application/json", answer)
}

fn in_pieces(answer: String) -> Response {
    let pieces = answer.as_bytes().chunks(5).map(<[u8]>::to_vec).collect();
    Response { pieces, ..whole(answer) }
}

fn with_trailers(answer: String) -> Response {
    Response { trailers: Some(Headers::new(&[("x-end", "1")])), ..in_pieces(answer) }
}

fn escaped(answer: String) -> Response {
    whole(answer.replace("secret", "\\u0073ecret"))
}

fn events(answer: String) -> Response {
    Response::events(&[": hello\n\n", "data: ", &answer, "\n", "\n"])
}

fn escaped_events(answer: String) -> Response {
    events(answer.replace("secret", "\\u0073ecret"))
}

#[test]
fn a_tool_that_is_named_by_the_token_is_listed_without_it() {
    for form in [whole as Form, in_pieces, with_trailers, escaped, events, escaped_events] {
        let (process, mut registry) = (Process::new(), registry());
        registry["discovery"] = json!({"every": "60s"});
        let prober = prober_with(&process, &registry);
        prober.tick("prober");
        loop {
            let calls = prober.take_calls();
            if calls.is_empty() {
                break;
            }
            for call in calls {
                let (headers, body) = answered(&process, &registry, &call, &|attempt| answer(&attempt, form));
                prober.answer(&call, headers, &body);
            }
        }
        assert_eq!(process.metric("dualpath_tools_listed.server.mcp-a"), 2, "it is there");
        assert_eq!(process.metric(QUOTED), 1);
        let log: Vec<_> = process.log().into_iter().map(|(_, line)| line).collect();
        assert!(log.iter().any(|line| line.contains("missing **************, extra other")), "they differ: {log:?}");
        let kept = process.shared_data().all();
        for secret in SECRETS.as_flattened() {
            let has = |bytes: &[u8]| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(log.iter().all(|line| !line.contains(secret)), "{log:?}");
            assert!(kept.iter().all(|(key, value)| !key.contains(secret) && !has(value)), "{kept:?}");
        }
        drop(prober);
    }
}

#[test]
fn an_answer_that_is_too_long_to_be_searched_is_not_handed_on() {
    let (process, mut registry) = (Process::new(), registry());
    registry["discovery"] = json!({"every": "60s"});
    let prober = prober_with(&process, &registry);
    prober.tick("prober");
    let call = prober.take_calls().into_iter().find(|call| call.cluster == "mcp-a").expect("a call");
    // A stream that has not answered by then is taken for one that does not answer in time.
    for (kind, status) in [("application/json", "201"), ("text/event-stream", "504")] {
        let long = |token: String| {
            let line = format!(": {token}\n\n");
            let mut response = Response::new(201, kind, "");
            response.headers.remove("content-length");
            response.pieces = vec![line.repeat(40_000).into_bytes(); 4];
            response
        };
        let (headers, body) = answered(&process, &registry, &call, &|attempt| long(token_of(&attempt)));
        assert_eq!((headers.get(":status").as_deref(), body.len()), (Some(status), 0), "{kind}");
    }
}
