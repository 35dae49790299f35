//! Threads as worker VMs over one process's shared data.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dualpath::breaker::Breaker;
use dualpath::json::Value as Json;
use dualpath::registry::Registry;
use serde_json::{Value, json};

use crate::fixture::{call_body, exchange, first, healthy, json_answer, prober, registry, route, start, start_with};
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
    on_workers_with(process, &registry(), work);
}

/// The same under another registry.
fn on_workers_with(process: &Arc<Process>, registry: &Value, work: impl Fn(&Worker) + Sync) {
    let ready = Gathering::default();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let worker = start_with(process, registry);
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

/// The successes and failures in the record of `server`, whose layout the breaker's codec documents.
fn counts(process: &Process, registry: &Value, server: &str) -> (u32, u32) {
    let registry = Registry::from_json(&Json::parse(&registry.to_string()).expect("JSON")).expect("a registry");
    let (_, server) = registry.server_by_id(server).expect("a server");
    let breaker = Breaker::new(server.id.as_str(), server.breaker);
    let record = process.shared_data().get("dualpath", breaker.key()).expect("a record").0.clone();
    let number = |at: usize| u32::from(u16::from_le_bytes([record[at], record[at + 1]]));
    let buckets = (0..usize::from(record[31])).map(|n| usize::from(record[2]) + 6 * n);
    buckets.fold((0, 0), |(ok, fail), at| (ok + number(at), fail + number(at + 2)))
}

#[test]
fn no_result_is_lost_between_workers() {
    const CALLS: u32 = 40;
    let process = Process::new();
    let mut registry = registry();
    registry["breaker"] = json!({"consecutive": 1000, "failure_rate": 0});
    on_workers_with(&process, &registry, |worker| {
        for n in 0..CALLS {
            match n % 4 {
                0 => failing_call(worker),
                _ => play(worker, "gate", &route(), exchange(&call_body("search", "1"), healthy())),
            };
        }
        // What could not be written at once for all the others is written by the tick.
        worker.tick("gate");
        worker.tick("gate");
    });
    let all = CALLS * u32::try_from(WORKERS).expect("few");
    assert_eq!(counts(&process, &registry, "mcp-a"), (all / 4 * 3, all / 4));
    assert_eq!(process.metric_sum("dualpath_breaker_events_total.server.mcp-a.event.lost_results"), 0);
}

#[test]
fn a_breaker_opens_once_however_many_workers_see_the_failures() {
    let process = Process::new();
    on_workers(&process, |worker| {
        for _ in 0..5 {
            failing_call(worker);
        }
    });
    let opened = "dualpath_breaker_transitions_total.server.mcp-a.from.closed.to.open";
    assert_eq!(process.metric(opened), 1);
    assert_eq!(process.metric("cortex_circuit_breaker_state.server.mcp-a"), 1);
}

#[test]
fn a_failed_probe_opens_again_and_a_good_one_closes_for_everybody() {
    let process = Process::new();
    {
        let worker = start(&process);
        for _ in 0..5 {
            failing_call(&worker);
        }
        process.advance(Duration::from_secs(11));
        assert_eq!(failing_call(&worker).servers(), ["mcp-a", "mcp-b"], "the probe");
        assert_eq!(failing_call(&worker).servers(), ["mcp-b"]);
    }
    process.advance(Duration::from_secs(25));
    let asked = AtomicUsize::new(0);
    on_workers(&process, |worker| {
        for _ in 0..5 {
            let played = play(worker, "gate", &route(), exchange(&call_body("search", "1"), healthy()));
            assert_eq!(played.reply().status(), 200);
            asked.fetch_add(usize::from(played.servers() == ["mcp-a"]), Ordering::SeqCst);
        }
    });
    assert!(asked.load(Ordering::SeqCst) > 0);
    assert_eq!(process.metric("cortex_circuit_breaker_state.server.mcp-a"), 0, "closed");
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

#[test]
fn nothing_that_workers_see_of_tokens_is_lost_between_them() {
    let process = Process::new();
    let refused = || first(json_answer(401, "{}"));
    on_workers(&process, |worker| {
        for _ in 0..3 {
            play(worker, "gate", &route(), exchange(&call_body("search", "1"), refused()));
        }
    });
    let known = process.shared_data().get("dualpath", "ct1:mcp-a").expect("what is known of its tokens").0.clone();
    let number = |at: usize| u64::from_le_bytes(known[at..at + 8].try_into().expect("eight bytes"));
    assert!(number(24) > 0 && number(32 + 24) > 0, "both are at fault for certain: {known:?}");
}
