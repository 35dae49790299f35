//! Text on its way to a terminal: what would steer it, or turn the order of what is read, is shown instead of sent.

use std::borrow::Cow;
use std::fmt::Write;

/// One line: nothing in `text` can begin another.
pub(super) fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden)
}

/// Lines, each as [`line`] would show it.
pub(super) fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_hidden(c))
}

/// A file as it was named: `-` is standard input.
pub(super) fn file(name: &str) -> Cow<'_, str> {
    if name == "-" { Cow::Borrowed("<stdin>") } else { line(name) }
}

/// Writes the characters that `hide` names as JSON does, so that JSON stays JSON.
fn escaped(text: &str, hide: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&hide) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for c in text.chars() {
        if hide(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal does something else with it than to show it: control characters, the ends of lines that Unicode
/// has beside them, what turns the direction of text, and what has no width.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_and_all_else_is_left() {
        let cases = [
            ("a\u{1b}]0;x\u{7}b\tc", "a\\u001b]0;x\\u0007b\\u0009c"),
            ("\u{202e}gnp.\u{2066}", "\\u202egnp.\\u2066"),
            ("\u{9b}31m\u{7f}", "\\u009b31m\\u007f"),
            ("\u{e0041}", "\\udb40\\udc41"),
            ("gr\u{fc}n \u{5e9}\u{5dc}\u{5d5}\u{5dd}", "gr\u{fc}n \u{5e9}\u{5dc}\u{5d5}\u{5dd}"),
        ];
        for (text, expected) in cases {
            assert_eq!(line(text), expected);
            assert_eq!(lines(text), expected);
        }
        assert_eq!((&*line("a\nb"), &*lines("a\nb")), ("a\\u000ab", "a\nb"));
    }
}
