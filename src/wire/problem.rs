//! What is wrong with a registry, said so that an operator can mend it without reading code.

use std::cell::RefCell;
use std::fmt;

/// Whether problems say how to mend them: to operators of the command line, which reads every registry first. The module, which
/// has no room for it, tells Envoy's log the rule alone.
pub(super) const WITH_HINTS: bool = cfg!(any(feature = "cli", test));

/// One violated rule: where, what stands there, which rule it breaks, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where in the registry, e.g. `servers[1].url`.
    pub path: String,
    /// What stands there, as JSON, shortened; empty when something is missing.
    pub value: String,
    /// The rule that it breaks, e.g. `must be a duration such as 500ms, 30s or 5m`.
    pub rule: String,
    /// How to mend it, where that is not plain from the rule; not in the module, see [`WITH_HINTS`].
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path)?;
        if !self.value.is_empty() {
            write!(f, "{}: ", self.value)?;
        }
        f.write_str(&self.rule)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n    hint: {hint}")?;
        }
        Ok(())
    }
}

/// A rule that a value breaks, while it is not yet known where the value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule, as in [`Problem::rule`].
    pub rule: String,
    /// How to keep it, as in [`Problem::hint`].
    pub hint: Option<String>,
}

impl Violation {
    /// The violation of `rule`.
    pub fn of(rule: impl Into<String>) -> Self {
        Violation { rule: rule.into(), hint: None }
    }

    /// The same violation with a way to mend it.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        if WITH_HINTS { Violation { hint: Some(hint.into()), ..self } } else { self }
    }
}

/// Collects every problem of one registry, so that all are shown at once.
#[derive(Debug, Default)]
pub struct Problems(RefCell<Vec<Problem>>, #[cfg(feature = "cli")] RefCell<Vec<Mapping>>);

/// A mapping that was read, and the keys that the reader asked it for.
#[cfg(feature = "cli")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Where it stands; empty for the whole registry.
    pub path: String,
    /// The keys that it may have.
    pub keys: Vec<String>,
}

impl Problems {
    /// Adds one problem.
    pub fn add(&self, problem: Problem) {
        let mut all = self.0.borrow_mut();
        // What several entities share is read for each of them.
        if !all.contains(&problem) {
            all.push(problem);
        }
    }

    /// Whether nothing was found so far.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Whether something was found at `path`.
    pub(super) fn has(&self, path: &str) -> bool {
        self.0.borrow().iter().any(|problem| problem.path == path)
    }

    /// Notes which keys a mapping may have: what `dualpath keys` and the guide's tables are made from.
    #[cfg(feature = "cli")]
    pub(super) fn may_have(&self, path: &str, keys: &[std::borrow::Cow<'_, str>]) {
        let keys = keys.iter().map(|key| key.to_string()).collect();
        self.1.borrow_mut().push(Mapping { path: path.to_owned(), keys });
    }

    /// Every mapping that was read, in the order in which that was done.
    #[cfg(feature = "cli")]
    pub fn into_mappings(self) -> Vec<Mapping> {
        self.1.into_inner()
    }

    /// The problems, in the order in which they were found.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}
