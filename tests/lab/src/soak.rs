//! The soak: thousands of outages' worth of open and close, configuration updates and a steady load in little time, while
//! the memory of the Envoy process is watched. Periods are short, so a minute holds what ten would at the usual ones.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::bench::process::resident_memory;
use super::chaos::calls::{Call, Sort};
use super::chaos::{Caller, Outcome};
use super::envoy::{Envoy, Settings};
use super::registry::Builder;
use super::scratch::Scratch;
use super::stub::{Behaviour, Config, Stub};
use super::xds::{Part, Xds};

/// Calls under way at a time.
const CALLERS: usize = 16;

/// How long the primary is ill, and then well.
const PHASE: Duration = Duration::from_millis(150);

/// Time between two updates of the configuration.
const UPDATE_EVERY: Duration = Duration::from_millis(1500);

/// What the resident memory may grow from the middle third of a run to the last: by a share, and by so many bytes for the
/// allocator's moods.
const MAY_GROW: (f64, u64) = (0.03, 4 << 20);

/// What is run under load.
struct Soak {
    primary: Stub,
    _others: [Stub; 2],
    envoy: Envoy,
    xds: Xds,
    registry: Builder,
}

/// What was counted.
#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU64,
    failed: AtomicU64,
    over: AtomicBool,
}

/// Runs for `time` and prints what it came to.
///
/// # Errors
/// When something could not be started, a call failed that had to be answered, or memory grew.
pub async fn run(module: &Path, time: Duration) -> Result<(), Box<dyn Error>> {
    let soak = Soak::start(module).await?;
    let counts = Arc::new(Counts::default());
    let callers: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(call_on(soak.envoy.addr(), Arc::clone(&counts)))).collect();
    let (started, mut updated) = (Instant::now(), Instant::now());
    let (mut outages, mut updates, mut memory) = (0_u64, 0_u64, Vec::new());
    let illnesses = [Behaviour::status(500), Behaviour::ResetBeforeHeaders, Behaviour::GarbageJson];
    while started.elapsed() < time {
        soak.primary.set(illnesses[outages as usize % illnesses.len()].clone());
        tokio::time::sleep(PHASE).await;
        soak.primary.set(Behaviour::Normal);
        tokio::time::sleep(PHASE).await;
        outages += 1;
        if updated.elapsed() >= UPDATE_EVERY {
            updated = Instant::now();
            updates += 1;
            soak.update(updates).await?;
        }
        memory.push(resident_memory(soak.envoy.id())?);
    }
    counts.over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await?;
    }
    let metrics = soak.envoy.metrics_settled().await?;
    for reason in ["budget", "no_time", "not_replayable", "policy", "batch"] {
        let times = metrics.sum("dualpath_replay_refused_total", &[("reason", reason)]);
        if times > 0.0 {
            eprintln!("failed calls that were not sent on ({reason}): {times}");
        }
    }
    let opened = metrics.sum("dualpath_breaker_transitions_total", &[("from", "closed"), ("to", "open")]);
    let traps = soak.envoy.logs().matches("[critical][wasm]").count();
    let [first, middle, last] = thirds(&memory);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{:.0} s: {} calls, {} failed; {outages} times the primary fell ill, the breaker opened {opened} times; \
         {updates} updates\nmemory of Envoy: {:.1} MiB in the first third, {:.1} in the second, {:.1} in the last",
        started.elapsed().as_secs_f64(),
        counts.calls.load(Ordering::Relaxed),
        counts.failed.load(Ordering::Relaxed),
        mib(first),
        mib(middle),
        mib(last),
    );
    if counts.failed.load(Ordering::Relaxed) > 0 {
        return Err("calls failed that had to be answered".into());
    }
    if traps > 0 {
        return Err(format!("{traps} messages of traps in Envoy's log").into());
    }
    if opened < 1.0 || updates < 1 {
        return Err("too short to show anything".into());
    }
    if has_grown(middle, last) {
        return Err("the memory of Envoy grows".into());
    }
    Ok(())
}

