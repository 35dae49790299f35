//! `dualpath explain --routing`: who is asked, in which order and why.

use std::fmt::Write;

use serde_json::{Value, json};

use super::finding::{no_server, no_tool};
use super::lists::Lists;
use crate::call::route::{Lot, Route, chain};
use crate::credential::date;
use crate::registry::{self, By, Registry, Server, ServerIndex, ServerKind};
use crate::wiring::header;

/// What is asked.
#[derive(Debug, Default)]
pub(super) struct Asked<'a> {
    /// About one tool only.
    pub tool: Option<&'a str>,
    /// The server that the request names.
    pub prefer: Option<&'a str>,
    /// What servers list.
    pub lists: Option<Lists>,
}

/// The answer.
#[derive(Debug)]
pub(super) struct Routing {
    ways: Vec<Way>,
    /// The networks whose requests may name a server, if any may.
    named_from: Option<Vec<String>>,
    /// Whether a running Envoy knows of lists that are not known here.
    lists_missing: bool,
}

/// The way of one kind of calls.
#[derive(Debug)]
struct Way {
    /// Whose calls.
    about: String,
    by: &'static str,
    /// Where the registry says so.
    from: Option<String>,
    order: Vec<String>,
    /// Each server that has a share of the calls as their first, with the share in percent.
    shares: Vec<(String, f64)>,
    sticky: Option<String>,
    /// Each server with its price and when that was looked up.
    prices: Vec<(String, f64, String)>,
    /// Each MCP server that is not asked, with the need that it does not meet.
    left_out: Vec<(String, &'static str)>,
    /// Each that is not asked because it does not list the tool.
    not_listed: Vec<String>,
    /// The one that the request names.
    named: Option<String>,
}

/// Every way that a call can take, or that of one tool.
///
/// # Errors
/// If there is no such tool or server, or no request may name one.
pub(super) fn explain(registry: &Registry, wire: &Value, asked: &Asked<'_>) -> Result<Routing, String> {
    let tool = asked.tool;
    if let Some(name) = tool
        && registry.tool(name).is_none()
    {
        return Err(no_tool(registry, name));
    }
    let named_from = registry.routing.by_header.as_ref().map(|_| {
        let written = wire.pointer("/routing/override/sources").and_then(Value::as_array);
        let networks = written.map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        networks.unwrap_or_else(|| vec!["this machine".to_owned()])
    });
    if asked.prefer.is_some() && named_from.is_none() {
        return Err("--prefer: no request may name a server: routing.override.enabled is not true".to_owned());
    }
    let named = |id| registry.server_by_id(id).map(|(at, _)| at).ok_or_else(|| no_server(registry, "--prefer", id));
    let (lists, prefer) = (asked.lists.as_ref(), asked.prefer.map(named).transpose()?);
    let way = |about: String, route: Route<'_>, from: String| Way::of(registry, (about, route, from), prefer, lists);
    let wanted = registry.tools.iter().enumerate().filter(|(_, it)| tool.is_none_or(|name| it.name == name));
    let mut ways: Vec<_> = wanted
        .map(|(at, it)| {
            let is_own = wire.pointer(&format!("/tools/{at}/routing")).is_some();
            let from = if is_own { format!("tools[{at}].routing") } else { format!("routing.tasks.{}", it.task) };
            way(format!("tool {}", it.name), Route::Tool(it), from)
        })
        .collect();
    if tool.is_none() {
        ways.push(way("new sessions".to_owned(), Route::Begin, "routing.sessions".to_owned()));
        ways.push(way("anything else".to_owned(), Route::AnyMcp, String::new()));
    }
    let lists_missing = lists.is_none() && registry.servers.iter().any(|server| registry.discovers(server));
    Ok(Routing { ways, named_from, lists_missing })
}

impl Way {
    fn of(
        registry: &Registry,
        (about, route, from): (String, Route<'_>, String),
        prefer: Option<ServerIndex>,
        lists: Option<&Lists>,
    ) -> Self {
        let id = |at: ServerIndex| registry.server(at).map(|server| server.id.to_string()).unwrap_or_default();
        let mut order = chain(registry, route, Lot { prefer, ..Lot::default() });
        let all = order.clone();
        let out = route.tool().zip(lists).map(|(tool, lists)| lists.leave_out(registry, &tool.name, &mut order));
        let mut way = Way {
            about,
            by: "tier",
            from: None,
            order: order.iter().copied().map(id).collect(),
            shares: Vec::new(),
            sticky: None,
            prices: Vec::new(),
            left_out: Vec::new(),
            not_listed: out.into_iter().flatten().map(id).collect(),
            named: prefer.filter(|at| order.first() == Some(at)).map(id),
        };
        let Some(routing) = route.routing(registry) else { return way };
        way.from = Some(from);
        way.left_out = left_out(registry, routing, &all);
        match &routing.by {
            By::Tier => {}
            By::Weight { shares, sticky } => {
                way.by = "weight";
                let total: f64 = shares.iter().map(|(_, weight)| f64::from(*weight)).sum();
                let percent = |weight: u16| if total > 0.0 { f64::from(weight) * 100.0 / total } else { 0.0 };
                way.shares = shares.iter().map(|(at, weight)| (id(*at), percent(*weight))).collect();
                way.sticky.clone_from(sticky);
            }
            By::Cost(_) => {
                way.by = "cost";
                let price = |at: &ServerIndex| {
                    let price = registry.server(*at)?.price?;
                    let day = date::show(price.as_of_s).split('T').next()?.to_owned();
                    Some((id(*at), price.per_call, day))
                };
                way.prices = order.iter().filter_map(price).collect();
            }
            By::Latency => way.by = "latency",
        }
        way
    }
}

fn left_out(registry: &Registry, routing: &registry::Routing, asked: &[ServerIndex]) -> Vec<(String, &'static str)> {
    let others =
        registry.indexed_servers().filter(|(at, server)| server.kind == ServerKind::Mcp && !asked.contains(at));
    let lacks = |(_, server): (_, &Server)| Some((server.id.to_string(), server.offers.lacks(&routing.needs)?));
    others.filter_map(lacks).collect()
}

impl Routing {
    /// In lines, each with its title.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for way in &self.ways {
            way.write(&mut text);
            text.push('\n');
        }
        if let Some(networks) = &self.named_from {
            let header = header::SERVER;
            let _ = writeln!(text, "by request   {header} names who is asked first, from {}", networks.join(", "));
        }
        if self.lists_missing {
            text.push_str(NOT_KNOWN);
        }
        text.trim_end().to_owned() + "\n"
    }

