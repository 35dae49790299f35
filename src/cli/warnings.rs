//! What about a registry is legal but unwise.

use std::time::Duration;

use serde_json::Value;

use super::codes::Warning;
use super::credentials::{life_warnings, sds_warning, source_warnings};
use super::here::Here;
use super::pat::sds;
use crate::call::route::{Lot, Route, chain};
use crate::failure::{BreakerEffect, Change, Class, Failover, Overrides};
use crate::network::Network;
use crate::registry::{Admin, ClientAuthorization, HttpVersion, Pool, Registry, Replayable, Server, ServerKind, Tool};
use crate::wire::{query, show_duration};
use crate::wiring::cluster::client_certificate;

/// The servers that answer a tool, in the order in which they are tried.
pub(super) fn path<'r>(registry: &'r Registry, tool: &Tool) -> Vec<&'r str> {
    let servers = chain(registry, Route::Tool(tool), Lot::default());
    servers.into_iter().filter_map(|at| registry.server(at)).map(|server| server.id.as_str()).collect()
}

/// Keys that are read under another name now.
pub(super) fn former_names(wire: &Value) -> Vec<Warning> {
    let mut found = Vec::new();
    for (section, one, name) in [("servers", "server", "id"), ("tools", "tool", "name")] {
        let entries = wire.get(section).and_then(Value::as_array).into_iter().flatten().enumerate();
        for (at, entry) in entries.filter(|(_, entry)| entry.get("on").is_some()) {
            let name = entry.get(name).and_then(Value::as_str).unwrap_or_default();
            let text = format!(
                "{one} {name}: on is called outcomes now; YAML 1.1 tools take on for true: dualpath migrate renames it"
            );
            found.push(Warning::new("DP0801", format!("{section}[{at}].on"), text));
        }
    }
    found
}

/// What is legal but unwise at `now_s` seconds since 1970, on a machine that has what is `here`.
pub fn warnings(registry: &Registry, now_s: u64, here: &Here) -> Vec<Warning> {
    let mut found = file_warnings(registry, here);
    found.extend(path_warnings(registry));
    found.extend(patience_warning(registry));
    if registry.tools.is_empty() {
        let text = "there are no tools: no call has a direct path or may be sent again";
        found.push(Warning::new("DP0805", "tools", text));
    }
    found.extend(server_warnings(registry));
    found.extend(one_url(&registry.servers));
    found.extend(doubled_parameters(registry));
    found.extend(way_warnings(registry));
    found.extend(client_leaves_first(registry));
    for (at, server) in registry.servers.iter().enumerate() {
        found.extend(policy_warnings(&format!("server {}", server.id), &format!("servers[{at}]"), &server.on));
    }
    for (at, tool) in registry.tools.iter().enumerate() {
        found.extend(policy_warnings(&format!("tool {}", tool.name), &format!("tools[{at}]"), &tool.on));
        found.extend(executed_twice(tool, at));
    }
    for (at, credential) in (0u16..).zip(&registry.credentials) {
        if !registry.servers.iter().any(|server| server.credential.is_some_and(|used| used.0 == at)) {
            let text = format!("credential {} is not used by any server", credential.id);
            found.push(Warning::new("DP0818", format!("credentials[{at}]"), text));
        }
        found.extend(source_warnings(credential, at.into(), here));
        found.extend(life_warnings(credential, at.into(), now_s));
    }
    found.extend(open_doors(registry));
    found
}

/// Tools for which nothing takes over.
fn path_warnings(registry: &Registry) -> Vec<Warning> {
    let told = |(at, tool): (usize, &Tool)| {
        let (code, text) = match (path(registry, tool).as_slice(), &tool.rest) {
            ([only], _) => {
                ("DP0802", format!("tool {} has only one path, {only}: nothing takes over for it", tool.name))
            }
            (_, None) => ("DP0803", format!("tool {} has no direct path: it fails when its MCP servers do", tool.name)),
            _ => return None,
        };
        Some(Warning::new(code, format!("tools[{at}]"), text))
    };
    registry.tools.iter().enumerate().filter_map(told).collect()
}

/// Servers that nobody asks, and those that anybody can listen to.
fn server_warnings(registry: &Registry) -> Vec<Warning> {
    let mut found = Vec::new();
    for (at, server) in (0u16..).zip(&registry.servers) {
        let used = |tool: &Tool| tool.rest.as_ref().is_some_and(|direct| direct.server.0 == at);
        if server.kind == ServerKind::Rest && !registry.tools.iter().any(used) {
            let text = format!("server {} is not used by any tool", server.id);
            found.push(Warning::new("DP0806", format!("servers[{at}]"), text));
        }
        if !server.url.tls && !server.url.is_loopback() {
            let text = format!("server {} is reached without TLS: anyone on the way can read its calls", server.id);
            found.push(Warning::new("DP0807", format!("servers[{at}].url"), text));
        }
    }
    found
}

