//! A real Envoy as a child process.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dualpath::cli::render;
use dualpath::registry::Registry;
use dualpath::telemetry::FAMILIES;
use serde_json::Value;

use super::http;
use super::in_tree;
use super::metrics::Metrics;
use super::registry::Builder;
use super::scratch::Scratch;

/// By when the filter has told Envoy what it has counted: it does so five times per second.
pub const TOLD: Duration = Duration::from_millis(400);

/// Longest wait for Envoy to serve; wasm compilation takes most of it.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How to start Envoy.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Worker threads.
    pub concurrency: u32,
    /// Environment variables to add, for instance the secrets of credentials.
    pub env: Vec<(String, String)>,
    /// Envoy's log level; the module's own messages are always shown from `debug` on, or at `trace` too if that is the level.
    pub log_level: String,
    /// The form of its log lines; Envoy's own if there is none.
    pub log_format: Option<String>,
    /// How long what an update has replaced may take to drain; Envoy's ten minutes if there is none.
    pub drain_seconds: Option<u32>,
    /// What is put on top of the bootstrap.
    pub config_yaml: Option<String>,
    /// The ports of listener and admin interface, if both are free; others if there are none.
    pub ports: Option<(u16, u16)>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            concurrency: 2,
            env: Vec::new(),
            log_level: "info".to_owned(),
            log_format: None,
            drain_seconds: None,
            config_yaml: None,
            ports: None,
        }
    }
}

/// Why Envoy does not serve.
#[derive(Debug)]
pub enum StartError {
    /// No binary: neither `ENVOY`, nor what `make envoy` installs, nor on the `PATH`.
    NoBinary,
    /// The registry is refused. With every problem.
    Registry(String),
    /// Another process has taken one of the ports.
    PortTaken,
    /// It ended, or did not get ready in time. With the end of its log.
    NotReady(String),
    /// A file or the process could not be made.
    Io(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::NoBinary => f.write_str("no Envoy: run `make envoy`, or set ENVOY, or put it on the PATH"),
            StartError::Registry(problems) => write!(f, "the registry is refused:\n{problems}"),
            StartError::PortTaken => f.write_str("a port that was free a moment ago is taken"),
            StartError::NotReady(log) => write!(f, "Envoy did not get ready; its log ends with\n{log}"),
            StartError::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        StartError::Io(error)
    }
}

/// A running Envoy. Dropping it kills the process and removes its directory, unless the thread is panicking: then the
/// directory stays and its place is printed.
#[derive(Debug)]
pub struct Envoy {
    child: Child,
    scratch: Arc<Scratch>,
    listener: SocketAddr,
    admin: SocketAddr,
}

impl Envoy {
    /// Renders the registry with free ports and starts Envoy with it. Files that the registry names (secrets) are the
    /// caller's, in `scratch`.
    pub async fn launch(registry: &Builder, scratch: &Arc<Scratch>, settings: &Settings) -> Result<Envoy, StartError> {
        let mut tries = 0;
        loop {
            let wanted = settings.ports.filter(|(listener, admin)| tries == 0 && is_free(*listener) && is_free(*admin));
            let (listener, admin) = wanted.map_or_else(free_ports, Ok)?;
            let bootstrap = render(&registry.clone().ports(listener, admin))?.to_string();
            match Envoy::start(&bootstrap, Arc::clone(scratch), (listener, admin), settings).await {
                Err(StartError::PortTaken) if tries < 3 => tries += 1,
                started => return started,
            }
        }
    }

