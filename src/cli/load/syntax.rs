//! What is wrong with text that is no YAML.

use super::LoadError;

/// What the parser says, with what usually mends it.
pub(super) fn refusal(file: &str, error: &serde_saphyr::Error) -> LoadError {
    let at = error.location().map(|place| (place.line(), place.column()));
    let message = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    // The message ends with the place, which is shown in front of it instead.
    let place = at.map(|(line, column)| format!(" at line {line}, column {column}")).unwrap_or_default();
    let message = message.strip_suffix(&place).unwrap_or(&message).to_owned();
    let hint = HINTS.iter().find(|(part, _)| message.contains(part)).map(|(_, hint)| *hint);
    LoadError::Syntax { file: file.to_owned(), at, message, hint }
}

/// Parts of the parser's messages, and what an operator does about it.
const HINTS: [(&str, &str); 6] = [
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
