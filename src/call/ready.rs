//! Whether calls find a path now, for who decides whether calls come here: of every task, or of one.

use crate::registry::{Registry, ServerIndex, ServerKind};

/// The path of the page about every task; that about one has a slash and the task behind it.
pub const PAGE: &str = "/ready/tasks";

/// What is asked under this path; `None` if that is another page. A query is of no interest.
pub fn asked(path: &str) -> Option<Option<&str>> {
    let path = path.split('?').next().unwrap_or_default();
    match path.strip_prefix(PAGE)? {
        "" | "/" => Some(None),
        task => Some(Some(task.strip_prefix('/')?)),
    }
}

/// The HTTP status and the JSON for that. `is_up`: whether a server takes calls now; `is_mcp_off`: whether no MCP server may be
/// asked for the tool at this position. It names tasks, and neither servers nor their addresses.
pub fn answer(
    registry: &Registry,
    asked: Option<&str>,
    is_up: &dyn Fn(ServerIndex) -> bool,
    is_mcp_off: &dyn Fn(usize) -> bool,
) -> (u16, String) {
    let mut without: Vec<&str> = Vec::new();
    let mut any = false;
    for (at, tool) in registry.tools.iter().enumerate() {
        let task = tool.task.as_str();
        if asked.is_some_and(|asked| asked != task) {
            continue;
        }
        any = true;
        let mcp = || !is_mcp_off(at) && tool.mcp.iter().any(|server| is_up(*server));
        let has_path = tool.rest.as_ref().is_some_and(|direct| is_up(direct.server)) || mcp();
        if !has_path && !without.contains(&task) {
            without.push(task);
        }
    }
    if !any {
        // A registry may leave all tools to its servers; a task that is asked for must be there.
        let is_mcp = |server: ServerIndex| registry.server(server).is_some_and(|server| server.kind == ServerKind::Mcp);
        any = asked.is_none() && registry.indexed_servers().any(|(at, _)| is_mcp(at) && is_up(at));
        let status = if any { 200 } else { 503 };
        return page(if asked.is_some() { 404 } else { status }, any, &[]);
    }
    page(if without.is_empty() { 200 } else { 503 }, without.is_empty(), &without)
}

/// Tasks are names of letters, digits, `-` and `_`, which JSON writes as they are.
fn page(status: u16, ready: bool, without: &[&str]) -> (u16, String) {
    let mut json = if ready { "{\"ready\":true" } else { "{\"ready\":false" }.to_owned();
    for (at, task) in without.iter().enumerate() {
        json.push_str(if at == 0 { ",\"without_path\":[\"" } else { "\",\"" });
        json.push_str(task);
    }
    json.push_str(if without.is_empty() { "}\n" } else { "\"]}\n" });
    (status, json)
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde_json::{Value, json};

    use super::*;

    fn registry(tools: Value) -> Registry {
        let server = |id: &str, kind: &str| json!({"id": id, "kind": kind, "url": "https://host.example"});
        let wire = json!({"version": 1, "servers": [server("a", "mcp"), server("b", "mcp"), server("r", "rest")], "tools": tools});
        Registry::from_wire(&wire).expect("a registry")
    }

    fn tool(name: &str, rest: bool) -> Value {
        let mut tool = json!({"name": name, "task": name, "description": "d", "input_schema": {"type": "object"}});
        if rest {
            let with = json!({"database": "D", "schema": "S", "service": "V"});
            tool["rest"] = json!({"server": "r", "preset": "snowflake.search", "with": with});
        }
        tool
    }

    /// The page while these servers are up.
    fn page(registry: &Registry, asked: Option<&str>, up: &[u16], mcp_off: bool) -> (u16, String) {
        answer(registry, asked, &|server| up.contains(&server.0), &|_| mcp_off)
    }

    #[test]
    fn only_its_own_pages_are_answered() {
        for (path, expected) in [
            ("/ready/tasks", Some(None)),
            ("/ready/tasks?x=1", Some(None)),
            ("/ready/tasks/", Some(None)),
            ("/ready/tasks/search", Some(Some("search"))),
            ("/ready", None),
            ("/ready/tasksx", None),
            ("/stats/prometheus", None),
            ("", None),
        ] {
            assert_eq!(asked(path), expected, "{path}");
        }
    }

    #[test]
    fn a_task_is_ready_while_any_of_its_paths_is_up() {
        let registry = registry(json!([tool("search", true), tool("write", false)]));
        let no = |tasks: &str| (503, format!("{{\"ready\":false,\"without_path\":[{tasks}]}}\n"));
        let yes = (200, "{\"ready\":true}\n".to_owned());
        for (asked, up, mcp_off, expected) in [
            (None, [0, 9], false, yes.clone()),
            (None, [1, 9], false, yes.clone()),
            (None, [2, 9], false, no("\"write\"")),
            (None, [8, 9], false, no("\"search\",\"write\"")),
            (None, [0, 2], true, no("\"write\"")),
            (Some("search"), [2, 9], false, yes.clone()),
            (Some("search"), [0, 9], true, no("\"search\"")),
            (Some("write"), [2, 9], false, no("\"write\"")),
            (Some("other"), [0, 2], false, (404, "{\"ready\":false}\n".to_owned())),
        ] {
            assert_eq!(page(&registry, asked, &up, mcp_off), expected, "{asked:?} {up:?} {mcp_off}");
        }
    }

    #[test]
    fn without_tools_it_is_enough_that_an_mcp_server_is_up() {
        let registry = registry(json!([]));
        assert_eq!(page(&registry, None, &[1], false).0, 200);
        assert_eq!(page(&registry, None, &[2], false).0, 503);
        assert_eq!(page(&registry, Some("search"), &[1], false).0, 404);
    }
}
