//! The documentation's table of metrics.

use std::fmt::Write;

use super::{FAMILIES, Family};

/// Every metric as a table in Markdown.
#[must_use]
pub fn table() -> String {
    let mut table = "| metric | kind | meaning | series at most |\n|---|---|---|---|\n".to_owned();
    for Family { name, kind, labels, meaning, bound } in FAMILIES {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        // Writing into a string can't fail.
        let _ = writeln!(table, "| `{name}{labels}` | {} | {meaning} | {bound} |", kind.as_str());
    }
    table
}
