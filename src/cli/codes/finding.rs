//! One thing that a check has found, whatever its kind.

use serde_json::{Value, json};

use super::{Code, Level, OTHER, named};

/// A problem, a warning or a note, with its place.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Finding {
    /// Its code.
    pub code: &'static str,
    /// How bad it is.
    pub level: Level,
    /// The file, as it was named or as another one includes it; `-` is standard input.
    pub file: String,
    /// Line and column, both from 1.
    pub at: Option<(u64, u64)>,
    /// Where in the registry, with the names of servers, tools and credentials.
    pub path: Option<String>,
    /// What stands there, shortened; nothing of what may be a secret.
    pub value: Option<String>,
    /// What is wrong.
    pub text: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl Finding {
    /// The code, with what the table says of it.
    pub fn explained(&self) -> Option<&'static Code> {
        named(self.code).or_else(|| named(OTHER))
    }

    /// Everything in one line, but the file, the place and the code.
    pub fn message(&self) -> String {
        let mut message = String::new();
        if self.level == Level::Error {
            for part in self.path.iter().chain(&self.value) {
                message.push_str(part);
                message.push_str(": ");
            }
        }
        message.push_str(&self.text);
        message
    }

    /// For programs. `null` is what it has not.
    pub fn json(&self) -> Value {
        let (line, column) = (self.at.map(|at| at.0), self.at.map(|at| at.1));
        json!({"code": self.code, "level": self.level.as_str(), "file": self.file, "line": line, "column": column,
            "path": self.path, "value": self.value, "rule": self.text, "hint": self.hint})
    }
}
