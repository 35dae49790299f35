//! The names of one kind of entity: each given once, and found again where another entity refers to it.

use std::collections::BTreeSet;

use super::model::Id;
use super::problem::Violation;
use super::reader::{Node, Table};

/// The names of all entities of one kind, by position. An illegal name is kept as well, and a missing one keeps its
/// position, so that one mistake does not make every reference look dangling.
pub(super) struct Names {
    /// What they name, e.g. `server`.
    kind: &'static str,
    names: Vec<Option<String>>,
}

impl Names {
    /// No names yet of this `kind` (a singular noun).
    pub fn of(kind: &'static str) -> Self {
        Names { kind, names: Vec::new() }
    }

    /// Adds the name that stands at `node`, or none; a second use of the same name is noted there.
    pub fn add(&mut self, node: Option<&Node>) {
        let name = node.and_then(|node| node.value().as_str());
        if let (Some(name), Some(node)) = (name, node)
            && let Some(first) = self.position(name)
        {
            node.refuse(format!("must be unique, and {}s[{first}] has this name already", self.kind));
        }
        self.names.push(name.map(str::to_owned));
    }

    /// The position of the entity with this name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known.as_deref() == Some(name))
    }

    /// The position of the entity that `node` names; a name that nothing has is noted.
    pub fn resolve(&self, node: &Node) -> Option<usize> {
        let name = node.string()?;
        let found = self.position(name);
        if found.is_none() {
            let known: Vec<&str> = self.names.iter().flatten().map(String::as_str).collect();
            let rule = format!("must be the id of a {} in this registry", self.kind);
            node.violates(Violation::of(rule).hint(suggest(name, known.into_iter())));
        }
        found
    }
}

/// Reads the required `key` as an [`Id`]; also answers where it stands.
pub(super) fn read_id<'v>(table: &Table<'v>, key: &str) -> (Option<Id>, Option<Node<'v>>) {
    let node = table.required(key).map(Node::unveiled);
    let id = node.as_ref().and_then(read_name);
    (id, node)
}

/// Reads this value as an [`Id`].
pub(super) fn read_name(node: &Node) -> Option<Id> {
    let id = Id::new(node.string()?);
    if id.is_none() {
        let rule =
            format!("must be a name of at most {} characters: a-z, 0-9, - and _, the first not - or _", Id::MAX_LEN);
        node.refuse(rule);
    }
    id
}

/// A hint for a name that is not known: the nearest known one, and which there are.
pub(super) fn suggest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
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
