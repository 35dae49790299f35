//! What servers list, and what a registry should say of it.

use serde_json::{Map, Value};

use super::plan::{Plan, PlannedTool, id_like, scalar};
use crate::wire::looks_like_a_token;

/// Longer texts and schemas are left to the server, in bytes.
const LONGEST: usize = 4096;

/// A tool of a list.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    name: String,
    title: Option<String>,
    description: Option<String>,
    schema: Option<Value>,
    annotations: Map<String, Value>,
}

/// The tools of a page.
pub(super) fn of_page(body: &[u8]) -> Vec<Listed> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let tools = answer.pointer("/result/tools").and_then(Value::as_array);
    let read = |tool: &Value| {
        let text = |key: &str| tool.get(key).and_then(Value::as_str).filter(|text| is_fit(text)).map(str::to_owned);
        let schema = tool.get("inputSchema").filter(|schema| schema.get("type") == Some(&"object".into()));
        let annotations = tool.get("annotations").and_then(Value::as_object);
        Some(Listed {
            name: tool.get("name")?.as_str()?.to_owned(),
            title: text("title"),
            description: text("description"),
            schema: schema.filter(|schema| is_fit(&schema.to_string())).cloned(),
            annotations: annotations.cloned().unwrap_or_default(),
        })
    };
    tools.into_iter().flatten().filter_map(read).collect()
}

/// Whether it may stand in a registry: it is not long, has no variables in it, and nothing that looks like a token.
fn is_fit(text: &str) -> bool {
    let is_plain = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.len() <= LONGEST && !text.contains("${") && text.chars().all(is_plain) && !looks_like_a_token(text)
}

/// Whether MCP and a registry take it as a name of a tool.
fn is_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"_-./".contains(&b);
    (1..=128).contains(&name.len()) && name.bytes().all(legal) && !looks_like_a_token(name)
}

/// Adds the tools that these servers list, in the order of their lists.
pub(super) fn propose(plan: &mut Plan, all: &[(String, Vec<Listed>)]) {
    let mut names: Vec<&str> = Vec::new();
    for tool in all.iter().flat_map(|(_, tools)| tools) {
        if !names.contains(&tool.name.as_str()) {
            names.push(&tool.name);
        }
    }
    let mut left_out = 0_usize;
    for name in names {
        if !is_name(name) {
            left_out = left_out.saturating_add(1);
            continue;
        }
        let of: Vec<(&str, &Listed)> = all
            .iter()
            .filter_map(|(id, tools)| Some((id.as_str(), tools.iter().find(|tool| tool.name == name)?)))
            .collect();
        let Some((_, first)) = of.first() else { continue };
        let (replayable, why) = judge(&of);
        let servers =
            (of.len() < all.len()).then(|| of.iter().map(|(id, _)| (*id).to_owned()).collect::<Vec<String>>());
        let keys = keys(first);
        plan.tools.push(PlannedTool { name: name.to_owned(), replayable, why, servers, keys });
    }
    if left_out > 0 {
        plan.told.push(format!("{left_out} tools are left out, whose names a registry does not take"));
    }
    let tasks: Vec<String> = plan.tools.iter().map(|tool| id_like(&tool.name)).collect();
    let shared = tasks.iter().enumerate().any(|(at, task)| tasks.iter().take(at).any(|other| other == task));
    if shared {
        plan.told.push("tools of one task are counted together: rename tasks where that is not wanted".to_owned());
    }
    plan.more = vec![
        "A direct path, for a tool that a REST API has as well, is a server of kind rest and under the tool:"
            .to_owned(),
        "  rest: {server: api, method: GET, path: /v1/search, query: {q: \"${arguments.query}\"}}".to_owned(),
    ];
}

/// Whether a tool may be called twice, by the word of all servers that list it, and why.
fn judge(of: &[(&str, &Listed)]) -> (bool, String) {
    let says = |hint: &str| of.iter().all(|(_, tool)| tool.annotations.get(hint) == Some(&Value::Bool(true)));
    let whose = if of.len() == 1 { "its server says" } else { "its servers say" };
    let denies = |hint: &str| of.iter().any(|(_, tool)| tool.annotations.get(hint) == Some(&Value::Bool(false)));
    if says("readOnlyHint") {
        (true, format!("{whose} readOnlyHint"))
    } else if says("idempotentHint") {
        (true, format!("{whose} idempotentHint"))
    } else if denies("readOnlyHint") || denies("idempotentHint") {
        (false, format!("{whose} that it changes something"))
    } else {
        (false, "nothing is said of it: true if doing it twice does no harm".to_owned())
    }
}

/// What Dualpath itself lists of the tool while no server can be asked.
fn keys(tool: &Listed) -> Vec<(&'static str, String)> {
    const HINTS: [&str; 4] = ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"];
    let mut keys = Vec::new();
    if let Some(title) = &tool.title {
        keys.push(("title", scalar(title)));
    }
    if let Some(description) = &tool.description {
        keys.push(("description", scalar(description)));
    }
    if let Some(schema) = &tool.schema {
        keys.push(("input_schema", schema.to_string()));
    }
    let hints = HINTS.iter().filter_map(|hint| Some(format!("{hint}: {}", tool.annotations.get(*hint)?.as_bool()?)));
    let hints: Vec<String> = hints.collect();
    if !hints.is_empty() {
        keys.push(("annotations", format!("{{{}}}", hints.join(", "))));
    }
    keys
}
