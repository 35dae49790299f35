//! `dualpath attach`: puts what a registry needs into the bootstrap of an Envoy that serves something else already.
//!
//! [`place`] finds where, [`plan`] says what, [`edit`] writes it into the text without touching another line, and [`marks`]
//! finds it again: attaching once more replaces what was attached before.

mod edit;
mod marks;
mod place;
mod plan;
mod ports;
mod shadow;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use super::load::{LoadError, Loaded, Node, Placed, Tree, load_one, read_text};
use super::output::{self, Inputs, Readers};
use super::render::heading::inline;
use super::render::target::ENVOY;
use super::{Environment, UNUSABLE, complain, print_exactly, printed, report, shown};
use crate::registry::{Problem, Registry};
use crate::wire::VEIL;
use edit::Path;
pub use place::Choice;
use plan::Plan;

/// Put a registry into the bootstrap of an Envoy that serves something already.
///
/// Filters, routes, clusters, statistics and runtime layers go where they belong, between comments, and every other line
/// stays as it is. Shows what changes, and writes nothing unless --output says where. Attaching again replaces what was attached
/// before; --detach takes it out. What it does not understand it refuses, with the place and a remedy. What an operator should
/// know beside that goes to standard error.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Registry file, YAML or JSON
    registry: String,
    /// Envoy's bootstrap, YAML with its lists one entry below the other; - reads standard input
    bootstrap: String,
    /// Where to write the bootstrap with the registry in it, whole or not at all; it may be the bootstrap itself. - is standard
    /// output, without the changes
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Take out what was attached, and put nothing in
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    choice: Choice,
    /// Envoy's release, such as 1.40.0: one that is too old is refused
    #[arg(long, value_name = "RELEASE")]
    target_version: Option<String>,
    #[command(flatten)]
    environment: Environment,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    if let Some(why) = args.target_version.as_deref().and_then(|version| ENVOY.refuse(version)) {
        complain(&format!("{why}\n"));
        return ExitCode::from(UNUSABLE);
    }
    let Loaded { registry, wire, files, .. } = match load_one(&args.registry, args.environment.name()) {
        Ok(loaded) => loaded,
        Err(error) => return report(&error),
    };
    let before = match read_text(&args.bootstrap) {
        Ok(text) => text,
        Err(error) => return report(&error),
    };
    let from = (!args.detach).then_some((&registry, &wire));
    let (after, notes) = match attached(&args.bootstrap, &before, from, &args.choice) {
        Ok(done) => done,
        Err(error) => return report(&error),
    };
    notes.iter().for_each(|note| complain(&format!("note: {note}\n")));
    let readers = if inline(&registry).is_empty() { Readers::AsBefore } else { Readers::Owner };
    let changes = without_secrets(changes(&args.bootstrap, &before, &after), [&before, &after]);
    match &args.output {
        None => printed(print_exactly(&changes)),
        Some(output) if output.as_os_str() == "-" => printed(print_exactly(&after)),
        Some(output) => match output::write(output, &after, &Inputs::of(&files, [&wire]), readers) {
            Ok(()) => printed(print_exactly(&changes)),
            Err(why) => {
                complain(&format!("{}: {why}\n", shown::line(&output.to_string_lossy())));
                ExitCode::from(UNUSABLE)
            }
        },
    }
}

/// The bootstrap in `text`, which is in `file`, with the registry and its wire form in it, or without any; and what an
/// operator should know.
///
/// # Errors
/// It is no YAML, or something in it is not understood or in the way.
pub fn attached(
    file: &str,
    text: &str,
    registry: Option<(&Registry, &Value)>,
    choice: &Choice,
) -> Result<(String, Vec<String>), LoadError> {
    let bare = marks::detached(text).map_err(|line| {
        let problem = Problem {
            path: format!("line {line}"),
            value: String::new(),
            rule: "is one of the two comments around what was attached, without the other".to_owned(),
            hint: Some("take out by hand what stands there of Dualpath".to_owned()),
        };
        refused(file, u64::try_from(line).ok().map(|line| (line, 1)), problem)
    })?;
    let Some((registry, wire)) = registry else { return Ok((bare, Vec::new())) };
    let tree = Tree::read(file, 0, &bare).map_err(of_bootstrap)?;
    let plan = refuse_other_kinds(&tree)
        .and_then(|()| Plan::of(&tree, registry, wire, choice))
        .and_then(|plan| Ok((edit::edited(&bare, &tree, &plan.edits)?, plan.notes)));
    plan.map_err(|problem| {
        let spot = tree.spot(&problem.path);
        // Places are counted without what was attached: with it they are further down.
        let at = spot.place.at.filter(|_| bare == text);
        let path = if problem.path.is_empty() { "bootstrap".to_owned() } else { spot.path };
        refused(file, at, Problem { path, ..problem })
    })
}

