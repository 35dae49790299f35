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
use crate::stub::{Behaviour, Config, Control, Kind, Process, reserve_port};

/// The servers in the order of the registry: three that speak MCP, framed differently, and the direct path.
pub(super) const SERVERS: [(&str, Kind); 4] =
    [("primary", Kind::Mcp), ("secondary", Kind::Mcp), ("tertiary", Kind::Mcp), ("rest", Kind::Rest)];

/// A server's secret.
pub(super) fn secret(name: &str) -> String {
    format!("{MARK}pat-of-{name}")
}

/// When each server was well; shared by those who make it ill and those who judge.
pub(super) type Health = Arc<Mutex<BTreeMap<String, Times>>>;

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
            Kind::Mcp if name == "secondary" => Config::mcp(name).json(),
            Kind::Mcp => Config::mcp(name),
            Kind::Rest => Config::rest(name),
        };
        let config =
            Config { port, journal: Some(folder.join(format!("{name}.journal"))), ..config.token(&secret(name)) };
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
    pub(super) async fn suffer(&mut self, fault: &Fault, health: &Health) -> Result<(), Box<dyn Error>> {
        if !fault.is_harmless(TIMEOUT_MS) {
            health.lock().unwrap().entry(self.config.name.clone()).or_default().end(now_ms());
        }
        match fault {
            Fault::Killed => self.process.kill()?,
            Fault::Stopped => self.process.freeze()?,
            Fault::Misbehaves { behaviour, percent } => self.order(behaviour.clone(), Some(*percent)).await?,
        }
        Ok(())
    }

    /// Ends its suffering. It is well once that is confirmed.
    pub(super) async fn recover(&mut self, fault: &Fault, health: &Health) -> Result<(), Box<dyn Error>> {
        match fault {
            Fault::Killed => {
                self.process = tokio::task::block_in_place(|| Process::spawn(&self.program, &self.config))?
            }
            Fault::Stopped => self.process.thaw()?,
            Fault::Misbehaves { .. } => {}
        }
        self.order(Behaviour::Normal, None).await?;
        health.lock().unwrap().entry(self.config.name.clone()).or_default().begin(now_ms());
        Ok(())
    }

    async fn order(&self, behaviour: Behaviour, percent: Option<u8>) -> Result<(), Box<dyn Error>> {
        Ok(self.process.control(&Control { behaviour: Some(behaviour), percent, ..Control::default() }).await?)
    }
}
