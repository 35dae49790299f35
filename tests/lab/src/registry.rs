//! Registries for tests, as the JSON that is also YAML.

use std::path::Path;

use serde_json::{Value, json};

/// A registry under construction. What it produces goes through the same reader as an operator's file.
#[derive(Debug, Clone)]
pub struct Builder(Value);

impl Builder {
    /// A registry without servers, credentials and tools, that loads the module at `wasm_file`.
    pub fn new(wasm_file: &Path) -> Self {
        Builder(json!({
            "version": 1,
            "listener": { "address": "127.0.0.1", "port": 10000, "path": "/mcp", "expose_headers": true },
            "envoy": { "wasm_file": wasm_file, "admin_address": "127.0.0.1", "admin_port": 9901 },
            // What stubs are asked without a call is for the tests of that.
            "discovery": {"enabled": false},
            "breaker": {},
            "limits": {},
            "credentials": [],
            "servers": [],
            "tools": [],
        }))
    }

    /// Sets any value by JSON pointer, creating objects on the way, e.g. `set("/breaker/consecutive", json!(2))`. Null takes
    /// a key away.
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        let mut at = &mut self.0;
        if let (true, Some((parent, key))) = (value.is_null(), pointer.rsplit_once('/')) {
            at.pointer_mut(parent).and_then(Value::as_object_mut).map(|parent| parent.remove(key));
            return self;
        }
        for key in pointer.split('/').skip(1) {
            at = match key.parse::<usize>() {
                Ok(index) if at.is_array() => &mut at[index],
                _ => &mut at[key],
            };
        }
        *at = value;
        self
    }

    /// Sets the two ports.
    pub fn ports(self, listener: u16, admin: u16) -> Self {
        self.set("/listener/port", json!(listener)).set("/envoy/admin_port", json!(admin))
    }

    /// A Snowflake PAT whose slots are given as `{"env": NAME}` or `{"sds_file": PATH}`.
    pub fn credential(self, id: &str, slots: Value) -> Self {
        self.push(
            "credentials",
            json!({
                "id": id,
                "headers": { "x-snowflake-authorization-token-type": "PROGRAMMATIC_ACCESS_TOKEN" },
                "slots": slots,
            }),
        )
    }

    /// An MCP server.
    pub fn mcp(self, id: &str, tier: &str, url: &str, credential: Option<&str>) -> Self {
        self.push("servers", server(id, "mcp", tier, url, credential))
    }

    /// A REST server.
    pub fn rest(self, id: &str, url: &str, credential: Option<&str>) -> Self {
        self.push("servers", server(id, "rest", "primary", url, credential))
    }

    /// A tool as the registry writes it.
    pub fn tool(self, tool: Value) -> Self {
        self.push("tools", tool)
    }

    /// The tools that the stubs know: `search` and `complete` may be replayed, `sql` may not. `rest` names the server of
    /// their direct path.
    pub fn stub_tools(self, rest: Option<&str>) -> Self {
        let tool = |name: &str, replayable: bool, argument: &str, with: Value| {
            let mut tool = json!({
                "name": name, "task": name, "replayable": replayable,
                "description": format!("The stub's {name}."),
                "input_schema": { "type": "object", "properties": { argument: { "type": "string" } }, "required": [argument] },
            });
            if let Some(rest) = rest {
                tool["rest"] = json!({ "server": rest, "preset": format!("snowflake.{name}"), "with": with });
            }
            tool
        };
        self.tool(tool("search", true, "query", json!({ "database": "D", "schema": "S", "service": "V" })))
            .tool(tool("sql", false, "sql", json!({ "warehouse": "W" })))
            .tool(tool("complete", true, "prompt", json!({ "model": "claude-haiku-4-5" })))
    }

    /// The registry in its wire form.
    pub fn tree(&self) -> &Value {
        &self.0
    }

    fn push(mut self, list: &str, item: Value) -> Self {
        self.0[list].as_array_mut().expect("a list of the registry").push(item);
        self
    }
}

fn server(id: &str, kind: &str, tier: &str, url: &str, credential: Option<&str>) -> Value {
    let mut server = json!({
        "id": id, "kind": kind, "tier": tier, "url": url, "dialect": "snowflake", "connect_timeout": "500ms", "timeout": "1500ms",
    });
    if let Some(credential) = credential {
        server["credential"] = json!(credential);
    }
    server
}

#[cfg(test)]
mod tests {
    use super::*;
    use dualpath::registry::{Admin, Registry};

    #[test]
    fn what_the_builder_writes_is_a_registry() {
        let builder = Builder::new(Path::new("dualpath.wasm"))
            .set("/breaker/consecutive", json!(2))
            .credential("pat", json!({"a": {"env": "PAT"}, "b": {"sds_file": "/run/pat.json"}}))
            .mcp("primary", "primary", "http://127.0.0.1:1/mcp", Some("pat"))
            .rest("rest", "http://127.0.0.1:2", None)
            .stub_tools(Some("rest"))
            .set("/limits", json!(null))
            .ports(10001, 10002);
        let registry = Registry::from_wire(builder.tree()).unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert_eq!(registry.listener.port, 10001);
        assert_eq!(registry.envoy.admin, Admin::Port("127.0.0.1".to_owned(), 10002));
        assert_eq!(registry.tools.len(), 3);
        assert!(builder.tree().get("limits").is_none());
    }
}