impl Soak {
    async fn start(module: &Path) -> Result<Soak, Box<dyn Error>> {
        let module = module.canonicalize().map_err(|e| format!("the module {}: {e}", module.display()))?;
        let scratch = Arc::new(Scratch::new()?);
        // The stubs are in this process and must not fill its memory: what they receive goes nowhere.
        let quiet = |config: Config| Stub::start(Config { journal: Some("/dev/null".into()), ..config });
        let primary = quiet(Config::mcp("primary")).await?;
        let secondary = quiet(Config::mcp("secondary").json()).await?;
        let rest = quiet(Config::rest("rest")).await?;
        let breaker = json!({"base_open": "100ms", "max_open": "100ms", "ramp": "0s"});
        let registry = Builder::new(&module)
            .set("/breaker", breaker)
            .mcp("primary", "primary", &primary.url("/mcp"), None)
            .mcp("secondary", "secondary", &secondary.url("/mcp"), None)
            .rest("rest", &rest.url(""), None)
            .stub_tools(Some("rest"));
        // What an update replaces is freed once it has drained.
        let settings =
            Settings { concurrency: 4, log_level: "warning".to_owned(), drain_seconds: Some(1), ..Settings::default() };
        let (envoy, xds) = Xds::launch(&registry, &scratch, &settings).await?;
        Ok(Soak { primary, _others: [secondary, rest], envoy, xds, registry })
    }

    /// Another registry in the place of the one in force, for the gate and for the attempts in turn.
    async fn update(&self, number: u64) -> Result<(), Box<dyn Error>> {
        let part = if number.is_multiple_of(2) { Part::Clusters } else { Part::Listeners };
        let registry = self.registry.clone().set("/breaker/consecutive", json!(3 + number % 7));
        Ok(self.xds.update(&self.envoy, part, &registry).await?)
    }
}

/// Makes calls until it is over, each on a connection of its own.
async fn call_on(addr: std::net::SocketAddr, counts: Arc<Counts>) {
    while !counts.over.load(Ordering::Relaxed) {
        let call = Call::of(1, counts.calls.fetch_add(1, Ordering::Relaxed));
        let outcome = Caller::new(addr).call(call, None).await;
        if !is_as_it_must_be(&outcome) {
            eprintln!("call {}: {:?}", outcome.call.number, outcome.heard);
            counts.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The secondary is always well: only a call that must not be repeated may fail, and that with an answer.
fn is_as_it_must_be(outcome: &Outcome) -> bool {
    use super::chaos::verdict::Fate;
    let heard = &outcome.heard;
    let answered = match &heard.fate {
        Fate::Error(..) => outcome.call.sort == Sort::Once,
        fate => fate.is_answered() || *fate == Fate::Abandoned,
    };
    answered && heard.wrong.is_empty()
}

/// The medians of the three thirds.
fn thirds(samples: &[u64]) -> [u64; 3] {
    let third = samples.len().div_ceil(3).max(1);
    let mut medians = samples.chunks(third).map(|chunk| {
        let mut sorted = chunk.to_vec();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    });
    [(); 3].map(|()| medians.next().unwrap_or_default())
}

fn has_grown(from: u64, to: u64) -> bool {
    let (share, bytes) = MAY_GROW;
    to > from.saturating_add((from as f64 * share) as u64).saturating_add(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_grows_all_the_time_is_noticed_and_one_jump_early_is_not() {
        let growing: Vec<u64> = (0..90).map(|n| (100 << 20) + n * (1 << 20)).collect();
        let [_, middle, last] = thirds(&growing);
        assert!(has_grown(middle, last));
        let settled: Vec<u64> = (0..90).map(|n| if n < 20 { 80 << 20 } else { 120 << 20 }).collect();
        let [_, middle, last] = thirds(&settled);
        assert!(!has_grown(middle, last));
    }
}
