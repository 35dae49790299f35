//! Envoy with some of the contestants in it.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use dualpath::cli::render;
use dualpath::registry::Registry;
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use super::contestants::{self, Contestant};
use super::upstream::Upstream;
use crate::envoy::{Envoy, Settings, StartError, free_ports};
use crate::scratch::Scratch;

/// What is the same for every Envoy of the benchmark.
pub(super) struct Surroundings {
    module: PathBuf,
    noop: PathBuf,
    upstream: Upstream,
    /// Holds a port on which connections are refused.
    refusing: TcpSocket,
}

/// A running Envoy.
pub(super) struct Running {
    pub(super) envoy: Envoy,
    addresses: Vec<(Contestant, SocketAddr)>,
}

impl Surroundings {
    /// Starts the server behind all contestants. `module` and `noop` must exist.
    pub(super) fn new(module: PathBuf, noop: PathBuf, upstream: Upstream) -> io::Result<Self> {
        let refusing = TcpSocket::new_v4()?;
        refusing.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Surroundings { module, noop, upstream, refusing })
    }

    /// Starts Envoy with these contestants and `concurrency` worker threads.
    pub(super) async fn start(
        &self,
        contestants: &[Contestant],
        concurrency: u32,
    ) -> Result<Running, Box<dyn Error + Send + Sync>> {
        let scratch = Arc::new(Scratch::new()?);
        let settings = Settings { concurrency, env: contestants::environment(), ..Settings::default() };
        let mut tries = 0;
        let envoy = loop {
            let ports = free_ports()?;
            let bootstrap = self.bootstrap(contestants, ports)?.to_string();
            match Envoy::start(&bootstrap, Arc::clone(&scratch), ports, &settings).await {
                Err(StartError::PortTaken) if tries < 3 => tries += 1,
                started => break started?,
            }
        };
        let listeners: Value = serde_json::from_str(&envoy.admin("/listeners?format=json").await?)?;
        let address = |contestant: Contestant| {
            let name = if contestant == Contestant::Dualpath { "mcp" } else { contestant.name() };
            let statuses = listeners["listener_statuses"].as_array()?;
            let status = statuses.iter().find(|status| status["name"] == name)?;
            let port = status["local_address"]["socket_address"]["port_value"].as_u64()?;
            Some((contestant, SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).ok()?))))
        };
        let addresses = contestants.iter().filter_map(|contestant| address(*contestant)).collect();
        Ok(Running { envoy, addresses })
    }

    fn bootstrap(&self, contestants: &[Contestant], (listener, admin): (u16, u16)) -> Result<Value, StartError> {
        let mut bootstrap = if contestants.contains(&Contestant::Dualpath) {
            let refusing = self.refusing.local_addr()?;
            let builder = contestants::registry(&self.module, self.upstream.addr, refusing).ports(listener, admin);
            let registry = Registry::from_wire(builder.tree())
                .map_err(|problems| StartError::Registry(problems.iter().map(|p| format!("{p}\n")).collect()))?;
            render::bootstrap(&registry, builder.tree())
        } else {
            json!({
                "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
                "static_resources": {"listeners": [], "clusters": []},
            })
        };
        let resources = &mut bootstrap["static_resources"];
        resources["secrets"] = json!([contestants::secret()]);
        for contestant in contestants.iter().filter(|contestant| **contestant != Contestant::Dualpath) {
            let (listener, cluster) = contestants::configuration(*contestant, self.upstream.addr, &self.noop);
            for (list, item) in [("listeners", listener), ("clusters", cluster)] {
                if let Value::Array(items) = &mut resources[list] {
                    items.push(item);
                }
            }
        }
        Ok(bootstrap)
    }
}

impl Running {
    /// Where a contestant listens.
    pub(super) fn addr(&self, contestant: Contestant) -> Result<SocketAddr, String> {
        let found = self.addresses.iter().find(|(at, _)| *at == contestant);
        found.map(|(_, addr)| *addr).ok_or_else(|| format!("Envoy has no listener for {}", contestant.name()))
    }
}
