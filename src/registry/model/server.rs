//! An upstream server and how it is asked whether it is well.

use std::borrow::Cow;
use std::time::Duration;

use super::{Abilities, CredentialIndex, Price};
use crate::breaker::Policy;
use crate::concurrency::ConcurrencyPolicy;
use crate::failure::{Dialect, Overrides, Rule, ServerKind};
use crate::mcp::ProtocolVersion;
use crate::registry::named::HasName;
use crate::wire::Id;

/// Position of a server in [`Registry::servers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServerIndex(pub u16);

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
    /// The query of its URL, which stands in every request for it; empty for none.
    pub query: String,
    /// Whose words it uses beside those of HTTP and MCP.
    pub dialect: Dialect,
    /// Whether its tools' answers get the shape that every client of MCP reads.
    pub normalise: bool,
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
    /// The most calls and streams that are under way there at once, per worker, before others go to the next server; `None` =
    /// any number.
    pub most_calls: Option<u32>,
    /// When its breaker trips and how it recovers.
    pub breaker: Policy,
    /// The newest version of MCP that it speaks.
    pub protocol: ProtocolVersion,
    /// How many calls each worker may have under way there; `None`: any number.
    pub concurrency: Option<ConcurrencyPolicy>,
    /// How it is probed when its breaker wants to know whether it is well again; `None` leaves that to calls.
    pub probe: Option<Probe>,
    /// What gives its answers their class, ahead of what is built in: its own rules, then those of `failure.rules`.
    pub rules: Vec<Rule>,
    /// What follows from a class, where it is not what follows elsewhere.
    pub on: Overrides,
    /// Whether its tools' annotations count.
    pub trust_annotations: bool,
    /// What it offers to calls that need something.
    pub offers: Abilities,
    /// What a call of it costs.
    pub price: Option<Price>,
    /// How Envoy reaches it.
    #[cfg(feature = "cli")]
    pub upstream: super::Upstream,
}

#[cfg(feature = "cli")]
impl Server {
    /// The addresses that answer for it, one at least.
    pub fn endpoints(&self) -> Vec<super::ServerEndpoint> {
        let Url { host, port, .. } = &self.url;
        let only = || super::ServerEndpoint { host: host.clone(), port: *port, weight: 1, priority: 0, region: None };
        let listed = &self.upstream.endpoints;
        if listed.is_empty() { vec![only()] } else { listed.clone() }
    }
}

impl Server {
    /// What a request asks it for: the path of its URL, what is `below` that, and its query with `more` at the end.
    #[inline(never)]
    pub fn target(&self, below: &str, more: &str) -> Cow<'_, str> {
        let mut path = self.url.path.as_str();
        if !below.is_empty() {
            path = path.strip_suffix('/').unwrap_or(path);
        } else if self.query.is_empty() && more.is_empty() {
            return Cow::Borrowed(path);
        }
        let mark = if self.query.is_empty() && more.is_empty() { "" } else { "?" };
        let and = if self.query.is_empty() || more.is_empty() { "" } else { "&" };
        Cow::Owned([path, below, mark, &self.query, and, more].concat())
    }
}

impl HasName for Server {
    fn name(&self) -> &str {
        self.id.as_str()
    }
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
