//! The arguments that a tool is tried with: what the operator says, else the least that its schema takes.

use serde_json::{Map, Value, json};

/// How deep a schema is followed.
const DEEPEST: usize = 8;

/// The arguments of a tool, by its `inputSchema`.
pub fn sample(schema: &Value) -> Value {
    of("", schema, DEEPEST)
}

fn of(name: &str, schema: &Value, depth: usize) -> Value {
    let given = ["const", "default"].into_iter().find_map(|key| schema.get(key));
    let listed = || ["enum", "examples"].into_iter().find_map(|key| schema.get(key)?.get(0));
    if let Some(value) = given.or_else(listed) {
        return value.clone();
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().find_map(Value::as_str).unwrap_or_default(),
        Some(kind) => kind.as_str().unwrap_or_default(),
        None => "object",
    };
    match kind {
        "object" => object(schema, depth),
        "array" => match schema.get("minItems").and_then(Value::as_u64) {
            Some(least @ 1..=100) if depth > 0 => {
                let item = of(name, schema.get("items").unwrap_or(&Value::Null), depth.saturating_sub(1));
                (0..least).map(|_| item.clone()).collect()
            }
            _ => json!([]),
        },
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => json!(false),
        "null" => Value::Null,
        // Asks for nothing, and is understood.
        _ if matches!(name, "sql" | "statement") => json!("SELECT 1"),
        _ => json!("dualpath validate"),
    }
}

/// The members that must be there.
fn object(schema: &Value, depth: usize) -> Value {
    let required = schema.get("required").and_then(Value::as_array);
    let names = required.into_iter().flatten().filter_map(Value::as_str).filter(|_| depth > 0);
    let member = |name: &str| {
        let schema = schema.get("properties").and_then(|properties| properties.get(name));
        let string = json!({"type": "string"});
        (name.to_owned(), of(name, schema.unwrap_or(&string), depth.saturating_sub(1)))
    };
    Value::Object(names.map(member).collect::<Map<_, _>>())
}

/// `TOOL=JSON`, from the command line.
///
/// # Errors
/// Why it is none. The arguments are not shown.
pub fn read(text: &str) -> Result<(String, Value), String> {
    let (tool, arguments) = text.split_once('=').ok_or(r#"must be TOOL=JSON, such as search={"query":"x"}"#)?;
    match serde_json::from_str::<Value>(arguments) {
        Ok(arguments) if arguments.is_object() => Ok((tool.to_owned(), arguments)),
        _ => Err(r#"must have a JSON object behind the =, such as search={"query":"x"}"#.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_the_least_that_a_schema_takes() {
        let schema = json!({
            "type": "object",
            "properties": {
                "query": {"type": "string"},
                "sql": {"type": ["string", "null"]},
                "limit": {"type": "integer", "minimum": 5},
                "mode": {"type": "string", "enum": ["fast", "good"]},
                "where": {"type": "object", "properties": {"flag": {"type": "boolean"}}, "required": ["flag"]},
                "list": {"type": "array", "items": {"type": "number"}, "minItems": 2},
                "optional": {"type": "string"},
            },
            "required": ["query", "sql", "limit", "mode", "where", "list", "untold"],
        });
        let expected = json!({
            "query": "dualpath validate", "sql": "SELECT 1", "limit": 5, "mode": "fast", "where": {"flag": false},
            "list": [1, 1], "untold": "dualpath validate",
        });
        assert_eq!(sample(&schema), expected);
        assert_eq!(sample(&json!({})), json!({}));
        assert_eq!(sample(&Value::Null), json!({}));
    }

    #[test]
    fn arguments_of_the_command_line_are_an_object() {
        assert_eq!(read(r#"search={"query":"a=b"}"#), Ok(("search".to_owned(), json!({"query": "a=b"}))));
        for text in ["search", "search=", "search=1", "search={"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
