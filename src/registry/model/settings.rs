//! What the registry says of the proxy as a whole.

use std::time::Duration;

use crate::budget::BudgetPolicy;
use crate::failure::Rule;
use crate::network::Network;
use crate::registry::AllowedTools;

/// The listener's socket and the path of the MCP endpoint on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// IP address to bind.
    pub address: String,
    /// TCP port to bind.
    pub port: u16,
    /// Path of the MCP endpoint; begins with `/`, has no query.
    pub path: String,
    /// Whether answers tell the client which way they came (`x-dualpath-server`, `x-dualpath-attempts`) and
    /// under which registry (`x-dualpath-registry`).
    pub expose_headers: bool,
    /// Origins of web pages that may call the endpoint. A request with any other `Origin` is refused, as MCP demands of
    /// a server: otherwise a page in a browser on this machine could use the credentials that are injected here. A listener
    /// on a loopback address has its own origins among them.
    pub allowed_origins: Vec<String>,
    /// Which tools clients may see and call.
    pub allowed_tools: AllowedTools,
    /// How long clients wait for an answer; `None` = as long as it takes. No attempt starts that can't end in time.
    pub client_timeout: Option<Duration>,
    /// Which servers get the `Authorization` header that a client sends.
    pub client_authorization: ClientAuthorization,
    /// What becomes of a query behind the path that a client asks for.
    pub query: ClientQuery,
    /// How failures of requests travel.
    pub error_status: ErrorStatus,
}

/// Under which HTTP status a client gets the JSON-RPC error of a request that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorStatus {
    /// 200. Some clients end their whole session, and every other call in it, on any status from 400 on.
    Jsonrpc,
    /// 429, 502, 503 or 504.
    Http,
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

/// What becomes of the query behind the path that a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientQuery {
    /// The request is refused: a client that asks for less by it (`?readonly=true`) must not get more.
    Refuse,
    /// It is left out.
    Drop,
    /// MCP servers get it behind their own. It can't give another value to a parameter that stands in a server's URL.
    Forward,
}

/// Settings of the rendered bootstrap that are not about MCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvoySettings {
    /// Where Envoy finds the module.
    pub wasm_file: String,
    /// The admin interface.
    pub admin: Admin,
    /// IP address and port of a listener with the metrics and nothing else, if there is one.
    pub metrics: Option<(String, u16)>,
    /// A directory with a file for each runtime key, if there is one.
    #[cfg(feature = "cli")]
    pub runtime_files: Option<String>,
    /// Where the prober runs.
    pub prober: ProberPlacement,
    /// Where Envoy runs, as the endpoints of servers say it.
    #[cfg(feature = "cli")]
    pub region: Option<String>,
}

/// Where Envoy's admin interface is. It has no protection of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admin {
    /// At an IP address and port.
    Port(String, u16),
    /// A UNIX socket at this path, for Envoy's own user only.
    Socket(String),
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

/// What is found out of servers without a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discovery {
    /// Whether MCP servers are asked for their tools.
    pub enabled: bool,
    /// How often, where a server does not say how long its list counts.
    pub every: Duration,
}

/// Who may order something by a request header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// The networks that it may be ordered from; not empty.
    pub sources: Vec<Network>,
}

/// What is recorded of the use of credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// File of Envoy's access log with a record of each call's credentials, such as `/dev/stdout`; `None` writes none. What
    /// happens to tokens apart from calls is in Envoy's own log in any case.
    pub access_log: Option<String>,
}

/// The call log: a line of JSON for each call, whichever way it went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallLog {
    /// File of Envoy's access log, such as `/dev/stdout`; `None` writes none, and then nothing is noted for it.
    pub calls: Option<String>,
    /// Request header, lower case, whose value says who calls; `None`: the certificate or the address does.
    pub caller_header: Option<String>,
}

/// Sizes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest request body that is read (and can so be sent again); above it the call is refused with 413.
    pub request_body: u32,
    /// Largest answer that is held to be judged or translated. A longer MCP answer streams through unjudged;
    /// a longer REST answer becomes an error.
    pub response_body: u32,
    /// The most that one worker's VM holds of all requests and answers together. Beyond it requests are refused with 503
    /// and answers pass unjudged.
    pub held: u32,
    /// Whether Envoy is to be told the tool of each call, because calls of some are counted.
    pub rated: bool,
}

impl Limits {
    /// The longest body that may be put in the place of another, in bytes: Envoy's buffers are made for what is read here, and
    /// a little more. Over that Envoy ends the stream while it is in the filter, enters the filter anew, and crashes.
    pub fn room(&self) -> usize {
        usize::try_from(self.request_body.max(self.response_body)).unwrap_or(usize::MAX)
    }
}

/// Where answers are kept, and how callers are told apart for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSettings {
    /// The most bytes that all kept answers of a process take.
    pub memory: u32,
    /// The most answers.
    pub slots: u32,
    /// A request header that says who calls, lower case.
    pub caller_header: Option<String>,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailoverSettings {
    /// The terms of each worker's failover budget.
    pub budget: BudgetPolicy,
    /// The wait before a server is asked once more.
    pub back_off: BackOff,
    /// File of Envoy's access log with a line for each call that did not simply go to the first server of the order, such as
    /// `/dev/stdout`; `None` writes none.
    pub access_log: Option<String>,
}

/// Exponential back-off with full jitter: before repetition n a random time below `base * (2^n - 1)`, at most `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// The longest first wait.
    pub base: Duration,
    /// The longest wait.
    pub max: Duration,
}
