//! What an answer says that it took: tokens, by model. Nothing else about cost is in an answer; Snowflake has it in no header.
//!
//! Read in whatever shape APIs write it: OpenAI's (`prompt_tokens`, `completion_tokens`), Anthropic's (`input_tokens`,
//! `output_tokens`), that of embeddings (`total_tokens` alone), and that of Snowflake's agents, a list by model
//! (`tokens_consumed`).

use crate::json::{Malformed, Raw, Reader, Value};

/// The longest name of a model that is kept, in characters.
const LONGEST_MODEL: usize = 128;

/// The most models that one answer may name.
const MOST: usize = 8;

/// Tokens of one model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Used {
    /// The model; `None` if the answer does not name it.
    pub model: Option<Box<str>>,
    /// Tokens that went in.
    pub input: u64,
    /// Tokens that came out.
    pub output: u64,
}

/// Where an answer says it, as it stands in the text: found while the answer is read for other reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Found<'a> {
    usage: Option<Raw<'a>>,
    model: Option<Raw<'a>>,
}

impl<'a> Found<'a> {
    /// What has been found otherwise.
    pub fn of(usage: Option<Raw<'a>>, model: Option<Raw<'a>>) -> Self {
        Found { usage, model }
    }

    /// Looks at a member of a document. `None`: it is about something else, and its value has not been read.
    pub fn member(&mut self, name: Option<&str>, reader: &mut Reader<'a>) -> Result<Option<Raw<'a>>, Malformed> {
        let place = match name {
            Some("usage") => &mut self.usage,
            Some("model") => &mut self.model,
            _ => return Ok(None),
        };
        let value = reader.value()?;
        *place = Some(value);
        Ok(Some(value))
    }

    /// Reads the value that follows, and looks at its members if it is an object.
    pub fn within(&mut self, reader: &mut Reader<'a>) -> Result<(), Malformed> {
        if reader.peek() != Some(b'{') {
            return reader.value().map(|_| ());
        }
        reader.object(|name, reader| {
            if self.member(name.as_deref(), reader)?.is_none() {
                reader.value()?;
            }
            Ok::<(), Malformed>(())
        })
    }

    /// What it says; empty for nothing.
    pub fn used(self) -> Vec<Used> {
        let usage = self.usage.and_then(|usage| Value::parse(usage.get()).ok());
        let model = self.model.and_then(Raw::text);
        usage.map_or_else(Vec::new, |usage| of_value(&usage, model.as_deref()))
    }
}

/// What a `usage` says. `model`: the one that stands beside it.
pub fn of_value(usage: &Value, model: Option<&str>) -> Vec<Used> {
    if let Some(list) = usage.get("tokens_consumed").and_then(Value::as_array) {
        return list.iter().take(MOST).filter_map(of_model).collect();
    }
    let number = |names: [&str; 2]| names.iter().find_map(|name| usage.get(name)?.as_u64());
    let input = number(["prompt_tokens", "input_tokens"]);
    let output = number(["completion_tokens", "output_tokens"]);
    // Only embeddings have no output.
    let input = input.or_else(|| usage.get("total_tokens").filter(|_| output.is_none())?.as_u64());
    if input.is_none() && output.is_none() {
        return Vec::new();
    }
    vec![Used { model: model.map(cut), input: input.unwrap_or(0), output: output.unwrap_or(0) }]
}

/// One entry of `tokens_consumed`.
fn of_model(entry: &Value) -> Option<Used> {
    let total = |name: &str| entry.get(name).and_then(|tokens| tokens.get("total").unwrap_or(tokens).as_u64());
    let (input, output) = (total("input_tokens"), total("output_tokens"));
    let model = entry.get("model_name").and_then(Value::as_str).map(cut);
    (input.is_some() || output.is_some()).then(|| Used {
        model,
        input: input.unwrap_or(0),
        output: output.unwrap_or(0),
    })
}

fn cut(model: &str) -> Box<str> {
    model.chars().take(LONGEST_MODEL).collect()
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn used(document: &str) -> Vec<(Option<String>, u64, u64)> {
        let mut found = Found::default();
        found.within(&mut Reader::new(document)).unwrap();
        found.used().into_iter().map(|used| (used.model.map(Into::into), used.input, used.output)).collect()
    }

    #[test]
    fn usage_is_read_in_the_shape_of_every_api() {
        let one = |model: &str, input, output| vec![(Some(model.to_owned()), input, output)];
        for (document, expected) in [
            (r#"{"model":"m","usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#, one("m", 7, 3)),
            (r#"{"usage":{"input_tokens":7,"output_tokens":3},"model":"m"}"#, one("m", 7, 3)),
            (r#"{"model":"e","usage":{"total_tokens":10}}"#, one("e", 10, 0)),
            (
                r#"{"usage":{"tokens_consumed":[{"model_name":"a","input_tokens":{"total":5,"cache_read":4},"output_tokens":{"total":2}}]}}"#,
                one("a", 5, 2),
            ),
            (r#"{"usage":{"prompt_tokens":1}}"#, vec![(None, 1, 0)]),
        ] {
            assert_eq!(used(document), expected, "{document}");
        }
    }

    #[test]
    fn what_is_no_usage_says_nothing() {
        for document in ["{}", "[]", r#"{"usage":{}}"#, r#"{"usage":null}"#, r#"{"usage":{"prompt_tokens":-1}}"#, "7"] {
            assert_eq!(used(document), [], "{document}");
        }
        let many = vec![r#"{"model_name":"a","input_tokens":1}"#; 100].join(",");
        assert_eq!(used(&format!(r#"{{"usage":{{"tokens_consumed":[{many}]}}}}"#)).len(), MOST);
    }
}