/// What a tool's own outcomes send on though it may have been executed.
fn executed_twice(tool: &Tool, at: usize) -> Vec<Warning> {
    let twice = |(class, change): &(Class, Change)| {
        class.may_have_been_executed()
            && change.failover == Some(Failover::Always)
            && tool.replayable != Replayable::Yes
    };
    let told = |(class, _): (Class, Change)| {
        let (name, class) = (&tool.name, class.as_str());
        let text = format!("tool {name}: outcomes.{class}.failover is always: a call may be executed twice");
        Warning::new("DP0817", format!("tools[{at}].outcomes.{class}.failover"), text)
    };
    tool.on.changes().filter(twice).map(told).collect()
}

/// What is open to more people than are meant, or to nobody.
fn open_doors(registry: &Registry) -> Vec<Warning> {
    let mut found = Vec::new();
    if registry.listener.client_authorization != ClientAuthorization::Drop {
        let mut receivers = registry.servers.iter().filter(|server| registry.gets_client_authorization(server));
        if receivers.next().is_none() {
            let text = "listener.client_authorization: no server gets it, as all of them have credentials";
            found.push(Warning::new("DP0827", "listener.client_authorization", text));
        }
    }
    if registry.drill.as_ref().is_some_and(|drill| drill.sources.iter().any(Network::is_everything)) {
        let text = "drill.sources has a network of every address: any client can have its calls fail";
        found.push(Warning::new("DP0828", "drill.sources", text));
    }
    if registry.routing.by_header.as_ref().is_some_and(|named| named.sources.iter().any(Network::is_everything)) {
        let text = "routing.override.sources has a network of every address: any client can choose its server";
        found.push(Warning::new("DP0830", "routing.override.sources", text));
    }
    if let Admin::Port(admin, _) = &registry.envoy.admin
        && !admin.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    {
        let text = format!("Envoy's admin interface at {admin} is open to the network: it can stop Envoy");
        found.push(Warning::new("DP0829", "envoy.admin_address", text));
    }
    found
}

/// Files that are not where Envoy will look for them.
fn file_warnings(registry: &Registry, here: &Here) -> Vec<Warning> {
    let mut found = Vec::new();
    let module = &registry.envoy.wasm_file;
    if let Err(error) = (here.file)(module) {
        let text = format!("envoy.wasm_file {module}: cannot be read here: {error}");
        found.push(Warning::new("DP0901", "envoy.wasm_file", text));
    }
    let audit = ("audit.access_log", &registry.audit.access_log);
    let failover = ("failover.access_log", &registry.failover.access_log);
    for (key, log) in [("log.calls", &registry.log.calls), audit, failover] {
        let Some((log, error)) = log.as_ref().and_then(|log| Some((log, (here.log)(log).err()?))) else { continue };
        let text = format!("{key} {log} cannot be written here: {error}: Envoy does not start without it");
        found.push(Warning::new("DP0904", key, text));
    }
    if let Some(link) = &registry.envoy.runtime_files
        && let Err(error) = (here.folder)(link)
    {
        let text = format!("envoy.runtime_files {link} is no link to a folder here: {error}");
        found.push(Warning::new("DP0904", "envoy.runtime_files", text));
    }
    for (at, server) in registry.servers.iter().enumerate() {
        let Some(file) = &server.ca_file else { continue };
        if let Err(error) = (here.file)(file) {
            let text = format!("server {}: ca_file {file} cannot be read here: {error}", server.id);
            found.push(Warning::new("DP0901", format!("servers[{at}].ca_file"), text));
        }
    }
    for (at, server) in registry.servers.iter().enumerate() {
        let Some(file) = &server.upstream.tls.client_certificate else { continue };
        let (place, path) =
            (format!("server {}: tls.client_certificate", server.id), format!("servers[{at}].tls.client_certificate"));
        let secret = client_certificate(server.id.as_str());
        let unreadable = |file: &str| {
            let error = (here.file)(file).err()?;
            Some(Warning::new("DP0901", &*path, format!("{place}: {file} cannot be read here: {error}")))
        };
        let mut parts = Vec::new();
        let told = sds_warning(file, here, |tree| {
            parts.extend(sds::certificate(tree, &secret)?.into_iter().filter_map(unreadable));
            Ok(())
        });
        found.extend(told.map(|(code, what)| Warning::new(code, &*path, format!("{place}: {what}"))));
        found.append(&mut parts);
    }
    found
}

/// Servers that are one.
fn one_url(servers: &[Server]) -> Vec<Warning> {
    let mut found = Vec::new();
    for (at, server) in servers.iter().enumerate() {
        let of = |server: &Server| (server.url.clone(), server.query.clone(), server.kind, server.endpoints());
        let same = |other: &&Server| of(other) == of(server);
        if let Some(first) = servers.iter().take(at).find(same) {
            let (first, second) = (&first.id, &server.id);
            let text = format!("servers {first} and {second} have the same URL: when one fails, so does the other");
            found.push(Warning::new("DP0808", format!("servers[{at}].url"), text));
        }
    }
    found
}

