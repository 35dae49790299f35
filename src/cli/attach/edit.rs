//! Changes of a YAML text that leave every line as it is that was there before.

use std::cmp::Reverse;
use std::fmt;

use serde_json::{Value, json};

use super::marks::{BEGIN, BEGIN_BEHIND, END};
use crate::cli::load::{Tree, parse};
use crate::cli::render::to_yaml;
use crate::registry::Problem;

/// One step from a part to a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Entry(usize),
}

/// A way from the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

/// What is put in.
#[derive(Debug)]
pub(super) enum Edit {
    /// Entries of the list at the path, ahead of the one with this number, or at the end.
    Entries(Path, usize, Vec<Value>),
    /// A key of the mapping at the path.
    Key(Path, &'static str, Value),
}

impl Path {
    pub fn of(keys: &[&str]) -> Self {
        Path(keys.iter().map(|key| Step::Key((*key).to_owned())).collect())
    }

    pub fn key(&self, key: &str) -> Self {
        self.then(Step::Key(key.to_owned()))
    }

    pub fn entry(&self, at: usize) -> Self {
        self.then(Step::Entry(at))
    }

    fn then(&self, step: Step) -> Self {
        Path(self.0.iter().cloned().chain([step]).collect())
    }

    /// What it leads to.
    pub fn find<'t>(&self, tree: &'t Tree) -> Option<&'t Tree> {
        self.0.iter().try_fold(tree, |tree, step| match step {
            Step::Key(key) => tree.get(key),
            Step::Entry(at) => tree.entries().get(*at),
        })
    }

    fn find_mut<'v>(&self, value: &'v mut Value) -> Option<&'v mut Value> {
        self.0.iter().try_fold(value, |value, step| match step {
            Step::Key(key) => value.get_mut(key.as_str()),
            Step::Entry(at) => value.get_mut(*at),
        })
    }

    /// What is wrong there.
    pub fn problem(&self, rule: impl Into<String>, hint: &str) -> Problem {
        Problem { path: self.to_string(), value: String::new(), rule: rule.into(), hint: Some(hint.to_owned()) }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if number == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Entry(at) => write!(f, "[{at}]")?,
            }
        }
        Ok(())
    }
}

/// What is to be written: ahead of which line, how far in, and what.
struct Insertion {
    line: usize,
    indent: usize,
    yaml: String,
}

/// The text with the edits made. What changes numbers that another edit counts by comes behind it: a list after what is in its
/// entries, its beginning after its end.
///
/// # Errors
/// Where something cannot be put in without changing what stands there, and how to write that instead.
pub(super) fn edited(text: &str, tree: &Tree, edits: &[Edit]) -> Result<String, Problem> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut insertions = edits.iter().map(|edit| insertion(edit, tree, &lines)).collect::<Result<Vec<_>, _>>()?;
    // Where something ends and what is around it goes on, the end comes first.
    insertions.sort_by_key(|insertion| (insertion.line, Reverse(insertion.indent)));
    let mut edited = String::new();
    let mut rest = insertions.into_iter().peekable();
    for number in 0..=lines.len() {
        while let Some(Insertion { indent, yaml, .. }) = rest.next_if(|next| next.line == number) {
            let indent = " ".repeat(indent);
            let is_open = !edited.is_empty() && !edited.ends_with('\n');
            if is_open {
                edited.push_str(end);
            }
            for line in [if is_open { BEGIN_BEHIND } else { BEGIN }].into_iter().chain(yaml.lines()).chain([END]) {
                edited.push_str(if line.is_empty() { "" } else { &indent });
                edited.push_str(line);
                edited.push_str(end);
            }
        }
        edited.push_str(lines.get(number).copied().unwrap_or_default());
    }
    // Places in a text are found by its form. Whether what came of it says what was meant is read, and not believed.
    let mut meant = tree.value();
    let done = edits.iter().try_for_each(|edit| make(edit, &mut meant));
    if done.is_none() || !parse("", &edited).is_ok_and(|said| said == meant) {
        let rule = "cannot be changed without changing what it says already";
        return Err(Path::default().problem(rule, "write it without anchors, aliases and several documents, or use what `dualpath render --target fragment` writes"));
    }
    Ok(edited)
}

/// Makes the edit in the tree.
fn make(edit: &Edit, value: &mut Value) -> Option<()> {
    match edit {
        Edit::Entries(path, at, entries) => {
            let list = path.find_mut(value)?.as_array_mut()?;
            (*at <= list.len()).then(|| drop(list.splice(at..at, entries.iter().cloned())))
        }
        Edit::Key(path, key, new) => {
            path.find_mut(value)?.as_object_mut()?.insert((*key).to_owned(), new.clone());
            Some(())
        }
    }
}

