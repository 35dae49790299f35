//! Why a registry could not be loaded, for people and for programs.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::cli::codes::{Finding, Level, of_rule};
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
            LoadError::Read { file, source } => {
                write!(f, "{}: cannot be read: {source} [{}]", shown::file(file), self.code())?;
                unread_hint(source).map_or(Ok(()), |hint| write!(f, "\n    hint: {hint}"))
            }
            LoadError::Unusable { file, at, message, hint } | LoadError::Syntax { file, at, message, hint } => {
                write!(f, "{}{} [{}]", Line(file, *at), shown::line(message), self.code())?;
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

/// A problem with its code, of which no part can begin a line or steer a terminal.
struct Shown<'p>(&'p Problem);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &String| shown::line(text).into_owned();
        let Problem { path, value, rule, hint } = self.0;
        let rule = format!("{} [{}]", shown(rule), of_rule(rule));
        let problem = Problem { path: shown(path), value: shown(value), rule, hint: hint.as_ref().map(shown) };
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

    /// The code of what is wrong with the whole file.
    fn code(&self) -> &'static str {
        match self {
            LoadError::Read { .. } => "DP0101",
            LoadError::Unusable { .. } => "DP0102",
            LoadError::Syntax { .. } | LoadError::Problems { .. } => "DP0103",
        }
    }

    /// Every problem, with its code.
    pub(in crate::cli) fn findings(&self) -> Vec<Finding> {
        let whole = |file: &str, at: Option<At>, text: String, hint: Option<&str>| Finding {
            code: self.code(),
            level: Level::Error,
            file: file.to_owned(),
            at,
            path: None,
            value: None,
            text,
            hint: hint.map(str::to_owned),
        };
        match self {
            LoadError::Read { file, source } => {
                vec![whole(file, None, format!("cannot be read: {source}"), unread_hint(source))]
            }
            LoadError::Unusable { file, at, message, hint } | LoadError::Syntax { file, at, message, hint } => {
                vec![whole(file, *at, message.clone(), *hint)]
            }
            LoadError::Problems { problems, .. } => problems.iter().map(finding).collect(),
        }
    }
}

/// What to do about a file that is there and cannot be read, where that is not plain.
fn unread_hint(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::IsADirectory => Some("name a file in it"),
        io::ErrorKind::FileTooLarge => Some("another file may be meant: this one is far larger than any registry"),
        _ => None,
    }
}

fn finding(placed: &Placed) -> Finding {
    let Placed { file, at, problem: Problem { path, value, rule, hint } } = placed;
    Finding {
        code: of_rule(rule),
        level: Level::Error,
        file: file.clone(),
        at: *at,
        path: Some(path.clone()),
        value: Some(value.clone()).filter(|value| !value.is_empty()),
        text: rule.clone(),
        hint: hint.clone(),
    }
}
