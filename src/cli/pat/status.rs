//! `dualpath pat status`: how long the tokens of a registry still live.

use std::process::ExitCode;

use super::look::World;
use super::state::{PatStatus, of_envoy, of_files};
use super::{Urgency, admin, status_text};
use crate::cli::{Environment, complain, load_for, now_s, print, report, shown};
use crate::registry::Registry;

/// Say of each credential and slot whether there is a token, how long it lives and how urgent a new one is.
///
/// Reads SDS files and environment variables as an Envoy started here would. Tokens from a secret server or a token
/// endpoint are seen only by a running Envoy: name it with --admin, and everything is said as that Envoy sees it. What is
/// not known is called unknown: the end of a token is what the registry declares, else what the token says of itself if it
/// is a JWT, else its issue date plus the policy's max_age.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Registry file, YAML or JSON; - reads standard input
    registry: String,
    #[command(flatten)]
    environment: Environment,
    #[command(flatten)]
    view: View,
    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Take a token whose end is unknown for an alert
    #[arg(long)]
    strict: bool,
}

/// Where the tokens are looked at from, and when.
#[derive(Debug, clap::Args)]
pub struct View {
    /// Ask a running Envoy instead: the URL of its admin interface or of its metrics, unix:///PATH for a socket
    #[arg(long, value_name = "URL", value_parser = crate::cli::admin::read_url)]
    admin: Option<String>,
    /// Judge as if it were this date (2026-12-24) or time in UTC (2026-12-24T08:30:00Z), for instance before holidays
    #[arg(long, value_name = "TIME", value_parser = super::read_time, conflicts_with = "admin")]
    at: Option<u64>,
}

impl View {
    /// The registry in `file` and the state of all its credentials from here. `None` if one of them could not be read, which
    /// has been complained about.
    pub fn look(&self, file: &str, environment: &Environment) -> Option<(Registry, PatStatus)> {
        let registry = match load_for(file, environment.name()) {
            Ok((registry, _)) => registry,
            Err(error) => {
                let _: ExitCode = report(&error);
                return None;
            }
        };
        match self.of(&registry) {
            Ok(status) => Some((registry, status)),
            Err(error) => {
                complain(&format!("{}\n", shown::line(&error)));
                None
            }
        }
    }

    /// The state of all credentials from here.
    ///
    /// # Errors
    /// Why the running Envoy does not answer.
    fn of(&self, registry: &Registry) -> Result<PatStatus, String> {
        let Some(url) = &self.admin else {
            let file = |path: &str| std::fs::read(path);
            let variable = |name: &str| std::env::var(name).ok();
            return Ok(of_files(registry, self.at.unwrap_or_else(now_s), World { file: &file, variable: &variable }));
        };
        Ok(of_envoy(registry, now_s(), url, &admin::ask(url)?))
    }
}

/// How a status is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> Urgency {
    let Some((_, status)) = args.view.look(&args.registry, &args.environment) else { return Urgency::Unknown };
    let urgency = status.urgency(args.strict);
    let done = print(&match args.format {
        Format::Text => status_text::text(&status, urgency),
        Format::Json => status_text::json(&status, urgency),
    });
    urgency.if_told(done)
}
