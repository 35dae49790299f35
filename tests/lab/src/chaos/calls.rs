//! The calls: what the call of a number asks for. It follows from the seed alone.

use serde_json::json;

use super::seeded::Seeded;
use crate::client::request_text;
use crate::stub::journal::MARK;

/// The seed's stream for one call; the servers' streams have small numbers.
const CALLS: u64 = 1 << 32;

/// The stream for how a call is made.
const WAYS: u64 = 1 << 48;

/// Of so many calls one has a long answer.
const LONG_ANSWERS: u64 = 2000;

/// How long these are, in MiB: from, up to and not including.
const MIB: (u64, u64) = (1, 51);

/// What sort of call it is; decides what may be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A method of the protocol: the gate itself can answer it.
    Protocol,
    /// A tool that the registry calls replayable.
    Replayable,
    /// A tool that must not be executed twice.
    Once,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its number, from 0.
    pub number: u64,
    /// What may be done with it.
    pub sort: Sort,
    /// Its method.
    pub method: &'static str,
    /// Its id, as JSON text.
    pub id: String,
    /// The word in its arguments that no other call has.
    pub token: String,
    /// The body of its request.
    pub body: String,
    /// The client gives up after this many milliseconds.
    pub abandoned_after_ms: Option<u64>,
    /// The client, by its number, in whose session it is made; `None`: it stands alone.
    pub client: Option<usize>,
    /// An MCP server that answers it adds so many bytes.
    pub padding: usize,
}

impl Call {
    /// The call of this number, made in the way that a chaos run makes it: a quarter in the sessions of so many clients, and
    /// a few with a long answer.
    pub fn made(seed: u64, number: u64, clients: usize) -> Call {
        let mut call = Call::of(seed, number);
        let mut random = Seeded::new(seed, WAYS + number);
        let client = random.between(0, 4 * clients as u64);
        if call.method != "initialize" {
            call.client = usize::try_from(client).ok().filter(|client| *client < clients);
        }
        if random.between(0, LONG_ANSWERS) == 0 && call.sort != Sort::Protocol {
            call.padding = usize::try_from(random.between(MIB.0, MIB.1)).unwrap_or(1) << 20;
            call.body = call.body.replace(&call.token, &format!("{} bytes={}", call.token, call.padding));
        }
        call
    }

    /// The call of this number, alone and with a short answer.
    pub fn of(seed: u64, number: u64) -> Call {
        let mut random = Seeded::new(seed, CALLS + number);
        // Ids come back byte for byte, so they are written in several ways.
        let id = match random.between(0, 3) {
            0 => number.to_string(),
            1 => format!(r#""c-{number}""#),
            _ => format!(r#""\u0063\/{number}""#),
        };
        let token = format!("{MARK}call-{number}");
        let (sort, method, params) = match random.between(0, 100) {
            0..2 => {
                let info = json!({ "name": "dualpath-lab", "version": "1" });
                let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
                (Sort::Protocol, "initialize", params)
            }
            2..5 => (Sort::Protocol, "ping", json!({})),
            5..8 => (Sort::Protocol, "tools/list", json!({})),
            8..43 => (Sort::Replayable, "tools/call", tool("search", "query", &token)),
            43..68 => (Sort::Replayable, "tools/call", tool("complete", "prompt", &token)),
            _ => (Sort::Once, "tools/call", tool("sql", "sql", &format!("select '{token}'"))),
        };
        let abandoned_after_ms = (random.between(0, 250) == 0).then(|| random.between(0, 20));
        let body = request_text(&id, method, &params);
        Call { number, sort, method, body, id, token, abandoned_after_ms, client: None, padding: 0 }
    }
}

fn tool(name: &str, argument: &str, value: &str) -> serde_json::Value {
    json!({ "name": name, "arguments": { argument: value } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stub::journal::marks;

    #[test]
    fn a_tool_call_carries_its_own_token_and_no_other() {
        for number in 0..500 {
            for call in [Call::of(3, number), Call::made(3, number, 8)] {
                let expected = if call.sort == Sort::Protocol { vec![] } else { vec![call.token.clone()] };
                assert_eq!(marks(&call.body), expected);
            }
            assert_eq!(Call::made(3, number, 8), Call::made(3, number, 8), "the seed decides");
        }
    }

    #[test]
    fn every_client_makes_calls_and_a_few_answers_are_long() {
        let calls: Vec<_> = (0..20_000).map(|number| Call::made(1, number, 8)).collect();
        for client in [None, Some(0), Some(7)] {
            assert!(calls.iter().any(|call| call.client == client), "{client:?}");
        }
        assert!(calls.iter().all(|call| call.client.is_none() || call.method != "initialize"));
        let long: Vec<_> = calls.iter().map(|call| call.padding).filter(|padding| *padding > 0).collect();
        assert!((1..30).contains(&long.len()) && long.iter().all(|padding| (1 << 20..=50 << 20).contains(padding)));
    }
}
