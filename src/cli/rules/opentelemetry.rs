//! OpenTelemetry's names for MCP (the semantic conventions for generative AI), as its translation to Prometheus writes them.

use serde_json::{Value, json};

use super::seconds::histogram;

/// The rules of `mcp.server.operation.duration`. Envoy has no histogram by outcome, so `error.type` is in the count only: the class of
/// a call that failed, `tool_error` for a tool that answered with `isError`, as the conventions have it.
pub(super) fn rules() -> Vec<Value> {
    const NAME: &str = "mcp_server_operation_duration_seconds";
    let named = |series: String, label: &str, by: &str| {
        format!("label_replace({series}, \"{by}\", \"$1\", \"{label}\", \"(.+)\")")
    };
    let of_tool = |series: String| format!("sum without (tool) ({})", named(series, "tool", "gen_ai_tool_name"));
    let mut rules = histogram("mcp_tool_latency_ms", NAME, of_tool);
    rules.pop();
    let failed = named("mcp_tool_calls_total{class!=\"success\"}".to_owned(), "class", "error_type");
    let counted = format!("{failed} or mcp_tool_calls_total{{class=\"success\"}}");
    let count = format!("sum without (tool, class) ({})", named(format!("({counted})"), "tool", "gen_ai_tool_name"));
    rules.push(json!({"record": format!("{NAME}_count"), "expr": count}));
    for rule in &mut rules {
        let labels = rule.as_object_mut().map(|rule| rule.entry("labels").or_insert_with(|| json!({})));
        if let Some(labels) = labels {
            labels["mcp_method_name"] = json!("tools/call");
        }
    }
    rules
}
