//! `dualpath explain`: what the filter would make of an answer, asked before an incident.
//!
//! [`seen`] reads what the operator describes and judges it, [`finding`] works out what follows, [`show`] says it. Every
//! decision is made by the code that the filter runs. [`routing`] says who is asked at all, and in which order.

mod finding;
pub(super) mod line;
mod lists;
mod routing;
mod seen;
mod show;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::process::ExitCode;

use super::{Environment, Format, UNUSABLE, codes, complain, load_for, print, printed, report, shown};
use finding::Finding;
use line::Story;
use lists::Lists;
use routing::Asked;
use seen::Seen;

/// Explain what the filter makes of a failure, and which rule decides; or a code of a problem.
///
/// With a code, such as DP0104: what that problem or warning means, an example, and how to mend it. --codes lists all of them.
/// A registry file that is called like a code is named as ./DP0104.
///
/// Describe what a server does with a call: an answer by --status, --header and --body, or none by --transport. Prints
/// the failure class and the rule that gave it, what the breaker counts, which servers the same call goes to next, and
/// what the client gets, each with the place in the registry that says so. Breakers are taken to be closed, the MCP
/// path to be switched on, and every server to list the tool.
///
/// With --routing: who is asked for each tool, in which order and why, of --tool only or of all. What servers list, which
/// discovery finds out in a running Envoy, is taken from --lists.
///
/// With --line: why a call that has happened went where it went, from its line of the log that log.calls or
/// failover.access_log names.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Registry file, YAML or JSON; - reads standard input. Or a code, such as DP0104
    #[arg(required_unless_present_any = ["line", "codes"], value_name = "REGISTRY|CODE")]
    registry: Option<String>,
    /// List the codes of all problems and warnings
    #[arg(long, conflicts_with_all = ["registry", "environment", "server", "routing", "line", "tool", "annotated", "status", "headers",
        "body", "event_stream", "in_session", "transport"])]
    codes: bool,
    /// Print all that is said of each code, in Markdown, as in the guide
    #[arg(long, requires = "codes")]
    markdown: bool,
    #[command(flatten)]
    environment: Environment,
    /// Server that was asked
    #[arg(long, value_name = "ID")]
    server: Option<String>,
    /// Say instead who is asked, in which order and why
    #[arg(long, conflicts_with_all = ["server", "line", "annotated", "status", "headers", "body", "event_stream", "in_session", "transport"])]
    routing: bool,
    /// File with what servers list, YAML or JSON: a mapping from ids to lists of names of tools; for --routing
    #[arg(long, value_name = "FILE", requires = "routing")]
    lists: Option<String>,
    /// Server that the request names by x-dualpath-server, from where it may; for --routing
    #[arg(long, value_name = "ID", requires = "routing")]
    prefer: Option<String>,
    /// File with lines of the failover log; - reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["registry", "environment", "server", "tool", "annotated", "status", "headers",
        "body", "event_stream", "transport"])]
    line: Option<String>,
    /// Tool that was called [default: one that the registry does not list]
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Take it that the lists of tools of trusted servers call the tool read-only or idempotent
    #[arg(long)]
    annotated: bool,
    #[command(flatten)]
    description: Description,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What a server did with the call.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Description {
    /// HTTP status of the answer [default: 200 where there is a body]
    #[arg(long, value_parser = clap::value_parser!(u16).range(200..=599))]
    status: Option<u16>,
    /// Header of the answer, such as 'retry-after: 5'; may be given more than once
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// File with the body of the answer; - reads standard input
    #[arg(long, value_name = "FILE")]
    body: Option<String>,
    /// The body is a stream of Server-Sent Events
    #[arg(long)]
    event_stream: bool,
    /// The client is in a session of the server's
    #[arg(long)]
    in_session: bool,
    /// There was no answer
    #[arg(long, value_enum, conflicts_with_all = ["status", "headers", "body", "event_stream"])]
    transport: Option<Transport>,
}

