//! The servers under chaos: stubs as child processes, each with its journal, and the orders that make them suffer.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::net::TcpSocket;

use super::TIMEOUT_MS;
use super::schedule::Fault;
use super::timeline::Times;
use crate::stub::journal::{self, Entry, MARK, now_ms};
use crate::stub::{Behaviour, Config, Control, Kind, Process, Sessions, reserve_port};

/// The servers in the order of the registry: three that speak MCP, framed differently, and the direct path.
pub(super) const SERVERS: [(&str, Kind); 4] =
    [("primary", Kind::Mcp), ("secondary", Kind::Mcp), ("tertiary", Kind::Mcp), ("rest", Kind::Rest)];

/// Whether a server has sessions, for clients that want one.
pub(super) fn has_sessions(name: &str) -> bool {
    matches!(name, "primary" | "secondary")
}

/// The slots of every server's credential.
pub(super) const SLOTS: [&str; 2] = ["a", "b"];

/// The secret in a slot of a server's credential.
pub(super) fn secret(name: &str, slot: &str) -> String {
    format!("{MARK}pat-{slot}-of-{name}")
}

/// How each server was and when, by its name.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// When it was well.
    pub well: BTreeMap<String, Times>,
    /// When nobody could connect to it.
    pub dead: BTreeMap<String, Times>,
}

/// Shared by those who make servers ill and those who judge.
pub(super) type SharedHealth = Arc<Mutex<Health>>;

/// One server.
pub(super) struct Server {
    program: PathBuf,
    config: Config,
    process: Process,
    /// Keeps the port while the process is dead.
    _port: TcpSocket,
}

impl Server {
    /// Starts a server. Its journal is in `folder`.
    pub(super) fn start(program: &Path, folder: &Path, name: &str, kind: Kind) -> Result<Server, Box<dyn Error>> {
        let (reserved, port) = reserve_port()?;
        let config = match kind {
            Kind::Mcp if name == "primary" => Config::mcp(name).sessions(Sessions::Offered),
            Kind::Mcp if name == "secondary" => Config::mcp(name).json().sessions(Sessions::OfferedBadRequest),
            Kind::Mcp => Config::mcp(name),
            Kind::Rest => Config::rest(name),
        };
        let tokens = SLOTS.map(|slot| secret(name, slot)).to_vec();
        let config = Config { port, tokens, journal: Some(folder.join(format!("{name}.journal"))), ..config };
        let process = Process::spawn(program, &config)?;
        Ok(Server { program: program.to_owned(), config, process, _port: reserved })
    }

    /// `http://127.0.0.1:port` and `path`.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.process.addr)
    }

    /// What it has received.
    pub(super) fn journal(&self) -> std::io::Result<Vec<Entry>> {
        self.config.journal.as_deref().map_or_else(|| Ok(Vec::new()), journal::read)
    }

    /// Makes it suffer. It is not well from before the first effect on.
    pub(super) async fn suffer(&mut self, fault: &Fault, health: &SharedHealth) -> Result<(), Box<dyn Error>> {
        let name = || self.config.name.clone();
        if !fault.is_harmless(TIMEOUT_MS) {
            health.lock().unwrap().well.entry(name()).or_default().end(now_ms());
        }
        match fault {
            Fault::Killed => {
                self.process.kill()?;
                health.lock().unwrap().dead.entry(name()).or_default().begin(now_ms());
            }
            Fault::Stopped => self.process.freeze()?,
            Fault::Forgets => self.control(&Control { forget_sessions: true, ..Control::default() }).await?,
            Fault::Refuses { a, b } => {
                let kept = SLOTS.iter().zip([a, b]).filter(|(_, refused)| !**refused);
                let mut tokens: Vec<_> = kept.map(|(slot, _)| secret(&self.config.name, slot)).collect();
                if tokens.is_empty() {
                    // With an empty list it would accept anything.
                    tokens.push("nobody's".to_owned());
                }
                self.control(&Control { tokens: Some(tokens), ..Control::default() }).await?;
            }
            Fault::Misbehaves { behaviour, percent } => self.order(behaviour.clone(), Some(*percent)).await?,
        }
        Ok(())
    }

    /// Ends its suffering. It is well once that is confirmed.
    pub(super) async fn recover(&mut self, fault: &Fault, health: &SharedHealth) -> Result<(), Box<dyn Error>> {
        match fault {
            Fault::Killed => {
                health.lock().unwrap().dead.entry(self.config.name.clone()).or_default().end(now_ms());
                self.process = tokio::task::block_in_place(|| Process::spawn(&self.program, &self.config))?
            }
            Fault::Stopped => self.process.thaw()?,
            Fault::Refuses { .. } => {
                let tokens = Some(self.config.tokens.clone());
                self.control(&Control { tokens, ..Control::default() }).await?;
            }
            Fault::Forgets | Fault::Misbehaves { .. } => {}
        }
        self.order(Behaviour::Normal, None).await?;
        health.lock().unwrap().well.entry(self.config.name.clone()).or_default().begin(now_ms());
        Ok(())
    }

    async fn order(&self, behaviour: Behaviour, percent: Option<u8>) -> Result<(), Box<dyn Error>> {
        self.control(&Control { behaviour: Some(behaviour), percent, ..Control::default() }).await
    }

    async fn control(&self, order: &Control) -> Result<(), Box<dyn Error>> {
        let told = self.process.control(order).await;
        told.map_err(|error| format!("{} does not take the order {order:?}: {error}", self.config.name).into())
    }
}
