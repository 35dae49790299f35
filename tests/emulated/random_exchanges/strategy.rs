//! What clients and servers may do in a random exchange.

use std::fmt;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{Abort, Behaviour, Exchange, Response};
use crate::fixture::{SERVERS, exchange, mcp_answer};
use crate::host::Headers;

/// In every header value of a client that may reach nobody.
pub const MARK: &str = "from-the-client";

/// One request of a client and what its servers do.
#[derive(Clone)]
pub struct Step {
    pub pause: Duration,
    pub method: &'static str,
    pub body: Vec<u8>,
    /// Whether the body is a well-formed call of a tool.
    pub is_call: bool,
    /// Whether it may be executed twice.
    pub replayable: bool,
    /// Its JSON-RPC id.
    pub id: Value,
    pub headers: Vec<(&'static str, Vec<u8>)>,
    pub cuts: Vec<usize>,
    pub late_end: bool,
    pub trailers: bool,
    pub servers: [Vec<Behaviour>; 3],
    pub abort: Option<Abort>,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step { pause, method, servers, abort, late_end, trailers, replayable, .. } = self;
        let body: Vec<_> = pieces(&self.body, &self.cuts).iter().map(|p| p.escape_ascii().to_string()).collect();
        let headers: Vec<_> = self.headers.iter().map(|(name, v)| format!("{name}: {}", v.escape_ascii())).collect();
        writeln!(f, "after {pause:?}: {method} {headers:?} {body:?} late end {late_end} trailers {trailers}")?;
        write!(f, "  replayable {replayable} {abort:?} {servers:?}")
    }
}

impl Step {
    pub fn exchange(&self) -> Exchange<'static> {
        let mut exchange = exchange("", std::array::from_fn(|_| Behaviour::Hang));
        exchange.headers.set(":method", self.method);
        exchange.headers.remove("content-length");
        for (name, value) in &self.headers {
            exchange.headers.add(name, value);
        }
        exchange.pieces = pieces(&self.body, &self.cuts);
        exchange.late_end = self.late_end;
        exchange.trailers = self.trailers.then(|| Headers::new(&[("x-trailer", "1")]));
        for (server, script) in SERVERS.iter().zip(&self.servers) {
            exchange.servers.insert((*server).to_owned(), script.iter().cloned().collect());
        }
        exchange.abort = self.abort;
        exchange.http2 = self.late_end;
        exchange
    }

    fn answers(&self) -> impl Iterator<Item = &Response> {
        self.servers.iter().flatten().filter_map(|behaviour| match behaviour {
            Behaviour::Answer(response) => Some(response),
            _ => None,
        })
    }

    /// Whether some server may break its answer off.
    pub fn breaks_off(&self) -> bool {
        self.answers().any(|response| response.reset || response.stall)
    }

    /// Whether some server may declare another length than it sends.
    pub fn lies_about_length(&self) -> bool {
        self.answers().any(|response| response.headers.first("content-length").is_some())
    }
}

fn pieces(body: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for to in cuts.into_iter().chain([body.len()]) {
        pieces.push(body[from..to].to_vec());
        from = to;
    }
    if body.is_empty() && pieces.len() == 1 { Vec::new() } else { pieces }
}

/// A header value as Envoy lets it through: any bytes but CR, LF and NUL.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let bytes = vec(any::<u8>().prop_filter("splits the message", |byte| !matches!(byte, b'\r' | b'\n' | 0)), 0..12);
    prop_oneof![bytes, select(vec![&b"0"[..], b"1", b"-1", b"99999999999999999999", b"gzip"]).prop_map(<[u8]>::to_vec)]
}

fn id() -> impl Strategy<Value = Value> {
    prop_oneof![any::<i64>().prop_map(Value::from), ".{0,8}".prop_map(Value::from)]
}

/// Body, whether it is a call, whether it may be replayed, id.
fn body() -> impl Strategy<Value = (Vec<u8>, bool, bool, Value)> {
    let call = (select(vec!["search", "write", "unknown"]), id(), ".{0,8}").prop_map(|(tool, id, query)| {
        let params = json!({"name": tool, "arguments": {"query": query}});
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        (call.to_string().into_bytes(), true, tool == "search", id)
    });
    let protocol = (select(vec!["initialize", "ping", "tools/list", "resources/read", "made/up"]), id()).prop_map(
        |(method, id)| {
            let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {}});
            (request.to_string().into_bytes(), false, method != "made/up", id)
        },
    );
    let other = select(vec![
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
        "",
    ]);
    let other = other.prop_map(|text| (text.as_bytes().to_vec(), false, false, Value::Null));
    let noise = vec(any::<u8>(), 0..64).prop_map(|bytes| (bytes, false, false, Value::Null));
    prop_oneof![4 => call, 2 => protocol, 1 => other, 1 => noise]
}

