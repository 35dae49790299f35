//! In what two servers differ that are to stand in for each other.

use super::List;

/// The kinds of difference, by the name that metrics and the log give them: a tool that the other server does not list, so
/// that it has no stand-in there; one that only the other lists; one that takes other arguments there; one of which the
/// other says something else.
pub const KINDS: [&str; 4] = [MISSING, EXTRA, SCHEMA, ANNOTATIONS];

const MISSING: &str = "missing";
const EXTRA: &str = "extra";
const SCHEMA: &str = "schema";
const ANNOTATIONS: &str = "annotations";

/// In what `other` differs from `preferred`: the kind and the tool of each difference, in the order of the lists. A tool
/// that a list has twice counts as its first entry has it.
pub fn drift<'l>(preferred: &'l List, other: &'l List) -> Vec<(&'static str, &'l str)> {
    let mut drift = Vec::new();
    for (at, tool) in preferred.tools.iter().enumerate() {
        match other.find(tool.hash, at) {
            None => drift.push((MISSING, &*tool.name)),
            Some(twin) => {
                if twin.schema != tool.schema {
                    drift.push((SCHEMA, &tool.name));
                }
                if twin.annotations != tool.annotations {
                    drift.push((ANNOTATIONS, &tool.name));
                }
            }
        }
    }
    for (at, tool) in other.tools.iter().enumerate() {
        if preferred.find(tool.hash, at).is_none() {
            drift.push((EXTRA, &tool.name));
        }
    }
    drift
}
