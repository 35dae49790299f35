//! What reads bytes that somebody else wrote, and what holds for any of them.

use std::cell::RefCell;
use std::rc::Rc;

use dualpath::breaker::codec::{Decoded, decode, encode};
use dualpath::breaker::{Breaker, CallResult, Moment, Outcome, Policy, Record, Ticket};
use dualpath::call::handover;
use dualpath::json::{self, Raw};
use dualpath::jsonrpc::{Answer, Incoming, RequestId, parse};
use dualpath::mcp::Params;
use dualpath::registry::{Problem, Registry};
use dualpath::shared_data::{HostError, SetError, SharedData};
use dualpath::sse::Scanner;
use dualpath::translate::{answer, request};
use serde_json::{Value, json};

/// A reader under test.
pub struct Target {
    pub name: &'static str,
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// What its format is made of.
    pub words: &'static [&'static str],
    /// Panics if something does not hold.
    pub check: fn(&[u8]),
}

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"\"",
    "null",
    "true",
    "-1",
    "1e999",
    "18446744073709551616",
    "\\u0000",
    "\\ud800",
    "0.1",
    "\"id\":",
    "\"jsonrpc\":\"2.0\"",
    "\"method\":",
    "\"params\":",
    "\"_meta\":{}",
    "\"task\":{}",
    "\"name\":",
    "[[[[[[[[",
];

pub const TARGETS: [Target; 7] = [
    Target { name: "record", corpus: records, words: &["\u{1}", "\0\0\0\0"], check: record },
    Target {
        name: "handover",
        corpus: || vec![vec![0, 1, 1, b'1', 0, 0, 0, 0, 0], b"\x00\x01\x03\"a\"\x00\x00\x01\x00".to_vec()],
        words: &["\u{1}", "\0\0\0\0"],
        check: written_call,
    },
    Target { name: "jsonrpc", corpus: messages, words: JSON, check: message },
    Target { name: "answer", corpus: answers, words: JSON, check: answered },
    Target {
        name: "events",
        corpus: streams,
        words: &["data:", "id:", "\n\n", "\r\n", "\r", ":", "\u{feff}", "event: x"],
        check: events,
    },
    Target {
        name: "registry",
        corpus: registries,
        words: &[
            "null",
            "[]",
            "{}",
            "\"1s\"",
            "\"-1ms\"",
            "0",
            "-1",
            "1e999",
            "\"\"",
            "\"${arguments.x}\"",
            "\"http://[::1]:0/\"",
            "\"breaker\":{\"mode\":\"disabled\"}",
            "\"99999999999999999999h\"",
            "\"17MiB\"",
            "\"../..\"",
        ],
        check: registry,
    },
    Target {
        name: "template",
        corpus: templates,
        words: &[
            "${",
            "}",
            "${arguments",
            ".a",
            "[0]",
            "?",
            "$${",
            "${response.x}",
            "${call.uuid}",
            "\\\"",
            "..",
            "%",
            "\u{0}",
            "[*]",
        ],
        check: template,
    },
];

/// A store that always holds the same value.
struct Fixed {
    value: Vec<u8>,
    writes: RefCell<u32>,
}

impl SharedData for Fixed {
    fn get(&self, _key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
        Ok(Some((self.value.clone(), *self.writes.borrow())))
    }

    fn set(&self, _key: &str, value: &[u8], _token: u32) -> Result<(), SetError> {
        assert!(!matches!(decode(value), Decoded::Corrupt(_)), "what is written can be read");
        *self.writes.borrow_mut() += 1;
        Ok(())
    }
}

fn records() -> Vec<Vec<u8>> {
    let policy = Policy::default();
    let closed = Record::new(7, &policy, 123_456);
    let newer = Record { schema: 2, newer_tail: vec![1, 2, 3], ..closed.clone() };
    let mut open = closed.clone();
    open.state = dualpath::breaker::State::Open;
    open.deadline_ms = 200_000;
    let mut half_open = open.clone();
    half_open.state = dualpath::breaker::State::HalfOpen;
    half_open.lease = half_open.lease.next();
    [closed, newer, open, half_open].iter().map(encode).chain([Vec::new()]).collect()
}

