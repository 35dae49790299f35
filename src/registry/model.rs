//! The registry once it is known to make sense: no dangling name, no duration out of bounds, no credential that would
//! travel in the clear. Everything behind the command line and the filter works on these types only.

use std::fmt;
use std::time::Duration;

use crate::breaker::Policy;
use crate::credential::{AgePolicy, Declared, Secret};
use crate::drill::Network;
use crate::failure::{Overrides, Rule};
use crate::mcp::ProtocolVersion;
use crate::plan::BudgetPolicy;
use crate::translate::Mapping;

/// A name of the operator's: letters, digits, `-` and `_`, so that it fits a stat name, a header and a file name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(Box<str>);

impl Id {
    /// The longest name allowed, in bytes.
    pub const MAX_LEN: usize = 63;

    /// A name, if it keeps the rule: `[a-z0-9]` first, then `[a-z0-9_-]`, at most 63 in all.
    pub fn new(text: &str) -> Option<Self> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let mut bytes = text.bytes();
        let first = bytes.next()?;
        let fits = legal(first) && bytes.all(|b| legal(b) || b == b'-' || b == b'_') && text.len() <= Self::MAX_LEN;
        fits.then(|| Id(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything one registry file says, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Registry {
    /// Where MCP clients connect.
    pub listener: Listener,
    /// What the rendered bootstrap needs to know of the Envoy that will run it.
    pub envoy: EnvoySettings,
    /// Sizes beyond which a message is not held in memory.
    pub limits: Limits,
    /// What failures mean, on all servers.
    pub failure: FailureSettings,
    /// How much is spent on sending calls again.
    pub failover: Failover,
    /// Who may order that a request sees a server fail; `None` = nobody.
    pub drill: Option<Drill>,
    /// What is recorded of the use of credentials.
    pub audit: Audit,
    /// Which of several environments this is, where credentials have slots for each.
    pub environment: Option<Id>,
    /// Credentials, by reference only: a registry never holds a secret.
    pub credentials: Vec<Credential>,
    /// Upstream servers in file order.
    pub servers: Vec<Server>,
    /// Tools in file order.
    pub tools: Vec<Tool>,
}

/// The listener's socket and the path of the MCP endpoint on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// IP address to bind.
    pub address: String,
    /// TCP port to bind.
    pub port: u16,
    /// Path of the MCP endpoint; begins with `/`, has no query.
    pub path: String,
    /// Whether answers tell the client which way they came (`x-dualpath-server`, `x-dualpath-attempts`).
    pub expose_headers: bool,
    /// Origins of web pages that may call the endpoint. A request with any other `Origin` is refused, as MCP demands of
    /// a server: otherwise a page in a browser on this machine could use the credentials that are injected here.
    pub allowed_origins: Vec<String>,
    /// How long clients wait for an answer; `None` = as long as it takes. No attempt starts that can't end in time.
    pub client_timeout: Option<Duration>,
    /// Which servers get the `Authorization` header that a client sends.
    pub client_authorization: ClientAuthorization,
}

/// Which servers get the `Authorization` header that a client sends. None that has a credential of its own for that header
/// ever does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthorization {
    /// None.
    Drop,
    /// Every server without a credential of its own for that header.
    Pass,
    /// Of these the REST servers only.
    RestOnly,
}

/// Settings of the rendered bootstrap that are not about MCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvoySettings {
    /// Where Envoy finds the module.
    pub wasm_file: String,
    /// IP address of the admin interface.
    pub admin_address: String,
    /// Port of the admin interface.
    pub admin_port: u16,
    /// Where the prober runs.
    pub prober: ProberPlacement,
}

/// Where the prober runs: the part of the filter that acts without a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProberPlacement {
    /// Once per process, as a service of the bootstrap.
    Bootstrap,
    /// As a filter of the listener, for an Envoy whose bootstrap is not the operator's to change. Every worker has one,
    /// and they agree on the one that acts.
    Listener,
    /// Nowhere: calls are the only probes, and the gauges move only when a breaker changes its state.
    Off,
}

/// The rehearsal of failover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drill {
    /// The networks that drills may be ordered from; not empty.
    pub sources: Vec<Network>,
}

/// What is recorded of the use of credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// File of Envoy's access log with a record of each call's credentials, such as `/dev/stdout`; `None` writes none. What
    /// happens to tokens apart from calls is in Envoy's own log in any case.
    pub access_log: Option<String>,
}

/// Sizes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest request body that is read (and can so be sent again); above it the call is refused with 413.
    pub request_body: u32,
    /// Largest answer that is held to be judged or translated. A longer MCP answer streams through unjudged;
    /// a longer REST answer becomes an error.
    pub response_body: u32,
}

