//! `dualpath report`: what the calls of a month were like. [`collect`] takes in lines, [`judge`] says what a call counts as, [`summary`]
//! has the figures, [`text`] and [`page`] show them.

mod bounded;
mod collect;
mod escape;
mod flaps;
mod judge;
mod names;
mod page;
mod period;
mod plot;
mod rows;
mod show;
mod summary;
mod sums;
#[cfg(test)]
mod tests;
mod text;
mod timeline;

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use super::calls::source;
use super::output::{self, Inputs, Readers};
use super::{UNUSABLE, complain, now_s, print, print_exactly, printed, shown};
use collect::Collector;
use names::Names;
use period::Clock;
use summary::Summary;

/// Report what the calls of a month were like, from the logs that Envoy has written.
///
/// Availability per tool, and what it would have been without failover; failures, times, cost, flapping servers, which tokens were
/// used when, who calls most. Reads the call log (log.calls), and what failover.access_log and audit.access_log name; torn
/// lines and those of other logs are counted and passed over. Memory is bounded, however long a log is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Log, also one that gzip has made smaller; - reads standard input. May be given more than once, in any order
    #[arg(long = "log", value_name = "FILE", required = true, num_args = 1..)]
    logs: Vec<String>,
    /// Only calls from then on: an age (90m, 36h, 7d, 4w), a date or a time of RFC 3339
    #[arg(long, value_name = "AGE|TIME")]
    since: Option<String>,
    /// Only calls up to then
    #[arg(long, value_name = "AGE|TIME")]
    until: Option<String>,
    /// How many callers, and slow tools
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    rows: usize,
    /// Show callers as hashes, with a key that no other report has
    #[arg(long)]
    hash_callers: bool,
    /// File with a key of 16 bytes or more, so that a caller's hash is the same in the next report
    #[arg(long, value_name = "FILE", requires = "hash_callers")]
    hash_key: Option<String>,
    /// How to say it; html is one page that loads nothing
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
    /// Where to write it [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,
}

/// How the report is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For a terminal.
    Text,
    /// For programs.
    Json,
    /// For a browser.
    Html,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    match args.report() {
        Ok(text) => args.write(&text),
        Err(problem) => unusable(&problem),
    }
}

fn unusable(problem: &str) -> ExitCode {
    complain(&format!("{}\n", shown::line(problem)));
    ExitCode::from(UNUSABLE)
}

impl Args {
    fn report(&self) -> Result<String, String> {
        let names = match self.hash_callers {
            true => Names::hashed(self.hash_key.as_deref())?,
            false => Names::default(),
        };
        let period = period::asked(self.since.as_deref(), self.until.as_deref(), now_s())?;
        let (mut collected, mut notes) = (Collector::new(period), Vec::new());
        for log in self.by_age()? {
            let (name, mut number) = (shown::file(log), 0_u64);
            let done = source::every_line(log, &mut |line| {
                sums::up(&mut number);
                collected.take(&name, number, line);
                true
            });
            match done {
                Ok(()) => {}
                // What is being rotated has no end yet.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    notes.push(format!("{name} ends in the middle, after line {number}."))
                }
                Err(error) => return Err(format!("{name}: cannot be read: {error}")),
            }
        }
        let summary = Summary::of(collected, self.rows, &names, notes);
        Ok(match self.format {
            Form::Text => text::text(&summary),
            Form::Json => format!("{}\n", serde_json::to_string_pretty(&summary).unwrap_or_default()),
            Form::Html => page::page(&summary, now_s()),
        })
    }

    /// The logs, the oldest first: rotated ones are often named the other way round.
    fn by_age(&self) -> Result<Vec<&str>, String> {
        let mut logs = Vec::new();
        for log in &self.logs {
            logs.push((first_time(log)?, log.as_str()));
        }
        if logs.iter().filter(|(_, log)| *log == "-").count() > 1 {
            return Err("--log -: can be read once".to_owned());
        }
        // A pipe can't be looked into, and comes last.
        logs.sort_by_key(|(time, _)| time.unwrap_or(u64::MAX));
        Ok(logs.into_iter().map(|(_, log)| log).collect())
    }

    fn write(&self, text: &str) -> ExitCode {
        match self.output.as_deref() {
            None | Some("-") if self.format == Form::Text => printed(print(text)),
            None | Some("-") => printed(print_exactly(text)),
            Some(file) => match output::write(Path::new(file), text, &Inputs::sources(&self.logs), Readers::AsBefore) {
                Ok(()) => ExitCode::SUCCESS,
                Err(problem) => unusable(&format!("{file}: {problem}")),
            },
        }
    }
}

/// The first time that a log's first lines name.
fn first_time(log: &str) -> Result<Option<u64>, String> {
    // What comes through a pipe can be read once.
    if log == "-" || std::fs::metadata(log).is_ok_and(|it| !it.is_file() && !it.is_dir()) {
        return Ok(None);
    }
    let (mut clock, mut found, mut looked_at) = (Clock::default(), None, 0_u64);
    let done = source::every_line(log, &mut |line| {
        sums::up(&mut looked_at);
        found = super::calls::record::read(line, |line| match line {
            super::calls::record::Line::Call(it)
            | super::calls::record::Line::Story(it)
            | super::calls::record::Line::Audit(it) => it.time.text().and_then(|time| clock.ms(time)),
            _ => None,
        });
        found.is_none() && looked_at < 100
    });
    match done {
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => {
            Err(format!("{}: cannot be read: {error}", shown::file(log)))
        }
        _ => Ok(found),
    }
}
