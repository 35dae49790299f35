//! What about a registry is legal but unwise.

use std::time::Duration;

use serde_json::Value;

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
pub(super) fn former_names(wire: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (section, one, name) in [("servers", "server", "id"), ("tools", "tool", "name")] {
        let entries = wire.get(section).and_then(Value::as_array);
        for entry in entries.into_iter().flatten().filter(|entry| entry.get("on").is_some()) {
            let name = entry.get(name).and_then(Value::as_str).unwrap_or_default();
            found.push(format!(
                "{one} {name}: on is called outcomes now; YAML 1.1 tools take on for true: dualpath migrate renames it"
            ));
        }
    }
    found
}

/// What is legal but unwise at `now_s` seconds since 1970, on a machine that has what is `here`.
pub fn warnings(registry: &Registry, now_s: u64, here: &Here) -> Vec<String> {
    let mut found = file_warnings(registry, here);
    for tool in &registry.tools {
        match (path(registry, tool).as_slice(), &tool.rest) {
            ([only], _) => {
                found.push(format!("tool {} has only one path, {only}: nothing takes over for it", tool.name))
            }
            (_, None) => found.push(format!("tool {} has no direct path: it fails when its MCP servers do", tool.name)),
            _ => {}
        }
    }
    found.extend(patience_warning(registry));
    if registry.tools.is_empty() {
        found.push("there are no tools: no call has a direct path or may be sent again".to_owned());
    }
    for (at, server) in (0u16..).zip(&registry.servers) {
        let used = |tool: &Tool| tool.rest.as_ref().is_some_and(|direct| direct.server.0 == at);
        if server.kind == ServerKind::Rest && !registry.tools.iter().any(used) {
            found.push(format!("server {} is not used by any tool", server.id));
        }
        if !server.url.tls && !server.url.is_loopback() {
            found.push(format!("server {} is reached without TLS: anyone on the way can read its calls", server.id));
        }
    }
    found.extend(one_url(&registry.servers));
    found.extend(doubled_parameters(registry));
    found.extend(way_warnings(registry));
    found.extend(client_leaves_first(registry));
    for server in &registry.servers {
        found.extend(policy_warnings(&format!("server {}", server.id), &server.on));
    }
    for tool in &registry.tools {
        found.extend(policy_warnings(&format!("tool {}", tool.name), &tool.on));
        for (class, change) in tool.on.changes() {
            if class.may_have_been_executed()
                && change.failover == Some(Failover::Always)
                && tool.replayable != Replayable::Yes
            {
                found.push(format!(
                    "tool {}: outcomes.{}.failover is always: a call may be executed twice",
                    tool.name,
                    class.as_str()
                ));
            }
        }
    }
    for (at, credential) in (0u16..).zip(&registry.credentials) {
        if !registry.servers.iter().any(|server| server.credential.is_some_and(|used| used.0 == at)) {
            found.push(format!("credential {} is not used by any server", credential.id));
        }
        found.extend(source_warnings(credential, here));
        found.extend(life_warnings(credential, now_s));
    }
    if registry.listener.client_authorization != ClientAuthorization::Drop {
        let mut receivers = registry.servers.iter().filter(|server| registry.gets_client_authorization(server));
        if receivers.next().is_none() {
            found.push("listener.client_authorization: no server gets it, as all of them have credentials".to_owned());
        }
    }
    if registry.drill.as_ref().is_some_and(|drill| drill.sources.iter().any(Network::is_everything)) {
        found.push("drill.sources has a network of every address: any client can have its calls fail".to_owned());
    }
    if registry.routing.by_header.as_ref().is_some_and(|named| named.sources.iter().any(Network::is_everything)) {
        let text = "routing.override.sources has a network of every address: any client can choose its server";
        found.push(text.to_owned());
    }
    if let Admin::Port(admin, _) = &registry.envoy.admin
        && !admin.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    {
        found.push(format!("Envoy's admin interface at {admin} is open to the network: it can stop Envoy"));
    }
    found
}

/// Files that are not where Envoy will look for them.
fn file_warnings(registry: &Registry, here: &Here) -> Vec<String> {
    let mut found = Vec::new();
    let module = &registry.envoy.wasm_file;
    if let Err(error) = (here.file)(module) {
        found.push(format!("envoy.wasm_file {module}: cannot be read here: {error}"));
    }
    for server in &registry.servers {
        let Some(file) = &server.ca_file else { continue };
        if let Err(error) = (here.file)(file) {
            found.push(format!("server {}: ca_file {file} cannot be read here: {error}", server.id));
        }
    }
    for server in &registry.servers {
        let Some(file) = &server.upstream.tls.client_certificate else { continue };
        let place = format!("server {}: tls.client_certificate", server.id);
        let secret = client_certificate(server.id.as_str());
        let unreadable = |file: &str| {
            let error = (here.file)(file).err()?;
            Some(format!("{place}: {file} cannot be read here: {error}"))
        };
        let mut parts = Vec::new();
        let told = sds_warning(file, here, |tree| {
            parts.extend(sds::certificate(tree, &secret)?.into_iter().filter_map(unreadable));
            Ok(())
        });
        found.extend(told.map(|what| format!("{place}: {what}")));
        found.append(&mut parts);
    }
    found
}

