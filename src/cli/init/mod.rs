//! `dualpath init`: a first registry, from what somebody has: a Snowflake account, a live MCP server, a client's settings.
//!
//! [`plan`] is what there will be; [`snowflake`], [`learn`] and [`client_file`] make one, [`write`] writes it with comments. What
//! comes out is read again before anybody gets it.

mod ask;
mod client_file;
mod http;
mod learn;
mod listed;
mod plan;
mod snowflake;
#[cfg(test)]
mod tests;
mod write;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use self::ask::Ask;
use self::plan::Plan;
use super::load::load_text;
use super::output::{self, Inputs, Readers};
use super::{UNUSABLE, complain, print_exactly, printed, shown};

/// Write a first registry, with comments.
///
/// From a Snowflake account (--preset snowflake), from a live MCP server whose tools are listed (--from-mcp), or from the
/// settings of an MCP client (--from-mcp-json). On a terminal it asks for what is missing. The registry holds no secret: it
/// names files that Envoy reads tokens from. It passes dualpath check --strict.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// What the servers are
    #[arg(long, value_enum, conflicts_with_all = ["from_mcp", "from_mcp_json"])]
    preset: Option<Preset>,
    #[command(flatten)]
    snowflake: snowflake::Account,
    #[command(flatten)]
    learn: learn::Live,
    /// Settings of an MCP client, such as mcp.json: servers with URLs are taken over. Tokens in it are not
    #[arg(long, value_name = "FILE", conflicts_with = "from_mcp")]
    from_mcp_json: Option<String>,
    /// Of --from-mcp-json, the server of this name alone; may be given more than once
    #[arg(long, value_name = "NAME", requires = "from_mcp_json")]
    only: Vec<String>,
    /// Where to write it; - is standard output
    #[arg(short, long, value_name = "FILE", default_value = "registry.yaml")]
    output: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

const AFTER_HELP: &str = "\
Exit status:
  0  the registry is written
  1  no registry comes of it: a server that does not answer, a file that is no client's settings
  2  the command line is wrong, or a file is there already or cannot be read or written";

/// Ready-made sets of servers and tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Preset {
    /// Snowflake's managed MCP server, with Cortex's REST API as the direct path.
    Snowflake,
}

/// Why there is no registry.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing comes of it.
    Nothing(String),
    /// The command line or a file can't be used.
    Unusable(String),
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    match written(args, &mut Ask::of_this_terminal()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Nothing(why)) => {
            complain(&format!("{why}\n"));
            ExitCode::from(super::PROBLEMS)
        }
        Err(Failure::Unusable(why)) => {
            complain(&format!("{why}\n"));
            ExitCode::from(UNUSABLE)
        }
    }
}

fn written(args: &Args, ask: &mut Ask) -> Result<(), Failure> {
    let to_stdout = args.output.as_os_str() == "-";
    let name = shown::line(&args.output.to_string_lossy()).into_owned();
    if !to_stdout && !args.force && fs::symlink_metadata(&args.output).is_ok() {
        return Err(Failure::Unusable(format!("{name}: is there already; --force replaces it, -o names another file")));
    }
    let plan = plan(args, ask)?;
    let text = write::registry(&plan);
    // Whatever names and texts came in, nobody gets a registry that is none.
    load_text(&name, &text, None).map_err(|error| Failure::Nothing(format!("no registry comes of this:\n{error}")))?;
    if to_stdout {
        if printed(print_exactly(&text)) != ExitCode::SUCCESS {
            return Err(Failure::Unusable("nothing was written".to_owned()));
        }
    } else {
        output::write(&args.output, &text, &Inputs::sources(&plan.inputs), Readers::AsBefore)
            .map_err(|why| Failure::Unusable(format!("{name}: {why}")))?;
    }
    complain(&said(&plan, if to_stdout { "REGISTRY" } else { &name }));
    Ok(())
}

/// What there is to know beside the file.
fn said(plan: &Plan, name: &str) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let mut text = format!(
        "{name}: {}, {}, {}\n",
        count(plan.servers.len(), "server"),
        count(plan.tools.len(), "tool"),
        count(plan.credentials.len(), "credential")
    );
    for told in &plan.told {
        text += &format!("note: {told}\n");
    }
    for credential in &plan.credentials {
        text += &format!(
            "next: put the token of {0} into the file of its slot a; dualpath pat rotate-plan {name} has the command\n",
            credential.id
        );
    }
    text + &format!("next: dualpath check {name}; dualpath render {name} -o envoy.yaml\n")
}

fn plan(args: &Args, ask: &mut Ask) -> Result<Plan, Failure> {
    let Args { preset, snowflake, learn, from_mcp_json, only, .. } = args;
    if let Some(file) = from_mcp_json {
        return client_file::plan(file, only);
    }
    if !learn.is_empty() {
        return learn::plan(learn);
    }
    match preset {
        Some(Preset::Snowflake) => snowflake::plan(snowflake, ask),
        None if snowflake.is_given() => snowflake::plan(snowflake, ask),
        None => from_questions(snowflake, ask),
    }
}

/// Asks where to begin.
fn from_questions(snowflake: &snowflake::Account, ask: &mut Ask) -> Result<Plan, Failure> {
    const WAYS: &str = "say what to begin with: --preset snowflake, --from-mcp URL or --from-mcp-json FILE";
    if !ask.can_ask() {
        return Err(Failure::Unusable(WAYS.to_owned()));
    }
    ask.say("What do you have?\n  1  a Snowflake account with a managed MCP server\n  2  the URL of an MCP server\n  3  an MCP client's settings (mcp.json)\n");
    match ask.line("1, 2 or 3", Some("2"))?.as_str() {
        "1" => snowflake::plan(snowflake, ask),
        "2" => {
            let url = ask.line("URL of the MCP server", None)?;
            let second = ask.optional("URL of another server with the same tools, if there is one")?;
            let token = ask.optional("environment variable with a token for it, if it needs one")?;
            learn::plan(&learn::Live::asked(url, second, token))
        }
        "3" => client_file::plan(&ask.line("File", None)?, &[]),
        _ => Err(Failure::Unusable(WAYS.to_owned())),
    }
}
