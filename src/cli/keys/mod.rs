//! `dualpath keys`: every key of a registry, what it must be, what holds without it, and what it means.

mod reference;
mod schema;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::{Map, Value};

use self::reference::{ALIKE, Row, is_at_or_below, named, rows, words};
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

/// What the table says of keys.
pub(super) struct Words(Map<String, Value>);

/// What it says of one.
pub(super) struct Word {
    /// Whether it has keys of its own.
    pub has_keys: bool,
    /// What holds where it is left out, as a value.
    pub default: Option<Value>,
    /// The same in words.
    pub usually: Option<String>,
    /// What it means.
    pub meaning: String,
}

impl Words {
    /// All that is written down.
    pub fn new() -> Self {
        Words(words())
    }

    /// The word for a key such as `servers[].breaker.window`.
    pub fn of(&self, key: &str) -> Option<Word> {
        let key = named(key);
        let word = self.0.get(&key)?;
        let begins = |other: &str| other.strip_prefix(&*key).is_some_and(|rest| rest.starts_with(['.', '[']));
        Some(Word {
            has_keys: self.0.keys().any(|other| begins(other)) || ALIKE.iter().any(|(from, _)| begins(from)),
            default: word.get("default").cloned(),
            usually: word.get("usually").and_then(Value::as_str).map(str::to_owned),
            meaning: word.get("is").and_then(Value::as_str).unwrap_or_default().to_owned(),
        })
    }
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