impl Description {
    fn is_empty(&self) -> bool {
        let Description { status, headers, body, event_stream, in_session, transport } = self;
        let nothing = status.is_none() && headers.is_empty() && body.is_none() && transport.is_none();
        nothing && !event_stream && !in_session
    }
}

/// How a call ends without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Transport {
    /// No connection, TLS failure, refused stream
    Refused,
    /// The connection ended after the call was sent
    Reset,
    /// Nothing came within the timeout
    Timeout,
    /// The client left first
    Cancelled,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    if let Some(file) = &args.line {
        return explain_line(file, args.format);
    }
    if args.codes {
        return explain_codes(args);
    }
    let registry = args.registry.as_deref().unwrap_or_default();
    if codes::is_code(registry) {
        return explain_code(registry, args);
    }
    if args.server.is_none() && !args.routing {
        return unusable("say which server was asked, by --server; or ask --routing");
    }
    let server = args.server.as_deref().unwrap_or_default();
    let (registry, wire) = match load_for(registry, args.environment.name()) {
        Ok((registry, wire)) => (std::rc::Rc::new(registry), wire),
        Err(error) => return report(&error),
    };
    if args.routing {
        let lists = match args.lists.as_deref().map(|file| Lists::of(file, &registry)).transpose() {
            Ok(lists) => lists,
            Err(problem) => {
                complain(&format!("{problem}\n"));
                return ExitCode::from(UNUSABLE);
            }
        };
        let (tool, prefer) = (args.tool.as_deref(), args.prefer.as_deref());
        return match (routing::explain(&registry, &wire, &Asked { tool, prefer, lists }), args.format) {
            (Ok(routing), Format::Text) => printed(print(&routing.text())),
            (Ok(routing), Format::Json) => printed(print(&routing.json())),
            (Err(problem), _) => unusable(&problem),
        };
    }
    let found = args.description.body.as_deref().map_or(Ok(Vec::new()), |file| read("--body", file)).and_then(|body| {
        let seen = Seen::new(&args.description, body)?;
        Finding::new(&registry, server, args.tool.as_deref(), args.annotated, &seen)
    });
    match (found, args.format) {
        (Ok(finding), Format::Text) => printed(print(&show::text(&finding))),
        (Ok(finding), Format::Json) => printed(print(&show::json(&finding))),
        (Err(problem), _) => unusable(&problem),
    }
}

fn explain_codes(args: &Args) -> ExitCode {
    printed(print(&match args.format {
        _ if args.markdown => codes::markdown(),
        Format::Text => codes::list(),
        Format::Json => format!("{:#}\n", codes::all().iter().map(codes::json).collect::<serde_json::Value>()),
    }))
}

/// A code stands where a registry would: a file of that name is told by its folder.
fn explain_code(name: &str, args: &Args) -> ExitCode {
    let more = args.server.is_some() || args.tool.is_some() || args.routing || args.environment.name().is_some();
    if more || args.annotated || !args.description.is_empty() {
        return unusable(&format!("{name} is a code, which is explained alone; a file of that name is ./{name}"));
    }
    match codes::named(name) {
        Some(code) if args.format == Format::Json => printed(print(&format!("{:#}\n", codes::json(code)))),
        Some(code) => printed(print(&codes::text(code))),
        None => unusable(&format!("{name}: there is no such code; dualpath explain --codes lists them")),
    }
}

fn unusable(problem: &str) -> ExitCode {
    complain(&format!("{}\n", shown::line(problem)));
    ExitCode::from(UNUSABLE)
}

fn explain_line(file: &str, format: Format) -> ExitCode {
    let text = read("--line", file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    match text.and_then(|text| Story::all(file, &text)) {
        Ok(stories) => printed(print(&match format {
            Format::Text => line::text(&stories),
            Format::Json => line::json(&stories),
        })),
        Err(problem) => unusable(&problem),
    }
}

fn read(option: &str, file: &str) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    let done = match file {
        "-" => io::stdin().lock().read_to_end(&mut body),
        _ => std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut body)),
    };
    done.map(|_| body).map_err(|error| format!("{option} {file}: cannot be read: {error}"))
}
