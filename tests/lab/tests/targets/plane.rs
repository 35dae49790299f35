//! A control plane as a child process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything that a control plane is to bring about.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running control plane. Dropping it ends it, and what it has started.
pub struct Plane {
    child: Child,
    log: PathBuf,
}

impl Plane {
    /// Starts `command`, whose output goes to `log`.
    pub fn start(mut command: Command, log: &Path) -> Plane {
        let file = File::create(log).expect("a log");
        let copy = file.try_clone().expect("a log");
        let child = command.stdin(Stdio::null()).stdout(file).stderr(copy).spawn();
        let child = child.unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
        Plane { child, log: log.to_owned() }
    }

    /// Everything it has said.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = self.said();
            let lines: Vec<_> = said.lines().collect();
            eprintln!("the control plane's log ends with\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
        // Told to end, it ends the Envoy that it has started.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until `holds`; a panic with `what` if it never does.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The program of a control plane that `make targets` has built.
pub fn program(variable: &str) -> PathBuf {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set; `make targets` sets it")).into()
}

/// Runs a validator; what it has said, whatever its status.
pub fn said_by(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
