//! `dualpath check`: what a registry says, and what about it is legal but unwise.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::credentials::credential_line;
use super::here::Here;
use super::load::{Loaded, load_all, load_one};
use super::warnings::{former_names, path, warnings};
use super::{Environment, Format, PROBLEMS, now_s, print, printed, report};
use crate::registry::{Admin, Registry, Replayable, Server, ServerEndpoint, ServerIndex, ServerKind, Tool, Upstream};

/// Check a registry and say what was read.
///
/// Prints servers by tier, tools with the servers that answer them in the order in which they are tried, credentials with
/// the sources of their slots, and warnings; all that for each environment, unless one is named. If the registry breaks rules,
/// prints every problem with its place in the file, its path, the value there, the rule and a hint. SDS files are looked at
/// for their form; no secret is printed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Registry file, YAML or JSON; - reads standard input
    registry: String,
    #[command(flatten)]
    environment: Environment,
    /// How to say it. JSON has the problems and warnings alone, on standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Take warnings for problems
    #[arg(long)]
    strict: bool,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    let one = |name| load_one(&args.registry, Some(name)).map(|loaded| vec![loaded]);
    let loaded = match args.environment.name().map_or_else(|| load_all(&args.registry), one) {
        Ok(loaded) => loaded,
        Err(error) if args.format == Format::Json => {
            let done = print(&json_text(&args.registry, &error.json(), &[]));
            return if done { error.exit_status() } else { printed(false) };
        }
        Err(error) => return report(&error),
    };
    let several = loaded.len() > 1;
    let (mut found, mut texts) = (Vec::new(), Vec::new());
    for Loaded { registry, wire, variables, .. } in &loaded {
        let mut warned = former_names(wire);
        warned.extend(warnings(registry, now_s(), &Here::of_this_machine()));
        let lines = warned.iter().map(|warning| format!("warning: {warning}\n"));
        texts.push(summary(registry) + &taken(variables) + &lines.collect::<String>());
        let environment = registry.environment.as_ref().filter(|_| several);
        found.extend(warned.into_iter().map(|warning| match environment {
            Some(name) => format!("environment {name}: {warning}"),
            None => warning,
        }));
    }
    let done = print(&match args.format {
        Format::Json => json_text(&args.registry, &[], &found),
        Format::Text => texts.join("\n"),
    });
    if done && args.strict && !found.is_empty() { ExitCode::from(PROBLEMS) } else { printed(done) }
}

/// The variables whose values depend on who runs the command.
fn taken(variables: &[String]) -> String {
    if variables.is_empty() {
        String::new()
    } else {
        format!("variables    {} from the environment of this command\n", variables.join(", "))
    }
}

/// What was found, for programs.
fn json_text(file: &str, problems: &[Value], warnings: &[String]) -> String {
    format!("{:#}\n", json!({"registry": file, "problems": problems, "warnings": warnings}))
}

/// What a registry says, in a few lines for people.
pub fn summary(registry: &Registry) -> String {
    let (listener, envoy) = (&registry.listener, &registry.envoy);
    let mut lines = vec![
        format!("listener     http://{}{}", socket(&listener.address, listener.port), listener.path),
        match &envoy.admin {
            Admin::Port(address, port) => format!("admin        http://{}", socket(address, *port)),
            Admin::Socket(path) => format!("admin        unix://{path}"),
        },
    ];
    if let Some((address, port)) = &envoy.metrics {
        lines.push(format!("metrics      http://{}/stats/prometheus", socket(address, *port)));
    }
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
    // Somebody may have put into it what is nobody's business.
    let query = if server.query.is_empty() { "" } else { "?(not shown)" };
    let way = way(&server.upstream);
    format!("{}: {kind}, {tier}, {scheme}://{}{}{query}{way}, {credential}", server.id, url.authority(), url.path)
}

/// How the server is reached, where that is not simply at its URL.
fn way(upstream: &Upstream) -> String {
    let at = |endpoint: &ServerEndpoint| socket(&endpoint.host, endpoint.port);
    let endpoints = upstream.endpoints.iter().map(at).collect::<Vec<_>>().join(" and ");
    let at = if endpoints.is_empty() { endpoints } else { format!(", at {endpoints}") };
    let proxy = upstream.proxy.as_ref().map(|proxy| format!(", through {}", socket(&proxy.host, proxy.port)));
    at + &proxy.unwrap_or_default()
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