/// What failures mean on all servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureSettings {
    /// What gives answers their class, ahead of what is built in but after a server's own rules.
    pub rules: Vec<Rule>,
    /// How long the annotations that a server's list of tools has shown count.
    pub annotations_max_age: Duration,
}

/// How much is spent on sending calls again, and how long the same server is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failover {
    /// The terms of each worker's failover budget.
    pub budget: BudgetPolicy,
    /// The wait before a server is asked once more.
    pub back_off: BackOff,
}

/// Exponential back-off with full jitter: before repetition n a random time below `base * (2^n - 1)`, at most `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// The longest first wait.
    pub base: Duration,
    /// The longest wait.
    pub max: Duration,
}

/// How a server wants to be authenticated to, and where the secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its name.
    pub id: Id,
    /// The header that carries it, lower case; `authorization` unless said otherwise.
    pub header: String,
    /// What stands before the secret in that header, e.g. `Bearer `.
    pub prefix: String,
    /// Further headers that go with it, such as Snowflake's token type. Names are lower case.
    pub headers: Vec<(String, String)>,
    /// Slot a and slot b; at least one is set.
    pub slots: [Option<SlotSource>; 2],
    /// How old its tokens may get, and when the operator is warned.
    pub policy: AgePolicy,
}

impl Credential {
    /// Whether it sets the header `name`, given in lower case.
    pub fn sets(&self, name: &str) -> bool {
        self.header == name || self.headers.iter().any(|(header, _)| header == name)
    }
}

/// One slot of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotSource {
    /// Where the secret comes from.
    pub source: Source,
    /// What the operator says of its life.
    pub declared: Declared,
}

/// Where the secret of a slot comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An Envoy SDS file with one `generic_secret`; replaced atomically, it takes effect without a restart.
    SdsFile(String),
    /// A server of Envoy's secret discovery service (gRPC).
    SdsGrpc(Url),
    /// An environment variable of the Envoy process, read at start.
    Environment(String),
    /// An HTTP API that the filter asks again and again.
    Endpoint(Endpoint),
    /// The secret itself, for demonstrations on one machine.
    Inline(Secret),
}

impl Source {
    /// Whether Envoy fetches the secret and its credential injector hands it over in a request header.
    pub fn is_injected(&self) -> bool {
        matches!(self, Source::SdsFile(_) | Source::SdsGrpc(_))
    }
}

/// An HTTP API that answers a GET with a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is.
    pub url: Url,
    /// The member of its JSON answer that holds the secret; `None`: the answer is the secret.
    pub field: Option<String>,
    /// How often it is asked.
    pub every: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// Position of a server in [`Registry::servers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServerIndex(pub u16);

/// Position of a credential in [`Registry::credentials`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialIndex(pub u16);

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// MCP over Streamable HTTP.
    Mcp,
    /// A plain HTTP API, reached through a tool's mapping.
    Rest,
}

/// Preference among servers of one kind; lower tiers are asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Asked first.
    Primary,
    /// Asked when no primary answers.
    Secondary,
    /// Asked last.
    Tertiary,
}

impl Tier {
    /// The name used in the registry and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Primary => "primary",
            Tier::Secondary => "secondary",
            Tier::Tertiary => "tertiary",
        }
    }
}

/// One upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Its name: in metrics, in the filter state that routes to it, and as the name of its cluster.
    pub id: Id,
    /// What it speaks.
    pub kind: ServerKind,
    /// Its place in the order of preference.
    pub tier: Tier,
    /// Where it is.
    pub url: Url,
    /// The credential it gets; `None` sends none at all.
    pub credential: Option<CredentialIndex>,
    /// File with the certificate authorities to trust; `None` = the system's.
    pub ca_file: Option<String>,
    /// Longest time to get a connection, TLS included.
    pub connect_timeout: Duration,
    /// Longest time from the request's last byte to the first byte of the answer.
    pub timeout: Duration,
    /// How often it may be sent a call that it has certainly not executed, the first time included, where no other
    /// server is left. 1 = not again.
    pub attempts: u8,
    /// When its breaker trips and how it recovers.
    pub breaker: Policy,
    /// How it is probed when its breaker wants to know whether it is well again; `None` leaves that to calls.
    pub probe: Option<Probe>,
    /// What gives its answers their class, ahead of what is built in: its own rules, then those of `failure.rules`.
    pub rules: Vec<Rule>,
    /// What follows from a class, where it is not what follows elsewhere.
    pub on: Overrides,
    /// Whether its tools' annotations count.
    pub trust_annotations: bool,
}

