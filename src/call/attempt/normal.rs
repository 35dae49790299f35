//! Answers of tools in a vendor's own shape, made what every client reads (`servers[].normalise`).
//!
//! Snowflake documents results of searches without the `content` that MCP demands of a tool, which the SDK for Python
//! refuses, and ends a stream with `data: [DONE]`, which is no JSON and which the SDK for TypeScript reports as an error.

use crate::json::quoted;
use crate::jsonrpc::{Answer, RequestId, members_once};
use crate::sse::Scanner;

/// What a stream says after its last message.
const DONE: &[u8] = b"[DONE]";

/// The answer to request `id` with what its result lacks: `content`, the result as text, and `structuredContent`, the result
/// itself. What it has stays. `None` if it is no result, or has `content`. Reads the answer anew: the judge knows whether
/// there is need ([`crate::failure::Basis::Contentless`]).
pub(super) fn completed(answer: &str, id: RequestId<'_>, of_event: bool) -> Option<Vec<u8>> {
    let read = if of_event { Answer::of_event(answer, Some(id)) } else { Answer::of_body(answer, Some(id)) };
    let Answer::Result { content: None, .. } = read else { return None };
    let [result] = members_once(answer, ["result"])?;
    let result = result?.get();
    let [structured] = members_once(result, ["structuredContent"])?;
    let text = quoted(result);
    let head = result.strip_suffix('}')?.trim_end();
    let comma = if head.ends_with('{') { "" } else { "," };
    let structured = if structured.is_some() { ["", ""] } else { [r#","structuredContent":"#, result] };
    let content =
        [comma, r#""content":[{"type":"text","text":"#, &text, "}]", structured[0], structured[1], "}}"].concat();
    Some([r#"{"jsonrpc":"2.0","id":"#, id.as_json(), r#","result":"#, head, &content].concat().into_bytes())
}

/// What the data of an event becomes; `None` if it stays as it is.
pub(super) type Change<'c> = dyn Fn(&str) -> Option<Vec<u8>> + 'c;

/// A stream on its way to the client, event by event.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The lines of the event that is not complete.
    lines: Vec<u8>,
    in_line: bool,
    after_cr: bool,
    is_answered: bool,
    /// How many bytes more may go out than have come in, of what is there at a time.
    room: usize,
}

impl Stream {
    /// A stream from its beginning. `is_answered`: its answer has been read and lacks nothing, so only the end is looked for.
    pub fn new(is_answered: bool) -> Self {
        Stream { is_answered, ..Stream::default() }
    }

    /// Takes the bytes that follow; what of the stream may go out: no more than `longest` bytes, unless more have come.
    /// `change`: what an event's data becomes, if anything else.
    pub fn push(&mut self, bytes: &[u8], change: &Change<'_>, longest: usize) -> Vec<u8> {
        let mut out = Vec::new();
        self.room = longest.saturating_sub(self.lines.len()).saturating_sub(bytes.len());
        for byte in bytes {
            self.lines.push(*byte);
            let belongs_to_cr = *byte == b'\n' && std::mem::take(&mut self.after_cr);
            self.after_cr = *byte == b'\r';
            if belongs_to_cr {
                if self.lines.len() == 1 {
                    // The event has gone already, with its CR.
                    out.append(&mut self.lines);
                }
                continue;
            }
            if !matches!(byte, b'\r' | b'\n') {
                self.in_line = true;
            } else if !std::mem::take(&mut self.in_line) {
                write(
                    &std::mem::take(&mut self.lines),
                    (!self.is_answered).then_some(change),
                    &mut self.room,
                    &mut out,
                );
            }
        }
        out
    }

    /// How many bytes are held back.
    pub fn held(&self) -> usize {
        self.lines.len()
    }

    /// What is held back.
    pub fn rest(self) -> Vec<u8> {
        self.lines
    }
}

/// Writes one event as it is to go out, changed if it is to be; longer only if there is `room`.
fn write(lines: &[u8], change: Option<&Change<'_>>, room: &mut usize, out: &mut Vec<u8>) {
    let lines = lines.strip_prefix(b"\xef\xbb\xbf").unwrap_or(lines);
    let mut scanner = Scanner::default();
    scanner.push(lines);
    let message = std::iter::from_fn(|| scanner.next_event()).find(|event| event.is_message);
    let Some(message) = message.filter(|event| !event.data.trim_ascii().is_empty()) else {
        return out.extend_from_slice(lines);
    };
    if message.data.trim_ascii() == DONE {
        return;
    }
    let Some(json) = change.and_then(|change| change(&String::from_utf8_lossy(&message.data))) else {
        return out.extend_from_slice(lines);
    };
    // What is written around each line of it is no longer than what stood there, but for one line.
    if json.len() > message.data.len() {
        let longer = json.len().saturating_sub(message.data.len()).saturating_add(16);
        let Some(left) = room.checked_sub(longer) else { return out.extend_from_slice(lines) };
        *room = left;
    }
    let own = lines.split(|byte| matches!(byte, b'\r' | b'\n'));
    for line in own.filter(|line| !line.is_empty() && !line.starts_with(b"data")) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    for line in json.split(|byte| *byte == b'\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde_json::{Value, json};

    use super::*;

    const SEARCH: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"results":[{"a":"\"1\""}], "request_id":"r" }}"#;

    fn id() -> RequestId<'static> {
        RequestId::from_json("7").unwrap()
    }

    fn completed_json(answer: &str) -> Option<Value> {
        completed(answer, id(), false).map(|bytes| serde_json::from_slice(&bytes).unwrap())
    }

    fn streamed(pieces: &[&str]) -> String {
        let mut stream = Stream::new(false);
        let change = |event: &str| completed(event, id(), true);
        let mut out: Vec<u8> = pieces.iter().flat_map(|piece| stream.push(piece.as_bytes(), &change, 1000)).collect();
        out.extend(stream.rest());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_result_without_content_gets_it_and_keeps_what_it_has() {
        let message = completed_json(SEARCH).unwrap();
        let result = &message["result"];
        assert_eq!((&message["id"], &result["request_id"]), (&json!(7), &json!("r")));
        assert_eq!(result["structuredContent"], json!({"results": [{"a": "\"1\""}], "request_id": "r"}));
        let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!((&result["content"][0]["type"], &text), (&json!("text"), &result["structuredContent"]));
        let empty = completed_json(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#).unwrap();
        assert_eq!(empty["result"], json!({"content": [{"type": "text", "text": "{}"}], "structuredContent": {}}));
        let own = completed_json(r#"{"jsonrpc":"2.0","id":7,"result":{"structuredContent":{"a":1},"content":null}}"#);
        let own = own.unwrap();
        assert_eq!(own["result"]["structuredContent"], json!({"a": 1}));
        assert!(own["result"]["content"].is_array());
    }

    #[test]
    fn what_clients_read_already_is_left_alone() {
        for answer in [
            r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#,
            r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"x"}}"#,
            r#"{"jsonrpc":"2.0","id":8,"result":{}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#,
            "<html>",
        ] {
            assert_eq!(completed(answer, id(), false), None, "{answer}");
        }
    }

    #[test]
    fn a_stream_is_the_same_but_for_the_answer_and_the_done_marker() {
        let progress =
            ": keep-alive\n\nevent: message\r\nid: 1\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"p\"}\r\n\r\n";
        let stream = format!("{progress}id: 2\ndata: {SEARCH}\n\ndata: [DONE]\n\n: bye\n\n");
        let answer = String::from_utf8(completed(SEARCH, id(), true).unwrap()).unwrap();
        let expected = format!("{progress}id: 2\ndata: {answer}\n\n: bye\n\n");
        for size in [1, 2, 7, stream.len()] {
            let pieces: Vec<_> =
                stream.as_bytes().chunks(size).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
            assert_eq!(streamed(&pieces), expected, "in pieces of {size}");
        }
        assert_eq!(streamed(&["event: ping\ndata: [DONE]\n\n"]), "event: ping\ndata: [DONE]\n\n", "no message");
        assert_eq!(streamed(&["data: [DO", "NE]\n"]), "data: [DONE]\n", "what is incomplete is nothing yet");
    }

    #[test]
    fn no_more_goes_out_at_a_time_than_there_is_room_for() {
        let answer = |length: usize| {
            format!("data: {{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{{\"a\":\"{}\"}}}}\n\n", "x".repeat(length))
        };
        for (stream, completed) in [(answer(200), 1), (answer(200).repeat(2), 1), (answer(400), 0), (answer(2000), 0)] {
            let longest = 1100.max(stream.len());
            let out = Stream::new(false).push(stream.as_bytes(), &|event| super::completed(event, id(), true), 1100);
            assert!(out.len() <= longest, "{} of {longest}", out.len());
            assert_eq!(String::from_utf8(out).unwrap().matches("structuredContent").count(), completed);
        }
    }

    #[test]
    fn an_answer_over_several_lines_stays_one_event() {
        let lines = "data: {\"jsonrpc\":\"2.0\",\"id\":7,\ndata: \"result\":{\ndata: \"results\":[]}}\n\n";
        let mut scanner = Scanner::default();
        scanner.push(streamed(&[lines]).as_bytes());
        let message: Value = serde_json::from_slice(&scanner.next_event().unwrap().data).unwrap();
        assert_eq!(message["result"]["structuredContent"], json!({"results": []}));
    }
}
