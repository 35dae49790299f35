//! Memory and time to start, each from fresh processes with one contestant, after calls on many connections so that every
//! worker has served some.

use serde::Serialize;

use super::Effort;
use super::contestants::{BARE, CONFIG_ONLY, Contestant, DUALPATH, Kind, Modules, NOOP, sized};
use super::load::{Caller, Failure, call_of};
use super::process::{cpu_time, resident_memory};
use super::rendered::{Size, USUAL};
use super::setup::Surroundings;
use super::statistics::median;

/// Calls per worker before memory is read, each on its own connection.
const CALLS: u32 = 300;

/// Resident memory that a contestant adds to the bare proxy's, in MiB. Negative within the noise.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Memory {
    pub(super) contestant: &'static str,
    /// With one worker: the engine, the compiled module, and the VMs of worker and main thread.
    pub(super) one_worker_mib: f64,
    /// Each worker more, without the bare proxy's own growth.
    pub(super) further_worker_mib: f64,
}

/// A process with one worker, from start to the end of its calls.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Start {
    pub(super) what: String,
    pub(super) ready_s: f64,
    /// CPU time until then, which other processes on the machine stretch less.
    pub(super) ready_cpu_s: f64,
    pub(super) rss_mib: f64,
}

/// Starts of Dualpath with a large registry, and of what that is compared with.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Large {
    pub(super) dualpath: Start,
    /// The module without work under the same configuration.
    pub(super) config_only: Start,
    /// The module without work, as it is otherwise compared with.
    pub(super) noop: Start,
    pub(super) dualpath_usual: Start,
}

/// Measures the modules' memory, with one worker and with more.
pub(super) async fn measure(
    surroundings: &Surroundings,
    modules: &Modules,
    effort: &Effort,
) -> Result<Vec<Memory>, Failure> {
    let contestants = [
        Contestant { name: BARE, kind: Kind::Bare },
        Contestant { name: NOOP, kind: Kind::Noop(modules.noop.clone()) },
        sized(DUALPATH, &modules.dualpath, USUAL),
    ];
    let mut found = Vec::new();
    for contestant in &contestants {
        let one = start(surroundings, contestant, 1, effort.starts).await?.rss_mib;
        let more = start(surroundings, contestant, effort.workers, effort.starts).await?.rss_mib;
        found.push((contestant.name, one, more));
    }
    let (_, bare_one, bare_more) = found[0];
    let further = f64::from(effort.workers.saturating_sub(1).max(1));
    let memory = |&(contestant, one, more): &(&'static str, f64, f64)| Memory {
        contestant,
        one_worker_mib: one - bare_one,
        further_worker_mib: (more - one - (bare_more - bare_one)) / further,
    };
    Ok(found[1..].iter().map(memory).collect())
}

/// Measures starts.
pub(super) async fn large(surroundings: &Surroundings, modules: &Modules, effort: &Effort) -> Result<Large, Failure> {
    let what = |module: &str, size: Size| format!("{module}, {} MCP servers, {} tools", size.servers, size.tools);
    let measured = async |what: String, contestant: Contestant| {
        let Process { ready_s, ready_cpu_s, rss_mib } = start(surroundings, &contestant, 1, effort.starts).await?;
        Ok::<_, Failure>(Start { what, ready_s, ready_cpu_s, rss_mib })
    };
    let (large, noop) = (effort.large, Contestant { name: NOOP, kind: Kind::Noop(modules.noop.clone()) });
    Ok(Large {
        dualpath: measured(what("Dualpath", large), sized(DUALPATH, &modules.dualpath, large)).await?,
        config_only: measured(what("no-op wasm", large), sized(CONFIG_ONLY, &modules.noop, large)).await?,
        dualpath_usual: measured(what("Dualpath", USUAL), sized(DUALPATH, &modules.dualpath, USUAL)).await?,
        noop: measured("no-op wasm without a registry".to_owned(), noop).await?,
    })
}

/// A process when its calls were over.
struct Process {
    ready_s: f64,
    ready_cpu_s: f64,
    rss_mib: f64,
}

/// The medians of so many processes.
async fn start(
    surroundings: &Surroundings,
    contestant: &Contestant,
    workers: u32,
    times: usize,
) -> Result<Process, Failure> {
    let (mut ready_s, mut ready_cpu_s, mut rss_mib) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..times {
        let running = surroundings.start(std::slice::from_ref(contestant), workers).await?;
        ready_s.push(running.start.as_secs_f64());
        ready_cpu_s.push(cpu_time(running.envoy.id())?.as_secs_f64());
        let (addr, call) = (running.addr(contestant.name)?, call_of("search"));
        for _ in 0..CALLS * workers {
            Caller::connect(addr).await?.call(&call).await?;
        }
        rss_mib.push(resident_memory(running.envoy.id())? as f64 / f64::from(1 << 20));
    }
    Ok(Process { ready_s: median(ready_s), ready_cpu_s: median(ready_cpu_s), rss_mib: median(rss_mib) })
}
