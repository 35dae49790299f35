//! What there is to see of a running Envoy.

/// Everything that there is to see.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Status {
    /// When it was seen, in seconds since 1970.
    pub time_s: u64,
    /// Seconds between the readings that rates are made of; `None` if there is only one.
    pub window_s: Option<f64>,
    /// The registries that calls are served under: one, unless the module is too old to tell.
    pub runs: Vec<Runs>,
    /// What the kill switch is set to, in percent of calls that may use MCP.
    pub mcp_enabled: Option<String>,
    /// Tasks that MCP is switched off for.
    pub tasks_off: Vec<String>,
    /// Calls by who answered them.
    pub calls: Vec<Calls>,
    /// The servers, in the order of their names.
    pub servers: Vec<Server>,
    /// The credentials.
    pub credentials: Vec<Credential>,
    /// How often each breaker has changed from one state to another.
    pub transitions: Vec<Transition>,
}

/// What calls are served under.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runs {
    /// The registry's identity.
    pub registry: String,
    /// The version of the module.
    pub version: String,
}

/// Calls that were answered in one way.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Calls {
    /// `mcp`, `direct`, `gate` or `cache`.
    pub mode: &'static str,
    /// In a second.
    pub per_s: Option<f64>,
    /// In all.
    pub total: f64,
    /// The share of each way to end, from 0 to 1, the largest first.
    pub shares: Vec<(String, f64)>,
    /// How long they took, in ms: p50, p95, p99.
    pub latency_ms: Option<[f64; 3]>,
}

/// A server.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Server {
    /// Its id.
    pub id: String,
    /// Its tier.
    pub tier: Option<String>,
    /// The state of its breaker.
    pub state: &'static str,
    /// Until it may be probed, in ms; `None` if it needs no probe, or the module does not tell.
    pub probe_in_ms: Option<f64>,
    /// From 0 to 100.
    pub health: Option<f64>,
    /// What is wrong with it, in words; empty if nothing is.
    pub why: String,
    /// Attempts in a second.
    pub per_s: Option<f64>,
    /// The share of attempts that failed in each way, from 0 to 1, the largest first.
    pub errors: Vec<(String, f64)>,
    /// Its connections.
    pub pool: Pool,
    /// How many tools it lists; `None` if it is not asked.
    pub tools: Option<f64>,
    /// What operators have done to it by runtime keys.
    pub overrides: Vec<String>,
}

/// A server's connections, as Envoy counts them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pool {
    /// Connections.
    pub connections: f64,
    /// Requests under way.
    pub requests: f64,
    /// Requests that wait for a connection.
    pub waiting: f64,
    /// Whether a limit is reached.
    pub is_full: bool,
    /// Addresses, and those of them that are in use.
    pub hosts: [f64; 2],
}

/// A credential.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Credential {
    /// Its id.
    pub id: String,
    /// How urgently it needs a new token; `unknown` where no end is known.
    pub severity: &'static str,
    /// Its slots.
    pub slots: Vec<SlotSeen>,
}

/// A slot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SlotSeen {
    /// `a` or `b`.
    pub slot: &'static str,
    /// Whether its token may be sent.
    pub is_sent: bool,
    /// Whole days that it has left.
    pub days_left: Option<u64>,
    /// How often servers have refused it.
    pub rejected: u64,
}

/// A breaker's change from one state to another.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transition {
    /// Whose breaker.
    pub server: String,
    /// What it was.
    pub from: String,
    /// What it is.
    pub to: String,
    /// How often that has happened.
    pub times: f64,
}

impl Status {
    /// The changes of breakers that are in this status and not in `before`.
    pub fn transitions_since(&self, before: &Status) -> Vec<Transition> {
        let is_same = |one: &Transition, other: &Transition| {
            (&one.server, &one.from, &one.to) == (&other.server, &other.from, &other.to)
        };
        let earlier =
            |one: &Transition| before.transitions.iter().find(|other| is_same(one, other)).map_or(0.0, |it| it.times);
        self.transitions.iter().filter(|one| one.times > earlier(one)).cloned().collect()
    }
}