/// Decoding is total, keeps every byte, and what it lets through makes no step panic. A wrong checksum is put right in every
/// second input, or nothing would get past it.
fn record(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    if bytes.len() > 4 && bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>() % 2 == 0 {
        let end = bytes.len() - 4;
        let sum =
            bytes[..end].iter().fold(0x811C_9DC5u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        bytes[end..].copy_from_slice(&sum.to_le_bytes());
    }
    let policy = Policy::default();
    let store = Fixed { value: bytes.clone(), writes: RefCell::new(1) };
    let mut tickets = vec![Ticket::default()];
    if let Decoded::Ok(record) | Decoded::Newer(record) = decode(&bytes) {
        assert_eq!(encode(&record), bytes);
        tickets.push(Ticket { epoch: record.epoch, ..Ticket::default() });
        tickets.push(Ticket { epoch: record.epoch, lease: Some(record.lease), ..Ticket::default() });
    }
    let outcomes =
        [Outcome::Success, Outcome::Failure, Outcome::Alive, Outcome::Limited { retry_after_ms: Some(u64::MAX) }];
    for (now_ms, outcome) in [0, 150_000, 250_000, u64::MAX].into_iter().zip(outcomes) {
        let moment = Moment { now_ms, random: u32::MAX };
        let mut worker = Breaker::new("server", policy);
        worker.admit(&store, moment);
        worker.look(&store, moment);
        worker.peek(&store, now_ms);
        for ticket in &tickets {
            worker.report(&store, moment, *ticket, CallResult { outcome, took_ms: u64::MAX });
        }
        worker.flush(&store, moment);
    }
}

fn read_registry(wire: &Value) -> Result<Registry, Vec<Problem>> {
    Registry::from_json(&json::Value::parse(&wire.to_string()).expect("JSON"))
}

/// A call that can be read is the same once it has been written again.
fn written_call(bytes: &[u8]) {
    let server = json!({"id": "a", "kind": "mcp", "url": "https://a.example"});
    let registry = Rc::new(read_registry(&json!({"version": 1, "servers": [server]})).expect("a registry"));
    let found = |minor, polls| {
        let handed = handover::Handover { number: 7, minor, polls, written: Some(bytes) };
        handed.call(&registry)
    };
    for call in [found(0, false), found(1, false), found(1, true)].into_iter().flatten() {
        let again = handover::write(7, &call);
        let written = handover::read(&again).expect("it was written").call(&registry);
        assert_eq!(
            written.map(|call| (call.flight, call.query, call.poll)),
            Some((call.flight, call.query, call.poll))
        );
    }
}

fn messages() -> Vec<Vec<u8>> {
    [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","arguments":{"query":"q"}}}"#,
        r#"{"jsonrpc":"2.0","id":"\u0061-1","method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1.50,"method":"tools/call","params":{"name":"a","_meta":{"io.modelcontextprotocol/related-task":{}}}}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// What is taken for a request is one to another reader of JSON as well, with the id byte for byte.
fn message(body: &[u8]) {
    let Incoming::Request(request) = parse(body) else { return };
    let text = std::str::from_utf8(body).expect("a request is text");
    assert!(text.contains(request.id.as_json()), "the id is the client's own");
    // Half a surrogate pair is JSON, but no text that a `Value` could hold.
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    assert_eq!(value["method"], *request.method);
    assert!(value["id"].is_string() || value["id"].is_number());
    if let Ok(params) = Params::parse(request.params) {
        assert_eq!(params.name.as_deref(), value["params"]["name"].as_str());
    }
}

fn answers() -> Vec<Vec<u8>> {
    [
        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"a"}],"isError":false}}"#,
        r#"{"jsonrpc":"2.0","id":"1","error":{"code":"-32603","message":"\u0061"},"result":null}"#,
        "\u{feff}[{\"jsonrpc\":\"2.0\",\"id\":1.0,\"result\":{\"isError\":\"true\",\"isError\":1}}]",
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602.0}}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// What is taken for an answer is one to another reader of JSON as well: in an event it is an object with a result or an
/// error, in a body it may be an element of an array.
fn answered(body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    let id = RequestId::from_json("1");
    let (whole, event) = (Answer::of_body(&text, id), Answer::of_event(&text, id));
    assert!(whole.is_readable() || !event.is_readable(), "a body may be more than an event, not less");
    if !whole.is_readable() {
        return;
    }
    let Ok(value) = serde_json::from_str::<Value>(text.strip_prefix('\u{feff}').unwrap_or(&text)) else { return };
    let messages = value.as_array().cloned().unwrap_or_else(|| vec![value]);
    let member = if matches!(whole, Answer::Result { .. }) { "result" } else { "error" };
    assert!(messages.iter().any(|message| message["jsonrpc"] == "2.0" && message[member].is_object()));
}

