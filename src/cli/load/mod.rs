//! Reads a registry: a file with what it includes, for one environment, its variables replaced. What comes out is a plain
//! registry, in which nothing of that is left. YAML 1.2, of which JSON is a part, so one parser serves both.

mod environment;
mod error;
mod files;
mod foreign;
mod merge;
mod names;
mod own;
mod shared;
mod spot;
mod syntax;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod variables;

use serde_json::Value;

pub(super) use self::files::names_of_parts;
pub(super) use self::text::read as read_text;
use crate::cli::codes::Setting;
use crate::registry::{Problem, Registry};
use environment::of_this_process;
pub use error::{At, LoadError, Placed};
pub(super) use own::{OWN_KEYS, problems as own_problems};
use tree::Place;
pub(super) use tree::{Node, Tree};

/// Loads the registry in `file`, YAML or JSON; `-` is standard input. Answers it checked and in its wire form, which is
/// what the rendered bootstrap hands on to the module.
///
/// # Errors
/// See [`LoadError`].
pub fn load(file: &str) -> Result<(Registry, Value), LoadError> {
    load_for(file, None)
}

/// As [`load`], for the environment of this name instead of the one that the file says. The wire form says so as well.
///
/// # Errors
/// See [`LoadError`].
pub fn load_for(file: &str, environment: Option<&str>) -> Result<(Registry, Value), LoadError> {
    load_one(file, environment).map(|loaded| (loaded.registry, loaded.wire))
}

/// A registry as it was loaded.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Checked.
    pub registry: Registry,
    /// Its wire form.
    pub wire: Value,
    /// The files that it was read from.
    pub files: Vec<String>,
    /// The variables that were taken from the environment of the command.
    pub variables: Vec<String>,
    /// The same as the wire form, with where each part stands.
    pub root: Tree,
    /// The levels that comments in the files give codes of warnings, those of the file itself last.
    pub levels: Vec<Setting>,
}

/// As [`load_for`], with where it comes from.
pub(super) fn load_one(file: &str, environment: Option<&str>) -> Result<Loaded, LoadError> {
    files::read(file)?.registry(environment)
}

/// As [`load_one`], of `text` in the place of what is in `file`.
pub(super) fn load_text(file: &str, text: &str, environment: Option<&str>) -> Result<Loaded, LoadError> {
    files::of_text(file, text)?.registry(environment)
}

/// The registry of every environment that the files have; one, if they have none. What is wrong with all of them is told once.
pub(super) fn load_all(file: &str) -> Result<Vec<Loaded>, LoadError> {
    let files = files::read(file)?;
    let environments = files.environments();
    if environments.is_empty() {
        return Ok(vec![files.registry(None)?]);
    }
    // What the files choose themselves is told of also where all are read.
    if files.chosen().is_some_and(|chosen| chosen.text().is_none_or(|name| !environments.contains(&name))) {
        return Ok(vec![files.registry(None)?]);
    }
    let read: Vec<_> = environments.iter().map(|name| (*name, files.tell(Some(name), &of_this_process))).collect();
    let mut told: Vec<(Told, Vec<&str>)> = Vec::new();
    for (name, found) in &read {
        for new in found.as_ref().err().into_iter().flatten() {
            match told.iter_mut().find(|(old, _)| old == new) {
                Some((_, names)) => names.push(name),
                None => told.push((new.clone(), vec![name])),
            }
        }
    }
    if told.is_empty() {
        return Ok(read.into_iter().filter_map(|(_, loaded)| loaded.ok()).collect());
    }
    let told = told.into_iter().map(|(told, names)| match names.as_slice() {
        [name] if environments.len() > 1 => {
            let path = format!("{}, in environment {name}", told.problem.path);
            Told { problem: Problem { path, ..told.problem }, ..told }
        }
        _ => told,
    });
    Err(refused(&files.names, told.collect()))
}

/// A broken rule with its place in one of the files that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    place: Place,
    problem: Problem,
}

/// The error that tells these problems.
fn refused(files: &[String], mut told: Vec<Told>) -> LoadError {
    told.sort_by_key(|told| told.place);
    let file = |place: Place| files.get(place.file).cloned().unwrap_or_default();
    let problems = told.into_iter().map(|Told { place, problem }| Placed { file: file(place), at: place.at, problem });
    LoadError::Problems { file: file(Place::default()), problems: problems.collect() }
}

/// The document in `text`, which is in `file` and is a registry or a part of one, right or not.
///
/// # Errors
/// It is no YAML, or plainly something else.
pub(super) fn read_registry(file: &str, text: &str) -> Result<Tree, LoadError> {
    let tree = Tree::read(file, 0, text)?;
    match foreign::refusal(&tree) {
        Some(problem) => Err(refused(&[file.to_owned()], vec![Told { place: tree.place, problem }])),
        None => Ok(tree),
    }
}

/// One YAML document as a JSON tree.
pub(super) fn parse(file: &str, text: &str) -> Result<Value, LoadError> {
    Tree::read(file, 0, text).map(|tree| tree.value())
}

/// What `over` says laid over what `base` says, as an environment is.
#[cfg(test)]
pub(super) fn overlaid(base: &str, over: &str) -> Value {
    let read = |text: &str| Tree::read("", 0, text).unwrap_or_else(|error| panic!("{error}"));
    merge::Merge::default().lay(read(base), read(over)).value()
}