    /// As one JSON list.
    pub fn json(&self) -> String {
        format!("{:#}\n", self.ways.iter().map(|way| way.json(self)).collect::<Value>())
    }
}

/// What explain can't know by itself.
const NOT_KNOWN: &str =
    "not known    what servers list: one that lacks the tool is not asked for it (discovery; --lists)\n";

impl Way {
    fn write(&self, text: &mut String) {
        let mut line = |title: &str, says: &str| {
            let _ = writeln!(text, "{}", format!("{title:<12} {says}").trim_end());
        };
        line("calls", &self.about);
        let from = self.from.as_ref().map(|from| format!("  [{from}]")).unwrap_or_default();
        line("by", &format!("{}{from}", self.by));
        for (server, percent) in &self.shares {
            line("share", &format!("{server} is the first for {percent:.1} %"));
        }
        self.sticky.iter().for_each(|name| line("drawn by", &format!("header {name}, else by chance")));
        if self.by == "latency" {
            line(
                "times",
                "the fastest is the first, by dualpath_server_time_ms of a running Envoy; until it knows, as below",
            );
        }
        for (server, price, day) in &self.prices {
            line("price", &format!("{server}: {price} a call, as of {day}"));
        }
        for (server, need) in &self.left_out {
            line("not asked", &format!("{server} does not offer what needs.{need} says"));
        }
        for server in &self.not_listed {
            line("not asked", &format!("{server} does not list it"));
        }
        self.named.iter().for_each(|server| line("named", &format!("{server}, by the request")));
        let order = if self.order.is_empty() { "nobody".to_owned() } else { self.order.join(", then ") };
        line(if self.shares.is_empty() || self.named.is_some() { "order" } else { "the others" }, &order);
    }

