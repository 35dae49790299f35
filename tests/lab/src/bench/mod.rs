//! The benchmark: what the filter costs Envoy, next to what else could stand in its place.
//!
//! All contestants are listeners of one Envoy process, in front of the same server, and take turns. The server and the
//! clients are other processes, so that Envoy's CPU time is proxying and nothing else. On a shared machine absolute figures
//! vary by half from one minute to the next; ratios within a round vary less, and their median over many rounds little.

mod contestants;
mod failover;
pub(super) mod load;
mod memory;
pub(super) mod process;
mod report;
mod rounds;
mod setup;
mod upstream;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use contestants::Contestant;
use report::{Conditions, Report};
use rounds::CONNECTIONS;
use setup::Surroundings;
use upstream::{ANSWER, Upstream};

pub use upstream::run_upstream;

/// What to measure, and how thoroughly.
#[derive(Debug)]
pub struct Options {
    /// The module.
    pub module: PathBuf,
    /// The module that does nothing.
    pub noop: PathBuf,
    /// Where the figures go as JSON; the directory must exist.
    pub json: PathBuf,
    /// A few seconds only: shows that everything works, its figures mean little.
    pub quick: bool,
}

struct Effort {
    rounds: usize,
    round: Duration,
    failovers: usize,
    workers: u32,
}

/// Measures everything, prints the table, and writes the JSON. `program` is `dualpath-lab` itself.
///
/// # Errors
/// When a process cannot be started, or any call is not answered as it should be.
pub async fn run(program: &Path, options: &Options) -> Result<(), Box<dyn Error + Send + Sync>> {
    let effort = if options.quick {
        Effort { rounds: 1, round: Duration::from_millis(200), failovers: 20, workers: 2 }
    } else {
        Effort { rounds: 21, round: Duration::from_millis(600), failovers: 2000, workers: 4 }
    };
    let existing = |file: &Path| file.canonicalize().map_err(|error| format!("{}: {error}", file.display()));
    let surroundings =
        Surroundings::new(existing(&options.module)?, existing(&options.noop)?, Upstream::spawn(program)?)?;

    eprintln!("warming up");
    let running = surroundings.start(&Contestant::ALL, 1).await?;
    for contestant in Contestant::ALL {
        // Long enough for the engine to have optimised what is hot.
        rounds::measure(&running, contestant, 2 * effort.round).await?;
    }
    let mut samples = Vec::new();
    for number in 1..=effort.rounds {
        eprintln!("round {number} of {}", effort.rounds);
        let mut round = report::Round::new();
        for contestant in Contestant::ALL {
            round.push((contestant, rounds::measure(&running, contestant, effort.round).await?));
        }
        samples.push(round);
    }
    eprintln!("failover");
    let latency = failover::measure(&running, effort.failovers).await?;
    drop(running);
    eprintln!("memory");
    let memory = memory::measure(&surroundings, effort.workers).await?;

    let conditions = Conditions {
        worker_threads: 1,
        processors: std::thread::available_parallelism().map_or(1, Into::into),
        connections: CONNECTIONS,
        rounds: effort.rounds,
        seconds_per_round: effort.round.as_secs_f64(),
        request_bytes: load::call_of("search").len(),
        response_bytes: ANSWER.len(),
        workers_for_memory: effort.workers,
    };
    let report = Report { conditions, proxying: report::rows(&samples), memory, latency };
    fs::write(&options.json, serde_json::to_string_pretty(&report)? + "\n")?;
    println!("{report}\nThe same as JSON: {}", options.json.display());
    Ok(())
}