/// A file that is no bootstrap, and may have been named in the place of one.
fn refuse_other_kinds(tree: &Tree) -> Result<(), Problem> {
    let no_mapping = |value: &str| Problem {
        value: value.to_owned(),
        ..Path::default().problem("must be a mapping", "Envoy's bootstrap has static_resources at its top")
    };
    match &tree.node {
        Node::List(entries) => Err(no_mapping(&format!("[{} elements]", entries.len()))),
        Node::Scalar(_) => Err(no_mapping(VEIL)),
        Node::Mapping(_) if tree.get("servers").is_some() && tree.get("static_resources").is_none() => {
            let hint = "the registry comes first: dualpath attach REGISTRY ENVOY";
            Err(Path::default().problem("is a registry, not Envoy's bootstrap", hint))
        }
        Node::Mapping(_) => Ok(()),
    }
}

/// What is told of YAML speaks of registries, which this is not.
fn of_bootstrap(error: LoadError) -> LoadError {
    match error {
        LoadError::Syntax { file, at, message, hint: Some(hint) } if hint.starts_with("a registry is one document") => {
            LoadError::Syntax { file, at, message, hint: Some("a bootstrap is one document: take the line --- out") }
        }
        error => error,
    }
}

fn refused(file: &str, at: Option<(u64, u64)>, problem: Problem) -> LoadError {
    LoadError::Problems { file: file.to_owned(), problems: vec![Placed { file: file.to_owned(), at, problem }] }
}

/// What changes, as `diff -u` has it.
fn changes(file: &str, before: &str, after: &str) -> String {
    if before == after {
        return "nothing changes\n".to_owned();
    }
    let file = shown::file(file);
    let diff = similar::TextDiff::from_lines(before, after);
    diff.unified_diff().context_radius(3).header(&file, &format!("{file}, attached")).to_string()
}

/// The changes without the secrets that stand in these bootstraps.
fn without_secrets(mut changes: String, bootstraps: [&str; 2]) -> String {
    let mut secrets = Vec::new();
    for text in bootstraps {
        Tree::read("", 0, text).iter().for_each(|tree| collect_secrets(&tree.value(), &mut secrets));
    }
    // The longest first: one may be a part of another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets {
        changes = changes.replace(&secret, VEIL);
    }
    changes
}

/// Every line of the texts under keys that hold secrets, as it is and as it is escaped; also in JSON that is a text.
fn collect_secrets(value: &Value, secrets: &mut Vec<String>) {
    match value {
        Value::Object(keys) => {
            for (key, value) in keys {
                match value.as_str() {
                    Some(secret) if ["inline_string", "inline_bytes", "inline"].contains(&key.as_str()) => {
                        for line in secret.lines().map(str::trim).filter(|line| !line.is_empty()) {
                            let escaped = Value::from(line).to_string();
                            secrets.push(escaped.trim_matches('"').to_owned());
                            secrets.push(line.to_owned());
                        }
                    }
                    _ => collect_secrets(value, secrets),
                }
            }
        }
        Value::Array(entries) => entries.iter().for_each(|entry| collect_secrets(entry, secrets)),
        Value::String(text) if text.trim_start().starts_with('{') => {
            serde_json::from_str(text).iter().for_each(|value| collect_secrets(value, secrets));
        }
        _ => {}
    }
}
