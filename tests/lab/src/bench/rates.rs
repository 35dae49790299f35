//! Latency at a fixed rate of calls, far from saturation: a call is sent when it is due, whether or not the ones before
//! have been answered.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::contestants::BARE;
use super::load::{self, Caller, Failure};
use super::process::cpu_time;
use super::setup::Running;
use super::slices::order;
use super::statistics::{Estimate, bootstrap, estimate, median, percentile};

/// Connections to each contestant. A call for which none is free waits, and that counts.
const CONNECTIONS: usize = 32;

/// One contestant at one rate.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct AtRate {
    pub(super) contestant: &'static str,
    pub(super) calls_per_second: u32,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// What the bare proxy's are less.
    pub(super) added_p50_ms: Estimate,
    pub(super) added_p99_ms: Estimate,
    pub(super) cpu_us_per_request: f64,
}

/// Latencies of one contestant in milliseconds, round by round, and Envoy's CPU time in all of them.
#[derive(Default)]
struct Taken {
    rounds: Vec<Vec<f64>>,
    cpu: Duration,
}

/// Measures `contestants`, of which one is the bare proxy, in turns: `rounds` of so long each.
pub(super) async fn measure(
    running: &Running,
    contestants: &[&'static str],
    calls_per_second: u32,
    (rounds, time): (usize, Duration),
) -> Result<Vec<AtRate>, Failure> {
    let mut pools = Vec::new();
    for contestant in contestants {
        pools.push(Pool::connect(running, contestant).await?);
    }
    let mut taken: Vec<_> = contestants.iter().map(|_| Taken::default()).collect();
    for round in 0..rounds {
        for at in order(round, pools.len()) {
            let before = cpu_time(running.envoy.id())?;
            taken[at].rounds.push(pools[at].run(calls_per_second, time).await?);
            taken[at].cpu += cpu_time(running.envoy.id())?.saturating_sub(before);
        }
    }
    let bare = contestants.iter().position(|name| *name == BARE).ok_or("no bare proxy to compare with")?;
    let all: Vec<_> = (0..rounds).collect();
    let row = |(contestant, own): (&&'static str, &Taken)| {
        // A median stands within a round, next to the bare proxy's. The last hundredth needs more calls than a round has.
        let pairs = own.rounds.iter().zip(&taken[bare].rounds);
        let added_p50: Vec<_> = pairs.map(|(own, bare)| median(own.clone()) - median(bare.clone())).collect();
        let added_p99 = bootstrap(rounds, |drawn| own.pooled(drawn, 0.99) - taken[bare].pooled(drawn, 0.99));
        let calls: usize = own.rounds.iter().map(Vec::len).sum();
        AtRate {
            contestant,
            calls_per_second,
            p50_ms: own.pooled(&all, 0.50),
            p99_ms: own.pooled(&all, 0.99),
            added_p50_ms: estimate(&added_p50),
            added_p99_ms: added_p99,
            cpu_us_per_request: own.cpu.as_secs_f64() * 1e6 / calls as f64,
        }
    };
    Ok(contestants.iter().zip(&taken).map(row).collect())
}

impl Taken {
    /// A percentile over all calls of these rounds.
    fn pooled(&self, rounds: &[usize], share: f64) -> f64 {
        let mut latencies: Vec<_> = rounds.iter().flat_map(|round| &self.rounds[*round]).copied().collect();
        latencies.sort_unstable_by(f64::total_cmp);
        percentile(&latencies, share)
    }
}

/// Connections to one contestant. The one that was used last is used first.
struct Pool {
    free: Arc<Semaphore>,
    callers: Arc<Mutex<Vec<Caller>>>,
}

impl Pool {
    async fn connect(running: &Running, contestant: &str) -> Result<Pool, Failure> {
        let addr = running.addr(contestant)?;
        let mut callers = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut caller = Caller::connect(addr).await?;
            caller.call(&load::call_of("search")).await?;
            callers.push(caller);
        }
        Ok(Pool { free: Arc::new(Semaphore::new(CONNECTIONS)), callers: Arc::new(Mutex::new(callers)) })
    }

    /// The latencies in milliseconds. A late timer is the client's fault and does not count; a wait for a connection does.
    async fn run(&self, calls_per_second: u32, time: Duration) -> Result<Vec<f64>, Failure> {
        let mut due = tokio::time::interval(Duration::from_secs(1) / calls_per_second);
        due.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut calls, call) = (JoinSet::new(), load::call_of("search"));
        for _ in 0..(f64::from(calls_per_second) * time.as_secs_f64()) as usize {
            due.tick().await;
            let sent = Instant::now();
            let (free, callers, call) = (Arc::clone(&self.free), Arc::clone(&self.callers), call.clone());
            calls.spawn(async move {
                let _permit = free.acquire_owned().await?;
                let caller = callers.lock().expect("no holder panics").pop();
                let mut caller = caller.ok_or("fewer connections than permits")?;
                caller.call(&call).await?;
                let took = sent.elapsed();
                callers.lock().expect("no holder panics").push(caller);
                Ok::<_, Failure>(took.as_secs_f64() * 1e3)
            });
        }
        calls.join_all().await.into_iter().collect()
    }
}
