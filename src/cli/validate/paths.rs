//! Calls through the gate: what it lists, and whether each tool is answered on each of its paths.
//!
//! A path is tried alone by a drill that lets every other server fail, where the registry allows it. Only what changes nothing is
//! called: tools that the registry says may run twice, or whose servers, all trusted, call them read-only.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answered::row_of;
use super::client::Client;
use super::row::{Outcome, Row};
use super::{Wishes, arguments, hint, quoted};
use crate::call::route::{Lot, Route, chain};
use crate::registry::{Registry, Replayable, Server, ServerIndex, ServerKind, Tool};

/// The drill that a server fails by here: as if it could not be reached, so that any call goes on, and no failover is paid for.
const FAILURE: &str = "not_sent";

/// The reason of an error that says that a drill is malformed: whoever may not order one is not told so.
const MALFORMED: &str = "DRILL_MALFORMED";

/// Who calls, and what came of it.
pub struct Paths<'r> {
    registry: &'r Registry,
    wishes: &'r Wishes,
    client: Client,
    progress: &'r dyn Fn(&str),
    /// The tools of each server, as it lists them.
    lists: BTreeMap<u16, Vec<Value>>,
    rows: Vec<Row>,
}

impl<'r> Paths<'r> {
    /// Nothing called yet.
    pub fn new(registry: &'r Registry, wishes: &'r Wishes, url: &str, progress: &'r dyn Fn(&str)) -> Self {
        Paths { registry, wishes, client: Client::new(url), progress, lists: BTreeMap::new(), rows: Vec::new() }
    }

    /// Calls, and says what came of it. `Err` if the endpoint can't be reached at all.
    ///
    /// # Errors
    /// Why not.
    pub fn rows(mut self) -> Result<Vec<Row>, String> {
        (self.progress)("initialize and tools/list");
        let mut client = self.client.clone();
        let answer = client.initialize()?;
        if let Some(error) = answer.error() {
            self.rows.push(Row::problem("endpoint", "initialize", quoted(&error)).maybe(hint::of(&error)));
            return Ok(self.rows);
        }
        let tools = client.tools();
        match &tools {
            Ok(tools) => self.rows.push(Row::good("endpoint", "tools/list", listed(tools))),
            Err(error) => self.rows.push(Row::problem("endpoint", "tools/list", quoted(error)).maybe(hint::of(error))),
        }
        if let Some(why) = self.why_no_drill() {
            self.rows.push(Row::new("drill", "each path", Outcome::Skipped, why.0).hint(why.1));
            self.without_drill(&mut client, &tools.unwrap_or_default());
        } else {
            self.with_drill();
        }
        client.end();
        Ok(self.rows)
    }

    /// Why paths can't be tried one by one, and what to do about it.
    fn why_no_drill(&mut self) -> Option<(&'static str, &'static str)> {
        if !self.wishes.drill {
            return Some((
                "not wanted (--no-drill), so only the first path of each tool is tried",
                "leave --no-drill out",
            ));
        }
        if self.registry.drill.is_none() {
            let hint = "set `drill.enabled` in the registry, if this machine may order drills";
            return Some(("the registry has no drill, so only the first path of each tool is tried", hint));
        }
        let answer = self.client.drilled("fail=".to_owned()).ask("ping", &json!({}));
        if answer.is_ok_and(|answer| answer.reason() == Some(MALFORMED)) {
            return None;
        }
        let hint = "name this machine's network in `drill.sources`, or run this on a machine that is named there";
        Some(("drills are not taken from here, so only the first path of each tool is tried", hint))
    }

    fn without_drill(&mut self, client: &mut Client, listed: &[Value]) {
        for tool in self.registry.tools.iter().filter(|tool| tool.is_allowed) {
            (self.progress)(&format!("tool {}", tool.name));
            let of_list = find(listed, &tool.name);
            if let Some(row) = self.not_called(tool, of_list, "first path") {
                self.rows.push(row);
                continue;
            }
            let row = self.call(client, tool, of_list, "first path", None);
            self.rows.push(row);
        }
    }

    fn with_drill(&mut self) {
        for (index, server) in self.registry.indexed_servers() {
            let tools: Vec<_> =
                self.registry.tools.iter().filter(|tool| tool.is_allowed && self.answers(tool, index)).collect();
            (self.progress)(&format!("server {}", server.id));
            let mut client = self.client.drilled(self.alone(index));
            let is_well = server.kind == ServerKind::Rest || self.meet(&mut client, index, server);
            if server.kind == ServerKind::Rest {
                let _ = client.initialize();
            }
            for tool in tools.into_iter().filter(|_| is_well) {
                (self.progress)(&format!("tool {} on {}", tool.name, server.id));
                let row = self.path(&mut client, tool, index, server);
                self.rows.push(row);
            }
            client.end();
        }
        self.failover();
    }

    /// Whether this server is among those that may answer the tool.
    fn answers(&self, tool: &Tool, server: ServerIndex) -> bool {
        chain(self.registry, Route::Tool(tool), Lot::default()).contains(&server)
    }

    /// The drill that leaves this server alone.
    fn alone(&self, server: ServerIndex) -> String {
        let others = self.registry.indexed_servers().filter(|(index, _)| *index != server);
        others.map(|(_, other)| format!("fail={},{FAILURE}", other.id)).collect::<Vec<_>>().join("; ")
    }

