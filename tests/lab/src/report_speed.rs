//! How fast `dualpath report` is: a log of made-up calls, as long as it shall be, and what a report of it costs.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dualpath::credential::date;

use super::chaos::seeded::Seeded;

/// What to write and to measure.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The program
    #[arg(long, default_value = "build/dualpath")]
    program: PathBuf,
    /// How long the log is, in MiB
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// How many callers there are
    #[arg(long, default_value_t = 1_000_000)]
    callers: u64,
    /// Decides about the calls
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the log goes
    #[arg(long, default_value = "build/calls.log")]
    log: PathBuf,
    /// Write the log and leave it there
    #[arg(long)]
    write_only: bool,
}

/// The calls' time: 30 days from then on.
const BEGIN: &str = "2026-11-01T00:00:00Z";
const SECONDS: u64 = 30 * date::DAY_S;

/// Writes the log, has it read, and prints what that took.
///
/// # Errors
/// When the log can't be written, or the program fails.
pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let calls = write(options)?;
    let length = fs::metadata(&options.log)?.len();
    println!("{} MiB, {calls} calls, up to {} callers", length >> 20, options.callers);
    if options.write_only {
        return Ok(());
    }
    let measured = measure(&options.program, &options.log);
    fs::remove_file(&options.log)?;
    let (took, memory) = measured?;
    let rate = length as f64 / f64::from(1 << 20) / took.as_secs_f64();
    println!(
        "dualpath report: {:.1} s on one core, {rate:.0} MiB/s, at most {} MiB of memory",
        took.as_secs_f64(),
        memory >> 20
    );
    Ok(())
}

