//! One thing that was looked at, and what came of it.

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Good,
    /// Calls are answered, but somebody should look.
    Warning,
    /// Not as it should be.
    Problem,
    /// Not looked at.
    Skipped,
}

impl Outcome {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Good => "good",
            Outcome::Warning => "warning",
            Outcome::Problem => "problem",
            Outcome::Skipped => "skipped",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What kind of thing: `registry`, `token`, `path` and the like. Stable.
    pub check: &'static str,
    /// Which one.
    pub about: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The same in words.
    pub says: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The server that it is about alone.
    pub server: Option<String>,
}

impl Row {
    /// A row without a hint.
    pub fn new(check: &'static str, about: impl Into<String>, outcome: Outcome, says: impl Into<String>) -> Self {
        Row { check, about: about.into(), outcome, says: says.into(), hint: None, server: None }
    }

    /// A row for what is as it should be.
    pub fn good(check: &'static str, about: impl Into<String>, says: impl Into<String>) -> Self {
        Row::new(check, about, Outcome::Good, says)
    }

    /// A row for what is not as it should be.
    pub fn problem(check: &'static str, about: impl Into<String>, says: impl Into<String>) -> Self {
        Row::new(check, about, Outcome::Problem, says)
    }

    /// With what to do about it.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Row { hint: Some(hint.into()), ..self }
    }

    /// About one server alone.
    pub fn of_server(self, server: &str) -> Self {
        Row { server: Some(server.to_owned()), ..self }
    }

    /// With what to do about it, if anything is known.
    pub fn maybe(self, hint: Option<String>) -> Self {
        Row { hint, ..self }
    }
}
