//! From the wire form to a [`Registry`]: each section in its file, then what spans them.

mod breaker;
mod cache;
mod concurrency;
mod credentials;
mod discovery;
mod failover;
mod failure;
mod headers;
mod listener;
mod names;
mod offers;
mod permission;
#[cfg(feature = "cli")]
mod pool;
mod probe;
#[cfg(feature = "cli")]
mod rate;
mod routing;
mod servers;
mod settings;
mod slots;
#[cfg(feature = "cli")]
mod status_page;
mod tools;
mod tracing;
#[cfg(feature = "cli")]
mod upstream;
mod url;

use std::time::Duration;

use crate::breaker::Policy;
use crate::cache::Scope;
use crate::json::Value;
#[cfg(feature = "cli")]
use crate::registry::StatusPage;
use crate::registry::{
    Audit, CacheSettings, CallLog, Credential, CredentialIndex, Discovery, EnvoySettings, FailoverSettings,
    FailureSettings, Limits, Listener, Prices, Registry, RoutingSettings, Server, SlotSource, Source, Tool, Tracing,
};
use crate::wire::{Node, Problem, Problems, Table, or};
use listener::{check_sockets, refuse_clear_authorization};
use names::Names;
use routing::{Candidates, WireSettings};
#[cfg(any(test, feature = "cli"))]
pub use servers::RENDERED;
use servers::WireServer;
use tools::{Linked, WireTool, all_mcp};

/// The version of the wire form that this code reads.
const VERSION: u64 = 1;

/// Every worker keeps counters per server, and a route can name so many clusters; a file with more is a mistake.
const MAX_SERVERS: usize = 100;
const MAX_CREDENTIALS: usize = 100;
const MAX_TOOLS: usize = 1000;

impl Registry {
    /// Reads a registry from its wire form, the tree that both YAML and JSON files hold.
    ///
    /// # Errors
    /// Every problem that was found, never none. No problem shows a secret.
    // The readers of sections stay functions of their own: V8 needs many megabytes to compile a very large one, and Envoy
    // keeps that memory.
    #[inline(never)]
    pub fn from_json(value: &Value) -> Result<Registry, Vec<Problem>> {
        let problems = Problems::default();
        let root = Node::root(value, &problems);
        let registry = read(&root);
        root.refuse_tokens();
        match registry {
            Some(registry) if problems.is_empty() => Ok(registry),
            _ => Err(problems.into_vec()),
        }
    }

    /// The same of a tree of the command line's.
    ///
    /// # Errors
    /// As [`Registry::from_json`].
    #[cfg(any(test, feature = "cli"))]
    pub fn from_wire(value: &serde_json::Value) -> Result<Registry, Vec<Problem>> {
        Registry::from_json(&Value::from(value))
    }
}

/// The mappings of this registry and the keys that each may have, as the reader itself asks for them.
#[cfg(feature = "cli")]
pub fn mappings(value: &serde_json::Value) -> Vec<crate::wire::Mapping> {
    let problems = Problems::default();
    read(&Node::root(&Value::from(value), &problems));
    problems.into_mappings()
}

