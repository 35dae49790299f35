//! What is different in a file, as YAML with the comments that stand there.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::cli::load::Tree;
use crate::cli::render::to_yaml;

/// The file that a difference was found in.
pub(super) struct Source<'s> {
    /// Its lines.
    lines: Vec<&'s str>,
    /// The text whose comments need not be there twice.
    base: &'s str,
    /// The lines whose comments are written already: several keys may stand in one.
    done: RefCell<BTreeSet<usize>>,
}

impl<'s> Source<'s> {
    pub(super) fn new(text: &'s str, base: &'s str) -> Self {
        Source { lines: text.lines().collect(), base, done: RefCell::default() }
    }

    /// The keys of `over`, each on lines of its own, indented by `depth` levels. `tree` is what the file has there.
    ///
    /// # Errors
    /// When the YAML writer refuses a value.
    pub(super) fn write(
        &self,
        over: &Map<String, Value>,
        tree: Option<&Tree>,
        depth: usize,
        text: &mut String,
    ) -> Result<(), String> {
        let indent = "  ".repeat(depth);
        for (key, value) in over {
            let there = tree.and_then(|tree| tree.get(key).or_else(|| entry(tree, key)));
            let line =
                there.and_then(|tree| tree.place.at).and_then(|(line, _)| usize::try_from(line).ok()?.checked_sub(1));
            let line = line.filter(|line| self.done.borrow_mut().insert(*line));
            for comment in line.map(|line| self.above(line)).unwrap_or_default() {
                text.push_str(&format!("{indent}{comment}\n"));
            }
            let behind =
                line.and_then(|line| self.behind(line)).map(|comment| format!(" {comment}")).unwrap_or_default();
            let below = value.as_object().filter(|map| !map.is_empty());
            let written = match below {
                Some(_) => to_yaml(&Value::Object(Map::from_iter([(key.clone(), Value::Null)]))),
                None => to_yaml(&Value::Object(Map::from_iter([(key.clone(), value.clone())]))),
            };
            let written = written.map_err(|error| error.to_string())?;
            let written = if below.is_some() {
                written.trim_end().trim_end_matches("null").trim_end()
            } else {
                written.trim_end()
            };
            let is_one = written.lines().count() == 1;
            for line in written.lines() {
                text.push_str(&format!("{indent}{line}{}\n", if is_one { &behind } else { "" }));
            }
            if let Some(below) = below {
                self.write(below, there, depth.saturating_add(1), text)?;
            }
        }
        Ok(())
    }

    /// The comments right above a line.
    fn above(&self, line: usize) -> Vec<&'s str> {
        let before = self.lines.get(..line).unwrap_or_default();
        let mut comments: Vec<_> =
            before.iter().rev().map(|line| line.trim()).take_while(|line| line.starts_with('#')).collect();
        comments.reverse();
        comments.retain(|comment| !self.base.contains(comment));
        comments
    }

    /// The comment behind what a line says. A mark within quotes begins none.
    fn behind(&self, line: usize) -> Option<&'s str> {
        let line = self.lines.get(line)?;
        let (mut quote, mut before) = (None, ' ');
        for (at, c) in line.char_indices() {
            match quote {
                Some(open) if c == open => quote = None,
                Some(_) => {}
                None if c == '#' && before.is_whitespace() => return line.get(at..).map(str::trim_end),
                None if ['"', '\''].contains(&c) && (before.is_whitespace() || "[{,:".contains(before)) => {
                    quote = Some(c)
                }
                None => {}
            }
            before = c;
        }
        None
    }
}

/// The entry of a list that has this name.
fn entry<'t>(list: &'t Tree, name: &str) -> Option<&'t Tree> {
    let is_it = |entry: &&Tree| ["id", "name"].iter().any(|key| entry.get(key).and_then(Tree::text) == Some(name));
    list.entries().iter().find(is_it)
}
