//! What to say of a name that nobody knows.

use std::collections::BTreeSet;

use super::order::sort_short;
use super::problem::WITH_HINTS;

/// A hint for a name that is not known: the nearest known one, and which there are.
pub fn suggest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    if !WITH_HINTS {
        return String::new();
    }
    let mut seen = BTreeSet::new();
    let known: Vec<&str> = known.filter(|name| seen.insert(*name)).collect();
    if known.is_empty() {
        return "there are none".to_owned();
    }
    let mut list = known.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if known.len() > SHOWN {
        list.push_str(", ...");
    }
    match nearest(name, &known) {
        Some(near) => format!("did you mean {near}? known here: {list}"),
        None => format!("known here: {list}"),
    }
}

/// The known name that `name` was probably meant to be.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().filter(|other| is_near(name, other));
    near.min_by_key(|other| distance(name, other)).copied()
}

/// Whether `name` may be `other`, mistyped.
pub(super) fn is_near(name: &str, other: &str) -> bool {
    let letters = |name: &str| {
        let mut letters: Vec<u8> = name.bytes().map(|b| b.to_ascii_lowercase()).collect();
        sort_short(&mut letters, |letter| *letter);
        letters
    };
    // Of a short name so many edits leave little, unless two letters have changed places.
    match distance(name, other) {
        0 | 1 => other.len() > 1,
        2 => other.len() > 4 || letters(name) == letters(other),
        _ => false,
    }
}

/// Levenshtein distance, whatever the case: how many single characters to insert, delete or replace. Long names are compared by their
/// first 64 characters, which bounds the work that hostile input can cause.
fn distance(a: &str, b: &str) -> usize {
    const COMPARED: usize = 64;
    let b: Vec<char> = b.chars().take(COMPARED).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(COMPARED).enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (to, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal.saturating_add(usize::from(!from.eq_ignore_ascii_case(to)));
            diagonal = *cell;
            left = replaced.min(diagonal.saturating_add(1)).min(left.saturating_add(1));
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn distance_counts_single_character_edits() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("url", "urll", 1),
            ("ab", "ba", 2),
            ("MCP", "mcp", 0),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        assert_eq!(
            suggest("primry", ["primary", "other"].into_iter()),
            "did you mean primary? known here: primary, other"
        );
        assert_eq!(suggest("xyzzy", ["primary"].into_iter()), "known here: primary");
        assert_eq!(nearest("PUT", &["GET", "HEAD", "POST"]), None);
        assert_eq!(nearest("pta", &["pat", "spare"]), Some("pat"));
        assert_eq!(nearest("snowflake.serach", &["snowflake.sql", "snowflake.search"]), Some("snowflake.search"));
        assert_eq!(suggest("xyzzy", [].into_iter()), "there are none");
    }
}
