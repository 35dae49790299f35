//! The documentation's table of metrics.

use std::fmt::Write;

use super::{FAMILIES, Family, family};

/// The counters that are there from the start; see [`standing`](super::standing).
pub(super) const STANDING: [&Family; 15] = [
    &family::CALLS,
    &family::ATTEMPTS,
    &family::NAME_IGNORED,
    &family::PROBES,
    &family::TOOLS_REFUSED,
    &family::ALERTS,
    &family::REPLAY_REFUSED,
    &family::SESSIONS_OPENED,
    &family::SESSIONS_MOVED,
    &family::HELD_REFUSED,
    &family::CONCURRENCY_OVER,
    &family::PAT_REJECTED,
    &family::PAT_SWITCH,
    &family::PAT_QUOTED,
    &family::TRANSITIONS,
];

/// Every metric as a table in Markdown.
#[must_use]
pub fn table() -> String {
    let mut table = "| metric | kind | meaning | series at most |\n|---|---|---|---|\n".to_owned();
    for family in FAMILIES {
        let Family { name, kind, labels, meaning, bound } = family;
        let bound =
            if STANDING.contains(family) { format!("{bound}; at 0 from the start") } else { (*bound).to_owned() };
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        // Writing into a string can't fail.
        let _ = writeln!(table, "| `{name}{labels}` | {} | {meaning} | {bound} |", kind.as_str());
    }
    table
}
