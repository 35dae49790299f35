//! Memory: what the module adds to Envoy, and what each further worker adds to that.
//!
//! Each figure is from a fresh process with one contestant, after calls on many connections, so that every worker has
//! served some. The bare proxy's own growth per worker is taken off.

use serde::Serialize;

use super::contestants::Contestant;
use super::load::{Caller, Failure, call_of};
use super::process::resident_memory;
use super::setup::Surroundings;

/// Calls before memory is read, each on its own connection.
const CALLS: usize = 300;

/// Resident memory that a contestant adds to the bare proxy's, in bytes. Negative within the noise.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Memory {
    pub(super) contestant: Contestant,
    /// With one worker: the engine, the compiled module, and the VMs of worker and main thread.
    pub(super) one_worker: i64,
    /// Each worker more.
    pub(super) further_worker: i64,
}

/// Measures the modules, with one worker and with `workers`.
pub(super) async fn measure(surroundings: &Surroundings, workers: u32) -> Result<Vec<Memory>, Failure> {
    let (bare_one, bare_more) = pair(surroundings, Contestant::Bare, workers).await?;
    let mut memory = Vec::new();
    for contestant in [Contestant::Noop, Contestant::Dualpath] {
        let (one, more) = pair(surroundings, contestant, workers).await?;
        let (one_worker, all) = (one - bare_one, more - bare_more);
        let further_worker = (all - one_worker) / i64::from(workers.saturating_sub(1).max(1));
        memory.push(Memory { contestant, one_worker, further_worker });
    }
    Ok(memory)
}

async fn pair(surroundings: &Surroundings, contestant: Contestant, workers: u32) -> Result<(i64, i64), Failure> {
    Ok((resident(surroundings, contestant, 1).await?, resident(surroundings, contestant, workers).await?))
}

async fn resident(surroundings: &Surroundings, contestant: Contestant, workers: u32) -> Result<i64, Failure> {
    let running = surroundings.start(&[contestant], workers).await?;
    let (addr, call) = (running.addr(contestant)?, call_of("search"));
    for _ in 0..CALLS {
        Caller::connect(addr).await?.call(&call).await?;
    }
    Ok(i64::try_from(resident_memory(running.envoy.id())?)?)
}
