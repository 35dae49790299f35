//! Worlds in which one path stays up, whatever happens to the others.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{Behaviour, Response};
use crate::fixture::{json_answer, mcp_answer, registry, rest_answer};

/// What may be on the way to the server that is up: an operator's choices and servers in trouble.
#[derive(Debug, Clone)]
pub struct Outage {
    /// The server that stays well, by its position.
    pub up: usize,
    pub rest_first: bool,
    pub attempts: u8,
    pub client_timeout: Option<&'static str>,
    /// Between calls, and what the servers do with each.
    pub calls: Vec<(Duration, [Behaviour; 3])>,
}

impl Outage {
    pub fn registry(&self) -> Value {
        let mut registry = registry();
        registry["tools"][0]["rest"]["first"] = json!(self.rest_first);
        for server in registry["servers"].as_array_mut().expect("servers") {
            server["attempts"] = json!(self.attempts);
        }
        if let Some(time) = self.client_timeout {
            registry["listener"]["client_timeout"] = json!(time);
        }
        registry
    }
}

/// Every way to fail that is the doing of the server at this position and not the call's.
fn trouble(at: usize) -> impl Strategy<Value = Behaviour> {
    let mut busy = Response::new(503, "text/plain", "busy");
    busy.headers.set("retry-after", "2");
    let answers = [
        json_answer(500, "{}"),
        json_answer(429, "{}"),
        json_answer(401, "{}"),
        json_answer(200, "garbage"),
        Behaviour::Answer(busy),
        Behaviour::ConnectFailure,
        Behaviour::RefusedStream,
        Behaviour::Reset,
        Behaviour::Hang,
    ];
    // An API means something else by these.
    let refusals = [
        json_answer(307, ""),
        json_answer(404, "404 page not found"),
        json_answer(421, "Invalid Host header"),
        json_answer(400, r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Missing session ID"}}"#),
    ];
    let refusals = refusals.into_iter().filter(|_| at != 2);
    select(answers.into_iter().chain(refusals).collect::<Vec<_>>())
}

fn well(server: usize) -> Behaviour {
    if server == 2 { rest_answer() } else { Behaviour::Reply(mcp_answer) }
}

fn calls(up: usize) -> impl Strategy<Value = Vec<(Duration, [Behaviour; 3])>> {
    let server = |at: usize| {
        let behaviour = prop_oneof![3 => trouble(at), 1 => Just(well(at))];
        behaviour.prop_map(move |behaviour| if at == up { well(at) } else { behaviour })
    };
    // Long enough for breakers to open, be probed and close, short enough for the ramp to be seen.
    let pause = prop_oneof![3 => 0..300_u64, 1 => 0..20_000_u64].prop_map(Duration::from_millis);
    vec((pause, [server(0), server(1), server(2)]), 1..40)
}

pub fn outage() -> impl Strategy<Value = Outage> {
    let choices = (0..3_usize, any::<bool>(), 1..4_u8, option::of(select(vec!["3s", "60s"])));
    choices.prop_flat_map(|(up, rest_first, attempts, client_timeout)| {
        calls(up).prop_map(move |calls| Outage { up, rest_first, attempts, client_timeout, calls })
    })
}