    /// Writes `bootstrap` into `scratch`, starts Envoy with it and waits until it serves.
    pub async fn start(
        bootstrap: &str,
        scratch: Arc<Scratch>,
        (listener, admin): (u16, u16),
        settings: &Settings,
    ) -> Result<Envoy, StartError> {
        let binary = find_binary().ok_or(StartError::NoBinary)?;
        let config = scratch.path().join("bootstrap.yaml");
        fs::write(&config, bootstrap)?;
        let log = File::create(scratch.path().join("envoy.log"))?;
        let child = Command::new(binary)
            .arg("--config-path")
            .arg(&config)
            // Parallel Envoys would otherwise meet in the shared memory that hot restart uses.
            .arg("--disable-hot-restart")
            .args(["--concurrency", &settings.concurrency.to_string(), "--log-level", &settings.log_level])
            .args(["--component-log-level", if settings.log_level == "trace" { "wasm:trace" } else { "wasm:debug" }])
            .args(settings.drain_seconds.iter().flat_map(|s| ["--drain-time-s".to_owned(), s.to_string()]))
            .args(settings.log_format.iter().flat_map(|format| ["--log-format", format]))
            .args(settings.config_yaml.iter().flat_map(|over| ["--config-yaml", over]))
            .env_remove("MCP_SNOWFLAKE_ENABLED")
            .envs(settings.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut envoy = Envoy { child, scratch, listener: local(listener), admin: local(admin) };
        envoy.wait_until_ready().await?;
        Ok(envoy)
    }

    async fn wait_until_ready(&mut self) -> Result<(), StartError> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                let log = self.logs();
                let taken = log.contains("Address already in use");
                return Err(if taken { StartError::PortTaken } else { StartError::NotReady(end_of(&log)) });
            }
            let ready = http::request(self.admin, "GET", "/ready", &[], "").await;
            if ready.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.listener
    }

    /// The address of the admin interface.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// `http://address` and `path` of the listener.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listener)
    }

    /// Envoy's process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where its files are: bootstrap, log, secrets.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// The body of `GET path` on the admin interface.
    pub async fn admin(&self, path: &str) -> Result<String, http::Error> {
        Ok(http::request(self.admin, "GET", path, &[], "").await?.text())
    }

    /// The metrics now. Envoy's histograms move every flush interval, counters and gauges at once.
    pub async fn metrics(&self) -> Result<Metrics, http::Error> {
        Ok(Metrics::parse(&self.admin("/stats/prometheus").await?))
    }

    /// Polls the metrics until `holds`, for at most ten seconds; returns the last reading and whether it held.
    pub async fn metrics_until(&self, holds: impl Fn(&Metrics) -> bool) -> Result<(Metrics, bool), http::Error> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let metrics = self.metrics().await?;
            let held = holds(&metrics);
            if held || Instant::now() > deadline {
                return Ok((metrics, held));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The metrics once everything counted so far has been told: once two readings, [`TOLD`] apart, are the same. Not while
    /// there is traffic: then the last reading of ten seconds has to do.
    pub async fn metrics_settled(&self) -> Result<Metrics, http::Error> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut before = self.metrics().await?;
        loop {
            tokio::time::sleep(TOLD).await;
            let metrics = self.metrics().await?;
            let own = |metrics: &Metrics| -> Vec<_> {
                let series = FAMILIES.iter().flat_map(|family| metrics.series(family.name, &[]));
                series.map(|(series, value)| (series.to_owned(), value)).collect()
            };
            if own(&metrics) == own(&before) || Instant::now() > deadline {
                return Ok(metrics);
            }
            before = metrics;
        }
    }

    /// Overrides a runtime key.
    pub async fn modify_runtime(&self, key: &str, value: &str) -> Result<(), http::Error> {
        let path = format!("/runtime_modify?{key}={value}");
        http::request(self.admin, "POST", &path, &[], "").await.map(drop)
    }

    /// Everything it has logged so far.
    pub fn logs(&self) -> String {
        let bytes = fs::read(self.scratch.path().join("envoy.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bootstrap for a registry, by the same way as the operator's tool takes.
pub(super) fn render(builder: &Builder) -> Result<Value, StartError> {
    let wire = builder.tree();
    let registry = Registry::from_wire(wire).map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        StartError::Registry(problems.join("\n"))
    })?;
    Ok(render::bootstrap(&registry, wire))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Two ports that nobody listens on. They are only known to have been free: a start that finds one taken is repeated.
pub fn free_ports() -> io::Result<(u16, u16)> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let second = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok((first.local_addr()?.port(), second.local_addr()?.port()))
}

/// The Envoy to use: `ENVOY`, else what `make envoy` installs, else the first on the `PATH`.
fn find_binary() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("ENVOY") {
        return Some(path.into());
    }
    let fetched = in_tree("build/tools/envoy/bin/envoy");
    if fetched.exists() {
        return Some(fetched);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join("envoy")).find(|file| file.is_file())
}

/// The last 30 lines.
fn end_of(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
