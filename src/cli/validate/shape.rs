//! Whether a tool's result has the shape that every client of MCP reads.

use serde_json::Value;

/// What is in it, in words.
///
/// # Errors
/// What is wrong with it.
pub fn of(result: &Value) -> Result<String, &'static str> {
    let result = result.as_object().ok_or("the result is no object")?;
    let blocks = result.get("content").ok_or("it has no `content`")?;
    let blocks = blocks.as_array().ok_or("its `content` is no list")?;
    let mut kinds = Vec::new();
    for block in blocks {
        let kind = block.get("type").and_then(Value::as_str).ok_or("a block of its `content` has no `type`")?;
        if kind == "text" && !block.get("text").is_some_and(Value::is_string) {
            return Err("a block of text has no `text`");
        }
        kinds.push(kind);
    }
    kinds.dedup();
    let structured = match result.get("structuredContent") {
        Some(Value::Object(_)) => " and structured content",
        Some(_) => return Err("its `structuredContent` is no object"),
        None => "",
    };
    Ok(if kinds.is_empty() { format!("no content{structured}") } else { format!("{}{structured}", kinds.join(", ")) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::of;

    #[test]
    fn a_result_has_a_list_of_typed_blocks() {
        let good = json!({"content": [{"type": "text", "text": "a"}], "structuredContent": {}});
        assert_eq!(of(&good).as_deref(), Ok("text and structured content"));
        assert_eq!(of(&json!({"content": []})).as_deref(), Ok("no content"));
        for bad in [
            json!(null),
            json!({"results": []}),
            json!({"content": "a"}),
            json!({"content": ["a"]}),
            json!({"content": [{"type": "text"}]}),
            json!({"content": [], "structuredContent": []}),
        ] {
            assert!(of(&bad).is_err(), "{bad}");
        }
    }
}
