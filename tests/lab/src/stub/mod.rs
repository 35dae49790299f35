//! Stub upstreams: small real HTTP servers that answer like a managed MCP server or like its REST API, fail on command
//! and remember every request.
//!
//! A [`Stub`] lives in the test's process; `dualpath-lab stub` runs the same thing as a child process, which is then
//! steered with `POST /_control` ([`Control`]) and asked with `GET /_received`.

mod answer;
mod behaviour;
pub mod journal;
mod mcp;
mod message;
mod padding;
mod process;
mod record;
mod server;
mod shared;
mod snowflake;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::sync::watch;

pub use behaviour::{Behaviour, Control};
pub use padding::{PADDING, padding};
pub use process::{Process, run as run_process};
pub use record::{End, Received};

use record::Recorder;
use shared::Shared;

/// What a stub pretends to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A managed MCP server at any path that ends in `/mcp` or has `/mcp-servers/` in it.
    Mcp,
    /// The REST API behind it: search, SQL statements, `inference:complete`.
    Rest,
}

/// How an MCP stub frames the answers to `tools/call`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// An event stream that ends with `data: [DONE]`, as Snowflake sends since August 2026.
    Sse,
    /// One JSON object.
    Json,
}

/// Whether an MCP stub has sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Sessions {
    /// None: every request stands alone.
    None,
    /// `initialize` issues `Mcp-Session-Id`; a request with an unknown one gets 404, as from the Python SDK.
    NotFound,
    /// The same, but the refusal is 400 with a text about the session, as from the TypeScript SDK.
    BadRequest,
    /// For those who want one: a request that comes without a session is answered, unless it says by [`CLIENT`] that its
    /// client is in one. An unknown session gets 404. In a session GET opens a stream.
    Offered,
    /// The same, but the refusal is 400.
    OfferedBadRequest,
}

/// The header by which a client tells these servers who it is: a word that the [`journal`] notes.
pub const CLIENT: &str = "x-lab-client";

/// How to start a stub.
#[derive(Debug, Clone)]
pub struct Config {
    /// Shown in its answers, so that a client sees who answered.
    pub name: String,
    /// What it pretends to be.
    pub kind: Kind,
    /// Framing of tool results (MCP).
    pub framing: Framing,
    /// Sessions (MCP).
    pub sessions: Sessions,
    /// Tools that it doesn't have, of those that stubs know (MCP).
    pub lacks: Vec<String>,
    /// Bearer tokens accepted; when empty, any or none.
    pub tokens: Vec<String>,
    /// The number of the first session that it issues. One that comes back must not issue an id once more.
    pub first_session: u64,
    /// Port on 127.0.0.1; 0 picks a free one.
    pub port: u16,
    /// A file for its [`journal`]. It then keeps no requests in memory.
    pub journal: Option<PathBuf>,
}

impl Config {
    /// A sessionless MCP server that answers tool calls as event streams.
    pub fn mcp(name: &str) -> Self {
        Config {
            name: name.to_owned(),
            kind: Kind::Mcp,
            framing: Framing::Sse,
            sessions: Sessions::None,
            lacks: Vec::new(),
            tokens: Vec::new(),
            first_session: 1,
            port: 0,
            journal: None,
        }
    }

    /// The REST API.
    pub fn rest(name: &str) -> Self {
        Config { kind: Kind::Rest, ..Config::mcp(name) }
    }

    /// Answers tool calls as JSON.
    pub fn json(self) -> Self {
        Config { framing: Framing::Json, ..self }
    }

    /// Has sessions.
    pub fn sessions(self, sessions: Sessions) -> Self {
        Config { sessions, ..self }
    }

    /// Has all tools but these.
    pub fn without(self, tools: &[&str]) -> Self {
        Config { lacks: tools.iter().map(|&tool| tool.to_owned()).collect(), ..self }
    }

    /// Accepts only this bearer token.
    pub fn token(self, token: &str) -> Self {
        Config { tokens: vec![token.to_owned()], ..self }
    }
}