/// `None` only if at least one problem has been noted.
#[inline(never)]
fn read(root: &Node) -> Option<Registry> {
    let table = root.table()?;
    read_version(&table);
    let listener_node = table.optional("listener");
    let listener = or(listener_node.as_ref(), Listener::default(), |node| Listener::read(node));
    let envoy = or(table.optional("envoy"), EnvoySettings::default(), EnvoySettings::read);
    let limits_node = table.optional("limits");
    let limits = or(limits_node.as_ref(), Limits::default(), |node| Limits::read(node));
    let failover = or(table.optional("failover"), FailoverSettings::default(), FailoverSettings::read);
    let breaker = or(table.optional("breaker"), Policy::default(), |node| Policy::read(node, &Policy::default()));
    let failure = or(table.optional("failure"), FailureSettings::default(), FailureSettings::read);
    let audit = or(table.optional("audit"), Audit::default(), Audit::read);

    let drill = or(table.optional("drill"), None, permission::read);
    let environment = or(table.optional("environment"), None, |node| node.id().map(Some));
    let mut credential_names = Names::of("credential");
    let credential_nodes = entries(table.optional("credentials").map(Node::veiled), MAX_CREDENTIALS);
    let chosen = environment.as_ref().filter(|_| !table.is_misspelt("environment")).map(Option::as_ref);
    let credentials: Option<Vec<_>> = credential_nodes
        .as_ref()
        .map(|nodes| nodes.iter().map(|node| Credential::read(node, &mut credential_names, chosen)).collect());
    let mut server_names = Names::of("server");
    let servers = read_servers(&table, &mut server_names);
    let mut tool_names = Names::of("tool");
    let tool_nodes = entries(table.optional("tools"), MAX_TOOLS);
    let tools: Option<Vec<_>> =
        tool_nodes.as_ref().map(|nodes| nodes.iter().map(|node| WireTool::read(node, &mut tool_names)).collect());
    let cache = or(table.optional("cache"), CacheSettings::default(), CacheSettings::read);
    let discovery = or(table.optional("discovery"), Discovery::default(), Discovery::read);
    let mut routing = or(table.optional("routing"), WireSettings::default(), WireSettings::read);
    let prices = or(table.optional("prices"), Prices::default(), offers::read_prices);
    let log_node = table.optional("log");
    let log = or(log_node.as_ref(), CallLog::default(), |node| CallLog::read(node));
    let tracing = or(table.optional("tracing"), None, |node| Tracing::read(node).map(Some));
    #[cfg(feature = "cli")]
    let status_page = or(table.optional("status_page"), None, |node| StatusPage::read(node).map(Some));
    #[cfg(feature = "cli")]
    let page = status_page.iter().flatten().map(|page| (page.address.as_str(), page.port)).next();
    #[cfg(not(feature = "cli"))]
    let page = None;
    #[cfg(not(feature = "cli"))]
    table.pass_over(&["status_page"]);
    if let (Some(listener), Some(envoy)) = (&listener, &envoy) {
        check_sockets(&table, listener, envoy, page);
    }
    if credential_nodes.is_none() || table.is_misspelt("credentials") {
        credential_names.hide_some();
    }
    table.done();

    // Tools are linked first: they need only names and kinds, and linking a server uses it up.
    let servers = servers?;
    let linked = Linked {
        names: &server_names,
        all_mcp: all_mcp(&servers),
        routing: routing.as_ref(),
        servers: &servers,
        credential_names: &credential_names,
        credentials: credentials.as_deref().unwrap_or_default(),
    };
    let tools: Option<Vec<_>> = tools.map(|tools| tools.into_iter().map(|tool| tool?.link(&linked)).collect());
    let mut begin = linked.all_mcp.clone();
    let of = Candidates { names: &server_names, servers: &servers, mcp: &mut begin, rest: None, own: true };
    let sessions = routing.as_ref().and_then(|routing| or(routing.sessions, None, |node| of.read(node).map(Some)));
    let by_header = routing.as_mut().and_then(|routing| routing.by_header.take());
    // Where there are no tools, or one that can't be read, no task is misspelt for certain.
    if let (Some(routing), Some([Some(_), ..])) = (routing, tools.as_deref())
        && tools.iter().flatten().all(Option::is_some)
    {
        routing.done();
    }
    let servers: Vec<_> =
        servers.into_iter().map(|server| server?.link(&credential_names, breaker.as_ref(), failure.as_ref())).collect();
    let mut servers = whole(servers)?;
    let mut tools = whole(tools?)?;
    if let Some(listener) = &listener {
        tools.iter_mut().for_each(|tool| tool.is_allowed = listener.allowed_tools.allows(&tool.name));
    }
    stretch_leases(&mut servers, &tools);
    let timeouts = servers.iter().map(|server| server.timeout).chain(tools.iter().filter_map(|tool| tool.timeout));
    #[cfg(feature = "cli")]
    let rate_node = limits_node.and_then(|node| node.table()?.optional("rate"));
    let registry = Registry {
        // Every call asks for it, and there may be a thousand tools.
        longest_timeout: timeouts.max().unwrap_or_default(),
        listener: listener?,
        envoy: envoy?,
        limits: limits?,
        routing: RoutingSettings { sessions: sessions?, by_header },
        drill: drill?,
        cache: cache?,
        caches_by_caller: tools
            .iter()
            .any(|tool| tool.cache.as_ref().is_some_and(|cache| cache.scope == Scope::Caller)),
        failure: failure?,
        failover: failover?,
        discovery: discovery?,
        audit: audit?,
        log: log?,
        tracing: tracing?,
        #[cfg(feature = "cli")]
        status_page: status_page?,
        prices: prices?,
        environment: environment?,
        credentials: whole(credentials?)?,
        servers: servers.into(),
        #[cfg(feature = "cli")]
        rates: or(rate_node, Vec::new(), |node| rate::read(node, &tools))?,
        tools: tools.into(),
    };
    listener_node.iter().for_each(|node| refuse_clear_authorization(&registry, node));
    log_node.iter().for_each(|node| refuse_secret_caller(&registry, node));
    cache::check(&registry, tool_nodes.as_deref().unwrap_or_default());
    refuse_inline(&registry, credential_nodes.as_deref().unwrap_or_default());
    Some(registry)
}

