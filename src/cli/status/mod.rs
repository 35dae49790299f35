//! `dualpath status`: what a running Envoy does with calls now. [`reading`] asks it, [`look`] works out what that says, a [`model::Status`],
//! [`show`] says it, [`watch`] goes on saying it, [`screen`] on a terminal.

mod history;
mod look;
mod model;
mod quantile;
mod reading;
mod screen;
mod show;
#[cfg(test)]
mod tests;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

pub(super) use look::{pool, runs};
pub(super) use model::{Runs, Server, SlotSeen, Status};
pub(super) use reading::Reading;

use super::{Format, UNUSABLE, admin, complain, print, printed, shown};
use crate::wire::parse_duration;

/// Show what a running Envoy does with calls now.
///
/// Servers with their breakers, how long until the next probe and what has failed, calls by who answers them, how they end and
/// how long they take, tokens, connections, and what is switched off. Asks twice, so that it can say how many calls there are in a
/// second; shares and times are of all calls since Envoy began to count. With --watch it goes on, and everything is of the last
/// minute: as a page on a terminal (q ends it), else as a line each time.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// URL of Envoy's admin interface or of its metrics, unix:///PATH for a socket
    #[arg(long, value_name = "URL", value_parser = admin::read_url, default_value = "http://127.0.0.1:9901")]
    admin: String,
    /// Go on until interrupted
    #[arg(long)]
    watch: bool,
    /// Time between two looks
    #[arg(long, value_name = "DURATION", value_parser = read_interval, default_value = "1s")]
    interval: Duration,
    /// How to say it; JSON is one object, with --watch one a line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    if args.watch {
        return watch::run(&args.admin, args.interval, args.format);
    }
    match twice(&args.admin, args.interval) {
        Ok(status) => printed(print(&match args.format {
            Format::Text => show::text(&status, &args.admin),
            Format::Json => format!("{:#}\n", show::json(&status, &args.admin, &[])),
        })),
        Err(why) => unread(&why),
    }
}

fn twice(admin: &str, interval: Duration) -> Result<Status, String> {
    let before = Reading::take(admin)?;
    std::thread::sleep(interval);
    Ok(Status::new(&Reading::take(admin)?, Some(&before), None))
}

fn unusable(why: &str) -> ExitCode {
    complain(&format!("{}\n", shown::line(why)));
    ExitCode::from(UNUSABLE)
}

/// Envoy can't be asked.
fn unread(why: &str) -> ExitCode {
    let status = unusable(why);
    complain(
        "    hint: does Envoy run there? --admin names its admin interface, or its metrics (envoy.metrics_port)\n",
    );
    status
}

fn read_interval(text: &str) -> Result<Duration, String> {
    let bounds = Duration::from_millis(100)..=Duration::from_secs(3600);
    parse_duration(text)
        .filter(|it| bounds.contains(it))
        .ok_or_else(|| "must be a duration from 100ms to 1h".to_owned())
}
