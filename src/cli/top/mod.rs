//! `dualpath top`: what a log tells of calls. `calls` reads it, [`entry`] makes a call of a line, [`tally`] counts.

mod entry;
mod tally;

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::calls::follow::Log;
use super::calls::source;
use super::{Format, UNUSABLE, call_log, complain, print, print_part, printed, shown};
use entry::{Entry, Lines};
use tally::Tally;

/// How long until a log is looked at again.
const PAUSE: Duration = Duration::from_millis(250);

/// What is said of another file.
const NO_LOG: &str =
    "none of its lines is an object of JSON: log.calls and failover.access_log name the logs that are meant";

/// How many calls of before are told first.
const BEFORE: usize = 10;

/// See who called what, which way that went and why.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Calls(Calls),
}

/// Count the calls of an access log: who called which tool, which way they went and why.
///
/// Reads the call log (log.calls), the log that failover.access_log names, or any log of JSON lines in which a call's story is a member.
/// In the latter a call that its first server has served has no line, and where the audit (audit.access_log) goes to the same file, it
/// says who called. With --follow a line for each call as it happens, with the reason in words; also after the log was rotated.
#[derive(Debug, clap::Args)]
struct Calls {
    /// Access log; - reads standard input
    #[arg(long, value_name = "FILE", required_unless_present_any = ["schema", "members"], default_value = "-", hide_default_value = true)]
    log: String,
    /// Go on with what is written to it
    #[arg(short, long)]
    follow: bool,
    /// How many rows of the most frequent
    #[arg(long, value_name = "COUNT", default_value_t = 20, conflicts_with = "follow")]
    rows: usize,
    /// How to say it; JSON is one object, with --follow one a line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print instead what a line of the call log has, as JSON Schema: envoy/call-log.schema.json
    #[arg(long, conflicts_with_all = ["log", "follow", "rows", "format"])]
    schema: bool,
    /// The same as a Markdown table, as in the guide
    #[arg(long, conflicts_with_all = ["schema", "log", "follow", "rows", "format"])]
    members: bool,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    let Command::Calls(calls) = &args.command;
    if calls.schema {
        return printed(print(&format!("{:#}\n", call_log::schema())));
    }
    if calls.members {
        return printed(print(&call_log::table()));
    }
    let done = match calls.follow {
        true => calls.go_on(),
        false => calls.count(),
    };
    done.unwrap_or_else(|error| {
        complain(&format!("{}: cannot be read: {error}\n", shown::file(&calls.log)));
        ExitCode::from(UNUSABLE)
    })
}

impl Calls {
    fn count(&self) -> io::Result<ExitCode> {
        let (mut lines, mut tally) = (Lines::default(), Tally::default());
        let mut take = |line: &str| {
            lines.read(line).into_iter().for_each(|entry| tally.add(entry));
            true
        };
        source::every_line(&self.log, &mut take)?;
        if lines.are_of_something_else() {
            return Err(io::Error::other(NO_LOG));
        }
        Ok(printed(print(&match self.format {
            Format::Text => tally.text(self.rows),
            Format::Json => tally.json(self.rows),
        })))
    }

    fn go_on(&self) -> io::Result<ExitCode> {
        let mut lines = Lines::default();
        if self.log == "-" {
            source::every_line("-", &mut |line| lines.read(line).is_none_or(|entry| self.tell(&entry)))?;
            return if lines.are_of_something_else() { Err(io::Error::other(NO_LOG)) } else { Ok(ExitCode::SUCCESS) };
        }
        let mut log = Log::open(Path::new(&self.log))?;
        let mut before = VecDeque::new();
        log.read(|line| {
            before.extend(lines.read(line));
            let surplus = before.len().saturating_sub(BEFORE);
            before.drain(..surplus);
            true
        })?;
        if lines.are_of_something_else() {
            return Err(io::Error::other(NO_LOG));
        }
        let mut go_on = before.iter().all(|entry| self.tell(entry));
        while go_on {
            std::thread::sleep(PAUSE);
            go_on = log.read(|line| lines.read(line).is_none_or(|entry| self.tell(&entry)))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Prints a call; whether somebody reads it.
    fn tell(&self, entry: &Entry) -> bool {
        print_part(&match self.format {
            Format::Text => entry.text(),
            Format::Json => entry.json(),
        })
    }
}