fn measure(program: &Path, log: &Path) -> Result<(Duration, u64), Box<dyn Error>> {
    let begun = Instant::now();
    let mut child =
        Command::new(program).args(["report", "--format", "json", "--log"]).arg(log).stdout(Stdio::null()).spawn()?;
    let mut memory = 0;
    loop {
        // As it ends it has none any more.
        memory = memory.max(peak(child.id()).unwrap_or_default());
        match child.try_wait()? {
            Some(status) if status.success() => return Ok((begun.elapsed(), memory)),
            Some(status) => return Err(format!("{}: {status}", program.display()).into()),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// The most memory that a process has had, in bytes.
fn peak(id: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.unwrap_or_default() * 1024)
}

/// A tool: how often it is called, its name, model, how long it takes in ms, tokens.
type Tool = (u64, (&'static str, Option<&'static str>, u64, u64));

const TOOLS: [Tool; 5] = [
    (50, ("complete", Some("claude-haiku-4-5"), 900, 700)),
    (30, ("search", None, 150, 0)),
    (12, ("analyst", Some("snowflake-arctic"), 2100, 1500)),
    (6, ("sql", None, 320, 0)),
    (2, ("tools/list", None, 8, 0)),
];

/// What befalls a server in an hour: which one, and the class of its failures.
const TROUBLES: [(u64, Option<(usize, &str)>); 6] = [
    (84, None),
    (6, Some((0, "server"))),
    (4, Some((0, "lost"))),
    (3, Some((1, "not_sent"))),
    (2, Some((0, "overload"))),
    (1, Some((0, "credential"))),
];

const SERVERS: [(&str, &str, &str); 3] =
    [("primary", "mcp", "mcp-pat"), ("secondary", "mcp", "mcp-pat"), ("rest", "direct", "rest-pat")];

/// Writes the calls; answers how many.
fn write(options: &Options) -> io::Result<u64> {
    let mut random = Seeded::new(options.seed, 1);
    let mut log = BufWriter::with_capacity(1 << 20, File::create(&options.log)?);
    let (length, begin) = (options.mib << 20, date::parse(BEGIN).unwrap_or_default());
    let (mut written, mut calls) = (0, 0);
    while written < length {
        // As far into the time as into the log.
        let at_ms = (u128::from(written) * u128::from(SECONDS) * 1000 / u128::from(length.max(1))) as u64;
        let line = call(&mut random, begin * 1000 + at_ms, options);
        log.write_all(line.as_bytes())?;
        written += line.len() as u64;
        calls += 1;
    }
    log.flush()?;
    Ok(calls)
}

fn begin_hour() -> u64 {
    date::parse(BEGIN).unwrap_or_default() / 3600
}

fn call(random: &mut Seeded, at_ms: u64, options: &Options) -> String {
    let (tool, model, usual_ms, tokens) = *random.pick(&TOOLS);
    let hour = at_ms / 3_600_000;
    let trouble = *Seeded::new(options.seed, 1000 + hour).pick(&TROUBLES);
    // Half of the calls are by a few services, of which the first are the busiest; the other half by anybody.
    let busy = random.between(0, 40).min(random.between(0, 40));
    let anybody = random.between(0, options.callers.max(1));
    let caller = if random.between(0, 2) == 0 { format!("service-{busy}") } else { format!("agent-{anybody}") };
    let (mut hops, mut took, mut served) = (Vec::new(), 0, None);
    for (at, (server, ..)) in SERVERS.iter().enumerate() {
        let reason = if at == 0 { "first" } else { "next" };
        let own_ms = usual_ms / 2 + random.between(0, usual_ms) * random.between(1, 5) / 3;
        let failing = match trouble {
            Some((ill, class)) if ill == at => Some(class),
            // Now and then anybody fails.
            _ => (random.between(0, 4000) == 0).then_some("server"),
        };
        match failing {
            Some(_) if trouble.is_some() && random.between(0, 10) < 8 => {
                hops.push(format!(r#"{{"server":"{server}","reason":"open"}}"#));
            }
            Some(class) => {
                took += own_ms;
                hops.push(format!(r#"{{"server":"{server}","reason":"{reason}","class":"{class}","ms":{own_ms}}}"#));
                // What may not be sent twice stays failed.
                if tool == "sql" && matches!(class, "server" | "lost") {
                    break;
                }
            }
            None => {
                took += own_ms;
                hops.push(format!(r#"{{"server":"{server}","reason":"{reason}","class":"success","ms":{own_ms}}}"#));
                served = Some(at);
                break;
            }
        }
    }
    let attempts = hops.iter().filter(|hop| hop.contains("class")).count();
    let outcome = match served {
        Some(0) => "success",
        Some(_) => "fallback",
        None => "failed",
    };
    let (mode, by) = served.map_or((r#""gate""#.to_owned(), String::new()), |at| {
        let (server, mode, credential) = SERVERS[at];
        let (slot, token) =
            [('a', 1), ('b', 2), ('a', 3)][(hour.saturating_sub(begin_hour()) / (24 * 12)).min(2) as usize];
        (
            format!("\"{mode}\""),
            format!(
                r#","server":"{server}","class":"success","credential":"{credential}/{slot}/9f3c5a7be1d20{at}0{token}""#
            ),
        )
    });
    let used = model.filter(|_| served.is_some()).map_or(String::new(), |model| {
        let (read, wrote) = (tokens / 2 + random.between(0, tokens), random.between(20, 400));
        format!(
            r#","model":"{model}","input_tokens":{read},"output_tokens":{wrote},"credits":{:.6}"#,
            (read + wrote * 4) as f64 / 1e6
        )
    });
    let method = if tool.contains('/') { tool } else { "tools/call" };
    let named = if tool.contains('/') { String::new() } else { format!(r#","tool":"{tool}","task":"{tool}""#) };
    let second = date::show(at_ms / 1000);
    let time = second.trim_end_matches('Z');
    format!(
        "{{\"time\":\"{time}.{:03}Z\",\"request_id\":\"{:016x}-{:016x}\",\"caller\":\"{caller}.example.com\",\"session\":\"{:08x}\",\"method\":\"{method}\"{named},\"mode\":{mode}{by},\"outcome\":\"{outcome}\",\"status\":200,\
         \"attempts\":{attempts},\"hops\":[{}],\"duration_ms\":{took},\"request_bytes\":{},\"response_bytes\":{}{used}}}\n",
        at_ms % 1000,
        random.next(),
        random.next(),
        anybody & 0xFFFF_FFFF,
        hops.join(","),
        random.between(150, 900),
        random.between(300, 9000),
    )
}
