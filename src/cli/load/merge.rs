//! Laying one tree over another: an environment over what holds for all, a file over those that it includes.
//!
//! Mappings merge key by key, and `null` takes a key away. Lists whose entries all have an `id`, or all a `name`, merge by it;
//! they may be laid over by a mapping from that name too, in which `null` takes an entry away. All else is replaced.

use super::Told;
use super::spot::name_of;
use super::tree::{Node, Place, Tree};
use crate::registry::Problem;
use crate::wire::suggest;

/// Lays trees over others and keeps what is told about that.
#[derive(Debug, Default)]
pub(super) struct Merge {
    /// What a tree takes away that is not there.
    pub told: Vec<Told>,
    /// Entries that were added under a new name, and which names there were.
    added: Vec<(Place, String)>,
}

impl Merge {
    /// `base` with `over` laid over it.
    pub fn lay(&mut self, base: Tree, over: Tree) -> Tree {
        self.merge(base, over, "")
    }

    fn merge(&mut self, mut base: Tree, over: Tree, path: &str) -> Tree {
        let place = over.place;
        match (&mut base.node, over.node) {
            (Node::Mapping(keys), Node::Mapping(over)) => self.merge_keys(keys, over, path),
            (Node::List(entries), Node::List(over)) => match common_name(entries, &over).filter(|_| !over.is_empty()) {
                Some(key) => self.merge_entries(entries, named(over, key), key, path),
                None => return Tree { place, node: Node::List(over), ..Tree::default() },
            },
            (Node::List(entries), Node::Mapping(over)) => match common_name(entries, &[]) {
                Some(key) => self.merge_entries(entries, over, key, path),
                None => return Tree { place, node: Node::Mapping(over), ..Tree::default() },
            },
            (_, node) => return Tree { place, node, written: over.written },
        }
        base
    }

    fn merge_keys(&mut self, keys: &mut Vec<(String, Tree)>, over: Vec<(String, Tree)>, path: &str) {
        for (key, over) in over {
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match keys.iter().position(|(other, _)| *other == key) {
                None if over.is_null() => {
                    self.takes_nothing(over.place, below, keys.iter().map(|(key, _)| &**key), &key)
                }
                None => keys.push((key, over)),
                Some(at) if over.is_null() => drop(keys.remove(at)),
                Some(at) => {
                    if let Some((_, tree)) = keys.get_mut(at) {
                        *tree = self.merge(std::mem::take(tree), over, &below);
                    }
                }
            }
        }
    }

    /// Entries with a new name come last. A name that comes twice is there twice then, which the reader refuses.
    fn merge_entries(&mut self, entries: &mut Vec<Tree>, over: Vec<(String, Tree)>, key: &str, path: &str) {
        let mut done: Vec<String> = Vec::new();
        for (called, over) in over {
            let at = entries.iter().position(|entry| name(entry, key) == Some(&called));
            let at = at.filter(|_| !done.contains(&called));
            let nothing = Tree { node: Node::Mapping(Vec::new()), ..Tree::default() };
            let shown = name_of(&with_name(nothing, key, &called)).map(str::to_owned);
            match at {
                None if over.is_null() => {
                    let known = entries.iter().filter_map(|entry| name(entry, key));
                    self.takes_nothing(over.place, format!("{path}.{}", shown.unwrap_or_default()), known, &called);
                }
                None => {
                    let known = entries.iter().filter_map(|entry| name(entry, key));
                    if !done.contains(&called) {
                        let hint = format!("{} is a new entry; {}", shown.unwrap_or_default(), suggest(&called, known));
                        self.added.push((over.place, hint));
                    }
                    entries.push(with_name(over, key, &called));
                }
                Some(at) if over.is_null() => drop(entries.remove(at)),
                Some(at) => {
                    if let Some(entry) = entries.get_mut(at) {
                        let shown = shown.map(|name| format!(" {name:?}")).unwrap_or_default();
                        *entry = self.merge(std::mem::take(entry), over, &format!("{path}[{at}]{shown}"));
                    }
                }
            }
            done.push(called);
        }
    }

    /// Says of what an entry lacks that the entry is a new one, since its name may have been meant to be another.
    pub fn with_hint(&self, mut told: Told) -> Told {
        let added = self.added.iter().find(|(place, _)| *place == told.place);
        if let (Some((_, hint)), "is required") = (added, &*told.problem.rule) {
            told.problem.hint = Some(hint.clone());
        }
        told
    }

    fn takes_nothing<'k>(&mut self, place: Place, path: String, known: impl Iterator<Item = &'k str>, name: &str) {
        let rule = "takes away what is not there".to_owned();
        let problem = Problem { path, value: "null".to_owned(), rule, hint: Some(suggest(name, known)) };
        self.told.push(Told { place, problem });
    }
}

/// The key by which all these entries are told apart; there is at least one in `entries`.
fn common_name(entries: &[Tree], others: &[Tree]) -> Option<&'static str> {
    let names = |key: &&str| entries.iter().chain(others).all(|entry| name(entry, key).is_some());
    ["id", "name"].into_iter().find(names).filter(|_| !entries.is_empty())
}

fn name<'t>(entry: &'t Tree, key: &str) -> Option<&'t str> {
    entry.get(key)?.text()
}

fn named(entries: Vec<Tree>, key: &str) -> Vec<(String, Tree)> {
    entries.into_iter().map(|entry| (name(&entry, key).unwrap_or_default().to_owned(), entry)).collect()
}

/// A mapping that says its name, as the first thing if it did not say so.
fn with_name(mut entry: Tree, key: &str, name: &str) -> Tree {
    let place = entry.place;
    if let Node::Mapping(keys) = &mut entry.node
        && !keys.iter().any(|(other, _)| other == key)
    {
        keys.insert(0, (key.to_owned(), Tree::scalar(name, place)));
    }
    entry
}
