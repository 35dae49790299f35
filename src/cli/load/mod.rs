//! Reads a registry: a file with what it includes, for one environment, its variables replaced. What comes out is a plain
//! registry, in which nothing of that is left. YAML 1.2, of which JSON is a part, so one parser serves both.

mod environment;
mod files;
mod merge;
mod own;
mod spot;
mod syntax;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod variables;

use std::fmt;
use std::io;
use std::process::ExitCode;

use serde_json::{Value, json};

pub(super) use self::text::read as read_text;
use super::{PROBLEMS, UNUSABLE, shown};
use crate::registry::{Problem, Registry};
use environment::of_this_process;
pub(super) use own::{OWN_KEYS, problems as own_problems};
use tree::Place;
pub(super) use tree::Tree;

/// Line and column, both from 1.
pub type At = (u64, u64);

/// Why a registry could not be loaded. `Display` shows everything an operator needs, over several lines.
#[derive(Debug)]
pub enum LoadError {
    /// The file cannot be read.
    Read {
        /// The file as it was named, `-` for standard input.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no UTF-8 text, or says nothing.
    Unusable {
        /// The file as it was named.
        file: String,
        /// Where, if it is at one place.
        at: Option<At>,
        /// What is wrong.
        message: String,
        /// How to mend it, where that is not plain.
        hint: Option<&'static str>,
    },
    /// The text is not YAML, has the same key twice in a mapping, or holds more than one document.
    Syntax {
        /// The file as it was named.
        file: String,
        /// Where, if that is known.
        at: Option<At>,
        /// What is wrong there.
        message: String,
        /// What usually mends it.
        hint: Option<&'static str>,
    },
    /// The registry breaks rules.
    Problems {
        /// The file as it was named.
        file: String,
        /// Every broken rule, in the order of the files; never empty.
        problems: Vec<Placed>,
    },
}

/// A broken rule, and where that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The file, as it was named or as another one includes it.
    pub file: String,
    /// Line and column of the key or of the entry of a list; of what is around it where nothing is written. `None` for
    /// what is not in the file.
    pub at: Option<At>,
    /// The rule. Its path has the names of servers, tools and credentials in it: `tools[5] "search".timeout`.
    pub problem: Problem,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Read { file, source } => write!(f, "{}: cannot be read: {source}", shown::file(file)),
            LoadError::Unusable { file, at, message, hint } | LoadError::Syntax { file, at, message, hint } => {
                write!(f, "{}{}", Line(file, *at), shown::line(message))?;
                hint.map_or(Ok(()), |hint| write!(f, "\n    hint: {hint}"))
            }
            LoadError::Problems { file, problems } => {
                for Placed { file, at, problem } in problems {
                    writeln!(f, "{}{}", Line(file, *at), Shown(problem))?;
                }
                let plural = if problems.len() == 1 { "" } else { "s" };
                write!(f, "{}: {} problem{plural}", shown::file(file), problems.len())
            }
        }
    }
}

/// A file and a place in it, as compilers write them.
struct Line<'f>(&'f str, Option<At>);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown::file(self.0))?;
        self.1.map_or(Ok(()), |(line, column)| write!(f, ":{line}:{column}"))?;
        f.write_str(": ")
    }
}

/// A problem of which no part can begin a line or steer a terminal.
struct Shown<'p>(&'p Problem);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &String| shown::line(text).into_owned();
        let Problem { path, value, rule, hint } = self.0;
        let problem =
            Problem { path: shown(path), value: shown(value), rule: shown(rule), hint: hint.as_ref().map(shown) };
        problem.fmt(f)
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LoadError::Read { source, .. } => Some(source),
            LoadError::Unusable { .. } | LoadError::Syntax { .. } | LoadError::Problems { .. } => None,
        }
    }
}

impl LoadError {
    /// What the process ends with.
    pub(super) fn exit_status(&self) -> ExitCode {
        ExitCode::from(match self {
            LoadError::Read { .. } | LoadError::Unusable { .. } => UNUSABLE,
            LoadError::Syntax { .. } | LoadError::Problems { .. } => PROBLEMS,
        })
    }

    /// Every problem, for programs. `null` is what a problem has not.
    pub(super) fn json(&self) -> Vec<Value> {
        let json = |file: &str,
                    at: Option<At>,
                    path: Option<&str>,
                    value: Option<&str>,
                    rule: &str,
                    hint: Option<&str>| {
            let (line, column) = (at.map(|at| at.0), at.map(|at| at.1));
            json!({"file": file, "line": line, "column": column, "path": path, "value": value, "rule": rule, "hint": hint})
        };
        match self {
            LoadError::Read { file, source } => {
                vec![json(file, None, None, None, &format!("cannot be read: {source}"), None)]
            }
            LoadError::Unusable { file, at, message, hint } | LoadError::Syntax { file, at, message, hint } => {
                vec![json(file, *at, None, None, message, *hint)]
            }
            LoadError::Problems { problems, .. } => {
                let problem = |Placed { file, at, problem }: &Placed| {
                    let value = Some(&*problem.value).filter(|value| !value.is_empty());
                    json(file, *at, Some(&problem.path), value, &problem.rule, problem.hint.as_deref())
                };
                problems.iter().map(problem).collect()
            }
        }
    }
}

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

/// One YAML document as a JSON tree.
pub(super) fn parse(file: &str, text: &str) -> Result<Value, LoadError> {
    Tree::read(file, 0, text).map(|tree| tree.value())
}
