//! Words of bash, for commands that operators copy.

use std::fmt::Write;

/// A word that bash takes as `text` and nothing else, in quotes. What steers a terminal is written as escapes.
pub(super) fn quoted(text: &str) -> String {
    if *crate::cli::shown::line(text) == *text {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let mut word = "$'".to_owned();
    for byte in text.bytes() {
        match byte {
            b'\'' | b'\\' => word.extend(['\\', byte.into()]),
            b' '..=b'~' => word.push(byte.into()),
            // Always three digits, so that one that follows is not taken for a part.
            _ => _ = write!(word, "\\{byte:03o}"),
        }
    }
    word + "'"
}

/// The same without quotes where that means the same.
pub(super) fn word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_./:@%+=,-".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) { text.to_owned() } else { quoted(text) }
}

/// A file as an argument, which cannot be taken for an option.
pub(super) fn file(name: &str) -> String {
    if name.starts_with('-') && name != "-" { word(&format!("./{name}")) } else { word(name) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn bash_reads_each_word_as_it_was_meant() {
        let texts = [
            "",
            "a b",
            "it's",
            "$(touch x)",
            "`x`",
            "a;b",
            "a\nb",
            "\u{1b}]0;x\u{7}1",
            "\u{202e}x'\\",
            "~",
            "*",
            "#",
            "plain.yaml",
            "a=b",
            "!x",
            "{a,b}",
            "\t",
        ];
        for text in texts {
            for shown in [quoted(text), word(text)] {
                assert_eq!(crate::cli::shown::line(&shown), shown, "it is shown as it is");
                let output = Command::new("bash").args(["-c", &format!("printf %s {shown}")]).output().expect("bash");
                assert_eq!(String::from_utf8_lossy(&output.stdout), text, "{shown}");
            }
        }
        assert_eq!(word("envoy/registry.yaml"), "envoy/registry.yaml");
        assert_eq!((file("-"), file("-rf")), ("-".to_owned(), "./-rf".to_owned()));
    }
}
