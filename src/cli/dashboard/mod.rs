//! `dualpath dashboard`: dashboards for a registry, as Grafana takes them. Which servers there are, of which kind, what a call of
//! them costs: only the registry knows.
//!
//! [`boards`] says what is shown, [`grafana`] how Grafana has it. What they ask is also asked by the tests, of a real Prometheus.

mod boards;
mod grafana;
mod panel;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use super::load::{Loaded, load_one};
use super::output::{self, Inputs, Readers};
use super::rules::{RUNBOOKS, address};
use super::{Environment, UNUSABLE, complain, print, printed, report, shown};

pub use boards::dashboards;
pub use panel::{Dashboard, Look, Panel, Query};

/// Write Grafana dashboards for a registry.
///
/// A file for each, to be imported or provisioned: overview, failover (one call's way), breaker, tokens, tools, pools, and cost
/// if servers have a price. They ask the Prometheus that scrapes Envoy's /stats/prometheus and has the rules that dualpath rules
/// writes; variables choose it, the jobs and the instances. Panels lead to the pages of the runbooks.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Registry file, YAML or JSON; - reads standard input
    registry: String,
    /// Folder for the files
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    output: PathBuf,
    #[command(flatten)]
    environment: Environment,
    /// Where links to runbooks lead: the address of guide/runbooks.md, as your people reach it
    #[arg(long, value_name = "URL", value_parser = address, default_value = RUNBOOKS)]
    runbooks: String,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    let Loaded { registry, wire, files, .. } = match load_one(&args.registry, args.environment.name()) {
        Ok(loaded) => loaded,
        Err(error) => return report(&error),
    };
    let inputs = Inputs::of(&files, [&wire]);
    let mut told = String::new();
    for dashboard in dashboards(&registry) {
        let place = args.output.join(format!("dualpath-{}.json", dashboard.slug));
        let named = shown::line(&place.to_string_lossy()).into_owned();
        let text = format!("{:#}\n", grafana::dashboard(&dashboard, &args.runbooks));
        let done = fs::create_dir_all(&args.output)
            .map_err(|error| format!("its folder cannot be made: {error}"))
            .and_then(|()| output::write(&place, &text, &inputs, Readers::AsBefore));
        if let Err(why) = done {
            complain(&format!("{named}: {why}\n"));
            return ExitCode::from(UNUSABLE);
        }
        told.push_str(&format!("{named}  {}\n", dashboard.about));
    }
    printed(print(&told))
}
