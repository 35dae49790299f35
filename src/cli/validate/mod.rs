//! `dualpath validate`: whether a running sidecar does what a registry says. [`config`] compares what it runs, [`paths`] calls
//! through it, [`seen`] reads its metrics, [`show`] says what was found, [`hint`] what to do.

mod answered;
mod arguments;
mod client;
mod config;
mod hint;
mod paths;
mod row;
mod seen;
mod shape;
mod show;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::check::socket;
use super::load::{Loaded, load_one};
use super::metrics::Metrics;
use super::render::local;
use super::status::{Reading, Status, runs};
use super::{Environment, PROBLEMS, UNUSABLE, admin, complain, print_exactly, report, shown};
use crate::registry::EnvoySettings;
use crate::wire::{VEIL, looks_like_a_token};
use paths::Paths;
use row::Row;
use show::About;

/// By when what the calls have done is in the metrics.
const TOLD: Duration = Duration::from_millis(700);

/// What to do where nothing answers.
const NOBODY: &str = "    hint: does Envoy run there, with what dualpath render writes of this registry? --url and --admin name other places\n";

/// So much is shown of what somebody else has written, in characters.
const LONGEST: usize = 300;

/// Check a running sidecar against its registry.
///
/// Says whether the Envoy runs this very registry, whether its tokens are good, its servers and their connections well, its
/// metrics there, the servers' lists in step, and whether each tool is answered, in MCP's shape, on each of its paths. Paths are tried one
/// by one, and failover once, where the registry has a drill that this machine may order; else as calls go now.
///
/// Tools are called only if the registry says that they may run twice, or if servers that it trusts call them read-only; --call
/// names others. A tool gets the least that its schema takes, or what --arguments says. Every failure has a hint.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub struct Args {
    /// Registry file, YAML or JSON; - reads standard input
    registry: String,
    #[command(flatten)]
    environment: Environment,
    /// URL of the MCP endpoint [default: the registry's listener, on this machine]
    #[arg(long, value_name = "URL", value_parser = read_endpoint)]
    url: Option<String>,
    /// URL of Envoy's admin interface or of its metrics, unix:///PATH for a socket [default: the registry's, on this machine]
    #[arg(long, value_name = "URL", value_parser = admin::read_url)]
    admin: Option<String>,
    #[command(flatten)]
    wishes: Wishes,
    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Take warnings for problems
    #[arg(long)]
    strict: bool,
}

const EXIT_STATUS: &str = "\
Exit status:
  0  all is good
  1  there are problems, or the registry itself breaks rules
  2  it could not be found out: the command line is wrong, or neither Envoy's endpoint nor its admin interface answers";

/// What may be done to find out.
#[derive(Debug, Clone, clap::Args)]
pub struct Wishes {
    /// Call this tool although it may change something; may be given more than once
    #[arg(long = "call", value_name = "TOOL")]
    calls: Vec<String>,
    /// What to call a tool with, such as 'search={"query":"x"}'; may be given more than once
    #[arg(long, value_name = "TOOL=JSON", value_parser = arguments::read)]
    arguments: Vec<(String, Value)>,
    /// Order no drill
    #[arg(long = "no-drill", action = clap::ArgAction::SetFalse)]
    drill: bool,
}

/// How the result is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people; in colour on a terminal, unless `NO_COLOR` is set.
    Text,
    /// For programs.
    Json,
    /// For pipelines that read test results.
    Junit,
    /// For workflows of GitHub.
    Github,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    let file = match load_one(&args.registry, args.environment.name()) {
        Ok(file) => file,
        Err(error) => return report(&error),
    };
    if args.url.as_deref() == Some(VEIL) {
        complain("--url: a URL with a user or a password is not taken, since the gate asks for none\n");
        return ExitCode::from(UNUSABLE);
    }
    let listener = &file.registry.listener;
    let own = || format!("http://{}{}", socket(local(&listener.address), listener.port), listener.path);
    let url = args.url.clone().unwrap_or_else(own);
    let admin = args.admin.clone().unwrap_or_else(|| reached(&file.registry.envoy));
    let unknown = args.wishes.calls.iter().chain(args.wishes.arguments.iter().map(|(tool, _)| tool));
    if let Some(tool) = unknown.into_iter().find(|tool| file.registry.tool(tool).is_none()) {
        complain(&format!("the registry has no tool {}\n", shown::line(tool)));
        return ExitCode::from(UNUSABLE);
    }
    let progress = Progress::new();
    let rows = rows(&file, &args.wishes, &url, &admin, &|what| progress.tell(what));
    drop(progress);
    let rows = match rows {
        Ok(rows) => rows,
        Err(why) => {
            complain(&why);
            return ExitCode::from(UNUSABLE);
        }
    };
    let about = About { registry: &args.registry, url: &url, admin: &admin, strict: args.strict };
    let done = print_exactly(&match args.format {
        Format::Text => show::text(&rows, about, has_colour()),
        Format::Json => shown::lines(&show::json(&rows, about)).into_owned(),
        Format::Junit => show::junit(&rows, about),
        Format::Github => show::github(&rows, about),
    });
    match (done, about.is_good(&rows)) {
        (false, _) => ExitCode::from(UNUSABLE),
        (true, false) => ExitCode::from(PROBLEMS),
        (true, true) => ExitCode::SUCCESS,
    }
}

