//! The way from a problem's path to its place in a file.

use super::Told;
use super::tree::{Node, Place, Tree, Written};
use super::variables::quoted;
use crate::cli::shown;
use crate::registry::Problem;
use crate::wire::{VEIL, looks_like_a_token};

/// A place as people find it.
#[derive(Debug)]
pub(in crate::cli) struct Spot<'d> {
    /// The key or entry, or the nearest thing around it that is written.
    pub place: Place,
    /// The path with the names of servers, tools and credentials.
    pub path: String,
    /// How the scalar is written that stands there.
    pub written: &'d Written,
}

impl Tree {
    /// Where `path` leads, which is a path as problems have it, such as `servers[0].url`.
    pub fn spot(&self, path: &str) -> Spot<'_> {
        let path = if path == "registry" && self.get(path).is_none() { "" } else { path };
        let mut found = follow(self, path);
        found.path = if path.is_empty() { "registry".to_owned() } else { shown::line(&found.path).into_owned() };
        found
    }

    /// A problem of what this tree says, with its place, and shown as it is written there.
    pub(super) fn told(&self, problem: Problem) -> Told {
        let spot = self.spot(&problem.path);
        let Problem { value, rule, hint, .. } = problem;
        let is_veiled = value == VEIL;
        let (value, hint) = match spot.written {
            Written::Number(digits) if !is_veiled => (digits.to_string(), hint),
            Written::Variables(text, origin) => {
                let value = if is_veiled { value } else { quoted(text) };
                (value, Some(hint.map_or(origin.to_string(), |hint| format!("{origin}; {hint}"))))
            }
            _ => (value, hint),
        };
        Told { place: spot.place, problem: Problem { path: spot.path, value, rule, hint } }
    }

    /// Numbers that YAML readers do not agree about, or that no other tool takes for the same: `0x2760`, `10_080`, `010`.
    pub fn odd_numbers(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        note_odd_numbers(self, String::new(), &mut found);
        found
    }
}

/// Keys may hold dots and brackets, so every key is tried that the rest of the path may begin with; what leads furthest is
/// right.
fn follow<'d>(tree: &'d Tree, rest: &str) -> Spot<'d> {
    let here = Spot { place: tree.place, path: rest.to_owned(), written: &tree.written };
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    let below = match &tree.node {
        Node::Mapping(keys) => keys
            .iter()
            .filter_map(|(key, tree)| {
                let after = rest.strip_prefix(key.as_str())?;
                let ends = after.is_empty() || after.starts_with(['.', '[']);
                ends.then_some((key, tree, after))
            })
            .max_by_key(|(key, ..)| key.len())
            .map(|(key, tree, after)| (key.clone(), follow(tree, after))),
        Node::List(entries) => rest.strip_prefix('[').and_then(|rest| {
            let (index, after) = rest.split_once(']')?;
            let at: usize = index.parse().ok()?;
            let tree = entries.get(at)?;
            let name = name_of(tree).map(|name| format!(" {name:?}")).unwrap_or_default();
            Some((format!("[{at}]{name}"), follow(tree, after)))
        }),
        Node::Scalar(_) => None,
    };
    let Some((step, spot)) = below else { return here };
    let dot = if spot.path.is_empty() || spot.path.starts_with(['.', '[']) { "" } else { "." };
    let place = if spot.place.at.is_some() { spot.place } else { tree.place };
    Spot { place, path: [&step, dot, &spot.path].concat(), written: spot.written }
}

fn note_odd_numbers(tree: &Tree, path: String, found: &mut Vec<Problem>) {
    match (&tree.node, &tree.written) {
        (Node::Mapping(keys), _) => {
            for (key, tree) in keys {
                note_odd_numbers(tree, if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, found);
            }
        }
        (Node::List(entries), _) => {
            for (at, tree) in entries.iter().enumerate() {
                note_odd_numbers(tree, format!("{path}[{at}]"), found);
            }
        }
        (Node::Scalar(value), Written::Number(text)) => {
            if serde_json::from_str::<serde_json::Number>(text).is_err() {
                let rule = "must be written as a decimal number".to_owned();
                let hint = Some(format!("write {value}, or put it in quotes if it is text"));
                found.push(Problem { path, value: text.to_string(), rule, hint });
            }
        }
        (Node::Scalar(_), _) => {}
    }
}

