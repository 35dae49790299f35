//! Reads `limits.rate`: how often tools may be called.

use std::time::Duration;

use super::headers::check_name;
use crate::registry::{Caller, Rate, Tool};
use crate::wire::{Node, or};

const DAY: Duration = Duration::from_secs(86_400);
const MOST_CALLS: u64 = 1_000_000;

/// Each is a bucket of Envoy's that it looks at for each call.
const MOST: usize = 256;

pub(super) fn read(node: &Node, tools: &[Tool]) -> Option<Vec<Rate>> {
    let nodes = node.list()?;
    if nodes.len() > MOST {
        node.refuse(format!("must have at most {MOST} entries"));
        return None;
    }
    let mut rates: Vec<Rate> = Vec::new();
    for node in nodes {
        let rate = read_one(&node, tools)?;
        if rates.iter().any(|other| (&other.tool, &other.caller) == (&rate.tool, &rate.caller)) {
            node.refuse("must not be given twice for the same tool and caller");
            return None;
        }
        rates.push(rate);
    }
    Some(rates)
}

fn read_one(node: &Node, tools: &[Tool]) -> Option<Rate> {
    let table = node.table()?;
    let tool = table.required("tool").and_then(|node| {
        let name = node.string()?;
        // Where there are no tools, none is misspelt for certain.
        if !tools.is_empty() && !tools.iter().any(|tool| tool.name == name) {
            node.refuse("must be the name of a tool of the registry");
            return None;
        }
        Some(name.to_owned())
    });
    let calls = table.required("calls").and_then(|node| u32::try_from(node.integer(1, MOST_CALLS)?).ok());
    let per = or(table.optional("per"), Duration::from_secs(60), |node| node.duration(Duration::from_secs(1), DAY));
    let caller = or(table.optional("caller"), Caller::All, |node| match node.string()? {
        "address" => Some(Caller::Address),
        header => {
            check_name(header).map_err(|violation| node.violates(violation)).ok()?;
            if matches!(header, "authorization" | "cookie") {
                node.refuse_with(
                    "must not be a header that holds secrets",
                    "name one that says who asks, such as x-user-id",
                );
                return None;
            }
            Some(Caller::Header(header.to_owned()))
        }
    });
    table.done();
    Some(Rate { tool: tool?, calls: calls?, per: per?, caller: caller? })
}
