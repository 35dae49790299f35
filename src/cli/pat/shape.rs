//! What happens to tokens on their way from a console into a file: quotes, line breaks, a scheme in front, one encoding too
//! many. Every finding says where and how to mend it, and none shows a character of the token.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Urgency;

/// Something about a token's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is: a token with something critical cannot work.
    pub urgency: Urgency,
    /// What it is, where, and how to mend it.
    pub text: String,
}

impl Finding {
    /// A finding.
    pub fn new(urgency: Urgency, text: impl Into<String>) -> Self {
        Finding { urgency, text: text.into() }
    }
}

/// Shorter than any token that is hard to guess.
const SHORT: usize = 16;

/// Longer than the headers that servers accept as a rule.
const LONG: usize = 8 * 1024;

/// What stands in examples where the token belongs, in lower case.
const PLACEHOLDERS: [&str; 18] = [
    "the-secret",
    "the_secret",
    "changeme",
    "change-me",
    "change_me",
    "placeholder",
    "your-token",
    "your_token",
    "todo",
    "fixme",
    "secret",
    "password",
    "token",
    "redacted",
    "none",
    "null",
    "undefined",
    "not-a-secret",
];

/// Everything about the text of a token, the worst not necessarily first.
pub fn findings(text: &[u8]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut critical = |text: String| found.push(Finding::new(Urgency::Critical, text));
    let mut rest = text;
    if let Some(after) = rest.strip_prefix(b"\xef\xbb\xbf") {
        critical("begins with a byte order mark: save it as UTF-8 without one".to_owned());
        rest = after;
    }
    if rest.contains(&0) {
        critical("has NUL bytes, as UTF-16 has: save it as UTF-8".to_owned());
        return found;
    }
    let trimmed = rest.trim_ascii();
    if trimmed.is_empty() {
        critical("is empty: put the token there".to_owned());
        return found;
    }
    let token = unwrapped(trimmed, &mut critical);
    inside(token, &mut critical);
    if is_placeholder(token) {
        critical("is a placeholder: put the token there".to_owned());
    }
    found.extend(doubts(token));
    if trimmed.len() != rest.len() {
        found.push(Finding::new(Urgency::Fine, "has white space at an end, which is taken off"));
    }
    found
}

/// The token without what does not belong to it: each layer is told of.
fn unwrapped<'t>(mut token: &'t [u8], critical: &mut impl FnMut(String)) -> &'t [u8] {
    if let Some(value) = assigned(token) {
        critical("begins with a name and =, as in a file of variables: only the value belongs there".to_owned());
        token = value.trim_ascii();
    }
    for quote in [b'"', b'\''] {
        if let [first, inner @ .., last] = token
            && *first == quote
            && *last == quote
        {
            critical("stands in quotes, which become part of it: take them off".to_owned());
            token = inner.trim_ascii();
        }
    }
    for scheme in ["authorization:", "bearer ", "bearer\t", "basic ", "token "] {
        if let Some((head, after)) = token.split_at_checked(scheme.len())
            && head.eq_ignore_ascii_case(scheme.as_bytes())
        {
            let scheme = scheme.trim_end();
            critical(format!("begins with \"{scheme}\": that comes from the credential's prefix, take it off"));
            token = after.trim_ascii();
        }
    }
    token
}

/// The value of `NAME=value`.
fn assigned(token: &[u8]) -> Option<&[u8]> {
    let token = token.strip_prefix(b"export ").unwrap_or(token);
    let at = token.iter().position(|b| *b == b'=')?;
    let (name, value) = token.split_at_checked(at)?;
    let is_name = !name.is_empty() && name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_');
    // Padding of base64 is no assignment.
    let value = value.strip_prefix(b"=")?;
    (is_name && !value.is_empty() && value.first() != Some(&b'=')).then_some(value)
}

fn inside(token: &[u8], critical: &mut impl FnMut(String)) {
    let place = |is: fn(&u8) -> bool| token.iter().position(is).map(|at| at.saturating_add(1));
    if let Some(at) = place(|b| matches!(b, b'\r' | b'\n')) {
        critical(format!("has a line break inside, after character {}: a token is one line", at.saturating_sub(1)));
    }
    if let Some(at) = place(|b| matches!(b, b' ' | b'\t')) {
        critical(format!("has a space or tab inside, at character {at}: a token has none"));
    }
    if let Some(at) = place(|b| !b.is_ascii()) {
        critical(format!("has something else than ASCII at byte {at}: copy it anew, without rich text"));
    }
    if let Some(at) = place(|b| b.is_ascii_control() && !matches!(b, b'\r' | b'\n' | b'\t')) {
        critical(format!("has a control character at byte {at}: copy it anew"));
    }
}

fn is_placeholder(token: &[u8]) -> bool {
    let lower = token.to_ascii_lowercase();
    let between = |open: &[u8], close: &[u8]| lower.starts_with(open) && lower.ends_with(close);
    let same = |first: u8| lower.iter().all(|b| *b == first);
    PLACEHOLDERS.iter().any(|known| known.as_bytes() == lower)
        || between(b"<", b">")
        || between(b"${", b"}")
        || between(b"{{", b"}}")
        || lower.iter().all(|b| *b == b'.')
        || same(b'x')
        || same(b'*')
}

