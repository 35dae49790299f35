//! Why a registry could not be loaded, for people and for programs.

use std::fmt;
use std::io;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::{PROBLEMS, UNUSABLE, shown};
use crate::registry::Problem;

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
    pub(in crate::cli) fn exit_status(&self) -> ExitCode {
        ExitCode::from(match self {
            LoadError::Read { .. } | LoadError::Unusable { .. } => UNUSABLE,
            LoadError::Syntax { .. } | LoadError::Problems { .. } => PROBLEMS,
        })
    }

    /// Every problem, for programs. `null` is what a problem has not.
    pub(in crate::cli) fn json(&self) -> Vec<Value> {
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
