//! `dualpath explain --routing`: who is asked, in which order and why.

use std::fmt::Write;

use serde_json::{Value, json};

use super::finding::no_tool;
use crate::call::route::{Lot, Route, chain};
use crate::credential::date;
use crate::registry::{By, Registry, Routing, Server, ServerIndex, ServerKind};

/// The way of one kind of calls.
#[derive(Debug)]
pub(super) struct Way {
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
}

/// Every way that a call can take, or that of one tool.
///
/// # Errors
/// If there is no such tool.
pub(super) fn explain(registry: &Registry, wire: &Value, tool: Option<&str>) -> Result<Vec<Way>, String> {
    if let Some(name) = tool
        && registry.tool(name).is_none()
    {
        return Err(no_tool(registry, name));
    }
    let wanted = registry.tools.iter().enumerate().filter(|(_, it)| tool.is_none_or(|name| it.name == name));
    let mut ways: Vec<_> = wanted
        .map(|(at, it)| {
            let is_own = wire.pointer(&format!("/tools/{at}/routing")).is_some();
            let from = if is_own { format!("tools[{at}].routing") } else { format!("routing.tasks.{}", it.task) };
            Way::of(registry, format!("tool {}", it.name), Route::Tool(it), from)
        })
        .collect();
    if tool.is_none() {
        ways.push(Way::of(registry, "new sessions".to_owned(), Route::Begin, "routing.sessions".to_owned()));
        ways.push(Way::of(registry, "anything else".to_owned(), Route::AnyMcp, String::new()));
    }
    Ok(ways)
}

impl Way {
    fn of(registry: &Registry, about: String, route: Route<'_>, from: String) -> Self {
        let id = |at: ServerIndex| registry.server(at).map(|server| server.id.to_string()).unwrap_or_default();
        let order = chain(registry, route, Lot::default(), true);
        let mut way = Way {
            about,
            by: "tier",
            from: None,
            order: order.iter().copied().map(id).collect(),
            shares: Vec::new(),
            sticky: None,
            prices: Vec::new(),
            left_out: Vec::new(),
        };
        let Some(routing) = route.routing(registry) else { return way };
        way.from = Some(from);
        way.left_out = left_out(registry, routing, &order);
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
        }
        way
    }
}

fn left_out(registry: &Registry, routing: &Routing, asked: &[ServerIndex]) -> Vec<(String, &'static str)> {
    let others =
        registry.indexed_servers().filter(|(at, server)| server.kind == ServerKind::Mcp && !asked.contains(at));
    let lacks = |(_, server): (_, &Server)| Some((server.id.to_string(), server.offers.lacks(&routing.needs)?));
    others.filter_map(lacks).collect()
}

/// In lines, each with its title.
pub(super) fn text(ways: &[Way]) -> String {
    let mut text = String::new();
    for (at, way) in ways.iter().enumerate() {
        let mut line = |title: &str, says: &str| {
            let _ = writeln!(text, "{title:<12} {says}");
        };
        if at > 0 {
            line("", "");
        }
        line("calls", &way.about);
        let from = way.from.as_ref().map(|from| format!("  [{from}]")).unwrap_or_default();
        line("by", &format!("{}{from}", way.by));
        for (server, percent) in &way.shares {
            line("share", &format!("{server} is the first for {percent:.1} %"));
        }
        way.sticky.iter().for_each(|name| line("drawn by", &format!("header {name}, else by chance")));
        for (server, price, day) in &way.prices {
            line("price", &format!("{server}: {price} a call, as of {day}"));
        }
        for (server, need) in &way.left_out {
            line("not asked", &format!("{server} does not offer what needs.{need} says"));
        }
        let order = if way.order.is_empty() { "nobody".to_owned() } else { way.order.join(", then ") };
        line(if way.shares.is_empty() { "order" } else { "the others" }, &order);
    }
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// As one JSON list.
pub(super) fn json(ways: &[Way]) -> String {
    let ways: Vec<_> = ways
        .iter()
        .map(|way| {
            let shares: Vec<_> = way.shares.iter().map(|(id, share)| json!({"server": id, "percent": share})).collect();
            let price = |(id, price, day): &(_, _, _)| json!({"server": id, "per_call": price, "as_of": day});
            let left = |(id, need): &(_, _)| json!({"server": id, "lacks": need});
            json!({
                "calls": way.about, "by": way.by, "from": way.from, "order": way.order, "shares": shares,
                "sticky": way.sticky,
                "prices": way.prices.iter().map(price).collect::<Vec<Value>>(),
                "not_asked": way.left_out.iter().map(left).collect::<Vec<Value>>(),
            })
        })
        .collect();
    format!("{:#}\n", Value::from(ways))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(tool: Option<&str>) -> Result<String, String> {
        let server = |id: &str, tier: &str, price: f64, models: Value| {
            json!({"id": id, "kind": "mcp", "tier": tier, "url": format!("https://{id}.example"),
                "price": {"per_call": price, "as_of": "2026-11-01"}, "offers": {"models": models}})
        };
        let tree = json!({
            "version": 1,
            "routing": {"tasks": {"complete": {"by": "cost", "needs": {"model": "large"}}}},
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
        explain(&registry, &tree, tool).map(|ways| text(&ways))
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
";
        assert_eq!(said(None).unwrap(), expected);
        assert_eq!(said(Some("complete")).unwrap().lines().count(), 6);
        assert!(said(Some("nothing")).unwrap_err().starts_with("--tool nothing: is not in the registry"));
    }
}
