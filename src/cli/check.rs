//! `dualpath check`: what a registry says, and what about it is legal but unwise.

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::Value;

use super::credentials::{credential_line, life_warnings, source_warnings};
use super::here::Here;
use super::{Environment, load_for, now_s, print, printed, report};
use crate::call::route::{Route, chain};
use crate::failure::{BreakerEffect, Change, Class, Failover, Overrides};
use crate::network::Network;
use crate::registry::{ClientAuthorization, Registry, Replayable, Server, ServerIndex, ServerKind, Tool};
use crate::wire::show_duration;

/// Check a registry and say what was read.
///
/// Prints servers by tier, tools with the servers that answer them in the order in which they are tried, credentials with
/// the sources of their slots, and warnings. If the registry breaks rules, prints every problem with its path, the value
/// there, the rule and a hint. Secrets are never read and never printed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Registry file, YAML or JSON; - reads standard input
    registry: String,
    #[command(flatten)]
    environment: Environment,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    match load_for(&args.registry, args.environment.name()) {
        Ok((registry, wire)) => {
            let mut text = summary(&registry);
            let mut found = former_names(&wire);
            found.extend(warnings(&registry, now_s(), &Here::of_this_machine()));
            for warning in found {
                let _ = writeln!(text, "warning: {warning}");
            }
            printed(print(&text))
        }
        Err(error) => report(&error),
    }
}

/// What a registry says, in a few lines for people.
pub fn summary(registry: &Registry) -> String {
    let (listener, envoy) = (&registry.listener, &registry.envoy);
    let mut lines = vec![
        format!("listener     http://{}{}", socket(&listener.address, listener.port), listener.path),
        format!("admin        http://{}", socket(&envoy.admin_address, envoy.admin_port)),
    ];
    lines.extend(registry.environment.iter().map(|name| format!("environment  {name}")));
    let mut servers: Vec<&Server> = registry.servers.iter().collect();
    servers.sort_by_key(|server| (server.kind == ServerKind::Rest, server.tier));
    lines.extend(section("servers", servers.into_iter().map(|server| server_line(registry, server))));
    lines.extend(section("tools", registry.tools.iter().map(|tool| tool_line(registry, tool))));
    lines.extend(section("credentials", registry.credentials.iter().map(credential_line)));
    lines.join("\n") + "\n"
}

fn section(title: &str, entries: impl Iterator<Item = String>) -> Vec<String> {
    let titled = std::iter::once(title).chain(std::iter::repeat(""));
    titled.zip(entries).map(|(title, entry)| format!("{title:<12} {entry}")).collect()
}

/// An address and a port as they stand in a URL.
pub(super) fn socket(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

fn server_line(registry: &Registry, server: &Server) -> String {
    let url = &server.url;
    let scheme = if url.tls { "https" } else { "http" };
    let credential = server.credential.and_then(|at| registry.credential(at));
    let mut credential =
        credential.map_or("no credential".to_owned(), |credential| format!("credential {}", credential.id));
    if registry.gets_client_authorization(server) {
        credential.push_str(", gets clients' authorization");
    }
    let (kind, tier) = (kind_name(server.kind), server.tier.as_str());
    format!("{}: {kind}, {tier}, {scheme}://{}{}, {credential}", server.id, url.authority(), url.path)
}

fn kind_name(kind: ServerKind) -> &'static str {
    match kind {
        ServerKind::Mcp => "mcp",
        ServerKind::Rest => "rest",
    }
}

fn trusts(registry: &Registry, at: ServerIndex) -> bool {
    registry.server(at).is_some_and(|server| server.trust_annotations)
}

fn tool_line(registry: &Registry, tool: &Tool) -> String {
    let replayable = match tool.replayable {
        Replayable::Yes => ", replayable",
        Replayable::Annotations if tool.mcp.iter().all(|at| trusts(registry, *at)) => ", replayable by annotations",
        Replayable::No | Replayable::Annotations => "",
    };
    format!("{} (task {}{replayable}): {}", tool.name, tool.task, path(registry, tool).join(" -> "))
}

/// The servers that answer a tool, in the order in which they are tried.
fn path<'r>(registry: &'r Registry, tool: &Tool) -> Vec<&'r str> {
    let servers = chain(registry, Route::Tool(tool), None, true);
    servers.into_iter().filter_map(|at| registry.server(at)).map(|server| server.id.as_str()).collect()
}

/// Keys that are read under another name now.
fn former_names(wire: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (section, one, name) in [("servers", "server", "id"), ("tools", "tool", "name")] {
        let entries = wire.get(section).and_then(Value::as_array);
        for entry in entries.into_iter().flatten().filter(|entry| entry.get("on").is_some()) {
            let name = entry.get(name).and_then(Value::as_str).unwrap_or_default();
            found.push(format!("{one} {name}: on is called outcomes now; YAML 1.1 tools take on for true"));
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
    let admin = &registry.envoy.admin_address;
    if !admin.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
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
    found
}

/// Servers that are one.
fn one_url(servers: &[Server]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, server) in servers.iter().enumerate() {
        let same = |other: &&Server| other.url == server.url && other.kind == server.kind;
        if let Some(first) = servers.iter().take(at).find(same) {
            let (first, second) = (&first.id, &server.id);
            found.push(format!("servers {first} and {second} have the same URL: when one fails, so does the other"));
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
