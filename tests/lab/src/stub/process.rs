//! A stub as a child process, for what must really die.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::ValueEnum;

use super::journal::now_ms;
use super::{Config, Control, Framing, Kind, Received, Sessions, Stub};
use crate::http;

/// Environment variable with the bearer tokens that the child accepts, commas between. Arguments can be read by every user.
const TOKENS: &str = "DUALPATH_LAB_STUB_TOKEN";

/// A running child. It ends when it is dropped, and when this process ends in whatever way: its input closes then.
#[derive(Debug)]
pub struct Process {
    /// Where it listens.
    pub addr: SocketAddr,
    child: Child,
}

impl Process {
    /// Starts `dualpath-lab stub` (the binary at `program`) and waits for its port. Of the configuration everything is passed
    /// on but `first_session`, which is another one with every start.
    pub fn spawn(program: &Path, config: &Config) -> io::Result<Process> {
        let kind = match config.kind {
            Kind::Mcp => "mcp",
            Kind::Rest => "rest",
        };
        let mut command = Command::new(program);
        command.args(["stub", "--kind", kind, "--name", &config.name, "--port", &config.port.to_string()]);
        if config.framing == Framing::Json {
            command.arg("--json");
        }
        if let Some(sessions) = config.sessions.to_possible_value().filter(|_| config.sessions != Sessions::None) {
            command.args(["--sessions", sessions.get_name()]);
        }
        if let Some(journal) = &config.journal {
            command.arg("--journal").arg(journal);
        }
        let mut child =
            command.env(TOKENS, config.tokens.join(",")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        match line.trim().parse() {
            Ok(addr) => Ok(Process { addr, child }),
            Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(io::Error::other(format!("the stub {} did not start", config.name)))
            }
        }
    }

    /// Kills it: no goodbye, its connections are reset.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Stops it in its tracks (SIGSTOP): the kernel still accepts connections for it, and nobody answers.
    pub fn freeze(&self) -> io::Result<()> {
        self.signal("STOP")
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) -> io::Result<()> {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> io::Result<()> {
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill -{name}: {status}"))) }
    }

    /// Every request it has received.
    pub async fn received(&self) -> Result<Vec<Received>, http::Error> {
        let answer = http::request(self.addr, "GET", "/_received", &[], "").await?;
        Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    /// Gives it an order.
    pub async fn control(&self, order: &Control) -> Result<(), http::Error> {
        let order = serde_json::to_string(order).unwrap_or_default();
        http::request(self.addr, "POST", "/_control", &[], order).await.map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// The child's side: a stub that prints its address and runs until its input closes, at most for `lifetime`.
pub async fn run(config: Config, lifetime: Duration) -> io::Result<()> {
    let tokens = std::env::var(TOKENS).unwrap_or_default();
    let tokens = tokens.split(',').filter(|token| !token.is_empty()).map(str::to_owned).collect();
    let stub = Stub::start(Config { tokens, first_session: now_ms(), ..config }).await?;
    println!("{}", stub.addr);
    let (mut input, mut nowhere) = (tokio::io::stdin(), tokio::io::sink());
    let _ = tokio::time::timeout(lifetime, tokio::io::copy(&mut input, &mut nowhere)).await;
    Ok(())
}
