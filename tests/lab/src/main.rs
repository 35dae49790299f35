//! `dualpath-lab`: the demo, the same set-up left running, the benchmark, and single stub servers.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use dualpath_lab::bench;
use dualpath_lab::chaos;
use dualpath_lab::demo;
use dualpath_lab::image;
use dualpath_lab::load;
use dualpath_lab::panels;
use dualpath_lab::pools;
use dualpath_lab::report_speed;
use dualpath_lab::soak;
use dualpath_lab::stage::Stage;
use dualpath_lab::stub::{Config, Framing, Kind, Sessions, run_process};

/// Listener and admin interface as the documents' commands have them, so that these can be pasted as they are.
const READMES_PORTS: (u16, u16) = (10000, 9901);

#[derive(Parser)]
#[command(about = "Stub servers and Envoy with the Dualpath filter, to watch and to try")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Plays a story: servers die while calls flow. Exit status 1 if any call failed
    Demo(Module),
    /// Leaves the demo's set-up running for curl, until Ctrl-C
    Run(Module),
    /// Measures what the filter costs, next to other filters and none
    Bench {
        #[command(flatten)]
        module: Module,
        /// The module that does nothing
        #[arg(long, default_value = "build/noop.wasm")]
        noop: PathBuf,
        /// Another module for the same registry, to compare with in the same run
        #[arg(long)]
        other: Option<PathBuf>,
        /// Where the figures go as JSON
        #[arg(long, default_value = "build/bench.json")]
        json: PathBuf,
        /// A few seconds only: shows that everything works, its figures mean little
        #[arg(long)]
        quick: bool,
        /// CPU time per request only
        #[arg(long)]
        cpu_only: bool,
        /// Only what a call costs with more servers, tools and workers
        #[arg(long, conflicts_with = "cpu_only")]
        scale_only: bool,
    },
    /// Makes servers fail in every way while calls flow, and checks what must hold nevertheless. Exit status 1 if it did not
    Chaos {
        #[command(flatten)]
        module: Module,
        /// Decides which server suffers what, and when
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many calls
        #[arg(long, default_value_t = 100_000)]
        calls: u64,
        /// Where the figures go as JSON; the faults go next to it
        #[arg(long, default_value = "build/chaos.json")]
        json: PathBuf,
    },
    /// Opens and closes breakers and replaces configurations under load, and watches Envoy's memory. Exit status 1 if it
    /// grows, or a call failed that had to be answered
    Soak {
        #[command(flatten)]
        module: Module,
        /// How long
        #[arg(long, default_value_t = 90)]
        seconds: u64,
    },
    /// Measures what calls wait for a connection, at 100 calls a second. Exit status 1 if it is 100 ms or more
    Pools {
        #[command(flatten)]
        module: Module,
        /// How long, each pool
        #[arg(long, default_value_t = 20)]
        seconds: u64,
    },
    /// For `make load`: servers that take 150 ms and fail at random, and Envoy in front of them, until its input closes
    LoadStage {
        #[command(flatten)]
        module: Module,
        /// Decides which server fails how, and when
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Servers also hang
        #[arg(long)]
        hang: bool,
        /// Where Envoy writes the calls' log
        #[arg(long, default_value = "build/load.log")]
        log: PathBuf,
    },
    /// Writes a log of made-up calls and measures how long `dualpath report` takes for it, and with how much memory
    ReportSpeed(report_speed::Options),
    /// Plays a story of outages before a real Prometheus, and writes what the dashboards' queries say of it, for `make panels`
    Panels {
        #[command(flatten)]
        module: Module,
        /// How long each part of the story lasts
        #[arg(long, default_value_t = 20)]
        seconds: u64,
        /// Where it goes
        #[arg(long, default_value = "build/panels.json")]
        json: PathBuf,
    },
    /// Writes an OCI image as one file, for `make dist`
    Image {
        #[command(flatten)]
        about: image::About,
        /// Where it goes: an OCI image layout as tar
        #[arg(long)]
        output: PathBuf,
        #[command(subcommand)]
        kind: image::Kind,
    },
    /// The server behind the benchmark's proxies
    #[command(hide = true)]
    BenchUpstream,
    /// Runs one stub server on 127.0.0.1; prints its address; ends when its input closes
    Stub {
        /// What it pretends to be
        #[arg(long)]
        kind: Kind,
        /// Shown in its answers
        #[arg(long, default_value = "stub")]
        name: String,
        /// Port; 0 = a free one
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// Answers tool calls as JSON instead of event streams
        #[arg(long)]
        json: bool,
        /// Its sessions (MCP); without a value it issues them and refuses unknown ones with 404
        #[arg(long, value_enum, num_args = 0..=1, default_value = "none", default_missing_value = "not-found")]
        sessions: Sessions,
        /// Appends every request to this file instead of keeping it
        #[arg(long)]
        journal: Option<PathBuf>,
        /// Ends after this many seconds at the latest
        #[arg(long, default_value_t = 3600)]
        max_seconds: u64,
    },
}

