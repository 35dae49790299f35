//! How fast the breaker notices an outage, what that costs in writes, and how often it opens without one: a simulation of
//! eight workers with the shipped driver and steps, next to the numbers of the study that the design follows. And how routing
//! by latency follows servers without flapping, and how a server's limit of calls is found, next to fixed limits and to what
//! it is derived from.
//!
//! `cargo test` runs a short form of it, `make sim` the long one. `make sim FLEET=1000` is of a fleet: many processes in front of
//! one server that dies, crawls and comes back.

#[path = "simulation/fleet.rs"]
mod fleet;
#[path = "simulation/fleet_report.rs"]
mod fleet_report;
#[path = "simulation/picture.rs"]
mod picture;
#[path = "simulation/queue.rs"]
mod queue;
#[path = "simulation/speed.rs"]
mod speed;
#[path = "simulation/world.rs"]
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use dualpath::breaker::Policy;
use queue::{Limiting, Stretch};
use world::{Seen, Setting, Sharing, run};

/// Long enough before the outage for the window to be full of successes.
const OUTAGE_MS: u64 = 15_000;

/// Sidecars of the fleet where there is little time.
const FEW: usize = 100;

/// How many seeds, and how many simulated hours for false trips.
struct Effort {
    runs: u64,
    hours: u64,
    /// By which factor a mean may differ from the study's, which has 60 runs.
    tolerance: f64,
}

const SHORT: Effort = Effort { runs: 16, hours: 1, tolerance: 1.5 };
const LONG: Effort = Effort { runs: 200, hours: 20, tolerance: 1.15 };

fn policy(consecutive: Option<u16>) -> Policy {
    Policy { consecutive, ..Policy::default() }
}

struct Report {
    failures: Vec<String>,
    tolerance: f64,
}

impl Report {
    /// Notes if `actual` is further from `expected` than the tolerance allows; `grain` is what a difference may always be.
    fn compare(&mut self, what: &str, actual: f64, expected: f64, grain: f64) {
        let (low, high) = (expected / self.tolerance - grain, expected * self.tolerance + grain);
        if !(low..=high).contains(&actual) {
            self.failures.push(format!("{what}: {actual:.2}, the study has {expected}"));
        }
    }

    fn expect(&mut self, what: &str, holds: bool) {
        if !holds {
            self.failures.push(what.to_owned());
        }
    }
}

/// Mean time to open in seconds, mean number of lost calls, and in how many of the runs it opened.
fn detection(sharing: Sharing, consecutive: Option<u16>, rate: f64, effort: &Effort) -> (f64, f64, u64) {
    let setting = Setting {
        policy: policy(consecutive),
        sharing,
        rate,
        errors: 0.0,
        outage_ms: OUTAGE_MS,
        // The study watches for 30 s, in which workers that count for themselves see nothing; the others all see it.
        end_ms: OUTAGE_MS + if sharing == Sharing::None { 30_000 } else { 300_000 },
        stop_when_open: true,
    };
    let seen: Vec<Seen> = (0..effort.runs).map(|seed| run(&setting, seed)).collect();
    let opened: Vec<_> = seen.iter().filter_map(|seen| Some((seen.opened_after_ms?, seen.lost))).collect();
    let mean = |sum: f64| sum / opened.len().max(1) as f64;
    (
        mean(opened.iter().map(|(ms, _)| *ms as f64 / 1_000.0).sum()),
        mean(opened.iter().map(|(_, lost)| f64::from(*lost)).sum()),
        opened.len() as u64,
    )
}

/// The study's seconds and losses by calls a second: every result at once and rate only, batched and rate only, batched
/// with five in a row.
const STUDY: [(f64, [(f64, f64); 3]); 4] = [
    (1.0, [(9.4, 9.6), (9.1, 9.4), (5.6, 5.2)]),
    (5.0, [(4.8, 24.0), (4.9, 25.0), (1.2, 6.1)]),
    (20.0, [(4.9, 98.0), (5.0, 100.0), (0.45, 9.2)]),
    (200.0, [(4.9, 984.0), (5.0, 991.0), (0.17, 32.0)]),
];

