//! What to say of a name that nobody knows.

use std::collections::BTreeSet;

/// A hint for a name that is not known: the nearest known one, and which there are.
pub fn suggest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let mut seen = BTreeSet::new();
    let known: Vec<&str> = known.filter(|name| seen.insert(*name)).collect();
    if known.is_empty() {
        return "there are none".to_owned();
    }
    let near = known.iter().map(|other| (distance(name, other), *other)).min_by_key(|(d, _)| *d);
    let mut list = known.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if known.len() > SHOWN {
        list.push_str(", ...");
    }
    match near {
        Some((d, other)) if d <= 2 && d < other.len() => format!("did you mean {other}? known here: {list}"),
        _ => format!("known here: {list}"),
    }
}

/// Levenshtein distance: how many single characters to insert, delete or replace. Long names are compared by their
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
            let replaced = diagonal.saturating_add(usize::from(from != *to));
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
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("url", "urll", 1), ("ab", "ba", 2)]
        {
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
        assert_eq!(suggest("xyzzy", [].into_iter()), "there are none");
    }
}
