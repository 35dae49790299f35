//! `dualpath diff`: what would change for calls if one registry took the place of another.
//!
//! [`calls`] compares what becomes of calls, and who is asked with which credential; [`settings`] compares all other keys, as far
//! as they change anything, and says what each means.

mod calls;
mod settings;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use serde_json::{Value, json};

use super::load::{Loaded, load_one};
use super::{Format, UNUSABLE, complain, print, printed, report};

/// Say what changes for calls from one registry to another.
///
/// Compares two files, or two environments of one: dualpath diff registry.yaml -e stg -e prod. Says which way calls take, which
/// servers they reach with which credentials, which may be sent again, and of every other key what it was, what it is and what it
/// means. Keys that are written differently and say the same are no change. No secret is printed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Registry file, YAML or JSON; - reads standard input
    from: String,
    /// The registry that takes its place [default: the same file]
    to: Option<String>,
    /// Environment of both; given twice, that of the first and that of the second
    #[arg(short, long = "environment", value_name = "NAME", num_args = 1, action = clap::ArgAction::Append)]
    environment: Vec<String>,
    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// One thing that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Change {
    /// What it is about, such as `tool search`.
    about: String,
    /// What changes about it, in words.
    says: String,
}

impl Change {
    fn of(about: impl Into<String>, says: impl Into<String>) -> Self {
        Change { about: about.into(), says: says.into() }
    }
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    let environment = |at: usize| args.environment.get(at).or(args.environment.first()).map(String::as_str);
    if args.environment.len() > 2 || (args.to.is_none() && args.environment.len() < 2) {
        complain("name two files, or two environments of one: dualpath diff FILE -e ONE -e OTHER\n");
        return ExitCode::from(UNUSABLE);
    }
    let to = args.to.as_ref().unwrap_or(&args.from);
    let from = match load_one(&args.from, environment(0)) {
        Ok(loaded) => loaded,
        Err(error) => return report(&error),
    };
    let to = match load_one(to, environment(1)) {
        Ok(loaded) => loaded,
        Err(error) => return report(&error),
    };
    let changes = changes(&from, &to);
    printed(print(&match args.format {
        Format::Text => text(&changes),
        Format::Json => {
            let changes: Vec<Value> =
                changes.iter().map(|change| json!({"about": change.about, "says": change.says})).collect();
            format!("{:#}\n", json!({"changes": changes}))
        }
    }))
}

/// What changes, each in a line.
pub(super) fn told(from: &Loaded, to: &Loaded) -> Vec<String> {
    changes(from, to).into_iter().map(|change| format!("{}: {}", change.about, change.says)).collect()
}

fn changes(from: &Loaded, to: &Loaded) -> Vec<Change> {
    let mut changes = calls::changes(&from.registry, &to.registry);
    changes.extend(settings::changes(&from.registry, &from.wire, &to.wire));
    // What is about one thing stands together, where it is told of first.
    let abouts: Vec<String> = changes.iter().map(|change| change.about.clone()).collect();
    changes.sort_by_key(|change| abouts.iter().position(|about| *about == change.about));
    changes
}

fn text(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "nothing changes for calls\n".to_owned();
    }
    let mut text = String::new();
    let mut about = "";
    for change in changes {
        if change.about != about {
            text.push_str(&format!("{}\n", change.about));
            about = &change.about;
        }
        text.push_str(&format!("  {}\n", change.says));
    }
    text
}
