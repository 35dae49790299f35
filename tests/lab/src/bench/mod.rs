//! The benchmark: what the filter costs Envoy, next to what else could stand in its place.
//!
//! Contestants are listeners of one Envoy process, in front of the same server, and take turns. The server and the
//! clients are other processes, so that Envoy's CPU time is proxying and nothing else. On a shared machine absolute figures
//! vary by half from one minute to the next; ratios within a round vary less, and their median over many rounds little.

mod contestants;
mod failover;
mod load;
mod memory;
mod plain;
pub mod process;
mod rates;
mod rendered;
mod report;
mod scale;
mod setup;
mod slices;
pub(super) mod statistics;
mod table;
mod upstream;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use contestants::{BARE, CONFIG_ONLY, Contestant, DUALPATH, FAILING, Kind, Modules, NATIVE, NOOP, OTHER};
use rendered::{Registry, Size};
use report::{Conditions, Report};
use setup::Surroundings;
use slices::Clients;
use upstream::Upstream;

pub use upstream::run_upstream;

/// What to measure, and how thoroughly.
#[derive(Debug)]
pub struct Options {
    /// The module.
    pub module: PathBuf,
    /// The module that does nothing.
    pub noop: PathBuf,
    /// Another module for the same registry, to compare with in the same run.
    pub other: Option<PathBuf>,
    /// Where the figures go as JSON; the directory must exist.
    pub json: PathBuf,
    /// A few seconds only: shows that everything works, its figures mean little.
    pub quick: bool,
    /// CPU time only, of everything that is compared.
    pub cpu_only: bool,
    /// Only what a call costs with more servers, tools and workers.
    pub scale_only: bool,
}

/// How thoroughly, in numbers.
#[derive(Debug, Clone)]
struct Effort {
    rounds: usize,
    slice: Duration,
    warm_up: Duration,
    rate_rounds: usize,
    /// Of each contestant at each rate, per round.
    rates: [(u32, Duration); 2],
    failovers: usize,
    /// What is large.
    large: Size,
    workers: u32,
    starts: usize,
}

const FULL: Effort = Effort {
    rounds: 60,
    slice: Duration::from_millis(90),
    warm_up: Duration::from_millis(800),
    rate_rounds: 30,
    rates: [(200, Duration::from_millis(300)), (1000, Duration::from_millis(150))],
    failovers: 2000,
    large: Size { servers: 64, tools: 1000 },
    workers: 4,
    starts: 3,
};

const QUICK: Effort = Effort {
    rounds: 3,
    slice: Duration::from_millis(40),
    warm_up: Duration::from_millis(40),
    rate_rounds: 2,
    rates: [(200, Duration::from_millis(100)), (1000, Duration::from_millis(50))],
    failovers: 20,
    large: Size { servers: 8, tools: 100 },
    workers: 2,
    starts: 1,
};

impl Effort {
    fn slices(&self) -> (usize, Duration, Duration) {
        (self.rounds, self.slice, self.warm_up)
    }
}

/// Measures everything, prints the table, and writes the JSON. `program` is `dualpath-lab` itself.
///
/// # Errors
/// When a process cannot be started, or any call is not answered as it should be.
pub async fn run(program: &Path, options: &Options) -> Result<(), Box<dyn Error + Send + Sync>> {
    let effort = if options.quick { QUICK } else { FULL };
    let existing = |file: &Path| file.canonicalize().map_err(|error| format!("{}: {error}", file.display()));
    let modules = Modules {
        dualpath: existing(&options.module)?,
        noop: existing(&options.noop)?,
        other: options.other.as_deref().map(existing).transpose()?,
    };
    let surroundings = Surroundings::new(Upstream::spawn(program)?)?;

    if options.scale_only {
        eprintln!("scale: {} rounds", effort.rounds);
        let mut report = Report::new(Conditions::new(&effort), Vec::new());
        report.scales = Some(scale::measure(&surroundings, &modules, &effort).await?);
        println!("{report}");
        return Ok(());
    }
    eprintln!("CPU time per request: {} rounds", effort.rounds);
    let compared = contestants::compared(&modules);
    let failing = Contestant { name: FAILING, kind: Kind::Rendered(modules.dualpath.clone(), Registry::Failing) };
    let running = surroundings.start(&[compared.as_slice(), &[failing]].concat(), 1).await?;
    let mut clients = Vec::new();
    for contestant in &compared {
        clients.push(Clients::connect(&running, contestant.name).await?);
    }
    let slices = slices::measure(&mut clients, effort.slices()).await?;
    drop(clients);
    let names = compared.iter().map(|contestant| contestant.name);
    let mut report = Report::new(Conditions::new(&effort), names.zip(slices).collect());

    if !options.cpu_only {
        let timed: Vec<_> = [BARE, NATIVE, NOOP, CONFIG_ONLY, DUALPATH]
            .into_iter()
            .chain(modules.other.as_ref().map(|_| OTHER))
            .collect();
        for (rate, time) in effort.rates {
            eprintln!("latency at {rate} calls/s: {} rounds", effort.rate_rounds);
            report.rates.extend(rates::measure(&running, &timed, rate, (effort.rate_rounds, time)).await?);
        }
        eprintln!("failover");
        report.failover = failover::measure(&running, effort.failovers).await?;
        drop(running);
        eprintln!("scale");
        report.scales = Some(scale::measure(&surroundings, &modules, &effort).await?);
        eprintln!("memory");
        report.memory = memory::measure(&surroundings, &modules, &effort).await?;
        eprintln!("start");
        report.large = Some(memory::large(&surroundings, &modules, &effort).await?);
    }

    // Counted by the tests of the emulated host, on which calls do not vary.
    let counted = fs::read_to_string(options.json.with_file_name("host-calls.json")).ok();
    let host_calls = counted.map(|text| serde_json::from_str(&text)).transpose()?;
    let figures = report.figures(host_calls.unwrap_or_default());
    fs::write(&options.json, serde_json::to_string_pretty(&figures)? + "\n")?;
    println!("{report}\nThe same as JSON: {}", options.json.display());
    Ok(())
}