/// A running stub. Dropping it closes its port and resets its connections.
#[derive(Debug)]
pub struct Stub {
    /// Where it listens.
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    /// Holds the port without listening, so that nobody else gets it while the stub is stopped.
    _port: TcpSocket,
    running: Mutex<Option<watch::Sender<()>>>,
}

impl Stub {
    /// Starts a stub inside the current tokio runtime.
    pub async fn start(config: Config) -> io::Result<Stub> {
        let port = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, config.port)))?;
        let addr = port.local_addr()?;
        let shared = Arc::new(Shared::new(config, Recorder::new())?);
        let stub = Stub { addr, shared, _port: port, running: Mutex::new(None) };
        stub.resume()?;
        Ok(stub)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.config.name
    }

    /// What it pretends to be.
    pub fn kind(&self) -> Kind {
        self.shared.config.kind
    }

    /// `http://127.0.0.1:port` and `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// Behaves so from now on.
    pub fn set(&self, behaviour: Behaviour) {
        self.control(Control { behaviour: Some(behaviour), ..Control::default() });
    }

    /// Behaves so for the next `times` requests, then normally again.
    pub fn set_for(&self, times: u32, behaviour: Behaviour) {
        self.control(Control { behaviour: Some(behaviour), times: Some(times), ..Control::default() });
    }

    /// Accepts only these bearer tokens from now on; anything when the list is empty.
    pub fn accept(&self, tokens: &[&str]) {
        let tokens = tokens.iter().map(|&t| t.to_owned()).collect();
        self.control(Control { tokens: Some(tokens), ..Control::default() });
    }

    /// Forgets every session, as a restarted server does.
    pub fn forget_sessions(&self) {
        self.control(Control { forget_sessions: true, ..Control::default() });
    }

    /// Carries out an order.
    pub fn control(&self, order: Control) {
        self.shared.control(order);
    }

    /// Every request so far, in order of arrival.
    pub fn received(&self) -> Vec<Received> {
        self.shared.recorder.all()
    }

    /// How many `tools/call` requests (MCP) or requests of any sort (REST) have arrived.
    pub fn calls(&self) -> usize {
        let received = self.received();
        match self.shared.config.kind {
            Kind::Mcp => received.iter().filter(|r| r.rpc_method.as_deref() == Some("tools/call")).count(),
            Kind::Rest => received.len(),
        }
    }

    /// Waits until a received request satisfies `wanted`; panics with the list after five seconds.
    pub async fn wait_for(&self, wanted: impl Fn(&Received) -> bool) -> Received {
        for _ in 0..500 {
            if let Some(found) = self.received().into_iter().find(&wanted) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("stub {}: no request as awaited in {:#?}", self.name(), self.received());
    }

    /// Dies: open connections are reset and new ones refused, until [`Stub::resume`]. The port stays reserved.
    pub async fn stop(&self) -> io::Result<()> {
        let Some(running) = self.running.lock().unwrap().take() else { return Ok(()) };
        let _ = running.send(());
        running.closed().await;
        Ok(())
    }

    /// Comes back on the same port.
    pub fn resume(&self) -> io::Result<()> {
        let mut running = self.running.lock().unwrap();
        if running.is_some() {
            return Ok(());
        }
        let (stop, stopped) = watch::channel(());
        tokio::spawn(server::serve(bind(self.addr)?.listen(1024)?, Arc::clone(&self.shared), stopped));
        *running = Some(stop);
        Ok(())
    }
}

/// A free port on 127.0.0.1, kept from everybody but a stub that is told to use it for as long as the socket lives. A
/// connection to it is refused while there is no such stub.
pub fn reserve_port() -> io::Result<(TcpSocket, u16)> {
    let socket = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let port = socket.local_addr()?.port();
    Ok((socket, port))
}

/// A socket that holds `addr`, together with others of this kind, and does not listen yet.
fn bind(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(addr)?;
    Ok(socket)
}
