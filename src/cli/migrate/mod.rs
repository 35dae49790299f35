//! `dualpath migrate`: an older registry as this version writes it, with its comments and its layout.
//!
//! [`names`] changes former names where they stand in the text. [`join`] makes an environment of a second file. Nothing is written
//! that is not read again and found to say the same.

mod join;
pub(super) mod names;
#[cfg(test)]
mod tests;
mod write;

use std::path::PathBuf;
use std::process::ExitCode;

use super::load::{names_of_parts, parse, read_text};
use super::output::{self, Inputs, Readers};
use super::{PROBLEMS, UNUSABLE, complain, print_exactly, printed, report, shown};

/// Bring an older registry up to this version.
///
/// Writes the file anew: keys by their present names, the version if it was missing, and with --with a second registry as one more
/// environment of it. Comments and layout stay as they are; of the second registry what is different is taken, with the comments
/// that stand there. The result says the same as before, or nothing is written. Each included file is migrated by itself.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Registry file, YAML or JSON; - reads standard input
    registry: String,
    /// Where to write it, whole or not at all; - is standard output, which is the default
    #[arg(short, long, value_name = "FILE", conflicts_with = "in_place")]
    output: Option<PathBuf>,
    /// Write it to where it was
    #[arg(short, long)]
    in_place: bool,
    /// With --with: what environment this file is for [default: the one that it names]
    #[arg(short, long, value_name = "NAME", requires = "with")]
    environment: Option<String>,
    /// Another registry, and what environment it is for; may be given more than once
    #[arg(long, value_name = "NAME=FILE")]
    with: Vec<String>,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    let text = match read_text(&args.registry) {
        Ok(text) => text,
        Err(error) => return report(&error),
    };
    let migrated = match names::migrated(&args.registry, &text) {
        Ok(migrated) => migrated,
        Err(error) => return report(&error),
    };
    let mut done = migrated.done;
    let mut text = migrated.text;
    if !args.with.is_empty() {
        match join::joined(&args.registry, &text, args.environment.as_deref(), &args.with) {
            Ok((joined, told)) => {
                text = joined;
                done.extend(told);
            }
            Err(why) => {
                complain(&format!("{}: {why}\n", shown::file(&args.registry)));
                return ExitCode::from(PROBLEMS);
            }
        }
    }
    let done: String = done.iter().map(|done| format!("{}: {done}\n", shown::file(&args.registry))).collect();
    complain(if done.is_empty() { "nothing to migrate\n" } else { &done });
    let output = match (&args.output, args.in_place) {
        (_, true) if args.registry == "-" => {
            complain("--in-place: standard input has no place\n");
            return ExitCode::from(UNUSABLE);
        }
        (_, true) => PathBuf::from(&args.registry),
        (Some(output), _) if output.as_os_str() != "-" => output.clone(),
        _ => return printed(print_exactly(&text)),
    };
    let inputs = if args.in_place { Inputs::default() } else { inputs(args, &text) };
    match output::write(&output, &text, &inputs, Readers::AsBefore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(&format!("{}: {why}\n", shown::line(&output.to_string_lossy())));
            ExitCode::from(UNUSABLE)
        }
    }
}

/// The registry with its parts and what is put to it, and what all of these name.
fn inputs(args: &Args, text: &str) -> Inputs {
    let others = args.with.iter().filter_map(|with| with.split_once('=')).map(|(_, file)| file);
    let mut files = vec![args.registry.clone()];
    // What is no registry yet has parts all the same; it is no reason to refuse that it names one that is not there.
    let parts = |file: &str, text: &str| names_of_parts(file, text).unwrap_or_default();
    let mut said: Vec<_> = parse(&args.registry, text).into_iter().collect();
    files.extend(parts(&args.registry, text));
    for other in others {
        files.push(other.to_owned());
        if let Ok(text) = read_text(other) {
            files.extend(parts(other, &text));
            said.extend(parse(other, &text));
        }
    }
    Inputs::of(&files, &said)
}