/// How the prober asks a server whether it is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What is sent.
    pub request: ProbeRequest,
    /// Longest time to the answer's last byte.
    pub timeout: Duration,
    /// Time from a probe that decided nothing to the next, and between those of an idle server.
    pub interval: Duration,
    /// Whether a server without traffic is probed although nothing is known against it.
    pub idle: bool,
}

/// What a probe sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeRequest {
    /// MCP's `ping`.
    Ping,
    /// MCP's `initialize` in this version; a session that it opens is closed again.
    Initialize(ProtocolVersion),
    /// MCP's `server/discover`, for the versions without a handshake.
    Discover,
    /// A request of the operator's own, to a REST server.
    Http(HttpProbe),
}

/// A probe of a REST server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProbe {
    /// The method.
    pub method: &'static str,
    /// The path, put behind that of the server's URL.
    pub path: String,
    /// The body, JSON.
    pub body: Option<String>,
    /// The statuses that a server gives which is well; not empty.
    pub expect_status: Vec<u16>,
}

/// An `http` or `https` URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Whether it is `https`.
    pub tls: bool,
    /// Host name or IP address, without brackets.
    pub host: String,
    /// Port; 80 or 443 where the URL has none.
    pub port: u16,
    /// Path, begins with `/`; for a REST server it is put before every mapping's path (`/` adds nothing).
    pub path: String,
}

impl Url {
    /// The value of the `host` header: host, and the port where it is not the scheme's own.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let default = if self.tls { 443 } else { 80 };
        if self.port == default { host } else { format!("{host}:{}", self.port) }
    }

    /// Whether the host is this machine, so that nothing can listen in.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// Who says whether a tool's calls may be executed twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayable {
    /// The operator: they may.
    Yes,
    /// The operator: they may not.
    No,
    /// The tool's servers, if all of them are trusted.
    Annotations,
}

/// One tool, as MCP clients call it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its MCP name.
    pub name: String,
    /// The task it is counted under in metrics.
    pub task: Id,
    /// Whether a call may be sent again although it may already have been executed.
    pub replayable: Replayable,
    /// What follows from a class for this tool's calls; its word counts before that of the servers.
    pub on: Overrides,
    /// Overrides the servers' timeout for this tool.
    pub timeout: Option<Duration>,
    /// Overrides the listener's `client_timeout` for this tool.
    pub client_timeout: Option<Duration>,
    /// The MCP servers that offer it, in order of preference (tier, then file order).
    pub mcp: Vec<ServerIndex>,
    /// The direct path, if the tool has one.
    pub rest: Option<Direct>,
    /// The tool as the gate lists it while no MCP server answers: an MCP `Tool` object.
    pub listing: serde_json::Value,
}

impl Tool {
    /// The headers that requests of its direct path may set, lower case.
    pub fn mapped_headers(&self) -> impl Iterator<Item = &str> {
        self.rest.iter().flat_map(|direct| direct.mapping.header_names())
    }
}

/// A tool's direct path.
#[derive(Debug, Clone, PartialEq)]
pub struct Direct {
    /// The REST server.
    pub server: ServerIndex,
    /// Whether it is asked before the MCP servers.
    pub first: bool,
    /// How the call is written for it and its answer read.
    pub mapping: Mapping,
}

impl Registry {
    /// The server at `index`. `None` only for an index of another registry.
    pub fn server(&self, index: ServerIndex) -> Option<&Server> {
        self.servers.get(usize::from(index.0))
    }

    /// The server with this name.
    pub fn server_by_id(&self, id: &str) -> Option<(ServerIndex, &Server)> {
        self.indexed_servers().find(|(_, server)| server.id.as_str() == id)
    }

    /// All servers with their indexes.
    pub fn indexed_servers(&self) -> impl Iterator<Item = (ServerIndex, &Server)> {
        (0u16..).map(ServerIndex).zip(&self.servers)
    }

    /// The credential at `index`. `None` only for an index of another registry.
    pub fn credential(&self, index: CredentialIndex) -> Option<&Credential> {
        self.credentials.get(usize::from(index.0))
    }

    /// The credential with this name.
    pub fn credential_by_id(&self, id: &str) -> Option<CredentialIndex> {
        (0u16..).map(CredentialIndex).zip(&self.credentials).find(|(_, c)| c.id.as_str() == id).map(|(at, _)| at)
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
        self.tools.iter().enumerate().find(|(_, tool)| tool.name == name)
    }

    /// All MCP servers in order of preference.
    pub fn mcp_servers(&self) -> Vec<ServerIndex> {
        let mut found: Vec<_> = self.indexed_servers().filter(|(_, server)| server.kind == ServerKind::Mcp).collect();
        found.sort_by_key(|(_, server)| server.tier);
        found.into_iter().map(|(index, _)| index).collect()
    }
}