fn headers() -> impl Strategy<Value = Vec<(&'static str, Vec<u8>)>> {
    let reserved = select(vec![
        "authorization",
        "accept-encoding",
        "x-dualpath-slot-a",
        "x-dualpath-slot-b",
        "x-dualpath-answer",
        "x-envoy-retry-on",
        "x-envoy-retriable-header-names",
    ]);
    let reserved = (reserved, value()).prop_map(|(name, value)| (name, [MARK.as_bytes(), &value].concat()));
    let session =
        select(vec!["dp1~mcp-a~s", "dp1~mcp-b~s", "dp1~gone~s", "dp1~~AAAAAAAAAAAAAAAAAAAAAAAA", "dp1~", "s"]);
    let session = session.prop_map(|session| ("mcp-session-id", session.as_bytes().to_vec()));
    let others = (select(vec!["accept", "content-type", "mcp-session-id", "mcp-protocol-version", "x-any"]), value());
    vec(prop_oneof![reserved, session, others], 0..4)
}

fn answer() -> impl Strategy<Value = Response> {
    let status = select(vec![
        "200", "202", "204", "302", "400", "401", "403", "404", "405", "422", "429", "500", "503", "504", "x",
    ]);
    let kind = select(vec!["application/json", "text/event-stream", "text/plain"]);
    let body = prop_oneof![
        select(vec![
            "",
            "{}",
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal"}}"#,
            "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n",
            "data: {\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32603,\"message\":\"internal\"}}\n\n",
            ": comment\n\ndata:\n\n",
            r#"{"results":[{"text":"x"}]}"#,
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        vec(any::<u8>(), 0..64),
        Just(vec![b'x'; 70 << 10]),
    ];
    let extra = select(vec![
        "retry-after",
        "mcp-session-id",
        "content-length",
        "x-dualpath-failover",
        "x-dualpath-answer",
        "www-authenticate",
    ]);
    let end = (any::<bool>(), 0..8u8);
    (status, kind, body, vec((extra, value()), 0..3), vec(any::<usize>(), 0..3), end).prop_map(
        |(status, kind, body, extra, cuts, (trailers, end))| {
            let mut headers = Headers::new(&[(":status", status), ("content-type", kind)]);
            for (name, value) in extra {
                headers.add(name, value);
            }
            let trailers = trailers.then(|| Headers::new(&[("x-trailer", "1")]));
            let (reset, stall) = (end == 0, end == 1);
            Response { headers, pieces: pieces(&body, &cuts), trailers: trailers.filter(|_| end > 1), reset, stall }
        },
    )
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    prop_oneof![
        2 => Just(Behaviour::Reply(mcp_answer)),
        1 => Just(Behaviour::ConnectFailure),
        1 => Just(Behaviour::RefusedStream),
        1 => Just(Behaviour::Overflow),
        1 => Just(Behaviour::Reset),
        1 => Just(Behaviour::Hang),
        4 => answer().prop_map(Behaviour::Answer),
    ]
}

fn abort() -> impl Strategy<Value = Option<Abort>> {
    let abort = select(vec![
        Abort::RequestHeaders,
        Abort::Waiting(1),
        Abort::Waiting(2),
        Abort::ResponseHeaders,
        Abort::ResponsePieces(1),
    ]);
    option::weighted(0.2, abort)
}

fn step() -> impl Strategy<Value = Step> {
    let method = prop_oneof![8 => Just("POST"), 1 => Just("GET"), 1 => Just("DELETE")];
    let scripts = [(); 3].map(|()| vec(behaviour(), 1..3));
    let framing = (vec(any::<usize>(), 0..3), any::<bool>(), proptest::bool::weighted(0.2));
    (0..20_000u64, method, body(), headers(), framing, scripts, abort()).prop_map(
        |(pause, method, (body, is_call, replayable, id), headers, (cuts, late_end, trailers), servers, abort)| Step {
            pause: Duration::from_millis(pause),
            method,
            body,
            is_call: is_call && method == "POST",
            replayable: replayable && method == "POST",
            id,
            headers,
            cuts,
            late_end,
            trailers,
            servers,
            abort,
        },
    )
}

/// A few requests, one after the other.
pub fn history() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..8)
}
