//! `dualpath render`: the Envoy bootstrap that runs a registry.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Environment, UNUSABLE, complain, load_for, print, render, report};

/// Write the Envoy bootstrap that runs a registry.
///
/// The file is complete: listener, routes, clusters, the filter in all its places, statistics and the kill switch. It
/// holds no secret, only the names of environment variables and secret files. If the registry breaks rules, prints
/// every problem and writes nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Registry file, YAML or JSON; - reads standard input
    registry: String,
    /// Where to write the bootstrap [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    environment: Environment,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    let (registry, wire) = match load_for(&args.registry, args.environment.name()) {
        Ok(loaded) => loaded,
        Err(error) => return report(&error),
    };
    let text = match render::document(&registry, &wire, &args.registry) {
        Ok(text) => text,
        Err(error) => return unusable(&format!("{}: cannot be rendered: {error}", args.registry)),
    };
    let Some(output) = &args.output else {
        print(&text);
        return ExitCode::SUCCESS;
    };
    match std::fs::write(output, text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => unusable(&format!("{}: cannot be written: {error}", output.display())),
    }
}

fn unusable(message: &str) -> ExitCode {
    complain(&format!("{message}\n"));
    ExitCode::from(UNUSABLE)
}
