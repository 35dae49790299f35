//! The report as text.

use std::fmt::Write;

use super::rows::{Table, tables};
use super::show::{count, percent, time};
use super::summary::Summary;
use crate::cli::shown;

/// For a terminal.
pub fn text(summary: &Summary) -> String {
    let all = &summary.all;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} calls, {} to {} UTC",
        count(all.calls),
        time(summary.from.as_deref()),
        time(summary.to.as_deref())
    );
    let _ = writeln!(
        text,
        "{} available; {} without failover, which saved {}; {} unanswered",
        percent(all.availability),
        percent(all.without_failover),
        count(all.saved),
        count(all.unanswered)
    );
    for table in tables(summary) {
        let _ = write!(text, "\n{}", laid_out(&table));
    }
    let mut notes = summary.notes.clone();
    notes.extend(unreadable(summary));
    for note in notes {
        let _ = write!(text, "\nNote: {note}\n");
    }
    text.replace('\u{202f}', " ")
}

/// What to say of lines that could not be read.
pub fn unreadable(summary: &Summary) -> Option<String> {
    let first = summary.lines.first_unreadable.as_deref()?;
    Some(format!(
        "{} of {} lines can't be read (torn, or no JSON), the first at {first}.",
        count(summary.lines.unreadable),
        count(summary.lines.read)
    ))
}

fn laid_out(table: &Table) -> String {
    let width = |column: usize| {
        let cells = table.rows.iter().filter_map(|row| row.get(column)).map(|cell| shown::line(cell).chars().count());
        cells.chain(table.columns.get(column).map(|title| title.chars().count())).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..table.columns.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (at, (cell, width)) in cells.zip(&widths).enumerate() {
            let cell = shown::line(cell);
            let _ = if at < table.names { write!(line, "{cell:<width$}  ") } else { write!(line, "{cell:>width$}  ") };
        }
        format!("{}\n", line.trim_end())
    };
    let mut text = format!("{}. {}\n", table.title, table.about);
    text += &line(&mut table.columns.iter().copied());
    for row in &table.rows {
        text += &line(&mut row.iter().map(String::as_str));
    }
    text
}
