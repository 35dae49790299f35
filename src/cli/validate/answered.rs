//! What the answer to a call says of the path that it came by.

use serde_json::Value;

use super::client::Answer;
use super::row::{Outcome, Row};
use super::{hint, quoted, shape};

/// The row of a path. `is_given`: the operator has said what to call with.
pub fn row_of(about: String, answer: &Answer, is_given: bool) -> Row {
    let took = format!("{} ms", answer.took.as_millis());
    let by = answer.server.as_ref().map(|server| format!(" by {server}")).unwrap_or_default();
    let other_arguments =
        || (!is_given).then(|| "give it arguments that it takes: --arguments 'TOOL={...}'".to_owned());
    if let Some(error) = answer.error() {
        // A server that refuses the arguments has answered.
        let is_own = answer.message.pointer("/error/data/source").is_some_and(|source| source == "dualpath");
        let about_arguments = answer.message.pointer("/error/code").is_some_and(|code| code == -32602);
        let text = match answer.reason() {
            Some(reason) => format!("{error} ({reason})"),
            None => error,
        };
        if about_arguments && !is_own && !text.to_lowercase().contains("unknown tool") {
            let says = format!("answered{by} in {took}, and refused the arguments: {}", quoted(&text));
            return Row::new("path", about, Outcome::Warning, says).maybe(hint::of(&text).or_else(other_arguments));
        }
        return Row::problem("path", about, quoted(&text)).maybe(hint::of(&text));
    }
    let result = answer.message.get("result").unwrap_or(&Value::Null);
    if result.get("isError").is_some_and(|is_error| is_error == true) {
        let text = result.get("content").map(Value::to_string).unwrap_or_default();
        let known = hint::of(&text);
        let outcome = if known.is_some() { Outcome::Problem } else { Outcome::Warning };
        let says = format!("answered{by} in {took}, with an error of the tool's: {}", quoted(&text));
        return Row::new("path", about, outcome, says).maybe(known.or_else(other_arguments));
    }
    match shape::of(result) {
        Ok(shape) => Row::good("path", about, format!("answered{by} in {took}: {shape}")),
        Err(why) => Row::problem("path", about, format!("answered{by} in {took}, in no shape of MCP's: {why}"))
            .hint("set `normalise: true` for the server, if its answers can be completed"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn row(message: Value) -> Row {
        let answer = Answer { message, server: Some("one".to_owned()), took: Duration::from_millis(12) };
        row_of("search on one".to_owned(), &answer, false)
    }

    #[test]
    fn an_answer_in_the_right_shape_is_good() {
        let row = row(json!({"result": {"content": [{"type": "text", "text": "a"}]}}));
        assert_eq!((row.outcome, row.says.as_str()), (Outcome::Good, "answered by one in 12 ms: text"));
    }

    #[test]
    fn a_server_that_refuses_the_arguments_has_answered_and_one_without_the_tool_has_not() {
        let refused = row(json!({"error": {"code": -32602, "message": "query: too short"}}));
        assert_eq!(refused.outcome, Outcome::Warning);
        assert!(refused.hint.is_some_and(|hint| hint.contains("--arguments")));
        let unknown = row(json!({"error": {"code": -32602, "message": "Unknown tool: search"}}));
        assert_eq!(unknown.outcome, Outcome::Problem);
    }

    #[test]
    fn what_is_wrong_comes_with_what_to_do() {
        let own = json!({"error": {"code": 50302, "message": "no credential can be sent", "data": {"source": "dualpath", "reason": "CREDENTIAL_UNAVAILABLE"}}});
        let failed = row(own);
        assert_eq!(failed.outcome, Outcome::Problem);
        assert!(failed.says.ends_with("(CREDENTIAL_UNAVAILABLE)") && failed.hint.is_some(), "{failed:?}");
        let agent = json!({"result": {"isError": true, "content": [{"type": "text", "text": "Agent error (code 399504): no"}]}});
        let agent = row(agent);
        assert!(agent.outcome == Outcome::Problem && agent.hint.is_some_and(|hint| hint.contains("trial accounts")));
        let shapeless = row(json!({"result": {"results": []}}));
        assert!(shapeless.outcome == Outcome::Problem && shapeless.hint.is_some_and(|hint| hint.contains("normalise")));
    }
}
