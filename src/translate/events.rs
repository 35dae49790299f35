//! An API's answer that comes as a stream of events: read by the type of each event, and made one document.
//!
//! So answer Snowflake's agents, which work for minutes: `response.text` brings the text, `response` at the end everything,
//! `error` ends the run. What an agent thinks, and which tools it uses, is not the answer.

use std::borrow::Cow;

use crate::json::{Value, quoted as json_string};
use crate::sse::Scanner;
use crate::usage::{Used, of_value};

/// What a stream comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Run<'b> {
    /// The document: `text`, and `response` as the last event has it.
    Document(Cow<'b, [u8]>),
    /// The error event's data.
    Failed(Vec<u8>),
    /// It has ended before its last event.
    Broken,
}

/// Whether a body is a stream of events: no JSON begins like a line of one.
pub(super) fn is_stream(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start(), [b'e' | b'd' | b'i' | b'r' | b':', ..])
}

/// Reads a whole stream. `used`: what it says that it took.
pub(super) fn read<'b>(stream: &'b [u8], used: &mut Vec<Used>) -> Run<'b> {
    let mut scanner = Scanner::default();
    scanner.push(stream);
    let mut text = String::new();
    while let Some(event) = scanner.next_event() {
        match event.kind.as_slice() {
            b"response.text" => add_text(&mut text, &value(&event.data)),
            b"error" => return Run::Failed(event.data),
            b"response" => {
                let last = value(&event.data);
                let Some(data) = std::str::from_utf8(&event.data).ok().filter(|_| !last.is_null()) else { break };
                let usage = last.get("metadata").and_then(|metadata| metadata.get("usage"));
                *used = usage.map_or_else(Vec::new, |usage| of_value(usage, None));
                if text.is_empty() {
                    let items = last.get("content").and_then(Value::as_array).unwrap_or_default();
                    for item in items.iter().filter(|item| item.get("type").and_then(Value::as_str) == Some("text")) {
                        add_text(&mut text, item);
                    }
                }
                let document = [r#"{"text":"#, &json_string(&text), r#","response":"#, data, "}"].concat();
                return Run::Document(document.into_bytes().into());
            }
            _ => {}
        }
    }
    Run::Broken
}

fn value(data: &[u8]) -> Value {
    Value::parse_bytes(data).unwrap_or_default()
}

fn add_text(text: &mut String, item: &Value) {
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(item.get("text").and_then(Value::as_str).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn read(stream: &[u8]) -> Run<'_> {
        super::read(stream, &mut Vec::new())
    }

    #[test]
    fn what_a_run_took_is_in_its_last_event() {
        let stream = "event: response\ndata: {\"content\":[],\"metadata\":{\"usage\":{\"tokens_consumed\":[{\"model_name\":\"m\",\"input_tokens\":{\"total\":7},\"output_tokens\":{\"total\":3}}]}}}\n\n";
        let mut used = Vec::new();
        super::read(stream.as_bytes(), &mut used);
        assert_eq!(used, [Used { model: Some("m".into()), input: 7, output: 3 }]);
    }

    #[test]
    fn a_run_is_the_text_that_it_says_and_nothing_that_it_thinks() {
        let stream = ": keep-alive\n\nevent: response.thinking\ndata: {\"text\":\"hm\"}\n\n\
                      event: response.text.delta\ndata: {\"text\":\"a\"}\n\n\
                      event: response.text\r\ndata: {\"content_index\":1,\ndata: \"text\":\"a \\\"b\\\"\"}\r\n\r\n\
                      event: response\ndata: {\"run_id\":\"r\"}\n\nevent: done\ndata: [DONE]\n\n";
        assert!(is_stream(stream.as_bytes()));
        let document = Cow::Borrowed(br#"{"text":"a \"b\"","response":{"run_id":"r"}}"#.as_slice());
        assert_eq!(read(stream.as_bytes()), Run::Document(document));
    }

    #[test]
    fn the_last_event_alone_says_it_too() {
        let stream = "event: response\ndata: {\"content\":[{\"type\":\"thinking\",\"text\":\"hm\"},{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}\n\n";
        let Run::Document(document) = read(stream.as_bytes()) else { panic!("no document") };
        let document = String::from_utf8(document.into_owned()).unwrap();
        assert!(document.starts_with(r#"{"text":"a\n\nb","response":{"content""#), "{document}");
    }

    #[test]
    fn what_ends_early_is_no_answer_and_an_error_is_told() {
        for broken in [
            "event: response.text\ndata: {\"text\":\"a\"}\n\n",
            "event: response\ndata: {}\n",
            "event: response\ndata: {\n\n",
            ":\n",
        ] {
            assert_eq!(read(broken.as_bytes()), Run::Broken, "{broken:?}");
        }
        let error = "event: response.text\ndata: {\"text\":\"a\"}\n\nevent: error\ndata: {\"code\":\"399504\"}\n\n";
        assert_eq!(read(error.as_bytes()), Run::Failed(r#"{"code":"399504"}"#.into()));
    }

    #[test]
    fn json_is_no_stream() {
        for json in ["{}", "[1]", "\"event: x\"", "true", "null", "12", "", "  {}"] {
            assert!(!is_stream(json.as_bytes()), "{json}");
        }
    }
}
