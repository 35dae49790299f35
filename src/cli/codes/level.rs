//! How bad a finding is, and how an operator says otherwise: `--level`, or a comment in the file.

use std::str::FromStr;

use super::{Code, named};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Level {
    /// The check fails.
    Error,
    /// The check fails if it is strict.
    Warning,
    /// Worth knowing.
    Note,
    /// Not told.
    Off,
}

impl Level {
    const ALL: [Level; 4] = [Level::Error, Level::Warning, Level::Note, Level::Off];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
            Level::Off => "off",
        }
    }
}

/// The level that an operator gives a code: `DP0802=note`.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Setting {
    /// Of which code.
    pub code: &'static Code,
    /// Its level.
    pub level: Level,
}

impl FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (code, level) = text.split_once('=')?;
            let level = Level::ALL.into_iter().find(|known| known.as_str() == level)?;
            // What breaks a rule can't be run, whatever one calls it.
            let code = named(code).filter(|code| code.level() != Level::Error)?;
            Some(Setting { code, level })
        };
        read().ok_or(
            "must be CODE=LEVEL with the code of a warning or note: DP0802=off; levels are error, warning, note, off",
        )
    }
}

/// The settings in lines `# check: DP0802=note, DP0803=off; why` of a file, each with its line from 1.
pub(in crate::cli) fn in_comments(text: &str) -> Vec<(u64, Result<Setting, &'static str>)> {
    let mut found = Vec::new();
    for (at, line) in (1u64..).zip(text.lines()) {
        let Some(said) = line.trim_start().strip_prefix("# check: ") else { continue };
        let words = said.split([' ', ',', ';', '\t', '\r']).filter(|word| word.starts_with("DP"));
        found.extend(words.map(|word| (at, word.parse())));
    }
    found
}
