//! What a fleet's simulation is to show: told, compared with bounds, drawn.

use std::path::Path;

use super::Report;
use super::fleet::{CAPACITY, Condition, Seen, Setting, run};
use super::picture::{Line, Stretch, draw};

const DIED: usize = 30;
const CRAWLED: usize = 150;
const WELL: usize = 270;
const END: usize = 600;
const STORY: &[(u64, Condition)] = &[
    (DIED as u64, Condition::Well),
    (CRAWLED as u64, Condition::Dead),
    (WELL as u64, Condition::Crawls),
    (END as u64, Condition::Well),
];
const DIES: &[(u64, Condition)] = &[(DIED as u64, Condition::Well), (150, Condition::Dead), (330, Condition::Well)];
const ALWAYS_WELL: &[(u64, Condition)] = &[(300, Condition::Well)];

/// The longest open period of the shipped breaker with its jitter, the tick that sees its end, the probe.
const LONGEST_WAY_BACK_MS: u64 = 120_000 * 5 / 4 + 5_000;

const SHIPPED: Setting = Setting {
    name: "another server to go to",
    sidecars: 0,
    rate: 1.0,
    second: true,
    keys: "",
    started_ms: 60_000,
    phases: STORY,
};

/// Plays all of it, and draws it into a folder if one is given.
pub fn fleet(sidecars: usize, pictures: Option<&Path>, report: &mut Report) {
    println!(
        "{sidecars} sidecars of 2 workers, 1 call/s each; a server that can do {CAPACITY} times that: dead from {DIED} s, ten times \
         slower from {CRAWLED} s, well from {WELL} s"
    );
    let story = Setting { sidecars, ..SHIPPED };
    let alone = Setting { name: "no other server", second: false, ..story };
    let slow_rule = r#","breaker":{"slow":"2s"}"#;
    let settings = [
        story,
        Setting { name: "another server, breaker.slow: 2s", keys: slow_rule, ..story },
        Setting {
            name: "another server, concurrency: {min: 1, max: 1}",
            keys: r#","concurrency":{"min":1,"max":1}"#,
            ..story
        },
        alone,
        Setting { name: "another server, a call every ten seconds each", rate: 0.1, ..story },
    ];
    let seen = settings.map(|setting| {
        let seen = run(&setting, 1);
        tell(&setting, &seen);
        bounds(&setting, &seen, report);
        seen
    });
    let quick = |at: usize| mean(&seen[at].calls, CRAWLED + 30, WELL);
    report.expect("breaker.slow takes calls off a server that crawls", quick(1) < quick(0) * 0.9);
    let piled = |at: usize| seen[at].waiting.iter().max().copied().unwrap_or_default();
    report.expect("fixed limits bound what piles up", piled(2) * 2 < piled(0));
    let (in_step, spread) = jitter(&story, report);
    idle(
        &Setting { rate: 0.0, keys: r#","probe":{"idle":true}"#, started_ms: 1_000, phases: ALWAYS_WELL, ..story },
        report,
    );
    if let Some(folder) = pictures {
        let stretches = [("dead", DIED, CRAWLED), ("ten times slower", CRAWLED, WELL)].map(Stretch::from);
        draw(
            &folder.join("fleet-calls.svg"),
            "calls a second at the server",
            END,
            &stretches,
            &[
                Line::of("no other server", "#c0392b", &seen[3].calls),
                Line::of("another server to go to", "#2471a3", &seen[0].calls),
                Line::of("another server, breaker.slow: 2s", "#1e8449", &seen[1].calls),
            ],
        );
        let away = |at: usize| seen[at].away.iter().map(|away| *away as u32).collect::<Vec<_>>();
        draw(
            &folder.join("fleet-away.svg"),
            "sidecars that leave the server alone",
            END,
            &stretches,
            &[
                Line::of("another server to go to", "#2471a3", &away(0)),
                Line::of("another server, breaker.slow: 2s", "#1e8449", &away(1)),
            ],
        );
        draw(
            &folder.join("fleet-probes.svg"),
            "probes a second at the server, all sidecars started in the same second",
            230,
            &[Stretch::from(("dead", DIED, CRAWLED))],
            &[
                Line::of("breaker.jitter: 0", "#c0392b", &in_step.probes),
                Line::of("as shipped", "#2471a3", &spread.probes),
            ],
        );
    }
}

/// Of sidecars that all started in the same second: without jitter, and with it.
fn jitter(story: &Setting, report: &mut Report) -> (Seen, Seen) {
    println!("all started in the same second, 5 calls/s each, dead for two minutes");
    let busy = Setting { rate: 5.0, started_ms: 1_000, phases: DIES, ..*story };
    let play = |name, keys| {
        let seen = run(&Setting { keys, ..busy }, 1);
        let (first, later) = (worst(&seen.probes, 0, END), worst(&seen.probes, DIED + 60, END));
        let back = shares(&seen.returned_ms);
        println!("  {name:11} probes/s: at most {first}, a minute later {later}; back after {back}");
        seen
    };
    let (in_step, spread) = (play("jitter 0", r#","breaker":{"jitter":0}"#), play("as shipped", ""));
    let later = |seen: &Seen| worst(&seen.probes, DIED + 60, END);
    report.expect("jitter spreads the probes of sidecars in step", later(&spread) * 2 < later(&in_step));
    (in_step, spread)
}

/// Probes without calls, of sidecars that all started in the same second.
fn idle(setting: &Setting, report: &mut Report) {
    let seen = run(setting, 1);
    let (all, first, later) = (mean(&seen.probes, 200, 300), worst(&seen.probes, 0, 30), worst(&seen.probes, 200, 300));
    println!("nobody calls, probe.idle, all started in the same second");
    println!(
        "  probes/s: {first} in the worst second of the first 30, {later} in the worst after 200 s, {all:.0} at the mean"
    );
    let name = format!("idle probes lose their step: {later} in a second at a mean of {all}");
    report.expect(&name, f64::from(later) < all * 2.0 + 10.0);
}

fn tell(setting: &Setting, seen: &Seen) {
    let usual = setting.rate * setting.sidecars as f64;
    let (dead, crawling) = (mean(&seen.calls, DIED + 30, CRAWLED), mean(&seen.calls, CRAWLED + 30, WELL));
    let (can, peak) = (usual * CAPACITY / 10.0, worst(&seen.calls, WELL, END));
    println!("  {}", setting.name);
    println!("    opened after {}; back after {}", shares(&seen.opened_ms), shares(&seen.returned_ms));
    println!(
        "    calls/s at the server: {usual:.0} before, {dead:.0} while dead, {crawling:.0} while it crawls (it can do {can:.0}), at \
         most {peak} once it is well"
    );
    println!(
        "    probes/s: at most {} in the outage, {} once it is well; {} in a tenth of a second",
        worst(&seen.probes, DIED, WELL),
        worst(&seen.probes, WELL, END),
        worst(&seen.tenths, 0, END * 10),
    );
    println!(
        "    most waiting at the server: {}; opened again once it was well: {}, after a minute {}; of {} calls {} went elsewhere, {} failed",
        seen.waiting.iter().max().unwrap_or(&0),
        seen.reopened,
        seen.swinging,
        seen.asked,
        seen.elsewhere,
        seen.lost,
    );
}

/// What holds of every fleet, whatever its registry says.
fn bounds(setting: &Setting, seen: &Seen, report: &mut Report) {
    let (name, sidecars) = (setting.name, setting.sidecars as f64);
    let usual = setting.rate * sidecars;
    // Few of anything are spread more widely.
    let few = 10.0 + usual.sqrt() * 4.0;
    let mut expect = |what: &str, holds: bool| report.expect(&format!("{name}: {what}"), holds);
    let probes = f64::from(worst(&seen.probes, 0, END));
    expect(&format!("no stampede of probes: {probes} in a second"), probes <= sidecars / 5.0 + 10.0);
    let peak = f64::from(worst(&seen.calls, WELL, END));
    expect(&format!("no stampede of calls: {peak} in a second"), peak <= usual * 1.1 + few);
    expect("all came back", seen.away.last() == Some(&0));
    let longest = seen.returned_ms.last().copied().unwrap_or_default();
    expect(&format!("back within the longest open period: {longest} ms"), longest <= LONGEST_WAY_BACK_MS);
    expect(&format!("no swinging: {} opened again later", seen.swinging), f64::from(seen.swinging) <= sidecars / 100.0);
    let (late, waiting) = (mean(&seen.calls, END - 60, END), seen.waiting.last().copied().unwrap_or_default());
    expect(
        &format!("as before in the end: {late} calls/s, {waiting} waiting"),
        (late - usual).abs() <= few && waiting < 50,
    );
    if setting.second {
        let dead = mean(&seen.calls, DIED + 30, CRAWLED);
        expect(&format!("a dead server is left alone: {dead} calls/s"), dead <= usual / 20.0 + sidecars / 25.0);
        expect(&format!("no call fails: {}", seen.lost), seen.lost == 0);
    }
    if setting.rate >= 1.0 {
        let slowest = seen.opened_ms.last().copied().unwrap_or(u64::MAX);
        expect(&format!("noticed by all within half a minute: {slowest} ms"), slowest < 30_000);
        expect("noticed by all", seen.opened_ms.len() == setting.sidecars);
    }
}

fn worst(series: &[u32], from: usize, to: usize) -> u32 {
    series.iter().take(to).skip(from).copied().max().unwrap_or_default()
}

fn mean(series: &[u32], from: usize, to: usize) -> f64 {
    series.iter().take(to).skip(from).map(|count| f64::from(*count)).sum::<f64>() / (to - from) as f64
}

/// Half, 99 % and all of them, in seconds.
fn shares(ms: &[u64]) -> String {
    let last = ms.len().saturating_sub(1);
    let at = |share: f64| ms.get(((ms.len() as f64 * share) as usize).min(last)).map_or(0.0, |ms| *ms as f64 / 1_000.0);
    format!("{:.0} s (half), {:.0} s (99 %), {:.0} s (all {})", at(0.5), at(0.99), at(1.0), ms.len())
}
