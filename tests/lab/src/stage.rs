//! The set-up of `demo` and `run`: three stubs as child processes, Envoy with the module in front of them.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use dualpath::cli::render::to_yaml;

use super::client::Client;
use super::envoy::{Envoy, Settings};
use super::registry::Builder;
use super::scratch::Scratch;
use super::stub::{Config, Process};

/// Everything that runs. Dropping it stops everything.
#[derive(Debug)]
pub struct Stage {
    /// The MCP server that is asked first.
    pub primary: Server,
    /// The MCP server that is asked when the primary fails.
    pub secondary: Server,
    /// The direct path.
    pub rest: Server,
    /// Envoy with the module.
    pub envoy: Envoy,
    /// The registry that it runs, as an operator writes it.
    pub registry: String,
}

/// A stub that can die and be started again on the same port.
#[derive(Debug)]
pub struct Server {
    program: PathBuf,
    config: Config,
    process: Process,
}

impl Server {
    fn start(program: &Path, config: Config) -> io::Result<Server> {
        let process = Process::spawn(program, &config)?;
        let config = Config { port: process.addr.port(), ..config };
        Ok(Server { program: program.to_owned(), config, process })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// `http://127.0.0.1:port` and `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.process.addr)
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Kills the process.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()
    }

    /// Starts it anew on its old port.
    pub fn restart(&mut self) -> io::Result<()> {
        self.process = Process::spawn(&self.program, &self.config)?;
        Ok(())
    }
}

impl Stage {
    /// Starts everything. `program` is `dualpath-lab` itself, `module` the .wasm, `ports` those that Envoy takes if it can.
    ///
    /// # Errors
    /// When a process cannot be started, or Envoy does not get ready.
    pub async fn raise(program: &Path, module: &Path, ports: Option<(u16, u16)>) -> Result<Stage, Box<dyn Error>> {
        Stage::raise_with(program, module, ports, |registry| registry).await
    }

    /// The same under a changed registry.
    ///
    /// # Errors
    /// As [`Stage::raise`].
    pub async fn raise_with(
        program: &Path,
        module: &Path,
        ports: Option<(u16, u16)>,
        change: impl FnOnce(Builder) -> Builder,
    ) -> Result<Stage, Box<dyn Error>> {
        let module = module.canonicalize().map_err(|e| format!("the module {}: {e}", module.display()))?;
        let scratch = Arc::new(Scratch::new()?);
        let primary = Server::start(program, Config::mcp("primary").token("demo-pat-of-primary"))?;
        let secondary = Server::start(program, Config::mcp("secondary").token("demo-pat-of-secondary"))?;
        let rest = Server::start(program, Config::rest("rest").token("demo-pat-of-rest"))?;
        // The secondary's secret comes from a file, the others' from the environment, so that both ways are seen.
        let file = scratch.write_secret("pat-secondary.json", "secondary-pat-a", "demo-pat-of-secondary")?;
        let registry = Builder::new(&module)
            .set("/drill", json!({"enabled": true}))
            .set("/breaker", json!({"consecutive": 5, "base_open": "1s", "max_open": "10s", "ramp": "1s"}))
            .credential("primary-pat", json!({"a": {"env": "DEMO_PAT_PRIMARY"}}))
            .credential("secondary-pat", json!({"a": {"sds_file": file}}))
            .credential("rest-pat", json!({"a": {"env": "DEMO_PAT_REST"}}))
            .mcp("primary", "primary", &primary.url("/mcp"), Some("primary-pat"))
            .mcp("secondary", "secondary", &secondary.url("/mcp"), Some("secondary-pat"))
            .rest("rest", &rest.url(""), Some("rest-pat"))
            .stub_tools(Some("rest"));
        let registry = change(registry);
        let env = [("DEMO_PAT_PRIMARY", "demo-pat-of-primary"), ("DEMO_PAT_REST", "demo-pat-of-rest")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let envoy = Envoy::launch(&registry, &scratch, &Settings { env, ports, ..Settings::default() }).await?;
        let registry = registry.ports(envoy.addr().port(), envoy.admin_addr().port());
        let registry = to_yaml(registry.tree())?;
        fs::write(scratch.path().join("registry.yaml"), &registry)?;
        Ok(Stage { primary, secondary, rest, envoy, registry })
    }

    /// A client of Envoy.
    pub fn client(&self) -> Client {
        Client::new(self.envoy.addr(), "/mcp")
    }

    /// What someone with curl needs to know.
    pub fn directions(&self) -> String {
        let endpoint = self.envoy.url("/mcp");
        let admin = self.envoy.admin_addr();
        let stub = |server: &Server| format!("  {:<10}{}\n", server.name(), server.url("/_received"));
        let files = self.envoy.scratch().path().display();
        format!(
            "The registry ({files}/registry.yaml):\n\n{}\n\
             MCP endpoint  {endpoint}\n\
             admin         http://{admin}/stats/prometheus\n\
             stubs (what each has received; steer one with POST /_control {{\"behaviour\": {{\"do\": \"status\", \"status\": 503}}}}):\n\
             {}{}{}\
             a call:\n  \
             curl -s {endpoint} -H 'content-type: application/json' -H 'accept: application/json, text/event-stream' \\\n    \
             -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"search\",\"arguments\":{{\"query\":\"snow\"}}}}}}'\n\
             the kill switch:\n  \
             curl -X POST 'http://{admin}/runtime_modify?dualpath.mcp_enabled=0'\n\
             bootstrap and log: {files}",
            self.registry.lines().map(|line| format!("  {line}\n")).collect::<String>(),
            stub(&self.primary),
            stub(&self.secondary),
            stub(&self.rest),
        )
    }
}
