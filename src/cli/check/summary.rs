//! What a registry says, in a few lines for people.

use crate::cli::credentials::credential_line;
use crate::cli::warnings::path;
use crate::registry::{Admin, Registry, Replayable, Server, ServerEndpoint, ServerIndex, ServerKind, Tool, Upstream};

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
    lines.extend(registry.status_page.iter().map(|page| {
        let scheme = if page.certificate.is_some() { "https" } else { "http" };
        format!("status page  {scheme}://{}/", socket(&page.address, page.port))
    }));
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
pub(in crate::cli) fn socket(address: &str, port: u16) -> String {
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