fn outages(effort: &Effort, report: &mut Report) {
    println!("time to open in an outage / calls lost until then (in brackets: the study)");
    println!(
        "  rps   exact, rate only            batched, rate only          batched, rate and 5 in a row  not shared"
    );
    for (rate, study) in STUDY {
        print!("{rate:5}");
        let columns = [(Sharing::Exact, None), (Sharing::Batched, None), (Sharing::Batched, Some(5))];
        for ((sharing, consecutive), (seconds, lost)) in columns.into_iter().zip(study) {
            let seen = detection(sharing, consecutive, rate, effort);
            print!("   {:5.2} s / {:5.1} ({seconds} / {lost})", seen.0, seen.1);
            let name = format!("{sharing:?}, {consecutive:?} in a row, {rate} calls a second");
            report.compare(&format!("{name}, seconds"), seen.0, seconds, 0.05);
            report.compare(&format!("{name}, calls lost"), seen.1, lost, 1.0);
            report.expect(&format!("{name}: opened in every run"), seen.2 == effort.runs);
        }
        let alone = detection(Sharing::None, None, rate, effort);
        match alone.2 {
            0 => println!("   never within 30 s"),
            opened => println!("   all after {:.1} s, in {opened} of {} runs", alone.0, effort.runs),
        }
    }
    let (_, _, alone) = detection(Sharing::None, None, 1.0, effort);
    report
        .expect("eight workers that count for themselves notice no outage within 30 s at 1 call a second", alone == 0);
}

/// A simulated stretch without an outage.
fn quiet(sharing: Sharing, consecutive: Option<u16>, rate: f64, errors: f64, end_ms: u64) -> Seen {
    let policy = policy(consecutive);
    let never = u64::MAX;
    run(&Setting { policy, sharing, rate, errors, outage_ms: never, end_ms, stop_when_open: false }, 1)
}

fn writes(effort: &Effort, report: &mut Report) {
    println!("writes a second at 200 calls a second");
    let seconds = (effort.hours * 30).min(300);
    for (errors, expected) in [(0.0, None), (0.01, Some(34.0)), (0.05, Some(38.0))] {
        let batched = f64::from(quiet(Sharing::Batched, None, 200.0, errors, seconds * 1_000).writes) / seconds as f64;
        let exact = f64::from(quiet(Sharing::Exact, None, 200.0, errors, seconds * 1_000).writes) / seconds as f64;
        // A tick of each worker, and of each failure its own write and that of the success that ends the run. The study's
        // workers have no tick, and so write a little less.
        let bound = 5.0 * world::WORKERS as f64 + 2.0 * 200.0 * errors;
        let study = expected.map_or(String::new(), |study| format!(" (the study {study})"));
        println!("  {:2} % errors: {batched:5.1}, at most {bound}{study}, instead of {exact:5.1}", errors * 100.0);
        report.expect("writes are batched", batched <= bound * 1.05 && batched >= 30.0);
        report.compare("writes of every result", exact, 200.0, 0.0);
    }
}

fn false_trips(effort: &Effort, report: &mut Report) {
    println!("openings an hour without an outage, at 20 calls a second");
    for (errors, consecutive) in [(0.05, Some(5)), (0.25, None), (0.25, Some(5)), (0.25, Some(10))] {
        let seen = quiet(Sharing::Batched, consecutive, 20.0, errors, effort.hours * 3_600_000);
        let rate = f64::from(seen.false_trips) / effort.hours as f64;
        let formula = consecutive.map_or(0.0, |run| 3_600.0 * 20.0 * f64::powi(errors, run.into()) * (1.0 - errors));
        let rule = consecutive.map_or("rate only".to_owned(), |run| format!("{run} in a row"));
        println!("  {:2} % errors, {rule}: {rate:.2} (3600 * rps * p^N * (1 - p) = {formula:.2})", errors * 100.0);
        // Successes that wait to be written break some runs, so that the formula is the upper end.
        let holds = rate <= formula * effort.tolerance + 0.6 && rate >= formula / 2.0 - 0.6;
        report.expect(&format!("false trips at {errors} errors, {rule}: {rate:.2} for {formula:.2}"), holds);
    }
    let alone = quiet(Sharing::None, None, 20.0, 0.25, effort.hours * 3_600_000);
    println!("  25 % errors, rate only, not shared: {:.0}", f64::from(alone.false_trips) / effort.hours as f64);
    report.expect("workers that count for themselves open without an outage", alone.false_trips > 20);
}

/// Routing by latency at 20 calls a second: how soon it follows, how seldom it moves without a reason.
fn by_latency(effort: &Effort, report: &mut Report) {
    println!("routing by latency at 20 calls a second, two servers, single answers spread like a log-normal of sigma");
    let hours = effort.hours as f64;
    for sigma in [0.25, 0.5, 1.0] {
        let quiet = speed::run(&speed::Setting { sigma, seconds: 3_600.0 * hours, ..speed::EQUAL }, 1);
        let moves = f64::from(quiet.moves) / hours;
        let slow = |seed| speed::run(&speed::Setting { sigma, ..speed::BECOMES_SLOW }, seed);
        let runs: Vec<_> = (0..effort.runs).map(slow).collect();
        let left = runs.iter().filter_map(|seen| seen.left_s).sum::<f64>() / runs.len() as f64;
        let back = runs.iter().filter_map(|seen| seen.back_s).sum::<f64>() / runs.len() as f64;
        println!(
            "  {sigma}: {moves:.2} moves an hour between servers alike; a first server five times as slow is left after {left:.1} s, \
             and has its calls again {back:.0} s after it is well"
        );
        report.expect(&format!("sigma {sigma}: no flapping between servers alike: {moves} an hour"), moves <= 2.0);
        report.expect(&format!("sigma {sigma}: left in every run"), runs.iter().all(|seen| seen.left_s.is_some()));
        report.expect(&format!("sigma {sigma}: left after {left} s"), left < 10.0);
        report.expect(&format!("sigma {sigma}: back in every run"), runs.iter().all(|seen| seen.back_s.is_some()));
    }
    for (under_load, most) in [(1.5, 0.0), (2.0, 60.0)] {
        let herd = speed::run(&speed::Setting { under_load, seconds: 3_600.0 * hours, ..speed::EQUAL }, 1);
        let moves = f64::from(herd.moves) / hours;
        println!("  servers that take {under_load} times as long under all the calls: {moves:.1} moves an hour");
        report.expect(&format!("calls do not swing at {under_load}: {moves} an hour"), moves <= most);
    }
}

