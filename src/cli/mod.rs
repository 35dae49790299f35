//! The operator's command-line tool: is this registry right, and what does Envoy need to run it?
//!
//! Each subcommand is a module with its `Args` and a `run` that answers the process's exit status.

mod admin;
pub mod attach;
pub mod call_log;
mod calls;
mod check;
mod codes;
mod credentials;
pub mod dashboard;
mod diff;
mod explain;
mod here;
mod init;
mod keys;
mod load;
pub mod metrics;
mod migrate;
mod output;
mod pat;
pub mod render;
mod report;
pub mod rules;
mod shell;
mod shown;
mod status;
#[cfg(test)]
mod tests;
mod top;
mod validate;
mod warnings;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use check::summary;
pub use codes::Warning;
pub use here::Here;
pub use load::{At, LoadError, Placed, load, load_for};
pub use warnings::warnings;

/// Exit status when the registry has problems.
const PROBLEMS: u8 = 1;
/// Exit status when the command line is wrong or a file cannot be read or written; clap uses it as well.
const UNUSABLE: u8 = 2;

/// Keeps MCP tool calls answered inside an Envoy sidecar.
///
/// A registry file says which MCP and REST servers there are, how to authenticate to them and which tools they answer.
/// This tool checks a registry, writes the configuration that runs it, and looks at an Envoy that does.
/// envoy/registry.yaml in the source tree is a commented example, and `dualpath keys` lists every key.
///
/// First steps: init (a first registry), check, render -o envoy.yaml, start Envoy with that, validate. In an Envoy that you have:
/// attach.
#[derive(Debug, Parser)]
#[command(name = "dualpath", version, after_help = EXIT_STATUS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_STATUS: &str = "\
Exit status:
  0  the registry is right
  1  the registry, or what it is to be attached to, has problems; they are printed to standard error
  2  the command line is wrong, a file cannot be read or written, or Envoy cannot be asked
pat has its own: see dualpath pat --help
Every problem and warning ends with its code: dualpath explain DP0104 explains that one";

#[derive(Debug, Subcommand)]
enum Command {
    Attach(attach::Args),
    Check(check::Args),
    Dashboard(dashboard::Args),
    Diff(diff::Args),
    Explain(explain::Args),
    Init(init::Args),
    Keys(keys::Args),
    Migrate(migrate::Args),
    Render(render::Args),
    Report(report::Args),
    Rules(rules::Args),
    Pat(pat::Args),
    Status(status::Args),
    Top(top::Args),
    Validate(validate::Args),
    Completions(shell::Completions),
    Man(shell::Man),
}

/// How a result is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Which of several environments is meant.
#[derive(Debug, clap::Args)]
struct Environment {
    /// Environment: one of the registry's environments, or of its credentials' [default: the one that the registry names]
    #[arg(short, long, value_name = "NAME")]
    environment: Option<String>,
}

impl Environment {
    fn name(&self) -> Option<&str> {
        self.environment.as_deref()
    }
}

/// Seconds since 1970, by the clock of this machine.
fn now_s() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}

/// Runs the tool with the arguments of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let plain = error.render().to_string();
            if shown::lines(&plain) == plain {
                let _ = error.print();
            } else {
                complain(&plain);
            }
            return ExitCode::from(if error.use_stderr() { pat::unusable(std::env::args_os()) } else { 0 });
        }
    };
    match cli.command {
        Command::Attach(args) => attach::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Dashboard(args) => dashboard::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Keys(args) => keys::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Render(args) => render::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Rules(args) => rules::run(&args),
        Command::Pat(args) => pat::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args),
    }
}

/// Prints why a registry could not be loaded and answers the exit status that says so.
fn report(error: &LoadError) -> ExitCode {
    complain(&format!("{error}\n"));
    error.exit_status()
}

/// Prints a result for people or, as JSON, for programs. Answers whether that could be done; if not, that has been
/// complained about.
#[must_use]
fn print(text: &str) -> bool {
    print_exactly(&shown::lines(text))
}

/// As [`print`], for text that must not be changed.
#[must_use]
fn print_exactly(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader that went away (`| head`) wants no more of it, which is no error.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(&format!("<stdout>: cannot be written: {error}\n"));
            false
        }
        _ => true,
    }
}

/// Prints a part of what has no end. Whether to go on: somebody reads it.
#[must_use]
fn print_part(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    match out.write_all(shown::lines(text).as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => true,
        Err(error) => {
            if error.kind() != ErrorKind::BrokenPipe {
                complain(&format!("<stdout>: cannot be written: {error}\n"));
            }
            false
        }
    }
}

/// The exit status of a command whose result was, or could not be, printed.
fn printed(done: bool) -> ExitCode {
    if done { ExitCode::SUCCESS } else { ExitCode::from(UNUSABLE) }
}

/// Prints a complaint to standard error. Nobody could be told that this cannot be done.
fn complain(text: &str) {
    let _ = std::io::stderr().lock().write_all(shown::lines(text).as_bytes());
}