/// What an entry of a list is called, if that is plainly a name.
pub(super) fn name_of(entry: &Tree) -> Option<&str> {
    let name = entry.get("id").or_else(|| entry.get("name"))?.text()?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"_-./".contains(&b);
    // A token may have been pasted there: names are short, and no JWT.
    let is_token = name.starts_with("eyJ") || looks_like_a_token(name);
    (name.len() <= 63 && name.bytes().all(legal) && !is_token).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::load::At;

    fn read(text: &str) -> Tree {
        Tree::read("r.yaml", 0, text).unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    fn assert_spot(text: &str, path: &str, at: At, shown: &str) {
        let document = read(text);
        let spot = document.spot(path);
        assert_eq!((spot.place.at, &*spot.path), (Some(at), shown));
    }

    #[test]
    fn a_path_is_found_at_its_key_with_the_names_on_the_way() {
        let text = "version: 1\ntools:\n  - name: search\n    rest:\n      path: x\n  - {name: b, timeout: 5}\n";
        assert_spot(text, "version", (1, 1), "version");
        assert_spot(text, "tools[0].rest.path", (5, 7), "tools[0] \"search\".rest.path");
        assert_spot(text, "tools[1].timeout", (6, 15), "tools[1] \"b\".timeout");
        assert_spot(text, "tools[1]", (6, 5), "tools[1] \"b\"");
    }

    #[test]
    fn what_is_missing_is_told_at_what_lacks_it() {
        let text = "tools:\n  - name: search\nservers: []\n";
        assert_spot(text, "tools[0].task", (2, 5), "tools[0] \"search\".task");
        assert_spot(text, "version", (1, 1), "version");
        assert_spot(text, "registry", (1, 1), "registry");
    }

    #[test]
    fn keys_with_dots_and_brackets_are_found() {
        assert_spot("a.b:\n  c[0]: 1\na: 2\n", "a.b.c[0]", (2, 3), "a.b.c[0]");
    }

    #[test]
    fn what_steers_a_terminal_is_shown_in_a_path() {
        assert_spot("\"a\\u001b\\nb\": 1\n", "a\u{1b}\nb", (1, 1), "a\\u001b\\u000ab");
    }

    #[test]
    fn a_value_by_reference_is_told_where_it_is_used() {
        let text = "a: &x {port: y}\nb: *x\nc:\n  <<: *x\n";
        assert_spot(text, "b.port", (2, 4), "b.port");
        assert_eq!(read(text).spot("c.port").path, "c.port");
    }

    #[test]
    fn json_has_places_too() {
        assert_spot("{\n \"a\": [\n  {\"id\": \"s\", \"url\": 1}]}", "a[0].url", (3, 15), "a[0] \"s\".url");
    }

    #[test]
    fn what_may_be_a_token_is_no_name() {
        for name in ["eyJhbGciOiJIUzI1NiJ9.e30.x", "ver:1-hint:2-x", &"x".repeat(64)] {
            assert_spot(&format!("servers: [{{id: '{name}'}}]"), "servers[0]", (1, 11), "servers[0]");
        }
    }

    #[test]
    fn numbers_are_told_as_they_are_written() {
        let document = read("a: 99999999999999999999999\n");
        let Written::Number(digits) = document.spot("a").written else { panic!("a number") };
        assert_eq!(&**digits, "99999999999999999999999");
        let told = |text: &str| read(text).odd_numbers().into_iter().map(|p| p.to_string()).collect::<Vec<_>>();
        for text in ["0x2760", "10_080", "0o17", "+5", ".5"] {
            let found = told(&format!("a: [{text}]\n"));
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].starts_with(&format!("a[0]: {text}: must be written as a decimal number")), "{found:?}");
        }
        assert!(told("a: [1, -1, 0.5, 1e3, '0x1', 1.5e-3, 2026-01-01]\n").is_empty());
    }
}
