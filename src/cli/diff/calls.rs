//! What becomes of calls, who is asked, and with which credential.

use super::Change;
use crate::call::route::{Lot, Route, chain};
use crate::cli::check::socket;
use crate::cli::credentials::{named_slots, source};
use crate::registry::{Credential, Registry, Replayable, Server, ServerKind};

pub(super) fn changes(from: &Registry, to: &Registry) -> Vec<Change> {
    let mut changes = listener(from, to);
    changes.extend(tools(from, to));
    changes.extend(servers(from, to));
    changes.extend(credentials(from, to));
    changes
}

fn listener(from: &Registry, to: &Registry) -> Vec<Change> {
    let url = |registry: &Registry| {
        let listener = &registry.listener;
        format!("http://{}{}", socket(&listener.address, listener.port), listener.path)
    };
    let (from, to) = (url(from), url(to));
    if from == to { Vec::new() } else { vec![Change::of("clients", format!("connect to {to} instead of {from}"))] }
}

/// The servers that calls go to, in the order in which they are asked.
fn way(registry: &Registry, route: Route) -> String {
    let servers = chain(registry, route, Lot::default());
    let ids: Vec<_> =
        servers.into_iter().filter_map(|at| registry.server(at)).map(|server| server.id.as_str()).collect();
    if ids.is_empty() { "nowhere".to_owned() } else { ids.join(" -> ") }
}

/// The same for a tool's calls. A tool that is not listed goes the way of all such tools.
fn way_of(registry: &Registry, tool: &str) -> String {
    way(registry, registry.tool(tool).map_or(Route::AnyMcp, Route::Tool))
}

fn tools(from: &Registry, to: &Registry) -> Vec<Change> {
    let mut changes = Vec::new();
    let added = to.tools.iter().filter(|tool| from.tool(&tool.name).is_none());
    for tool in from.tools.iter().chain(added) {
        let name = &tool.name;
        let (before, after) = (way_of(from, name), way_of(to, name));
        let mut tell = |says: String| changes.push(Change::of(format!("tool {name}"), says));
        if before != after {
            tell(format!("calls go to {after}, instead of {before}"));
        }
        match (from.tool(name), to.tool(name)) {
            (Some(before), Some(after)) => {
                if before.task != after.task {
                    tell(format!("is counted as task {} instead of {}", after.task, before.task));
                }
                if before.replayable != after.replayable {
                    tell(replayable(after.replayable).to_owned());
                }
            }
            (None, Some(after)) => {
                tell(format!("is listed now, as task {}", after.task));
                tell(replayable(after.replayable).to_owned());
            }
            (Some(_), None) => {
                tell("is not listed any more: it has no direct path, and no call of it may be sent again".to_owned());
            }
            (None, None) => {}
        }
    }
    let (before, after) = (way(from, Route::AnyMcp), way(to, Route::AnyMcp));
    if before != after {
        changes.push(Change::of("tools that are not listed", format!("calls go to {after}, instead of {before}")));
    }
    changes
}

fn replayable(replayable: Replayable) -> &'static str {
    match replayable {
        Replayable::Yes => "a call that may have been executed is sent again to the next server",
        Replayable::No => "a call that may have been executed is not sent again",
        Replayable::Annotations => {
            "a call that may have been executed is sent again only where the lists of trusted servers say that it may"
        }
    }
}

fn servers(from: &Registry, to: &Registry) -> Vec<Change> {
    let mut changes = Vec::new();
    for before in &from.servers {
        let about = format!("server {}", before.id);
        let Some((_, after)) = to.server_by_id(before.id.as_str()) else {
            changes.push(Change::of(about, format!("gets no calls any more ({})", address(before))));
            continue;
        };
        let mut tell = |says: String| changes.push(Change::of(&*about, says));
        if address(before) != address(after) {
            tell(format!("is reached at {} instead of {}", address(after), address(before)));
        }
        if before.kind != after.kind {
            tell(format!("is {} instead of {}", kind(after), kind(before)));
        }
        if before.tier != after.tier {
            tell(format!("is of tier {} instead of {}", after.tier.as_str(), before.tier.as_str()));
        }
        let (old, new) = (credential(from, before), credential(to, after));
        if old != new {
            tell(format!("gets {new} instead of {old}"));
        }
    }
    for after in &to.servers {
        if from.server_by_id(after.id.as_str()).is_none() {
            let says = format!(
                "is new: {}, {}, at {}, gets {}",
                kind(after),
                after.tier.as_str(),
                address(after),
                credential(to, after)
            );
            changes.push(Change::of(format!("server {}", after.id), says));
        }
    }
    changes
}

fn address(server: &Server) -> String {
    let url = &server.url;
    format!("{}://{}{}", if url.tls { "https" } else { "http" }, url.authority(), url.path)
}

fn kind(server: &Server) -> &'static str {
    match server.kind {
        ServerKind::Mcp => "an MCP server",
        ServerKind::Rest => "a REST server",
    }
}

fn credential(registry: &Registry, server: &Server) -> String {
    let own = server.credential.and_then(|at| registry.credential(at));
    let own = own.map_or("no credential".to_owned(), |credential| format!("credential {}", credential.id));
    if registry.gets_client_authorization(server) { format!("{own} and clients' authorization") } else { own }
}

fn credentials(from: &Registry, to: &Registry) -> Vec<Change> {
    let find =
        |registry: &Registry, id: &str| registry.credential_by_id(id).and_then(|at| registry.credential(at)).cloned();
    let mut changes = Vec::new();
    for before in &from.credentials {
        let about = format!("credential {}", before.id);
        match find(to, before.id.as_str()) {
            None => changes.push(Change::of(about, "is not there any more")),
            Some(after) => {
                changes.extend(credential_changes(before, &after).into_iter().map(|says| Change::of(&*about, says)))
            }
        }
    }
    for after in &to.credentials {
        if find(from, after.id.as_str()).is_none() {
            let slots: Vec<_> =
                named_slots(after).map(|(name, slot)| format!("slot {name} from {}", source(&slot.source))).collect();
            changes.push(Change::of(format!("credential {}", after.id), format!("is new: {}", slots.join(", "))));
        }
    }
    changes
}

/// Nothing here shows a value that may be a secret: a source is shown by its place, and further headers by their names.
fn credential_changes(before: &Credential, after: &Credential) -> Vec<String> {
    let mut says = Vec::new();
    if before.header != after.header {
        says.push(format!("goes out in header {} instead of {}", after.header, before.header));
    }
    if before.prefix != after.prefix {
        says.push("has another prefix".to_owned());
    }
    if before.headers != after.headers {
        says.push("has other headers beside it".to_owned());
    }
    let slot = |credential: &Credential, name: &str| {
        named_slots(credential).find(|(other, _)| *other == name).map(|(_, slot)| slot.clone())
    };
    for name in ["a", "b"] {
        match (slot(before, name), slot(after, name)) {
            (Some(old), Some(new)) => {
                let (shown, was) = (source(&new.source), source(&old.source));
                if shown != was {
                    says.push(format!("slot {name} comes from {shown} instead of {was}"));
                } else if old.source != new.source {
                    says.push(format!(
                        "slot {name} still comes from {shown}, but is another or is asked in another way"
                    ));
                }
                if old.declared != new.declared {
                    says.push(format!("slot {name} has other dates"));
                }
            }
            (None, Some(new)) => says.push(format!("slot {name} is new, from {}", source(&new.source))),
            (Some(old), None) => says.push(format!("slot {name} is gone, from {}", source(&old.source))),
            (None, None) => {}
        }
    }
    says
}
