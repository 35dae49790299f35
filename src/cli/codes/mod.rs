//! The codes of what `dualpath check` says: stable names for rules and warnings, each with what it means, an example and a
//! remedy. `dualpath explain CODE` shows one; the guide's page of codes is made from the same table.
//!
//! The table is in the files beside this one. `is` is the title; `rules` are the rules in the reader's words, where `*` is any
//! text; `means` and `mend` are for people; `wrong` is laid over a small registry and gives the code, `right` does not. A test
//! tries all of that, and another that each rule in the source has a code. A code is never given to anything else: one that
//! is not needed any more is taken out, and its number stays free.
//!
//! The module carries none of this: a problem has its rule's words alone there.

mod finding;
mod level;
mod show;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::LazyLock;

use serde_json::{Map, Value};

pub(super) use finding::Finding;
pub(super) use level::{Level, Setting, in_comments};
pub(super) use show::{json, list, markdown, text};

/// What each file of the table is about.
const FILES: [(&str, &str); 9] = [
    ("The form of the file", include_str!("form.yaml")),
    ("Files, environments, variables", include_str!("files.yaml")),
    ("Secrets and credentials", include_str!("secrets.yaml")),
    ("Servers", include_str!("servers.yaml")),
    ("Tools", include_str!("tools.yaml")),
    ("Outcomes, breaker, order", include_str!("policy.yaml")),
    ("Listener and Envoy", include_str!("listener.yaml")),
    ("Legal but unwise", include_str!("unwise.yaml")),
    ("Not on this machine", include_str!("here.yaml")),
];

/// The code of a rule that has none of its own.
const OTHER: &str = "DP0100";

/// One code.
#[derive(Debug)]
pub(super) struct Code {
    /// Such as `DP0104`.
    pub name: String,
    /// Which part of the table it is in.
    pub about: &'static str,
    /// What it is, in a few words.
    pub title: String,
    /// The rules that it is about, `*` being any text.
    pub rules: Vec<String>,
    /// What that means.
    pub means: String,
    /// What to do about it.
    pub mend: String,
    /// Part of a registry that gives it.
    pub wrong: Option<String>,
    /// The same part, mended.
    pub right: Option<String>,
}

impl Code {
    /// How bad it is, unless somebody says otherwise.
    pub fn level(&self) -> Level {
        match self.name.get(..4) {
            Some("DP08") => Level::Warning,
            Some("DP09") => Level::Note,
            _ => Level::Error,
        }
    }
}

/// All codes, in the order of the table.
static CODES: LazyLock<Vec<Code>> = LazyLock::new(|| {
    let other = Code {
        name: OTHER.to_owned(),
        about: "Other rules",
        title: "A rule is broken that has no code of its own".to_owned(),
        rules: Vec::new(),
        means: "The message says which rule it is.".to_owned(),
        mend: "The message and its hint say what belongs there.".to_owned(),
        wrong: None,
        right: None,
    };
    let read = FILES.iter().flat_map(|(about, yaml)| {
        let codes: Map<String, Value> = serde_saphyr::from_str(yaml).unwrap_or_default();
        codes.into_iter().map(|(name, code)| read(name, about, &code))
    });
    read.chain([other]).collect()
});

fn read(name: String, about: &'static str, code: &Value) -> Code {
    let text = |key: &str| code.get(key).and_then(Value::as_str).map(str::to_owned);
    let rules = code.get("rules").and_then(Value::as_array).into_iter().flatten();
    Code {
        name,
        about,
        title: text("is").unwrap_or_default(),
        rules: rules.filter_map(Value::as_str).map(str::to_owned).collect(),
        means: text("means").unwrap_or_default(),
        mend: text("mend").unwrap_or_default(),
        wrong: text("wrong"),
        right: text("right"),
    }
}

/// All codes.
pub(super) fn all() -> &'static [Code] {
    &CODES
}

/// The code of this name, whose letters may be small.
pub(super) fn named(name: &str) -> Option<&'static Code> {
    CODES.iter().find(|code| code.name.eq_ignore_ascii_case(name))
}

/// Whether this is how a code is written, known or not.
pub(super) fn is_code(text: &str) -> bool {
    let digits = text.strip_prefix("DP").or_else(|| text.strip_prefix("dp"));
    digits.is_some_and(|digits| digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// The name of the code of a broken rule, given in the reader's words. Of several that fit, the one with the most words of
/// its own.
pub(super) fn of_rule(rule: &str) -> &'static str {
    let fits = CODES.iter().flat_map(|code| code.rules.iter().map(move |pattern| (code, pattern)));
    let best = fits.filter(|(_, pattern)| fits_pattern(pattern, rule)).max_by_key(|(_, pattern)| pattern.len());
    best.map_or(OTHER, |(code, _)| &code.name)
}

/// Whether `text` is `pattern`, in which `*` is any text.
fn fits_pattern(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(before) else { return false };
    let mut parts: Vec<&str> = after.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    let mut rest = rest;
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

/// One thing that is legal but unwise. `Display` says it to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Its code, such as `DP0802`, which `dualpath explain` explains.
    pub code: &'static str,
    /// Where in the registry, such as `servers[1].url`; what is not written there is told at what is around it.
    pub path: String,
    /// What is unwise, with the name of whose it is.
    pub text: String,
}

impl Warning {
    /// A warning with this code at this place.
    pub(super) fn new(code: &'static str, path: impl Into<String>, text: impl Into<String>) -> Self {
        Warning { code, path: path.into(), text: text.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