fn insertion(edit: &Edit, tree: &Tree, lines: &[&str]) -> Result<Insertion, Problem> {
    let (path, yaml, found) = match edit {
        Edit::Entries(path, at, entries) => (path, to_yaml(&json!(entries)), entry(path, *at, tree, lines)),
        Edit::Key(path, key, value) => (path, to_yaml(&json!({*key: value})), first_key(path, tree, lines)),
    };
    let yaml = yaml.map_err(|error| path.problem(error.to_string(), "use `dualpath render --target fragment`"))?;
    let (line, indent) = found?;
    Ok(Insertion { line, indent, yaml })
}

/// The line ahead of which the entry with this number stands, or behind which the list ends, and how far in its hyphens are.
fn entry(path: &Path, at: usize, tree: &Tree, lines: &[&str]) -> Result<(usize, usize), Problem> {
    let list = path.find(tree).filter(|list| !list.entries().is_empty());
    let list = list.ok_or_else(|| path.problem("has no entries", "take the key out; it is made anew"))?;
    let number = at.min(list.entries().len().saturating_sub(1));
    let place = list.entries().get(number).and_then(|entry| begins(entry, lines));
    let dashed = place.filter(|(_, before)| is_hyphen(before));
    let refuse = || match place.is_some_and(|(line, before)| is_alias(lines, line, before)) {
        true => path.entry(number).problem(ALIAS, NO_ALIAS),
        false => path.entry(number).problem("must stand on lines of its own, behind a hyphen", HINT),
    };
    let (line, before) = dashed.ok_or_else(refuse)?;
    let indent = before.len().saturating_sub(before.trim_start().len());
    if number == at {
        return Ok((above_comments(line, indent, lines), indent));
    }
    let ends = |text: &&str| {
        let inside = text.len().saturating_sub(text.trim_start().len()) > indent;
        !(inside || text.trim().is_empty() || text.trim_start().starts_with('#'))
    };
    let behind = lines.get(line.saturating_add(1)..).and_then(|rest| rest.iter().position(ends));
    Ok((behind.map_or(lines.len(), |behind| line.saturating_add(1).saturating_add(behind)), indent))
}

const ALIAS: &str = "stands behind an alias: what is put there would stand in all places of its anchor";
const NO_ALIAS: &str = "write out in the place of the alias what it stands for";

/// Whether an alias stands there on the line, behind what is `before` it.
fn is_alias(lines: &[&str], line: usize, before: &str) -> bool {
    lines.get(line).and_then(|text| text.get(before.len()..)).is_some_and(|text| text.starts_with('*'))
}

/// Whether there is nothing but the hyphen of an entry, and its anchor.
fn is_hyphen(before: &str) -> bool {
    let anchor = before.trim().strip_prefix('-').map(str::trim_start);
    anchor.is_some_and(|anchor| anchor.is_empty() || anchor.starts_with('&') && !anchor.contains(char::is_whitespace))
}

const HINT: &str = "write the list without brackets, one entry below the other: `yq -P` does";

/// The line ahead of which the keys of a mapping begin; of the whole file, its end.
fn first_key(path: &Path, tree: &Tree, lines: &[&str]) -> Result<(usize, usize), Problem> {
    if path.0.is_empty() {
        return Ok((lines.len(), 0));
    }
    let first = path.find(tree).and_then(|mapping| mapping.keys().first());
    let place = first.and_then(|(_, first)| begins(first, lines)).filter(|(_, before)| before.trim().is_empty());
    let (line, before) = place.ok_or_else(|| match first.and_then(|(_, first)| begins(first, lines)) {
        Some((line, before)) if is_alias(lines, line, before) => path.problem(ALIAS, NO_ALIAS),
        _ => path
            .problem("must be a mapping with each key on a line of its own", "write it without braces: `yq -P` does"),
    })?;
    Ok((above_comments(line, before.len(), lines), before.len()))
}

/// The line where a part begins, and what stands on it before.
fn begins<'l>(tree: &Tree, lines: &[&'l str]) -> Option<(usize, &'l str)> {
    let (line, column) = tree.place.at?;
    let (line, column) = (usize::try_from(line).ok()?.checked_sub(1)?, usize::try_from(column).ok()?.checked_sub(1)?);
    let text = lines.get(line)?;
    let end = text.char_indices().nth(column).map_or(text.len(), |(at, _)| at);
    text.get(..end).map(|before| (line, before))
}

/// The line, or that of the first of the comments right above it, which speak of it. What is further in may be text.
fn above_comments(line: usize, indent: usize, lines: &[&str]) -> usize {
    let is_comment = |text: &&&str| {
        let comment = text.trim_start();
        comment.starts_with('#') && text.len().saturating_sub(comment.len()) == indent
    };
    line.saturating_sub(lines.iter().take(line).rev().take_while(is_comment).count())
}
