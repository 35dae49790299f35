//! The demo: servers die while calls flow, and no call fails.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use super::envoy::TOLD;
use super::metrics::Metrics;
use super::registry::Builder;
use super::stage::Stage;
use super::traffic::{Outcome, Traffic, median};
use dualpath::telemetry::{Kind, label, of};
use serde_json::json;

/// Longest wait for what the story is about to show.
const PATIENCE: Duration = Duration::from_secs(30);

/// Plays the story and prints it.
///
/// # Errors
/// When a call failed, or something that the story tells did not happen.
pub async fn run(program: &Path, module: &Path) -> Result<(), Box<dyn Error>> {
    // Each call goes to a server as long as one answers; what is kept is for when none does.
    let keep = |registry: Builder| {
        let cache = json!({"ttl": "0s", "stale_if_error": "1h", "scope": "shared"});
        ["/tools/0/cache", "/tools/2/cache"].iter().fold(registry, |registry, place| registry.set(place, cache.clone()))
    };
    let mut stage = Stage::raise_with(program, module, None, keep).await?;
    let story = Story(Instant::now());
    story.tell(format_args!(
        "Envoy with the filter serves at {}, servers: primary, secondary (MCP), rest",
        stage.envoy.url("/mcp")
    ));
    let traffic = Traffic::start(&stage.client(), 4, Duration::from_millis(5));
    let calls = traffic.next(40).await;
    story.tell(format_args!("tool calls flow: {}", Summary(&calls)));

    stage.primary.kill()?;
    story.tell(format_args!("primary killed"));
    let calls = traffic.next(40).await;
    story.tell(format_args!("the same calls: {}", Summary(&calls)));
    expect_only(&calls, "secondary")?;
    until(&stage, |m| state(m, "primary") == Some(1.0), "the breaker of primary opens").await?;
    tokio::time::sleep(TOLD).await;
    let before = attempts(&stage.envoy.metrics().await?, "primary");
    let calls = traffic.next(40).await;
    tokio::time::sleep(TOLD).await;
    let touched = attempts(&stage.envoy.metrics().await?, "primary") - before;
    story.tell(format_args!("breaker of primary open: {} calls, {touched} attempts at primary", calls.len()));

    stage.secondary.kill()?;
    story.tell(format_args!("secondary killed too"));
    let calls = traffic.next(40).await;
    story.tell(format_args!("the same calls, answers in MCP's shape: {}", Summary(&calls)));
    expect_only(&calls, "rest")?;

    stage.rest.kill()?;
    story.tell(format_args!("rest killed too: no server is left"));
    let calls = traffic.next(40).await;
    story.tell(format_args!("the same calls, answers that were kept: {}", Summary(&calls)));
    expect_only(&calls, "cache")?;
    stage.rest.restart()?;
    until(&stage, |m| state(m, "rest") == Some(0.0), "the breaker of rest closes").await?;

    stage.primary.restart()?;
    let back = Instant::now();
    story.tell(format_args!("primary is back"));
    loop {
        let calls = traffic.next(8).await;
        if calls.iter().all(|call| call.answered_by.as_deref() == Ok("primary")) {
            break;
        }
        if back.elapsed() > PATIENCE {
            return Err("traffic did not return to primary".into());
        }
    }
    story.tell(format_args!("its probe succeeded, traffic returned {:.1} s later", back.elapsed().as_secs_f64()));

    let outcomes = traffic.outcomes();
    drop(traffic);
    story.tell(format_args!("totals: {}", Summary(&outcomes)));
    let one = median(outcomes.iter().filter(|call| call.attempts == 1).map(|call| call.took));
    let more = median(outcomes.iter().filter(|call| call.attempts > 1).map(|call| call.took));
    if more > Duration::ZERO {
        story.tell(format_args!(
            "a call that failed over took {:.1} ms more (median)",
            millis(more.saturating_sub(one))
        ));
    }
    print_metrics(&stage.envoy.metrics_settled().await?);
    match outcomes.iter().find_map(|call| call.answered_by.as_ref().err()) {
        Some(first) => Err(format!("calls failed; the first: {first}").into()),
        None => Ok(()),
    }
}

/// Prints with the time since the start.
struct Story(Instant);

impl Story {
    fn tell(&self, line: fmt::Arguments<'_>) {
        print_line(format_args!("{:6.2} s  {line}", self.0.elapsed().as_secs_f64()));
    }
}

/// How many calls, answered by whom, how fast.
struct Summary<'a>(&'a [Outcome]);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut by: BTreeMap<&str, usize> = BTreeMap::new();
        for call in self.0 {
            *by.entry(call.answered_by.as_deref().unwrap_or("nobody")).or_default() += 1;
        }
        let failed = by.get("nobody").copied().unwrap_or(0);
        write!(f, "{} calls, {failed} failed", self.0.len())?;
        for (server, count) in by.iter().filter(|(server, _)| **server != "nobody") {
            write!(f, ", {count} by {server}")?;
        }
        write!(f, ", median {:.1} ms", millis(median(self.0.iter().map(|call| call.took))))
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn expect_only(calls: &[Outcome], server: &str) -> Result<(), String> {
    match calls.iter().find(|call| call.answered_by.as_deref() != Ok(server)) {
        Some(call) => Err(format!("a call was not answered by {server}: {:?}", call.answered_by)),
        None => Ok(()),
    }
}

async fn until(stage: &Stage, holds: impl Fn(&Metrics) -> bool, what: &str) -> Result<(), Box<dyn Error>> {
    match stage.envoy.metrics_until(holds).await? {
        (_, true) => Ok(()),
        (_, false) => Err(format!("did not happen: {what}").into()),
    }
}

fn state(metrics: &Metrics, server: &str) -> Option<f64> {
    metrics.value(of::BREAKER_STATE.name, &[(label::SERVER, server)])
}

fn attempts(metrics: &Metrics, server: &str) -> f64 {
    metrics.sum(of::ATTEMPTS.name, &[(label::SERVER, server)])
}

/// The counters and gauges behind the story.
fn print_metrics(metrics: &Metrics) {
    print_line(format_args!(""));
    for family in [&of::CALLS, &of::FALLBACK, &of::BREAKER_STATE, &of::ATTEMPTS] {
        // Counters are there before they count anything.
        let told = metrics.series(family.name, &[]).filter(|(_, value)| *value > 0.0 || family.kind == Kind::Gauge);
        for (series, value) in told {
            print_line(format_args!("{series} {value}"));
        }
    }
}

/// Prints a line. A reader that went away (`| head`) ends neither the story nor the clean-up after it.
fn print_line(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