/// A server of twenty hands and 100 ms, so 200 calls a second: with few calls, with half as many again as it can answer, while it
/// is five times slower, and after that.
const STRETCHES: [(&str, Stretch); 4] = [
    ("at half of it", Stretch { seconds: 120, rate: 100.0, hands: 20, work_ms: 100.0 }),
    ("at one and a half", Stretch { seconds: 240, rate: 300.0, hands: 20, work_ms: 100.0 }),
    ("while it is 5 times slower", Stretch { seconds: 120, rate: 300.0, hands: 20, work_ms: 500.0 }),
    ("well again", Stretch { seconds: 240, rate: 300.0, hands: 20, work_ms: 100.0 }),
];

fn limits(report: &mut Report) {
    println!(
        "limit / calls answered a second / half of them within / 99 % within / gone elsewhere: a server of 20 hands, 100 ms"
    );
    let stretches = STRETCHES.map(|(_, stretch)| stretch);
    for workers in [1, 4] {
        for limiting in
            [Limiting::None, Limiting::Fixed(12), Limiting::Fixed(100), Limiting::Gradient2, Limiting::Shipped]
        {
            println!("  {workers} workers, {limiting:?}");
            let outcomes = queue::run(limiting, workers, &stretches, 1);
            for ((name, _), seen) in STRETCHES.iter().zip(&outcomes) {
                let (half, slowest) = (seen.quantile(0.5), seen.quantile(0.99));
                let (answered, elsewhere) = (seen.answered(), seen.elsewhere_share() * 100.0);
                let limit = seen.limit;
                println!("    {name:26} {limit:5} {answered:5.0}/s {half:6} ms {slowest:6} ms {elsewhere:3.0} %");
            }
            let [few, many, slow, after] = outcomes.try_into().unwrap_or_default();
            if limiting == Limiting::Shipped {
                report
                    .expect("a limit sends nothing elsewhere while the server has hands", few.elsewhere_share() < 0.01);
                for (name, seen) in [("overload", &many), ("recovered", &after)] {
                    report.expect(
                        &format!("{name}, {workers} workers: about what the server can do: {}", seen.limit),
                        (20..=60).contains(&seen.limit),
                    );
                    report.expect(
                        &format!("{name}: the server does what it can: {}", seen.answered()),
                        seen.answered() > 190.0,
                    );
                    report.expect(&format!("{name}: no queue: {} ms", seen.quantile(0.5)), seen.quantile(0.5) < 250);
                }
                report.expect("slow", slow.limit >= queue::POLICY.min);
            }
        }
    }
}

fn main() -> ExitCode {
    let effort = if std::env::args().any(|argument| argument == "--long") { LONG } else { SHORT };
    let mut report = Report { failures: Vec::new(), tolerance: effort.tolerance };
    let argument = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
    if let Some(sidecars) = argument("--fleet") {
        let pictures = argument("--pictures").map(PathBuf::from);
        fleet_report::fleet(sidecars.parse().expect("how many sidecars"), pictures.as_deref(), &mut report);
        return conclude(&report, "every bound holds");
    }
    println!("{} workers, {} runs each, seeds from 0", world::WORKERS, effort.runs);
    outages(&effort, &mut report);
    writes(&effort, &mut report);
    false_trips(&effort, &mut report);
    by_latency(&effort, &mut report);
    limits(&mut report);
    fleet_report::fleet(FEW, None, &mut report);
    conclude(
        &report,
        &format!("everything within a factor of {} of the study, and every bound holds", effort.tolerance),
    )
}

fn conclude(report: &Report, well: &str) -> ExitCode {
    if report.failures.is_empty() {
        println!("{well}\n1 passed, 0 failed");
        return ExitCode::SUCCESS;
    }
    println!("DIFFERS:\n{}", report.failures.join("\n"));
    ExitCode::FAILURE
}
