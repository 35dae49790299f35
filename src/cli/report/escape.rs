//! Text in a page: what a log names may be HTML, or turn the order of what is read.

use std::borrow::Cow;

use crate::cli::shown;

/// As text of an element, or as an attribute in double quotes.
pub fn escaped(text: &str) -> Cow<'_, str> {
    let text = shown::line(text);
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return text;
    }
    let mut html = String::new();
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    Cow::Owned(html)
}
