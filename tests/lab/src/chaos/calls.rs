//! The calls: what the call of a number asks for. It follows from the seed alone.

use serde_json::json;

use super::seeded::Seeded;
use crate::client::request_text;
use crate::stub::journal::MARK;

/// The seed's stream for one call; the servers' streams have small numbers.
const CALLS: u64 = 1 << 32;

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
    /// Its id, as JSON text.
    pub id: String,
    /// The word in its arguments that no other call has.
    pub token: String,
    /// The body of its request.
    pub body: String,
    /// The client gives up after this many milliseconds.
    pub abandoned_after_ms: Option<u64>,
}

impl Call {
    /// The call of this number.
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
        Call { number, sort, body: request_text(&id, method, &params), id, token, abandoned_after_ms }
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
            let call = Call::of(3, number);
            let expected = if call.sort == Sort::Protocol { vec![] } else { vec![call.token.clone()] };
            assert_eq!(marks(&call.body), expected);
            assert_eq!(call, Call::of(3, number), "the seed decides");
        }
    }
}
