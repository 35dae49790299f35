//! The documents and the fenced blocks in them.

use std::fs;
use std::path::{Path, PathBuf};

/// One document.
pub struct Document {
    /// Its path from the project's root.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A fenced block.
#[derive(Debug, Clone)]
pub struct Block {
    /// Document and line, for messages.
    pub place: String,
    /// The language, the first word behind the fence.
    pub language: String,
    /// What follows it: `run=`, `at=`, `exit=`, `reason=`.
    pub info: String,
    /// The lines between the fences.
    pub text: String,
}

impl Block {
    /// The value of `key=value` or `key="several words"` behind the fence.
    pub fn option(&self, key: &str) -> Option<&str> {
        let (_, rest) = self.info.split_once(&format!("{key}="))?;
        match rest.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next(),
            None => rest.split(' ').next(),
        }
    }
}

/// The project's root; the end-to-end tests are in a package further down.
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().find(|folder| folder.join("envoy/guide").is_dir());
    root.expect("the project").to_owned()
}

/// Every document that is for readers.
pub fn documents() -> Vec<Document> {
    let mut names = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(PathBuf::from).to_vec();
    let guide = Path::new("envoy/guide");
    let entries = fs::read_dir(root().join(guide)).expect("the guide");
    names.extend(entries.map(|entry| guide.join(entry.expect("an entry").file_name())));
    names.sort();
    let read = |name: PathBuf| {
        let text = fs::read_to_string(root().join(&name)).unwrap_or_else(|error| panic!("{}: {error}", name.display()));
        Document { name: name.to_string_lossy().into_owned(), text }
    };
    names.into_iter().filter(|name| name.extension().is_some_and(|ext| ext == "md")).map(read).collect()
}

/// The fenced blocks of a document, in order.
pub fn blocks(document: &Document) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in document.text.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => blocks.push(block),
            (Some(head), None) => {
                let (language, info) = head.split_once(' ').unwrap_or((head, ""));
                open = Some(Block {
                    place: format!("{}:{}", document.name, number + 1),
                    language: language.to_owned(),
                    info: info.to_owned(),
                    text: String::new(),
                });
            }
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{}: a fence is not closed", document.name);
    blocks
}

/// Whether `actual` is what `expected` says. A line `...` stands for any lines, `...` in a line for any text.
pub fn fits(expected: &str, actual: &str) -> bool {
    let (expected, actual): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    lines_fit(&expected, &actual)
}

fn lines_fit(expected: &[&str], actual: &[&str]) -> bool {
    match (expected.split_first(), actual.split_first()) {
        (None, rest) => rest.is_none(),
        (Some((&"...", after)), _) => (0..=actual.len()).any(|skipped| lines_fit(after, &actual[skipped..])),
        (Some((line, after)), Some((other, rest))) => line_fits(line, other) && lines_fit(after, rest),
        (Some(_), None) => false,
    }
}

fn line_fits(expected: &str, actual: &str) -> bool {
    let (expected, actual) = (expected.trim_end(), actual.trim_end());
    let pieces: Vec<&str> = expected.split("...").collect();
    let [first, middle @ .., last] = pieces.as_slice() else { return expected == actual };
    let Some(mut rest) = actual.strip_prefix(first) else { return false };
    for piece in middle {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn three_dots_stand_for_anything_and_nothing_else_does() {
    assert!(fits("a\n...\nd\n", "a\nb\nc\nd\n"));
    assert!(fits("a ... c\n", "a b c\n"));
    assert!(fits("...", ""));
    assert!(!fits("a\n", "a\nb\n"));
    assert!(!fits("a ... c\n", "a b d\n"));
    assert!(!fits("a\nb\n", "a\n"));
}
