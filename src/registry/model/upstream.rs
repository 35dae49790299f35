//! How Envoy reaches a server: its endpoints, TLS, the connections. Only the renderer needs it, so the module does not have it.

use std::time::Duration;

use super::Url;
use crate::failure::ServerKind;

/// What Envoy is told of the way to one server, besides its URL.
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    /// The addresses that answer for the URL; empty = its host.
    pub endpoints: Vec<ServerEndpoint>,
    /// How calls are spread over them.
    pub balance: Balance,
    /// The version of HTTP.
    pub http: HttpVersion,
    /// Whom it is taken for, and who this Envoy is.
    pub tls: TlsSettings,
    /// The forward proxy that connections go through.
    pub proxy: Option<Url>,
    /// The connections.
    pub pool: Pool,
}

impl Upstream {
    /// What holds for a server of this kind without a word about it.
    pub fn of(kind: ServerKind) -> Self {
        Upstream {
            endpoints: Vec::new(),
            balance: Balance::default(),
            http: HttpVersion::Auto,
            tls: TlsSettings::default(),
            proxy: None,
            pool: Pool::of(kind, HttpVersion::Auto),
        }
    }
}

/// One address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerEndpoint {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Its share of the calls is this by the sum of the weights of its priority.
    pub weight: u32,
    /// It is asked only while no endpoint of a lower number is left.
    pub priority: u8,
    /// Where it is. Those of Envoy's own region are asked before others of the same priority.
    pub region: Option<String>,
}

/// How calls are spread over the endpoints of one priority, and when one of them is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// Which endpoint is next.
    pub policy: BalancePolicy,
    /// How long a new endpoint gets less than its share; zero = not at all.
    pub slow_start: Duration,
    /// So many calls in a row that an endpoint could not be reached for, or that broke off, eject it; 0 = never.
    pub eject_after: u32,
    /// How long it is left out the first time. Each further time is as much longer.
    pub eject_for: Duration,
}

/// Which endpoint gets the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BalancePolicy {
    /// Of two at random, the one with fewer calls under way.
    LeastRequest,
    /// One after the other.
    RoundRobin,
}

/// The version of HTTP that a server is spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// Over TLS what the server chooses (ALPN), else HTTP/1.1.
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, without TLS with prior knowledge (h2c).
    Http2,
}

/// What is said in the TLS handshake, besides the authorities that are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// The server name (SNI), where it is not the URL's host.
    pub server_name: Option<String>,
    /// The names of which the certificate must have one; empty = the server name.
    pub names: Vec<String>,
    /// SDS file with Envoy's own certificate and key.
    pub client_certificate: Option<String>,
}

/// The connections to one server, of all workers together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pool {
    /// The most connections.
    pub connections: u32,
    /// The most calls that wait for one.
    pub pending: u32,
    /// The most calls under way.
    pub requests: u32,
    /// The most of them that were sent here because another attempt had failed.
    pub retries: u32,
    /// How long a connection without a call is kept.
    pub idle: Duration,
    /// How old a connection may get; zero = as old as it likes.
    pub lifetime: Duration,
    /// How many calls a connection may carry in its life; 0 = any number.
    pub requests_per_connection: u32,
    /// Connections that are kept ready for each that is needed, 1 to 3.
    pub preconnect: f64,
    /// After so much silence TCP asks whether the other side is there; zero = never.
    pub keepalive: Duration,
}

/// No limit, in practice. Envoy's own defaults (1024, and 3 retries) would refuse failover just when many calls need it.
const UNLIMITED: u32 = 16_384;

impl Pool {
    /// The pool of a server of which nothing is said.
    ///
    /// Over HTTP/2 it is the seed's: 20 connections to an MCP server, 10 to an API, for many calls each, and 300 s idle.
    /// Over HTTP/1.1, and where the server may choose that, a limit of connections is one of calls, and Envoy neither ends
    /// the wait for one nor sends elsewhere what it has no room for: so there is none. And a connection must be closed before
    /// the server does that, or a call may be lost in it: uvicorn and Node wait 5 s.
    pub fn of(kind: ServerKind, http: HttpVersion) -> Self {
        let (connections, idle) = match (http, kind) {
            (HttpVersion::Http2, ServerKind::Mcp) => (20, 300),
            (HttpVersion::Http2, ServerKind::Rest) => (10, 300),
            (HttpVersion::Auto | HttpVersion::Http1, _) => (UNLIMITED, 4),
        };
        Pool {
            connections,
            pending: UNLIMITED,
            requests: UNLIMITED,
            retries: UNLIMITED,
            idle: Duration::from_secs(idle),
            lifetime: Duration::from_secs(3600),
            requests_per_connection: 0,
            preconnect: 1.0,
            keepalive: Duration::from_secs(30),
        }
    }
}

impl Default for Balance {
    fn default() -> Self {
        Balance {
            policy: BalancePolicy::LeastRequest,
            slow_start: Duration::ZERO,
            eject_after: 3,
            eject_for: Duration::from_secs(10),
        }
    }
}
