//! Threads as worker VMs over one process's shared data.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::fixture::{call_body, exchange, first, healthy, prober, route, start};
use crate::host::{Behaviour, Played, Process, Worker, play};

const WORKERS: usize = 8;

fn failing_call(worker: &Worker) -> Played {
    play(worker, "gate", &route(), exchange(&call_body("search", "1"), first(Behaviour::Reset)))
}

/// Where all workers wait for each other; one that never comes fails the others instead of hanging them.
#[derive(Default)]
struct Gathering(AtomicUsize);

impl Gathering {
    fn arrive(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        let start = Instant::now();
        while self.0.load(Ordering::SeqCst) < WORKERS {
            assert!(start.elapsed() < Duration::from_secs(10), "a worker is missing");
            std::thread::yield_now();
        }
    }
}

/// Runs `work` on as many threads as there are workers, all started before any goes on.
fn on_workers(process: &Arc<Process>, work: impl Fn(&Worker) + Sync) {
    let ready = Gathering::default();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let worker = start(process);
                ready.arrive();
                work(&worker);
            });
        }
    });
}

#[test]
fn no_failure_is_lost_between_workers() {
    for failures in [4, 5] {
        let process = Process::new();
        let left = AtomicUsize::new(failures);
        let take = |n: usize| n.checked_sub(1);
        on_workers(&process, |worker| {
            while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() {
                failing_call(worker);
            }
        });
        let worker = start(&process);
        let played = play(&worker, "gate", &route(), exchange(&call_body("search", "1"), healthy()));
        let expected = if failures < 5 { "mcp-a" } else { "mcp-b" };
        assert_eq!(played.servers(), [expected], "after {failures} failures in a row");
    }
}

#[test]
fn one_probe_goes_to_a_recovering_server_and_everybody_else_goes_on() {
    let process = Process::new();
    {
        let worker = start(&process);
        for _ in 0..5 {
            failing_call(&worker);
        }
    }
    // Beyond the longest first open period, jitter included.
    process.advance(Duration::from_secs(11));
    let asked = AtomicUsize::new(0);
    let in_flight = Gathering::default();
    on_workers(&process, |worker| {
        let mut exchange = exchange(&call_body("search", "1"), healthy());
        exchange.waiting = Some(Box::new(|_, attempt| {
            if attempt.server == "mcp-a" {
                asked.fetch_add(1, Ordering::SeqCst);
            }
            in_flight.arrive();
        }));
        assert_eq!(play(worker, "gate", &route(), exchange).reply().status(), 200);
    });
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn every_call_of_every_worker_is_counted_once() {
    let process = Process::new();
    on_workers(&process, |worker| {
        for _ in 0..20 {
            play(worker, "gate", &route(), exchange(&call_body("search", "1"), healthy()));
        }
    });
    assert_eq!(process.metric_sum("cortex_calls_total."), 20 * WORKERS as u64);
    assert_eq!(process.metric_sum("dualpath_attempts_total."), 20 * WORKERS as u64);
}

#[test]
fn the_prober_keeps_the_gauges_true_without_traffic() {
    let process = Process::new();
    let gauge = "cortex_circuit_breaker_state.server.mcp-a";
    {
        let worker = start(&process);
        for _ in 0..5 {
            failing_call(&worker);
        }
    }
    assert_eq!(process.metric(gauge), 1, "open");
    let prober = prober(&process);
    assert!(prober.tick_period("prober") > 0);
    prober.tick("prober");
    assert_eq!(process.metric(gauge), 1);
    assert_eq!(process.metric("cortex_circuit_breaker_state.server.mcp-b"), 0, "closed");
}
