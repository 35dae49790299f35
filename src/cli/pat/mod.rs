//! `dualpath pat`: the operator's side of a token's life: how long the tokens still live, how to replace one, whether a
//! file with one is right. Nothing here prints a token or a part of one.

pub(super) mod admin;
mod bash;
mod check;
mod install;
mod look;
mod rotate_plan;
mod rotation;
pub(super) mod sds;
mod shape;
mod sql;
mod state;
mod status;
mod status_text;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Subcommand;

use super::UNUSABLE;
use crate::credential::date;

/// Care for the tokens of a registry's credentials.
///
/// A credential has two slots, so that a new token can be put beside the old one while calls flow. These commands say how
/// long the tokens in them still live, what to do to replace one, and whether a file with a token is as it should be. No
/// token is ever printed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

/// The same for all of them, so that a pipeline can be built on it.
const EXIT_STATUS: &str = "\
Exit status:
  0  nothing to do
  1  alert: a token should be replaced, or something should be looked at
  2  critical: a token is about to end, violates the policy or is unusable, or there is none
  3  something could not be read, or the command line is wrong";

#[derive(Debug, Subcommand)]
enum Command {
    Status(status::Args),
    RotatePlan(rotate_plan::Args),
    Check(check::Args),
}

/// What a command has found, in the order of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    /// Nothing to do.
    Fine,
    /// Soon.
    Alert,
    /// It could not be found out. What is known to be critical is still said to be.
    Unknown,
    /// Now.
    Critical,
}

impl Urgency {
    fn exit_status(self) -> u8 {
        match self {
            Urgency::Fine => 0,
            Urgency::Alert => 1,
            Urgency::Critical => 2,
            Urgency::Unknown => 3,
        }
    }

    /// Itself if it could be `told`. Otherwise nobody knows why, unless it is critical.
    fn if_told(self, told: bool) -> Self {
        if told { self } else { self.max(Urgency::Unknown) }
    }

    fn as_str(self) -> &'static str {
        match self {
            Urgency::Fine => "fine",
            Urgency::Alert => "alert",
            Urgency::Critical => "critical",
            Urgency::Unknown => "unknown",
        }
    }
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    let urgency = match &args.command {
        Command::Status(args) => status::run(args),
        Command::RotatePlan(args) => rotate_plan::run(args),
        Command::Check(args) => check::run(args),
    };
    ExitCode::from(urgency.exit_status())
}

/// The exit status of a wrong command line. Below `pat` that is another one than elsewhere, since 2 means critical there.
pub fn unusable(mut arguments: impl Iterator<Item = OsString>) -> u8 {
    if arguments.nth(1).is_some_and(|command| command == "pat") { Urgency::Unknown.exit_status() } else { UNUSABLE }
}

/// A date or time of the command line, in seconds since 1970.
fn read_time(text: &str) -> Result<u64, String> {
    date::parse(text).ok_or_else(|| "must be a date such as 2026-11-26 or 2026-11-26T08:30:00Z".to_owned())
}