/// The admin interface; the listener of the metrics, where only that can be reached from here.
fn reached(envoy: &EnvoySettings) -> String {
    let admin = admin::admin_of(&envoy.admin);
    match envoy.metrics.is_some() && admin::page(&admin, config::SERVER_PAGE).is_err() {
        true => admin::metrics_of(envoy),
        false => admin,
    }
}

/// Everything that was looked at. `Err` if there is nothing to look at.
fn rows(file: &Loaded, wishes: &Wishes, url: &str, admin: &str, progress: &dyn Fn(&str)) -> Result<Vec<Row>, String> {
    progress("what Envoy runs");
    let dump = admin::page(admin, config::PAGE);
    let metrics = admin::page(admin, admin::METRICS);
    let mut rows = match (&dump, &metrics) {
        (Ok(page), _) => config::rows(page, file),
        // The listener of the metrics shows no more.
        (Err(why), Ok(page)) => vec![config::told(&runs(&Metrics::parse(page)), why, file)],
        (Err(why), Err(_)) => vec![
            Row::problem("registry", "what Envoy runs", why)
                .hint("is Envoy running, and its admin interface there? --admin names it"),
        ],
    };
    if let Ok(page) = admin::page(admin, config::SERVER_PAGE) {
        rows.push(config::envoy(&page));
    }
    match Paths::new(&file.registry, wishes, url, progress).rows() {
        Ok(found) => rows.extend(found),
        Err(why) if metrics.is_err() => {
            let why = [format!("{url}: {why}"), metrics.err().unwrap_or_default()];
            return Err(why.map(|line| format!("{}\n", shown::line(&line))).concat() + NOBODY);
        }
        Err(why) => rows.push(
            Row::problem("endpoint", url, quoted(&why))
                .hint("does this Envoy have the listener there? --url names the MCP endpoint"),
        ),
    }
    if let Ok(before) = &metrics {
        progress("metrics");
        std::thread::sleep(TOLD);
        match Reading::take(admin) {
            Ok(now) => {
                let status = Status::new(&now, None, None);
                let look = seen::Look { registry: &file.registry, metrics: &now.metrics, status: &status };
                look.explain(&mut rows, &Metrics::parse(before));
                rows.extend(look.rows());
            }
            Err(why) => rows.push(Row::problem("metrics", "there", why)),
        }
    }
    Ok(rows)
}

/// What somebody else has written: in short, and without what looks like a token.
fn quoted(text: &str) -> String {
    let words = text.split(' ').map(|word| if looks_like_a_token(word) { VEIL } else { word });
    let text = words.collect::<Vec<_>>().join(" ");
    // `Bearer` may stand in one word and its token in the next.
    let text = if looks_like_a_token(&text) { VEIL.to_owned() } else { text };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// The URL of an MCP endpoint; see [`admin::forget_login`].
fn read_endpoint(text: &str) -> Result<String, String> {
    if admin::forget_login(text) == VEIL {
        return Ok(VEIL.to_owned());
    }
    match text.strip_prefix("http://") {
        Some(rest) if !rest.is_empty() => Ok(text.to_owned()),
        _ => {
            Err("must be a URL that begins with http://: a sidecar is asked on its own machine, without TLS".to_owned())
        }
    }
}

fn has_colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// What is being done, on a line of the terminal that goes again.
struct Progress(bool);

impl Progress {
    fn new() -> Self {
        Progress(std::io::stderr().is_terminal())
    }

    fn tell(&self, what: &str) {
        if self.0 {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K{} ...", shown::line(what));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.0 {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Admin;

    #[test]
    fn where_the_admin_interface_cannot_be_reached_the_listener_of_the_metrics_is_asked() {
        let mut envoy = EnvoySettings { admin: Admin::Port("127.0.0.1".to_owned(), 1), ..EnvoySettings::default() };
        assert_eq!(reached(&envoy), "http://127.0.0.1:1");
        envoy.metrics = Some(("0.0.0.0".to_owned(), 9902));
        assert_eq!(reached(&envoy), "http://127.0.0.1:9902");
    }

    #[test]
    fn what_others_write_is_shown_in_short_and_without_tokens() {
        let token = "eyJhbGciOiJFUzI1NiJ9.c2VjcmV0.c2ln";
        assert_eq!(quoted(&format!("got {token} here")), "got (not shown) here");
        assert!(!quoted(&format!("authorization: Bearer abc123def456ghi {token}")).contains("abc123"));
        assert_eq!(quoted(&"\u{e4} ".repeat(400)).chars().count(), LONGEST + 3);
    }
}
