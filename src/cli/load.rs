//! Reads a registry from a file. YAML 1.2, of which JSON is a part, so one parser serves both.

use std::fmt;
use std::io::{self, Read};

use serde_json::Value;

use crate::registry::{Problem, Registry};

/// Why a registry could not be loaded. `Display` shows everything an operator needs, over several lines.
#[derive(Debug)]
pub enum LoadError {
    /// The file cannot be read, or is not UTF-8.
    Read {
        /// The file as it was named, `-` for standard input.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// The text is not YAML, has the same key twice in a mapping, or holds more than one document.
    Syntax {
        /// The file as it was named.
        file: String,
        /// Line and column, both from 1, where they are known.
        at: Option<(u64, u64)>,
        /// What is wrong there.
        message: String,
    },
    /// The registry breaks rules.
    Problems {
        /// The file as it was named.
        file: String,
        /// Every broken rule; never empty.
        problems: Vec<Problem>,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Read { file, source } => write!(f, "{file}: cannot be read: {source}"),
            LoadError::Syntax { file, at: Some((line, column)), message } => {
                write!(f, "{file}:{line}:{column}: {message}")
            }
            LoadError::Syntax { file, at: None, message } => write!(f, "{file}: {message}"),
            LoadError::Problems { file, problems } => {
                for problem in problems {
                    writeln!(f, "{problem}")?;
                }
                let plural = if problems.len() == 1 { "" } else { "s" };
                write!(f, "{file}: {} problem{plural}", problems.len())
            }
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LoadError::Read { source, .. } => Some(source),
            LoadError::Syntax { .. } | LoadError::Problems { .. } => None,
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
    let text = read(file).map_err(|source| LoadError::Read { file: file.to_owned(), source })?;
    let mut value = parse(file, &text)?;
    if let (Some(name), Value::Object(keys)) = (environment, &mut value) {
        keys.insert("environment".to_owned(), Value::from(name));
    }
    let registry =
        Registry::from_wire(&value).map_err(|problems| LoadError::Problems { file: file.to_owned(), problems })?;
    Ok((registry, value))
}

fn read(file: &str) -> io::Result<String> {
    if file != "-" {
        return std::fs::read_to_string(file);
    }
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}

/// One YAML document as a JSON tree.
pub(super) fn parse(file: &str, text: &str) -> Result<Value, LoadError> {
    // Snippets of the file in a message could show a secret that somebody put there. `yes` and `on` stay text.
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true, reject_unsupported_tags: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let at = error.location().map(|place| (place.line(), place.column()));
        let message = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
        // The message ends with the place, which is shown in front of it instead.
        let place = at.map(|(line, column)| format!(" at line {line}, column {column}")).unwrap_or_default();
        let message = message.strip_suffix(&place).unwrap_or(&message).to_owned();
        LoadError::Syntax { file: file.to_owned(), at, message }
    })
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
