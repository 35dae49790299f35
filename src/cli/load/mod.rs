//! Reads a registry from a file. YAML 1.2, of which JSON is a part, so one parser serves both.

mod document;
mod syntax;
mod text;

use std::fmt;
use std::io;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::{PROBLEMS, UNUSABLE, shown};
use crate::registry::{Problem, Registry};
pub(super) use document::Document;

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
        /// Every broken rule, in the order of the file; never empty.
        problems: Vec<Placed>,
    },
}

/// A broken rule, and where in the file that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
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
                for Placed { at, problem } in problems {
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
        let json = |at: Option<At>, path: Option<&str>, value: Option<&str>, rule: &str, hint: Option<&str>| json!({"line": at.map(|at| at.0), "column": at.map(|at| at.1), "path": path, "value": value, "rule": rule, "hint": hint});
        match self {
            LoadError::Read { source, .. } => vec![json(None, None, None, &format!("cannot be read: {source}"), None)],
            LoadError::Unusable { at, message, hint, .. } | LoadError::Syntax { at, message, hint, .. } => {
                vec![json(*at, None, None, message, *hint)]
            }
            LoadError::Problems { problems, .. } => {
                let problem = |Placed { at, problem }: &Placed| {
                    let value = Some(&*problem.value).filter(|value| !value.is_empty());
                    json(*at, Some(&problem.path), value, &problem.rule, problem.hint.as_deref())
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
    let document = Document::read(file, text::read(file)?)?;
    let mut value = document.value.clone();
    if let (Some(name), Value::Object(keys)) = (environment, &mut value) {
        keys.insert("environment".to_owned(), Value::from(name));
    }
    let odd = document.odd_numbers();
    let read = Registry::from_wire(&value);
    let problems = match read {
        Ok(registry) if odd.is_empty() => return Ok((registry, value)),
        read => read.err().unwrap_or_default(),
    };
    let others = problems.into_iter().filter(|problem| odd.iter().all(|odd| odd.path != problem.path));
    let mut problems: Vec<_> =
        odd.iter().cloned().chain(others).map(|problem| placed(problem, &document, environment)).collect();
    problems.sort_by_key(|placed| placed.at);
    Err(LoadError::Problems { file: file.to_owned(), problems })
}

fn placed(problem: Problem, document: &Document, environment: Option<&str>) -> Placed {
    if environment.is_some() && problem.path == "environment" {
        return Placed { at: None, problem: Problem { path: "--environment".to_owned(), ..problem } };
    }
    let spot = document.spot(&problem.path);
    let value = spot.number.filter(|_| problem.value != crate::wire::VEIL).unwrap_or(problem.value);
    Placed { at: spot.at, problem: Problem { path: spot.path, value, ..problem } }
}

/// One YAML document as a JSON tree.
pub(super) fn parse(file: &str, text: &str) -> Result<Value, LoadError> {
    Document::read(file, text.to_owned()).map(|document| document.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        parse("r.yaml", text).expect_err(text).to_string()
    }

    #[test]
    fn a_duplicate_key_is_refused_with_line_and_column() {
        assert_eq!(
            refusal("version: 1\nversion: 1\n"),
            "r.yaml:2:1: duplicate mapping key `version` is not allowed here"
        );
        assert_eq!(refusal(r#"{"a": {"b": 1, "b": 2}}"#), "r.yaml:1:16: duplicate mapping key `b` is not allowed here");
    }

    #[test]
    fn a_syntax_error_is_refused_with_line_and_column() {
        assert!(refusal("servers: [\n  a: }\n").starts_with("r.yaml:1:10: "), "the place of the bracket");
        assert!(refusal("a: 1\n---\nb: 2\n").starts_with("r.yaml:3:1: "));
    }

    #[test]
    fn a_syntax_error_shows_no_text_of_the_file() {
        for text in ["a: \"hunter2\n", "a: hunter2: b", "a: !!int hunter2", "a: *hunter2", "- hunter2\nb: 1"] {
            assert!(!refusal(text).contains("hunter2"), "{}", refusal(text));
        }
    }

    #[test]
    fn json_and_yaml_give_the_same_tree() {
        let yaml = parse("y", "version: 1\ntools: [{name: a, replayable: true, title: yes}]\n").unwrap();
        let json = parse(
            "j",
            "{\n\t\"version\": 1, \"tools\": [{\"name\": \"a\", \"replayable\": true, \"title\": \"yes\"}]}",
        );
        assert_eq!(yaml, json.unwrap());
    }

    #[test]
    fn a_date_stays_text() {
        let tree = parse("y", "a: 2026-12-31\nb: 2026-12-31T08:30:00Z\n").unwrap();
        assert_eq!(tree, serde_json::json!({"a": "2026-12-31", "b": "2026-12-31T08:30:00Z"}));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = load("no/such/file.yaml").expect_err("there is no such file");
        assert!(matches!(&error, LoadError::Read { file, .. } if file == "no/such/file.yaml"));
    }
}
