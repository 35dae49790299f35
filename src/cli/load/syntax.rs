//! What is wrong with text that is no YAML.

use super::LoadError;
use super::names::is_plain_name;
use crate::wire::{VEIL, looks_like_a_token};

/// What the parser says, with what usually mends it.
pub(super) fn refusal(file: &str, error: &serde_saphyr::Error) -> LoadError {
    let at = error.location().map(|place| (place.line(), place.column()));
    let message = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    // The message ends with the place, which is shown in front of it instead.
    let place = at.map(|(line, column)| format!(" at line {line}, column {column}")).unwrap_or_default();
    let message = veiled(message.strip_suffix(&place).unwrap_or(&message));
    let message =
        TOO_MUCH.iter().find(|(part, _)| message.contains(part)).map_or(message, |(_, says)| (*says).to_owned());
    let hint = HINTS.iter().find(|(part, _)| message.contains(part)).map(|(_, hint)| *hint);
    LoadError::Syntax { file: file.to_owned(), at, message, hint }
}

/// The message without what it quotes of the file, unless that is plainly a name: any file may have been named as a registry.
fn veiled(message: &str) -> String {
    let (Some(begin), Some(end)) = (message.find('`'), message.rfind('`')) else { return message.to_owned() };
    let quoted = message.get(begin.saturating_add(1)..end).unwrap_or_default();
    if is_plain_name(quoted.trim_start_matches('!')) && !looks_like_a_token(quoted) {
        return message.to_owned();
    }
    let (before, after) = (message.get(..begin), message.get(end.saturating_add(1)..));
    [before.unwrap_or_default(), VEIL, after.unwrap_or_default()].concat()
}

/// Parts of the parser's messages about its own limits, and the same for people. No registry comes near them.
const TOO_MUCH: [(&str, &str); 4] = [
    ("limits breached: Depth", TOO_DEEP),
    ("too complex: depth=", TOO_DEEP),
    ("recursion limit exceeded", TOO_DEEP),
    (
        "YAML document too large or too complex",
        "this says too much for one file, all that its aliases stand for counted",
    ),
];
const TOO_DEEP: &str = "this is nested too deeply";

/// Parts of the messages, and what an operator does about it.
const HINTS: [(&str, &str); 9] = [
    (
        "too much for one file",
        "another file may be meant; an alias (*name) of aliases multiplies: write out what it stands for",
    ),
    ("nested too deeply", "another file may be meant; or a bracket or brace is one too many"),
    ("unclosed bracket", "the bracket or brace that opens here has no end: close it, or take it out"),
    ("found a tab", "indent with spaces, and put one after a colon"),
    (
        "did not find expected '-' indicator",
        "this line, or one above it in the list, is indented too little or too much",
    ),
    ("did not find expected key", "this line, or one above it in the mapping, is indented too little or too much"),
    ("illegal placement of ':'", "a bracket, brace or quote above may not be closed; text with a colon needs quotes"),
    ("mapping values are not allowed", "a colon in text needs quotes around it, or the line is indented wrongly"),
    ("multiple found", "a registry is one document: take the line --- out"),
];
