//! The figures for a person.

use std::fmt::{Display, Formatter, Result};

use super::contestants::{BARE, DUALPATH, NATIVE, NOOP, OTHER, describe};
use super::report::Report;
use super::statistics::Estimate;

/// Column of what a row is about.
const WHAT: usize = 60;

/// Column of a figure with its interval.
const FIGURE: usize = 24;

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.conditions(f)?;
        self.cpu(f)?;
        self.latency(f)?;
        self.growth(f)?;
        self.processes(f)?;
        writeln!(f, "\n~ the interval (95 %, bootstrap over the rounds) is wider than 10 % of the figure")?;
        match self.noisy().as_slice() {
            [] => Ok(()),
            noisy => writeln!(f, "This run was noisy: {}. Repeat it on a quieter machine.", noisy.join(", ")),
        }
    }
}

impl Report {
    fn conditions(&self, f: &mut Formatter<'_>) -> Result {
        let conditions = &self.conditions;
        writeln!(
            f,
            "One Envoy, 1 worker thread, {} connections kept alive on loopback, {} processors shared with clients and server.\n\
             tools/call of {} bytes, answered with {} bytes of JSON. Dualpath's registry: primary and secondary MCP server and\n\
             REST, 10 tools, one credential (SDS file in slot a); the called tool is replayable, no client_timeout.\n",
            conditions.connections, conditions.processors, conditions.request_bytes, conditions.response_bytes,
        )
    }

    fn cpu(&self, f: &mut Formatter<'_>) -> Result {
        let conditions = &self.conditions;
        writeln!(
            f,
            "CPU time of the Envoy process per request: {} rounds with a slice of {} ms of each; p20 = lowest fifth, ratios\n\
             within a round, medians",
            conditions.rounds, conditions.slice_ms
        )?;
        writeln!(
            f,
            "{:<WHAT$}{:>8}{:>10}{:>8}  {:<FIGURE$}{:<FIGURE$}{:<FIGURE$}",
            "", "p20 us", "median us", "req/s", "/bare", "/no-op", "/native"
        )?;
        for (name, slices) in &self.slices {
            let cpu = slices.cpu();
            let (p20, median, rate) = (cpu.p20_us, cpu.median_us, cpu.requests_per_second);
            write!(f, "{:<WHAT$}{p20:>8.1}{median:>10.1}{rate:>8.0}  ", describe(name))?;
            for other in [BARE, NOOP, NATIVE] {
                write_estimate(f, self.ratio(name, other).filter(|_| *name != other))?;
            }
            writeln!(f)?;
        }
        if let Some(ratio) = self.ratio(DUALPATH, OTHER) {
            writeln!(f, "Dualpath / the other module: {ratio:.3}")?;
        }
        Ok(())
    }

    fn latency(&self, f: &mut Formatter<'_>) -> Result {
        let mut rate = 0;
        for row in &self.rates {
            if row.calls_per_second != rate {
                rate = row.calls_per_second;
                let (p50, p99) = ("over bare p50 ms", "over bare p99 ms");
                let title = format!("\nLatency at {rate} calls/s (open loop)");
                writeln!(
                    f,
                    "{title:<width$}{:>8}{:>10}{:>8}  {p50:<FIGURE$}{p99}",
                    "p50 ms",
                    "p99 ms",
                    "CPU us",
                    width = WHAT + 1
                )?;
            }
            let (p50, p99, cpu) = (row.p50_ms, row.p99_ms, row.cpu_us_per_request);
            write!(f, "{:<WHAT$}{p50:>8.3}{p99:>10.3}{cpu:>8.0}  ", describe(row.contestant))?;
            for added in [row.added_p50_ms, row.added_p99_ms] {
                write_estimate(f, (row.contestant != BARE).then_some(added))?;
            }
            writeln!(f)?;
        }
        if let Some((healthy, failing)) = self.failover.split_first() {
            writeln!(
                f,
                "\n{:<WHAT$}{:>8}{:>10}{:>8}  added ms",
                "Latency of a single call on one connection", "p50 ms", "p99 ms", ""
            )?;
            writeln!(f, "{:<WHAT$}{:>8.3}{:>10.3}", healthy.what, healthy.p50_ms, healthy.p99_ms)?;
            for latency in failing {
                let added = latency.added_ms;
                writeln!(
                    f,
                    "{:<WHAT$}{:>8.3}{:>10.3}{:>8}  {added:.3}",
                    latency.what, latency.p50_ms, latency.p99_ms, ""
                )?;
            }
        }
        Ok(())
    }

    fn growth(&self, f: &mut Formatter<'_>) -> Result {
        let Some(scales) = &self.scales else { return Ok(()) };
        writeln!(
            f,
            "\n{:<WHAT$}{:>8}{:>10}{:>8}  more / fewer",
            "CPU time per request with more of", "p20 us", "median us", "req/s"
        )?;
        for scale in [&scales.servers, &scales.tools, &scales.both, &scales.workers, &scales.workers_bare] {
            let cpu = scale.cpu;
            let (p20, median, rate) = (cpu.p20_us, cpu.median_us, cpu.requests_per_second);
            writeln!(f, "{:<WHAT$}{p20:>8.1}{median:>10.1}{rate:>8.0}  {:.3}", scale.what, scale.ratio)?;
        }
        Ok(())
    }

    fn processes(&self, f: &mut Formatter<'_>) -> Result {
        if !self.memory.is_empty() {
            writeln!(f, "\nResident memory beyond the bare proxy's (fresh processes, after calls)")?;
        }
        for memory in &self.memory {
            let (one, further) = (memory.one_worker_mib, memory.further_worker_mib);
            let name = describe(memory.contestant);
            writeln!(f, "{name:<WHAT$}{one:>8.1} MiB with one worker, {further:.1} MiB for each further one")?;
        }
        let Some(large) = &self.large else { return Ok(()) };
        let (ready, cpu, rss) = ("ready s", "CPU s", "RSS MiB");
        writeln!(
            f,
            "\n{:<WHAT$}{ready:>8}{cpu:>10}{rss:>8}  ready and RSS beyond the no-op module",
            "Start of a fresh process, one worker"
        )?;
        for start in [&large.noop, &large.dualpath_usual, &large.config_only, &large.dualpath] {
            let (ready, cpu, rss) = (start.ready_s, start.ready_cpu_s, start.rss_mib);
            let (more_s, more_mib) = (ready - large.noop.ready_s, rss - large.noop.rss_mib);
            writeln!(f, "{:<WHAT$}{ready:>8.2}{cpu:>10.2}{rss:>8.0}  {more_s:+.2} s, {more_mib:+.1} MiB", start.what)?;
        }
        Ok(())
    }
}

fn write_estimate(f: &mut Formatter<'_>, estimate: Option<Estimate>) -> Result {
    match estimate {
        Some(estimate) => write!(f, "{estimate:<FIGURE$.2}"),
        None => write!(f, "{:<FIGURE$}", ""),
    }
}
