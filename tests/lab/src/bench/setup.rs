//! Envoy with some of the contestants in it.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpSocket;

use super::contestants::{Contestant, Kind, PAT};
use super::rendered::{self, Places};
use super::upstream::Upstream;
use super::{load::Failure, plain};
use crate::envoy::{Envoy, Settings, StartError, free_ports};
use crate::scratch::Scratch;

/// What is the same for every Envoy of the benchmark.
pub(super) struct Surroundings {
    upstream: Upstream,
    /// Holds a port on which connections are refused.
    refusing: TcpSocket,
    /// The contestants' secrets. Not where Envoy's own files are: it watches this directory.
    secrets: Scratch,
}

/// A running Envoy.
pub(super) struct Running {
    pub(super) envoy: Envoy,
    /// From the start of the process until it said that it was ready.
    pub(super) start: Duration,
    addresses: Vec<(&'static str, SocketAddr)>,
}

impl Surroundings {
    pub(super) fn new(upstream: Upstream) -> io::Result<Self> {
        let refusing = TcpSocket::new_v4()?;
        refusing.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Surroundings { upstream, refusing, secrets: Scratch::new()? })
    }

    /// Starts Envoy with these contestants and `concurrency` worker threads.
    pub(super) async fn start(&self, contestants: &[Contestant], concurrency: u32) -> Result<Running, Failure> {
        let scratch = Arc::new(Scratch::new()?);
        let settings = Settings { concurrency, ..Settings::default() };
        let mut tries = 0;
        let (envoy, start) = loop {
            let ports = free_ports()?;
            let bootstrap = self.bootstrap(contestants, ports.1)?.to_string();
            let begun = Instant::now();
            match Envoy::start(&bootstrap, Arc::clone(&scratch), ports, &settings).await {
                Err(StartError::PortTaken) if tries < 3 => tries += 1,
                started => break (started?, begun.elapsed()),
            }
        };
        let addresses = addresses(&envoy, contestants).await?;
        Ok(Running { envoy, start, addresses })
    }

    fn bootstrap(&self, contestants: &[Contestant], admin: u16) -> Result<Value, StartError> {
        let mut bootstrap = json!({
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
            "static_resources": {"secrets": [plain::secret()]},
        });
        for Contestant { name, kind } in contestants {
            if let Kind::Rendered(module, registry) = kind {
                let (_, secret) = rendered::credential(name);
                let secret = self.secrets.write_secret(&format!("{secret}.json"), &secret, PAT)?;
                let (upstream, refusing) = (self.upstream.addr, self.refusing.local_addr()?);
                let places = Places { upstream, refusing, secret: &secret };
                rendered::add(&mut bootstrap, name, module, *registry, &places)?;
            } else {
                plain::add(&mut bootstrap["static_resources"], name, kind, self.upstream.addr);
            }
        }
        Ok(bootstrap)
    }
}

async fn addresses(
    envoy: &Envoy,
    contestants: &[Contestant],
) -> Result<Vec<(&'static str, SocketAddr)>, Box<dyn Error + Send + Sync>> {
    let listeners: Value = serde_json::from_str(&envoy.admin("/listeners?format=json").await?)?;
    let statuses = listeners["listener_statuses"].as_array().map(Vec::as_slice).unwrap_or_default();
    let address = |contestant: &Contestant| {
        let status = statuses.iter().find(|status| status["name"] == contestant.name)?;
        let port = status["local_address"]["socket_address"]["port_value"].as_u64()?;
        Some((contestant.name, SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).ok()?))))
    };
    Ok(contestants.iter().filter_map(address).collect())
}

impl Running {
    /// Where a contestant listens.
    pub(super) fn addr(&self, contestant: &str) -> Result<SocketAddr, String> {
        let found = self.addresses.iter().find(|(name, _)| *name == contestant);
        found.map(|(_, addr)| *addr).ok_or_else(|| format!("Envoy has no listener for {contestant}"))
    }
}