/// What is no fault for certain.
fn doubts(token: &[u8]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut alert = |text: &str| found.push(Finding::new(Urgency::Alert, text));
    if token.len() < SHORT {
        alert("is very short: is it whole?");
    }
    if token.len() > LONG {
        alert("is very long: servers may refuse so large a header");
    }
    if is_encoded(token) {
        alert(
            "is base64 of text, as if encoded once too often (a Kubernetes secret's data is encoded, its stringData is \
             not): decode it, unless the server wants it so",
        );
    }
    if token.starts_with(b"eyJ") && token.split(|b| *b == b'.').count() != 3 {
        alert("begins as a JWT but has not its three parts: is it whole?");
    }
    found
}

/// Whether it decodes to text. By chance no token does: too many byte values are no text.
fn is_encoded(token: &[u8]) -> bool {
    let is_text = |bytes: Vec<u8>| bytes.len() >= 6 && bytes.trim_ascii().iter().all(u8::is_ascii_graphic);
    STANDARD.decode(token).is_ok_and(is_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "hunter2-hunter2-hunter2";

    #[track_caller]
    fn assert_found(text: impl AsRef<[u8]>, expected: &[(Urgency, &str)]) {
        let found = findings(text.as_ref());
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (finding, (urgency, text)) in found.iter().zip(expected) {
            assert!(finding.urgency == *urgency && finding.text.contains(text), "{finding:?} is not {text}");
            assert!(!finding.text.contains("hunter"), "{finding:?}");
        }
    }

    #[test]
    fn a_token_alone_is_right_with_or_without_a_last_line_break() {
        assert_found(TOKEN, &[]);
        for end in ["\n", "\r\n", " "] {
            assert_found(format!("{TOKEN}{end}"), &[(Urgency::Fine, "taken off")]);
        }
        assert_found("eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln", &[]);
    }

    #[test]
    fn what_does_not_belong_to_a_token_is_told_with_its_place() {
        let critical = |text| (Urgency::Critical, text);
        let cases: [(Vec<u8>, &str); 14] = [
            (b"".to_vec(), "is empty"),
            (b" \n".to_vec(), "is empty"),
            (format!("\u{feff}{TOKEN}").into_bytes(), "byte order mark"),
            (TOKEN.encode_utf16().flat_map(u16::to_le_bytes).collect(), "UTF-16"),
            (format!("\"{TOKEN}\"").into_bytes(), "in quotes"),
            (format!("'{TOKEN}'").into_bytes(), "in quotes"),
            (format!("Bearer {TOKEN}").into_bytes(), "begins with \"bearer\""),
            (format!("SNOWFLAKE_PAT={TOKEN}").into_bytes(), "begins with a name and ="),
            (b"hunter2-hunter2\nhunter2".to_vec(), "line break inside, after character 15"),
            (b"hunter2-hunter2 hunter2".to_vec(), "space or tab inside, at character 16"),
            (b"hunter2-hunter2\thunter2".to_vec(), "space or tab inside, at character 16"),
            ("hunter2\u{2011}hunter2-hunter2".as_bytes().to_vec(), "else than ASCII at byte 8"),
            (b"hunter2-hunter2\x1b[0m".to_vec(), "control character at byte 16"),
            (b"<your token here, please>".to_vec(), "space or tab inside"),
        ];
        for (text, expected) in cases {
            let found = findings(&text);
            assert!(found.iter().any(|f| f.urgency == Urgency::Critical && f.text.contains(expected)), "{found:?}");
            assert!(found.iter().all(|f| !f.text.contains("hunter")), "{found:?}");
        }
        assert_found(
            format!("export PAT=\"Bearer {TOKEN}\""),
            &[critical("a name and ="), critical("in quotes"), critical("begins with \"bearer\"")],
        );
    }

    #[test]
    fn what_stands_in_examples_is_no_token() {
        for text in
            ["THE-SECRET", "changeme", "<YOUR-TOKEN-GOES-HERE>", "${SNOWFLAKE_PAT_TOKEN}", "{{.token}}", "xxxxxxxx"]
        {
            let found = findings(text.as_bytes());
            assert!(found.iter().any(|f| f.text.contains("is a placeholder")), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_token_encoded_once_too_often_is_suspected() {
        for text in [TOKEN.to_owned(), format!("{TOKEN}\n"), "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln".to_owned()] {
            assert_found(STANDARD.encode(text), &[(Urgency::Alert, "is base64 of text")]);
        }
        assert_found("4f1c9f0d2b7a4e6f8091a2b3c4d5e6f7", &[]);
    }

    #[test]
    fn half_a_token_is_suspected() {
        assert_found("hunter2", &[(Urgency::Alert, "very short")]);
        assert_found("eyJhbGciOiJFUzI1NiJ9.eyJleHAi", &[(Urgency::Alert, "three parts")]);
        assert_found("h".repeat(9000), &[(Urgency::Alert, "very long")]);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(text: Vec<u8>) {
            let _ = findings(&text);
        }
    }
}