    /// Begins a session with an MCP server, and reads its list. Whether that went well.
    fn meet(&mut self, client: &mut Client, index: ServerIndex, server: &Server) -> bool {
        let about = server.id.to_string();
        let answer = client.initialize().and_then(|answer| match answer.error() {
            Some(error) => Err(error),
            // The gate answers it itself where no MCP server does. What only a server can answer says why.
            None if answer.message.pointer("/result/serverInfo/name").is_some_and(|name| name == "dualpath") => {
                let why = client.ask("prompts/list", &json!({}))?.error();
                Err(why.unwrap_or_else(|| "it did not answer initialize: the gate has done so in its place".to_owned()))
            }
            None => client.tools(),
        });
        match answer {
            Ok(tools) => {
                let says = listed(&tools);
                self.lists.insert(index.0, tools);
                self.rows.push(Row::good("server", about, says));
                true
            }
            Err(error) => {
                let row = Row::problem("server", about, quoted(&error)).maybe(hint::of(&error));
                self.rows.push(row.of_server(server.id.as_str()));
                false
            }
        }
    }

    /// One tool on one server.
    fn path(&self, client: &mut Client, tool: &Tool, index: ServerIndex, server: &Server) -> Row {
        let about = format!("{} on {}", tool.name, server.id);
        let list = self.lists.get(&index.0);
        let own = list.and_then(|list| find(list, &tool.name));
        if list.is_some() && own.is_none() {
            let hint = format!(
                "calls go past {} then; add the tool there, or leave the server out of the tool's `servers`",
                server.id
            );
            return Row::problem("path", about, format!("{} does not list the tool", server.id)).hint(hint);
        }
        let described = own.or_else(|| self.lists.values().find_map(|list| find(list, &tool.name)));
        self.not_called(tool, described, server.id.as_str()).unwrap_or_else(|| {
            self.call(client, tool, described, server.id.as_str(), Some(server)).of_server(server.id.as_str())
        })
    }

    /// The row of a tool that is not called.
    fn not_called(&self, tool: &Tool, listed: Option<&Value>, on: &str) -> Option<Row> {
        if self.wishes.calls.contains(&tool.name) || self.changes_nothing(tool, listed) {
            return None;
        }
        let says = "not called, as it may change something";
        let hint = format!("--call {} calls it", tool.name);
        Some(Row::new("path", format!("{} on {on}", tool.name), Outcome::Skipped, says).hint(hint))
    }

    /// Whether a call does no harm, by what the registry or trusted servers say.
    fn changes_nothing(&self, tool: &Tool, listed: Option<&Value>) -> bool {
        match tool.replayable {
            Replayable::Yes => true,
            Replayable::No => false,
            Replayable::Annotations => {
                let is_trusted =
                    |at: &ServerIndex| self.registry.server(*at).is_some_and(|server| server.trust_annotations);
                let hint = listed.and_then(|tool| tool.pointer("/annotations/readOnlyHint")?.as_bool());
                tool.mcp.iter().all(is_trusted) && hint == Some(true)
            }
        }
    }

    fn call(&self, client: &mut Client, tool: &Tool, listed: Option<&Value>, on: &str, server: Option<&Server>) -> Row {
        let about = format!("{} on {on}", tool.name);
        let own: Option<Value> = serde_json::from_str(tool.listing.as_json()).ok();
        let schema = listed.or(own.as_ref()).and_then(|tool| tool.get("inputSchema")).unwrap_or(&Value::Null);
        let given = self.wishes.arguments.iter().find(|(name, _)| *name == tool.name);
        let arguments = given.map_or_else(|| arguments::sample(schema), |(_, arguments)| arguments.clone());
        let answer = match client.ask("tools/call", &json!({"name": tool.name, "arguments": arguments})) {
            Ok(answer) => answer,
            Err(why) => return Row::problem("path", about, quoted(&why)).maybe(hint::of(&why)),
        };
        if let (Some(server), Some(other)) = (server, &answer.server)
            && *other != server.id.as_str()
        {
            return Row::problem("path", about, format!("{other} has answered in its place"));
        }
        row_of(about, &answer, given.is_some())
    }

    /// The first path of a tool fails, and the next answers the same call.
    fn failover(&mut self) {
        let callable = |tool: &&Tool| {
            tool.is_allowed && self.changes_nothing(tool, self.lists.values().find_map(|list| find(list, &tool.name)))
        };
        let routed = |tool: &Tool| chain(self.registry, Route::Tool(tool), Lot::default());
        let Some(tool) = self.registry.tools.iter().filter(callable).find(|tool| routed(tool).len() > 1) else {
            return;
        };
        let order = routed(tool);
        let names: Vec<_> =
            order.iter().filter_map(|at| self.registry.server(*at)).map(|server| server.id.as_str()).collect();
        let Some((first, others)) = names.split_first() else { return };
        (self.progress)(&format!("failover of {}", tool.name));
        let mut client = self.client.drilled(format!("fail={first},lost"));
        let described = self.lists.values().find_map(|list| find(list, &tool.name)).cloned();
        let row = self.call(&mut client, tool, described.as_ref(), "the next path", None);
        let about = format!("{} without {first}", tool.name);
        self.rows.push(match row.outcome {
            Outcome::Good | Outcome::Warning => Row { check: "failover", about, ..row },
            _ => Row {
                check: "failover",
                about,
                hint: row.hint.or(Some(format!("next in order: {}", others.join(", ")))),
                ..row
            },
        });
    }
}

fn listed(tools: &[Value]) -> String {
    format!("lists {} {}", tools.len(), if tools.len() == 1 { "tool" } else { "tools" })
}

fn find<'t>(tools: &'t [Value], name: &str) -> Option<&'t Value> {
    tools.iter().find(|tool| tool.get("name").is_some_and(|it| it == name))
}