    fn json(&self, of: &Routing) -> Value {
        let shares: Vec<_> = self.shares.iter().map(|(id, share)| json!({"server": id, "percent": share})).collect();
        let price = |(id, price, day): &(_, _, _)| json!({"server": id, "per_call": price, "as_of": day});
        let left = |(id, need): &(_, _)| json!({"server": id, "lacks": need});
        json!({
            "calls": self.about, "by": self.by, "from": self.from, "order": self.order, "shares": shares,
            "sticky": self.sticky,
            "prices": self.prices.iter().map(price).collect::<Vec<Value>>(),
            "not_asked": self.left_out.iter().map(left).collect::<Vec<Value>>(),
            "not_listed": self.not_listed, "lists_known": !of.lists_missing,
            "named": self.named, "by_request_from": of.named_from,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(asked: &Asked<'_>) -> Result<String, String> {
        let server = |id: &str, tier: &str, price: f64, models: Value| {
            json!({"id": id, "kind": "mcp", "tier": tier, "url": format!("https://{id}.example"),
                "price": {"per_call": price, "as_of": "2026-11-01"}, "offers": {"models": models}})
        };
        let tree = json!({
            "version": 1,
            "routing": {
                "tasks": {"complete": {"by": "cost", "needs": {"model": "large"}}},
                "override": {"enabled": true, "sources": ["10.1.0.0/16"]}
            },
            "servers": [
                server("dear", "primary", 0.03, json!(["large"])),
                server("cheap", "secondary", 0.002, json!(["large", "small"])),
                server("little", "tertiary", 0.001, json!(["small"]))
            ],
            "tools": [
                {"name": "search", "task": "search", "routing": {"by": "weight", "weights": {"dear": 95, "cheap": 5}}},
                {"name": "complete", "task": "complete"}
            ]
        });
        let registry = Registry::from_wire(&tree).unwrap_or_else(|problems| panic!("{problems:#?}"));
        explain(&registry, &tree, asked).map(|routing| routing.text())
    }

    #[test]
    fn each_order_is_told_with_its_reason_and_its_place() {
        let expected = "\
calls        tool search
by           weight  [tools[0].routing]
share        dear is the first for 95.0 %
share        cheap is the first for 5.0 %
the others   dear, then cheap, then little

calls        tool complete
by           cost  [routing.tasks.complete]
price        cheap: 0.002 a call, as of 2026-11-01
price        dear: 0.03 a call, as of 2026-11-01
not asked    little does not offer what needs.model says
order        cheap, then dear

calls        new sessions
by           tier
order        dear, then cheap, then little

calls        anything else
by           tier
order        dear, then cheap, then little

by request   x-dualpath-server names who is asked first, from 10.1.0.0/16
not known    what servers list: one that lacks the tool is not asked for it (discovery; --lists)
";
        assert_eq!(said(&Asked::default()).unwrap(), expected);
        let of = |tool| said(&Asked { tool: Some(tool), ..Asked::default() });
        assert_eq!(of("complete").unwrap().lines().count(), 9);
        assert!(of("nothing").unwrap_err().starts_with("--tool nothing: is not in the registry"));
    }

    #[test]
    fn a_server_that_the_request_names_is_first_where_it_may_answer() {
        let expected = "\
calls        tool complete
by           cost  [routing.tasks.complete]
price        dear: 0.03 a call, as of 2026-11-01
price        cheap: 0.002 a call, as of 2026-11-01
not asked    little does not offer what needs.model says
named        dear, by the request
order        dear, then cheap
";
        let named = |prefer| said(&Asked { tool: Some("complete"), prefer: Some(prefer), ..Asked::default() });
        assert!(named("dear").unwrap().starts_with(expected), "{}", named("dear").unwrap());
        assert!(!named("little").unwrap().contains("named"), "it is left out all the same");
        assert!(
            named("nobody").unwrap_err().starts_with("--prefer nobody: is not in the registry; it has dear, cheap")
        );
    }

    #[test]
    fn what_servers_list_is_taken_into_account() {
        let with = |text: &str| {
            let registry = json!({"version": 1, "servers": [
                {"id": "dear", "kind": "mcp", "url": "https://a.example"},
                {"id": "cheap", "kind": "mcp", "url": "https://b.example"},
                {"id": "little", "kind": "rest", "url": "https://c.example"}
            ]});
            let lists = Lists::read("lists.yaml", text, &Registry::from_wire(&registry).unwrap())?;
            said(&Asked { tool: Some("search"), lists: Some(lists), ..Asked::default() })
        };
        let one = with("{dear: [complete], cheap: [search]}").unwrap();
        assert!(one.contains("not asked    dear does not list it\nthe others   cheap, then little\n"), "{one}");
        assert!(!one.contains("not known"), "{one}");
        let none = with("{dear: [], cheap: [], }").unwrap();
        assert!(none.contains("the others   little\n"), "{none}");
        for (text, why) in [
            ("dear", "must be a mapping"),
            ("{nobody: []}", "--lists nobody: is not in the registry; it has dear, cheap"),
            ("{little: []}", "little is a REST server"),
        ] {
            assert!(with(text).unwrap_err().contains(why), "{text}: {:?}", with(text));
        }
    }
}