/// What says who calls is written down, so it must not be what a credential is sent in.
fn refuse_secret_caller(registry: &Registry, node: &Node) {
    if registry.log.caller_header.as_ref().is_some_and(|name| registry.is_credential_header(name)) {
        node.refuse("must not name in caller_header a header that a credential is sent in");
    }
}

/// A secret that stands in the registry shows in Envoy's configuration dump, so it must not be worth anything.
#[inline(never)]
fn refuse_inline(registry: &Registry, nodes: &[Node]) {
    let is_inline = |slot: &SlotSource| matches!(slot.source, Source::Inline(_));
    for ((at, credential), node) in (0u16..).map(CredentialIndex).zip(&registry.credentials).zip(nodes) {
        let mut users = registry.servers.iter().filter(|server| server.credential == Some(at));
        if credential.slots.iter().flatten().any(is_inline) && users.any(|server| !server.url.is_loopback()) {
            node.refuse_with(
                "must not be inline unless all its servers are on this machine",
                "inline is for demonstrations; name the place of the secret instead, such as sds_file",
            );
        }
    }
}

/// A probe's lease must not run out while the probe may still be answered, or a slow server that is well again would be
/// taken for one that loses its probes.
fn stretch_leases(servers: &mut [Server], tools: &[Tool]) {
    const GRACE: Duration = Duration::from_secs(1);
    let slowest_tool = tools.iter().filter_map(|tool| tool.timeout).max().unwrap_or_default();
    for server in servers {
        let probe = server.probe.as_ref().map_or(Duration::ZERO, |probe| probe.timeout);
        let longest_call = server.timeout.max(slowest_tool).max(probe).saturating_add(GRACE);
        let lease = u64::try_from(longest_call.as_millis()).unwrap_or(u64::MAX);
        server.breaker.lease_ms = server.breaker.lease_ms.max(lease);
    }
}

fn read_version(table: &Table) {
    if let Some(node) = table.required("version")
        && node.value().as_u64() != Some(VERSION)
    {
        node.refuse_with(format!("must be {VERSION}"), "this release reads no other version");
    }
}

#[inline(never)]
fn read_servers<'v>(table: &Table<'v>, names: &mut Names<'v>) -> Option<Vec<Option<WireServer<'v>>>> {
    let node = table.required("servers")?;
    let nodes = entries(Some(node), MAX_SERVERS)?;
    if nodes.is_empty() {
        node.refuse("must have at least one server");
        return None;
    }
    Some(nodes.iter().map(|node| WireServer::read(node, names)).collect())
}

/// The entries of a list; none where there is no list.
fn entries(node: Option<Node>, max: usize) -> Option<Vec<Node>> {
    or(node, Vec::new(), |node| {
        let nodes = node.list()?;
        if nodes.len() > max {
            node.refuse(format!("must have at most {max} entries"));
            return None;
        }
        Some(nodes)
    })
}

/// All entries, if every one of them could be read.
fn whole<T>(entries: Vec<Option<T>>) -> Option<Vec<T>> {
    entries.into_iter().collect()
}