/// Servers that are one.
fn one_url(servers: &[Server]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, server) in servers.iter().enumerate() {
        let of = |server: &Server| (server.url.clone(), server.query.clone(), server.kind, server.endpoints());
        let same = |other: &&Server| of(other) == of(server);
        if let Some(first) = servers.iter().take(at).find(same) {
            let (first, second) = (&first.id, &server.id);
            found.push(format!("servers {first} and {second} have the same URL: when one fails, so does the other"));
        }
    }
    found
}

/// Parameters that a tool's mapping sets beside the URL of its server: the API chooses which of the two counts.
fn doubled_parameters(registry: &Registry) -> Vec<String> {
    let mut found = Vec::new();
    for tool in &registry.tools {
        let Some(direct) = &tool.rest else { continue };
        let Some(server) = registry.server(direct.server) else { continue };
        let doubled = |name: &&str| query::share_a_name(&server.query, name);
        found.extend(direct.mapping.query_names().filter(doubled).map(|name| {
            let (tool, server) = (&tool.name, &server.id);
            format!("tool {tool}: rest.query sets {name}, which the url of server {server} sets as well")
        }));
    }
    found
}

/// Ways to servers that lose or hold up calls.
fn way_warnings(registry: &Registry) -> Vec<String> {
    /// After so long uvicorn and Node close a connection that nobody uses.
    const CLOSED_BY_SERVERS: Duration = Duration::from_secs(5);
    let mut found = Vec::new();
    for Server { id, kind, upstream, most_calls, .. } in &registry.servers {
        let pool = &upstream.pool;
        let one_call_each = upstream.http != HttpVersion::Http2;
        if one_call_each && pool.idle >= CLOSED_BY_SERVERS {
            let idle = show_duration(pool.idle);
            found.push(format!(
                "server {id}: pool.idle is {idle}, but uvicorn and Node close an idle connection after 5s: a call that meets that is lost"
            ));
        }
        let is_limited = pool.connections < Pool::of(*kind, HttpVersion::Http1).connections;
        if one_call_each && is_limited && most_calls.is_none() {
            found.push(format!(
                "server {id}: over HTTP/1.1 pool.connections is the most calls and streams at once; the next waits, and no timeout ends that: pool.calls has it go elsewhere"
            ));
        }
        let places = upstream.endpoints.iter().any(|endpoint| endpoint.region.is_some());
        if places && registry.envoy.region.is_none() {
            found.push(format!(
                "server {id}: its endpoints have regions, but envoy.region is not set: none is preferred"
            ));
        }
    }
    found
}

/// Clients whose time is up before it is known whether a server accepts a connection.
fn client_leaves_first(registry: &Registry) -> Vec<String> {
    let slowest = registry.servers.iter().max_by_key(|server| server.connect_timeout);
    let Some(slowest) = slowest else { return Vec::new() };
    let connect = slowest.connect_timeout;
    let listener = registry.listener.client_timeout.map(|time| ("listener.client_timeout".to_owned(), time));
    let tools = registry
        .tools
        .iter()
        .filter_map(|tool| Some((format!("tool {}: client_timeout", tool.name), tool.client_timeout?)));
    let short = listener.into_iter().chain(tools).filter(|(_, time)| *time < connect);
    let told = short.map(|(place, time)| {
        format!(
            "{place} of {} is shorter than the connect_timeout of server {}, {}: a server that is gone uses it up",
            show_duration(time),
            slowest.id,
            show_duration(connect)
        )
    });
    told.collect()
}

/// Where nothing ends the wait for a server that hangs but its own timeout.
fn patience_warning(registry: &Registry) -> Option<String> {
    let waits = |tool: &Tool| tool.client_timeout.is_none();
    let is_endless = registry.listener.client_timeout.is_none()
        && registry.servers.iter().any(|server| server.breaker.slow.is_none())
        && (registry.tools.is_empty() || registry.tools.iter().any(waits));
    is_endless.then(|| {
        let longest_s = registry.longest_timeout_ms().div_ceil(1000);
        format!(
            "neither breaker.slow nor client_timeout is set: while a server hangs, a call waits up to {longest_s} s for it before the next is asked"
        )
    })
}

/// What `outcomes` make of the breaker against its purpose.
fn policy_warnings(whose: &str, on: &Overrides) -> Vec<String> {
    let told = |(class, change): (Class, Change)| {
        let effect = change.breaker?;
        let why = match (class, effect) {
            (Class::Credential | Class::Authorization, BreakerEffect::Failure | BreakerEffect::Limited) => {
                "a bad credential takes a server out of service that is well"
            }
            (Class::Caller | Class::ToolError | Class::Session | Class::Cancelled, BreakerEffect::Failure) => {
                "one client's mistakes take the server from all of them"
            }
            (Class::NotSent | Class::Refused | Class::Server | Class::Lost, BreakerEffect::Neutral) => {
                "the breaker does not see a server that fails so"
            }
            _ => return None,
        };
        Some(format!("{whose}: outcomes.{}.breaker is {}: {why}", class.as_str(), effect.as_str()))
    };
    on.changes().filter_map(told).collect()
}
