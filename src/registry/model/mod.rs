//! The registry once it is known to make sense: no dangling name, no duration out of bounds, no credential that would
//! travel in the clear. Everything behind the command line and the filter works on these types only.

mod credential;
#[cfg(feature = "cli")]
mod rate;
mod routing;
mod server;
mod settings;
#[cfg(feature = "cli")]
mod status_page;
mod tool;
mod tracing;
#[cfg(feature = "cli")]
mod upstream;

pub use credential::*;
#[cfg(feature = "cli")]
pub use rate::*;
pub use routing::*;
pub use server::*;
pub use settings::*;
#[cfg(feature = "cli")]
pub use status_page::*;
pub use tool::*;
pub use tracing::*;
#[cfg(feature = "cli")]
pub use upstream::*;

use std::time::Duration;

use super::named::Named;
use crate::failure::ServerKind;
use crate::wire::{Id, sort_short};

/// Everything one registry file says, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Registry {
    /// Where MCP clients connect.
    pub listener: Listener,
    /// What the rendered bootstrap needs to know of the Envoy that will run it.
    pub envoy: EnvoySettings,
    /// Sizes beyond which a message is not held in memory.
    pub limits: Limits,
    /// Where answers are kept.
    pub cache: CacheSettings,
    /// Whether any tool's answers are kept for each caller.
    pub caches_by_caller: bool,
    /// What failures mean, on all servers.
    pub failure: FailureSettings,
    /// How much is spent on sending calls again.
    pub failover: FailoverSettings,
    /// Where new sessions begin, and who may say where a request goes.
    pub routing: RoutingSettings,
    /// Who may order that a request sees a server fail; `None` = nobody.
    pub drill: Option<Permission>,
    /// What is found out of servers without a call.
    pub discovery: Discovery,
    /// What is recorded of the use of credentials.
    pub audit: Audit,
    /// What is written of each call.
    pub log: CallLog,
    /// What becomes of traces; `None`: they pass, and nothing is told of calls.
    pub tracing: Option<Tracing>,
    /// A listener with a page for operators, if there is one.
    #[cfg(feature = "cli")]
    pub status_page: Option<StatusPage>,
    /// What models cost.
    pub prices: Prices,
    /// Which of several environments this is, where credentials have slots for each.
    pub environment: Option<Id>,
    /// Credentials, by reference only: a registry never holds a secret.
    pub credentials: Vec<Credential>,
    /// Upstream servers in file order.
    pub servers: Named<Server>,
    /// Tools in file order.
    pub tools: Named<Tool>,
    /// The longest time that an attempt may take to the first byte of its answer, at any server, for any tool.
    pub longest_timeout: Duration,
    /// How often tools may be called.
    #[cfg(feature = "cli")]
    pub rates: Vec<Rate>,
}

impl Registry {
    /// The server at `index`. `None` only for an index of another registry.
    pub fn server(&self, index: ServerIndex) -> Option<&Server> {
        self.servers.get(usize::from(index.0))
    }

    /// The server with this name.
    pub fn server_by_id(&self, id: &str) -> Option<(ServerIndex, &Server)> {
        let (at, server) = self.servers.find(id)?;
        Some((ServerIndex(u16::try_from(at).ok()?), server))
    }

    /// All servers with their indexes.
    pub fn indexed_servers(&self) -> impl Iterator<Item = (ServerIndex, &Server)> {
        (0u16..).map(ServerIndex).zip(&self.servers)
    }

    /// Whether any calls are routed by how fast servers are.
    pub fn routes_by_latency(&self) -> bool {
        let of_tools = self.tools.iter().filter_map(|tool| tool.routing.as_deref());
        of_tools.chain(&self.routing.sessions).any(|routing| matches!(routing.by, By::Latency))
    }

    /// The credential at `index`. `None` only for an index of another registry.
    pub fn credential(&self, index: CredentialIndex) -> Option<&Credential> {
        self.credentials.get(usize::from(index.0))
    }

    /// The credential with this name.
    pub fn credential_by_id(&self, id: &str) -> Option<CredentialIndex> {
        (0u16..).map(CredentialIndex).zip(&self.credentials).find(|(_, c)| c.id.as_str() == id).map(|(at, _)| at)
    }

    /// Whether a credential goes out under this header, lower case. `Authorization` is always taken for one.
    pub fn is_credential_header(&self, name: &str) -> bool {
        name == "authorization" || self.credentials.iter().any(|credential| credential.sets(name))
    }

    /// The server that most calls go to first, so that the route names it by itself: the first MCP server, else the first.
    pub fn usual_server(&self) -> Option<ServerIndex> {
        let mcp = self.indexed_servers().filter(|(_, server)| server.kind == ServerKind::Mcp);
        // Of several in one tier the first.
        let first = mcp.min_by_key(|(_, server)| server.tier).or_else(|| self.indexed_servers().next());
        first.map(|(at, _)| at)
    }

    /// The longest time, in ms, that an attempt may take to the first byte of its answer.
    pub fn longest_timeout_ms(&self) -> u64 {
        u64::try_from(self.longest_timeout.as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether this server gets the `Authorization` that a client sends.
    pub fn gets_client_authorization(&self, server: &Server) -> bool {
        let wanted = match self.listener.client_authorization {
            ClientAuthorization::Drop => false,
            ClientAuthorization::Pass => true,
            ClientAuthorization::RestOnly => server.kind == ServerKind::Rest,
        };
        let own = server.credential.and_then(|at| self.credential(at));
        wanted && !own.is_some_and(|credential| credential.sets("authorization"))
    }

    /// Whether this server is asked for its tools. What a server lists for us says nothing of what it lists for a client that
    /// shows it a credential of its own.
    pub fn discovers(&self, server: &Server) -> bool {
        self.discovery.enabled && server.kind == ServerKind::Mcp && !self.gets_client_authorization(server)
    }

    /// Whether a server that refuses a credential can only mean the client's: it gets that and none of ours.
    pub fn knows_only_clients(&self, server: &Server) -> bool {
        server.credential.is_none() && self.gets_client_authorization(server)
    }

    /// Whether the credential of this server has a secret in reserve.
    pub fn has_two_slots(&self, index: ServerIndex) -> bool {
        let credential = self.server(index).and_then(|server| self.credential(server.credential?));
        credential.is_some_and(|credential| credential.slots.iter().all(Option::is_some))
    }

    /// The tool with this MCP name.
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.indexed_tool(name).map(|(_, tool)| tool)
    }

    /// The tool with this MCP name, and its position in `tools`.
    pub fn indexed_tool(&self, name: &str) -> Option<(usize, &Tool)> {
        self.tools.find(name)
    }

    /// The tools that the gate lists itself, as MCP `Tool` objects: those that it can answer calls of without MCP.
    pub fn offered_tools(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().filter(|tool| tool.rest.is_some() && tool.is_allowed).map(|tool| tool.listing.as_json())
    }

    /// All MCP servers in order of preference.
    pub fn mcp_servers(&self) -> Vec<ServerIndex> {
        let mut found: Vec<_> = self.indexed_servers().filter(|(_, server)| server.kind == ServerKind::Mcp).collect();
        sort_short(&mut found, |(_, server)| server.tier);
        found.into_iter().map(|(index, _)| index).collect()
    }
}