/// Parameters that a tool's mapping sets beside the URL of its server: the API chooses which of the two counts.
fn doubled_parameters(registry: &Registry) -> Vec<Warning> {
    let mut found = Vec::new();
    for (at, tool) in registry.tools.iter().enumerate() {
        let Some(direct) = &tool.rest else { continue };
        let Some(server) = registry.server(direct.server) else { continue };
        let doubled = |name: &&str| query::share_a_name(&server.query, name);
        found.extend(direct.mapping.query_names().filter(doubled).map(|name| {
            let (tool, server) = (&tool.name, &server.id);
            let text = format!("tool {tool}: rest.query sets {name}, which the url of server {server} sets as well");
            Warning::new("DP0809", format!("tools[{at}].rest.query.{name}"), text)
        }));
    }
    found
}

/// Ways to servers that lose or hold up calls.
fn way_warnings(registry: &Registry) -> Vec<Warning> {
    /// After so long uvicorn and Node close a connection that nobody uses.
    const CLOSED_BY_SERVERS: Duration = Duration::from_secs(5);
    let mut found = Vec::new();
    for (at, Server { id, kind, upstream, most_calls, .. }) in registry.servers.iter().enumerate() {
        let pool = &upstream.pool;
        let one_call_each = upstream.http != HttpVersion::Http2;
        if one_call_each && pool.idle >= CLOSED_BY_SERVERS {
            let idle = show_duration(pool.idle);
            let text = format!(
                "server {id}: pool.idle is {idle}, but uvicorn and Node close an idle connection after 5s: a call that meets that is lost"
            );
            found.push(Warning::new("DP0810", format!("servers[{at}].pool.idle"), text));
        }
        let is_limited = pool.connections < Pool::of(*kind, HttpVersion::Http1).connections;
        if one_call_each && is_limited && most_calls.is_none() {
            let text = format!(
                "server {id}: over HTTP/1.1 pool.connections is the most calls and streams at once; the next waits, and no timeout ends that: pool.calls has it go elsewhere"
            );
            found.push(Warning::new("DP0811", format!("servers[{at}].pool.connections"), text));
        }
        let places = upstream.endpoints.iter().any(|endpoint| endpoint.region.is_some());
        if places && registry.envoy.region.is_none() {
            let text =
                format!("server {id}: its endpoints have regions, but envoy.region is not set: none is preferred");
            found.push(Warning::new("DP0812", format!("servers[{at}].endpoints"), text));
        }
    }
    found
}

/// Clients whose time is up before it is known whether a server accepts a connection.
fn client_leaves_first(registry: &Registry) -> Vec<Warning> {
    let slowest = registry.servers.iter().max_by_key(|server| server.connect_timeout);
    let Some(slowest) = slowest else { return Vec::new() };
    let connect = slowest.connect_timeout;
    let of_all = "listener.client_timeout".to_owned();
    let listener = registry.listener.client_timeout.map(|time| (of_all.clone(), of_all, time));
    let tools = registry.tools.iter().enumerate().filter_map(|(at, tool)| {
        let place = format!("tool {}: client_timeout", tool.name);
        Some((place, format!("tools[{at}].client_timeout"), tool.client_timeout?))
    });
    let short = listener.into_iter().chain(tools).filter(|(.., time)| *time < connect);
    let told = short.map(|(place, path, time)| {
        let text = format!(
            "{place} of {} is shorter than the connect_timeout of server {}, {}: a server that is gone uses it up",
            show_duration(time),
            slowest.id,
            show_duration(connect)
        );
        Warning::new("DP0813", path, text)
    });
    told.collect()
}

/// Where nothing ends the wait for a server that hangs but its own timeout.
fn patience_warning(registry: &Registry) -> Option<Warning> {
    let waits = |tool: &Tool| tool.client_timeout.is_none();
    let is_endless = registry.listener.client_timeout.is_none()
        && registry.servers.iter().any(|server| server.breaker.slow.is_none())
        && (registry.tools.is_empty() || registry.tools.iter().any(waits));
    is_endless.then(|| {
        let longest_s = registry.longest_timeout_ms().div_ceil(1000);
        let text = format!(
            "neither breaker.slow nor client_timeout is set: while a server hangs, a call waits up to {longest_s} s for it before the next is asked"
        );
        Warning::new("DP0804", "breaker", text)
    })
}

/// What `outcomes` make of the breaker against its purpose.
fn policy_warnings(whose: &str, path: &str, on: &Overrides) -> Vec<Warning> {
    let told = |(class, change): (Class, Change)| {
        let effect = change.breaker?;
        let (code, why) = match (class, effect) {
            (Class::Credential | Class::Authorization, BreakerEffect::Failure | BreakerEffect::Limited) => {
                ("DP0814", "a bad credential takes a server out of service that is well")
            }
            (Class::Caller | Class::ToolError | Class::Session | Class::Cancelled, BreakerEffect::Failure) => {
                ("DP0815", "one client's mistakes take the server from all of them")
            }
            (Class::NotSent | Class::Refused | Class::Server | Class::Lost, BreakerEffect::Neutral) => {
                ("DP0816", "the breaker does not see a server that fails so")
            }
            _ => return None,
        };
        let class = class.as_str();
        let text = format!("{whose}: outcomes.{class}.breaker is {}: {why}", effect.as_str());
        Some(Warning::new(code, format!("{path}.outcomes.{class}.breaker"), text))
    };
    on.changes().filter_map(told).collect()
}
