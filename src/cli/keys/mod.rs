//! `dualpath keys`: every key of a registry, what it must be, what holds without it, and what it means.

mod reference;
mod schema;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::process::ExitCode;

use self::reference::{Row, is_at_or_below, rows};
use super::{UNUSABLE, complain, print, printed};

/// List the keys of a registry.
///
/// Prints each key with what it must be, its default and its meaning. What it must be is what the reader itself says of a
/// wrong value. `[]` stands for any entry of a list, SLOT for a or b, CLASS for a class of failure, NAME for a name of your
/// own.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this key and those below it, such as breaker or servers[].probe
    key: Option<String>,
    /// Prints a Markdown table, as in the guide
    #[arg(long)]
    markdown: bool,
    /// Prints JSON Schema instead, for editors: envoy/registry.schema.json
    #[arg(long, conflicts_with_all = ["key", "markdown"])]
    schema: bool,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    if args.schema {
        return printed(print(&format!("{:#}\n", schema::schema())));
    }
    let rows = rows(|key| args.key.as_ref().is_none_or(|wanted| is_at_or_below(key, wanted)));
    if let (Some(key), true) = (&args.key, rows.is_empty()) {
        complain(&format!("{key}: no key of a registry is called so; dualpath keys lists them all\n"));
        return ExitCode::from(UNUSABLE);
    }
    printed(print(&if args.markdown { markdown(&rows) } else { text(&rows) }))
}

fn text(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let default = row.default.as_ref().map(|default| format!(" ({default})")).unwrap_or_default();
        let _ = writeln!(text, "{}: {}{default}\n    {}", row.key, row.must_be, row.meaning);
    }
    text
}

fn markdown(rows: &[Row]) -> String {
    let mut text = "| key | must be | without it | meaning |\n|---|---|---|---|\n".to_owned();
    for row in rows {
        let default = row.default.as_deref().unwrap_or_default();
        let cells =
            [&format!("`{}`", row.key), &row.must_be, default, &row.meaning].map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}