#[derive(clap::Args)]
struct Module {
    /// The module (default: the environment's DUALPATH_WASM, else build/dualpath.wasm)
    #[arg(long)]
    wasm: Option<PathBuf>,
}

impl Module {
    fn path(self) -> PathBuf {
        let given = self.wasm.or_else(|| std::env::var_os("DUALPATH_WASM").map(PathBuf::from));
        given.unwrap_or_else(|| "build/dualpath.wasm".into())
    }
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failure(&error),
    };
    let done = runtime.block_on(execute(command));
    // A stub may still be reading its input, which nothing can interrupt.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure(error.as_ref()),
    }
}

fn failure(error: &dyn Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// Waits for Ctrl-C or for SIGTERM: both are to leave neither Envoy nor a stub behind.
async fn told_to_stop() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

async fn execute(command: Command) -> Result<(), Box<dyn Error>> {
    let program = std::env::current_exe()?;
    match command {
        Command::Demo(module) => {
            let module = module.path();
            // Ctrl-C ends the story early, but not without stopping Envoy and the stubs.
            tokio::select! {
                told = demo::run(&program, &module) => told,
                _ = told_to_stop() => Err("interrupted".into()),
            }
        }
        Command::Run(module) => {
            let stage = Stage::raise(&program, &module.path(), Some(READMES_PORTS)).await?;
            println!("{}\n\nCtrl-C stops everything.", stage.directions());
            Ok(told_to_stop().await?)
        }
        Command::Bench { module, noop, other, json, quick, cpu_only, scale_only } => {
            let options = bench::Options { module: module.path(), noop, other, json, quick, cpu_only, scale_only };
            // As above.
            tokio::select! {
                measured = bench::run(&program, &options) => measured.map_err(|error| error as Box<dyn Error>),
                _ = told_to_stop() => Err("interrupted".into()),
            }
        }
        Command::Chaos { module, seed, calls, json } => {
            let options = chaos::Options { module: module.path(), seed, calls, json, sabotage: false };
            // As above.
            tokio::select! {
                run = chaos::run(&program, &options) => match run? {
                    violations if violations.is_empty() => Ok(()),
                    _ => Err("what must hold did not".into()),
                },
                _ = told_to_stop() => Err("interrupted".into()),
            }
        }
        Command::Soak { module, seconds } => {
            let module = module.path();
            // As above.
            tokio::select! {
                soaked = soak::run(&module, Duration::from_secs(seconds)) => soaked,
                _ = told_to_stop() => Err("interrupted".into()),
            }
        }
        Command::Pools { module, seconds } => {
            let module = module.path();
            // As above.
            tokio::select! {
                measured = pools::run(&module, Duration::from_secs(seconds)) => measured,
                _ = told_to_stop() => Err("interrupted".into()),
            }
        }
        Command::LoadStage { module, seed, hang, log } => {
            let (module, log) = (module.path(), std::path::absolute(log)?);
            // As above.
            tokio::select! {
                staged = load::run(&program, &module, &log, seed, hang) => staged,
                _ = told_to_stop() => Ok(()),
            }
        }
        Command::ReportSpeed(options) => report_speed::run(&options),
        Command::Panels { module, seconds, json } => {
            let module = module.path();
            // As above.
            tokio::select! {
                told = panels::run(&module, Duration::from_secs(seconds), &json) => told,
                _ = told_to_stop() => Err("interrupted".into()),
            }
        }
        Command::Image { about, output, kind } => Ok(image::write(&kind, &about, &output)?),
        Command::BenchUpstream => Ok(bench::run_upstream().await?),
        Command::Stub { kind, name, port, json, sessions, journal, max_seconds } => {
            let config = match kind {
                Kind::Mcp => Config::mcp(&name),
                Kind::Rest => Config::rest(&name),
            };
            let framing = if json { Framing::Json } else { Framing::Sse };
            let config = Config { framing, sessions, port, journal, ..config };
            Ok(run_process(config, Duration::from_secs(max_seconds)).await?)
        }
    }
}
