//! CPU time per request: short slices of load as fast as the answers come, in turns, so that whatever else the machine
//! does meets all alike. What is compared is only what was measured in the same round.

use std::time::{Duration, Instant};

use hyper::body::Bytes;
use serde::Serialize;

use super::load::{self, Caller, Failure};
use super::process::cpu_time;
use super::setup::Running;
use super::statistics::{Estimate, estimate, median, percentile};

/// Connections, each with one call at a time.
pub(super) const CONNECTIONS: usize = 8;

/// Envoy lives on after the last answer: logs, timers, memory to give back.
const AFTERMATH: Duration = Duration::from_millis(5);

/// The connections to one contestant, kept from slice to slice.
pub(super) struct Clients {
    envoy: u32,
    callers: Vec<Caller>,
    call: Bytes,
}

/// One contestant's slices, round by round.
#[derive(Debug, Clone, Default)]
pub(super) struct Slices {
    /// CPU time of Envoy per request, in microseconds.
    pub(super) cpu_us: Vec<f64>,
    /// Requests per second.
    pub(super) rate: Vec<f64>,
}

/// What one contestant's slices come to.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Cpu {
    /// The lowest fifth, of the slices that were least disturbed.
    pub(super) p20_us: f64,
    pub(super) median_us: f64,
    pub(super) requests_per_second: f64,
}

impl Clients {
    /// Connects. The first calls pay for the connections, ours and Envoy's.
    pub(super) async fn connect(running: &Running, contestant: &str) -> Result<Clients, Failure> {
        let (addr, call) = (running.addr(contestant)?, load::call_of("search"));
        let mut callers = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut caller = Caller::connect(addr).await?;
            caller.call(&call).await?;
            callers.push(caller);
        }
        Ok(Clients { envoy: running.envoy.id(), callers, call })
    }

    async fn slice(&mut self, time: Duration, into: &mut Slices) -> Result<(), Failure> {
        let (before, start) = (cpu_time(self.envoy)?, Instant::now());
        let requests = load::run(&mut self.callers, &self.call, time).await? as f64;
        let elapsed = start.elapsed();
        tokio::time::sleep(AFTERMATH).await;
        let used = cpu_time(self.envoy)?.saturating_sub(before);
        into.cpu_us.push(used.as_secs_f64() * 1e6 / requests);
        into.rate.push(requests / elapsed.as_secs_f64());
        Ok(())
    }
}

/// So many rounds with a slice of each contestant, after `warm_up` for each: the engine is to have optimised what is hot.
pub(super) async fn measure(
    clients: &mut [Clients],
    (rounds, slice, warm_up): (usize, Duration, Duration),
) -> Result<Vec<Slices>, Failure> {
    for clients in &mut *clients {
        clients.slice(warm_up, &mut Slices::default()).await?;
    }
    let mut slices = vec![Slices::default(); clients.len()];
    for round in 0..rounds {
        for at in order(round, clients.len()) {
            clients[at].slice(slice, &mut slices[at]).await?;
        }
    }
    Ok(slices)
}

/// Who comes when: each begins in turn, and every other round goes backwards, so that nobody always follows the same one.
pub(super) fn order(round: usize, contestants: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..contestants).map(|at| (at + round / 2) % contestants).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

impl Slices {
    /// The CPU time per request as a multiple of the other's in the same round.
    pub(super) fn ratio_to(&self, other: &Slices) -> Estimate {
        let ratios: Vec<_> = self.cpu_us.iter().zip(&other.cpu_us).map(|(own, other)| own / other).collect();
        estimate(&ratios)
    }

    pub(super) fn cpu(&self) -> Cpu {
        let mut sorted = self.cpu_us.clone();
        sorted.sort_by(f64::total_cmp);
        Cpu {
            p20_us: percentile(&sorted, 0.20),
            median_us: median(sorted),
            requests_per_second: median(self.rate.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_within_a_round_so_that_a_slow_round_does_not_count() {
        let slices = |cost: f64| {
            // The machine was busy with something else in every other round.
            let cpu_us: Vec<_> = [1.0, 10.0].repeat(6).iter().map(|slowness| slowness * cost).collect();
            Slices { rate: vec![1.0; cpu_us.len()], cpu_us }
        };
        let ratio = slices(5.0).ratio_to(&slices(2.0));
        assert_eq!((ratio.value, ratio.low, ratio.high), (2.5, 2.5, 2.5));
        assert_eq!(slices(5.0).cpu().p20_us, 5.0);
    }

    #[test]
    fn every_round_has_all_contestants_and_each_of_them_is_once_the_first_and_once_the_last() {
        let rounds: Vec<_> = (0..6).map(|round| order(round, 3)).collect();
        assert!(rounds.iter().all(|order| (0..3).all(|at| order.contains(&at))), "{rounds:?}");
        for at in 0..3 {
            assert!(rounds.iter().any(|order| order[0] == at), "{rounds:?}");
            assert!(rounds.iter().any(|order| order[2] == at), "{rounds:?}");
        }
    }
}