fn streams() -> Vec<Vec<u8>> {
    [
        "data: {\"a\":1}\n\n",
        "event: message\r\nid: 1\r\ndata: a\r\ndata: b\r\n\r\n",
        "\u{feff}data:x\r\r: comment\n\n",
        "data\n\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Events are the same however the bytes arrive.
fn events(bytes: &[u8]) {
    let scan = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut scanner, mut events) = (Scanner::default(), Vec::new());
        for piece in pieces {
            scanner.push(piece);
            events.extend(std::iter::from_fn(|| scanner.next_event()));
        }
        events
    };
    let whole = scan(&mut std::iter::once(bytes));
    for size in [1, 2, 7] {
        assert_eq!(scan(&mut bytes.chunks(size)), whole, "in pieces of {size}");
    }
}

fn base() -> Value {
    json!({
        "version": 1,
        "listener": {"port": 10000, "path": "/mcp", "allowed_origins": ["https://a.example"]},
        "breaker": {"consecutive": 5, "window": "10s", "ramp": "10s", "slow": "2s", "jitter": 0.25},
        "credentials": [{"id": "pat", "headers": {"x-type": "PAT"}, "slots": {"a": {"env": "PAT"}, "b": {"sds_file": "/b.yaml"}}}],
        "servers": [
            {"id": "mcp", "kind": "mcp", "tier": "primary", "url": "https://host.example/mcp", "credential": "pat", "timeout": "30s",
             "breaker": {"mode": "metrics_only"}},
            {"id": "rest", "kind": "rest", "url": "http://127.0.0.1:8080/v1"}
        ],
        "tools": [{
            "name": "search", "task": "search", "replayable": true, "timeout": "20s", "servers": ["mcp"],
            "input_schema": {"type": "object"}, "annotations": {"readOnlyHint": true},
            "rest": {"server": "rest", "method": "POST", "path": "/items/${arguments.id}", "query": {"q": "${arguments.q?}"},
                     "headers": {"x-a": "${arguments.a?}"}, "body": {"in": ["${arguments.v}", "a ${arguments.w} b"]},
                     "answer": {"content": "${response.text}", "structured": "${response}"}}
        }]
    })
}

fn registries() -> Vec<Vec<u8>> {
    vec![
        base().to_string().into_bytes(),
        br#"{"version":1,"servers":[{"id":"s","kind":"mcp","url":"https://h.example"}]}"#.to_vec(),
    ]
}

/// A registry is read or refused with at least one problem, each with a rule.
fn registry(bytes: &[u8]) {
    let Ok(wire) = serde_json::from_slice::<Value>(bytes) else { return };
    match read_registry(&wire) {
        Ok(registry) => assert!(!registry.servers.is_empty()),
        Err(problems) => {
            assert!(!problems.is_empty() && problems.iter().all(|problem| !problem.rule.is_empty()));
        }
    }
}

fn templates() -> Vec<Vec<u8>> {
    [
        "/items/${arguments.id}",
        "${arguments.v}",
        "a ${arguments.w} b",
        "${arguments.a.b[0]?}",
        "${response.text}",
        "$${x}",
        "/v1/../x",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// A template that the registry takes makes a request that stays one line of HTTP, from any arguments.
fn template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let places = ["path", "body", "content", "query"];
    for place in places.iter().skip(bytes.len() % places.len()).take(1).copied() {
        let mut wire = base();
        let rest = &mut wire["tools"][0]["rest"];
        match place {
            "content" => rest["answer"]["content"] = text.into(),
            "query" => rest["query"]["q"] = text.into(),
            other => rest[other] = text.into(),
        }
        let Ok(registry) = read_registry(&wire) else { continue };
        let mapping = &registry.tools[0].rest.as_ref().expect("a direct path").mapping;
        for arguments in [
            json!({}),
            json!({"id": "../a b?c#d\r\n", "v": [1, {"x": null}], "w": "\"\\", "a": {"b": ["\u{0}é"]}}),
            json!({"id": 7, "q": true, "v": text, "w": text, "a": "x"}),
        ] {
            let json = arguments.to_string();
            let Ok(made) = request(mapping, ("/base", "tenant=a"), Raw::of(&json), [7; 16]) else { continue };
            assert!(made.path_and_query.starts_with("/base"), "{}", made.path_and_query);
            assert!(made.path_and_query.bytes().all(|byte| byte.is_ascii_graphic()), "{}", made.path_and_query);
            if let Some(body) = &made.body {
                serde_json::from_slice::<Value>(body).expect("a body is JSON");
            }
        }
        for body in [br#"{"text":"t"}"#.as_slice(), b"[]", bytes] {
            if let Ok(answer) = answer(mapping, 200, body) {
                serde_json::from_str::<Value>(answer.result()).expect("a result is JSON");
            }
        }
    }
}
