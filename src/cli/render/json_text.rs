//! JSON for people: what fits a line stands on one line, everything else is opened by one level.

use serde_json::Value;

/// Longest line that a value may take without being opened, in characters.
const WIDTH: usize = 100;

/// `value` as JSON text. Numbers and the order of keys are kept.
pub(super) fn readable(value: &Value) -> String {
    write(value, 0)
}

fn write(value: &Value, depth: usize) -> String {
    let flat = flat(value);
    let indent = "  ".repeat(depth);
    if flat.len().saturating_add(indent.len()) <= WIDTH {
        return flat;
    }
    let inner = depth.saturating_add(1);
    let (open, close, lines): (_, _, Vec<String>) = match value {
        Value::Array(values) => ('[', ']', values.iter().map(|v| write(v, inner)).collect()),
        Value::Object(map) => {
            ('{', '}', map.iter().map(|(key, v)| format!("{}: {}", quoted(key), write(v, inner))).collect())
        }
        _ => return flat,
    };
    format!("{open}\n{indent}  {}\n{indent}{close}", lines.join(&format!(",\n{indent}  ")))
}

fn flat(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[{}]", values.iter().map(flat).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let members: Vec<_> = map.iter().map(|(key, v)| format!("{}: {}", quoted(key), flat(v))).collect();
            format!("{{{}}}", members.join(", "))
        }
        scalar => scalar.to_string(),
    }
}

fn quoted(key: &str) -> String {
    Value::from(key).to_string()
}
