//! What the documents name: files, headings, targets, metrics, error codes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use dualpath::jsonrpc::ErrorCode;
use dualpath::telemetry::FAMILIES;

use crate::blocks::{Document, blocks, documents, root};

/// The first screen is two screens.
#[test]
fn the_readme_is_short() {
    let length = fs::read_to_string(root().join("README.md")).expect("README.md").len();
    assert!(length <= 7 << 10, "{length} bytes: what is not for everyone belongs into the guide");
}

#[test]
fn links_lead_somewhere() {
    for document in documents() {
        let folder = root().join(Path::new(&document.name).parent().expect("a folder"));
        for target in links(&document.text) {
            if target.contains("://") {
                continue;
            }
            let (file, heading) =
                target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
            let path = if file.is_empty() { root().join(&document.name) } else { folder.join(file) };
            assert!(path.exists(), "{}: there is no {target}", document.name);
            if let Some(heading) = heading {
                let text = fs::read_to_string(&path).expect("a document");
                assert!(headings(&text).contains(heading), "{}: there is no heading for {target}", document.name);
            }
        }
    }
}

#[test]
fn files_of_the_source_exist() {
    for document in documents() {
        let named =
            spans(&document).into_iter().filter(|span| ["src/", "tests/"].iter().any(|top| span.starts_with(top)));
        for path in named.filter(|span| !span.contains(' ')) {
            assert!(root().join(&path).exists(), "{}: there is no {path}", document.name);
        }
    }
}

#[test]
fn tests_that_are_named_exist() {
    let root = root();
    let tests =
        [source(&root.join("tests")), source(&root.join("src")), text_of(&root.join("tests/sdk"), "py")].concat();
    for document in documents() {
        let is_name = |span: &String| {
            span.matches('_').count() > 4
                && span.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        for name in spans(&document).into_iter().filter(is_name) {
            let is_defined = ["fn ", "def "].iter().any(|define| tests.contains(&format!("{define}{name}(")));
            let is_metric = FAMILIES.iter().any(|family| family.name == name);
            assert!(is_defined || is_metric, "{}: there is no test {name}", document.name);
        }
    }
}

/// A page that no other one leads to is not read.
#[test]
fn every_page_of_the_guide_is_in_its_index() {
    let index = fs::read_to_string(root().join("envoy/guide/index.md")).expect("the index");
    let linked: BTreeSet<_> = links(&index).collect();
    for document in documents() {
        if let Some(page) = document.name.strip_prefix("envoy/guide/").filter(|page| *page != "index.md") {
            assert!(linked.contains(page), "index.md has no link to {page}");
        }
    }
}

#[test]
fn targets_of_make_exist() {
    let makefile = fs::read_to_string(root().join("Makefile")).expect("Makefile");
    let targets: BTreeSet<_> = makefile
        .lines()
        .filter_map(|line| line.split_once(": ").or(line.split_once(':')))
        .map(|(name, _)| name)
        .collect();
    for document in documents() {
        let code = spans(&document)
            .into_iter()
            .chain(blocks(&document).into_iter().filter(|b| b.language == "sh").map(|b| b.text));
        for command in code.flat_map(|code| code.lines().map(str::to_owned).collect::<Vec<_>>()) {
            let command = command.trim_start_matches(|c: char| c.is_ascii_uppercase() || "_=0123456789 ".contains(c));
            let Some(target) =
                command.strip_prefix("make ").and_then(|rest| rest.split_whitespace().find(|w| !w.starts_with('-')))
            else {
                continue;
            };
            let is_name = target.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            assert!(!is_name || targets.contains(target), "{}: there is no `make {target}`", document.name);
        }
    }
}

/// Every metric in the documents exists, and operations.md has all.
#[test]
fn metrics_are_those_of_the_source() {
    let defined: BTreeSet<String> = FAMILIES.iter().map(|family| family.name.to_owned()).collect();
    for document in documents() {
        for name in names_like_metrics(&document.text) {
            assert!(defined.contains(&name), "{}: there is no metric {name}", document.name);
        }
        if document.name.ends_with("operations.md") {
            let named = names_like_metrics(&document.text);
            let missing: Vec<_> = defined.difference(&named).collect();
            assert!(missing.is_empty(), "operations.md says nothing of {missing:?}");
        }
    }
}

/// Figures of runs that take minutes: the words around the numbers are those that the program prints.
#[test]
fn measured_outputs_have_the_programs_words() {
    let printed = without_numbers(&source(&root().join("tests/lab/src")).replace("\\\n", "").replace("\\n", "\n"));
    for block in documents().iter().flat_map(blocks).filter(|block| block.info == "measured") {
        for line in block.text.lines() {
            assert!(printed.contains(&without_numbers(line)), "{}: no program prints {line}", block.place);
        }
    }
}

/// The text with `#` for each number, with or without `%`, and for each placeholder of a format; blanks are one.
fn without_numbers(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let placeholder =
            rest.strip_prefix('{').and_then(|inner| inner.split_once('}')).filter(|(name, _)| name.len() < 20);
        if let Some((_, after)) = placeholder {
            plain.push('#');
            rest = after;
        } else if first.is_ascii_digit() {
            plain.push('#');
            rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
            rest = rest.strip_prefix(" %").unwrap_or(rest);
        } else {
            if !(first == ' ' && plain.ends_with(' ')) {
                plain.push(first);
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    plain
}

/// errors.md has a heading for each code, with its reason, and the HTTP status that it travels with.
#[test]
fn errors_are_those_of_the_source() {
    let text = fs::read_to_string(root().join("envoy/guide/errors.md")).expect("errors.md");
    let headings: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("## ")).filter(|h| h.contains('`')).collect();
    let expected: Vec<_> = ErrorCode::ALL
        .iter()
        .map(|code| {
            // A failure of a request has its own status only where the registry wants that, or where it has not been read.
            let either = if code.http_status() >= 429 && *code != ErrorCode::NoRoom { "200 or " } else { "" };
            format!("{} `{}`, HTTP {either}{}", code.number(), code.name(), code.http_status())
        })
        .collect();
    assert_eq!(headings, expected);
    let variants = include_str!("../../src/jsonrpc/code.rs")
        .split("pub enum ErrorCode {")
        .nth(1)
        .and_then(|rest| rest.split("\n}").next());
    let variants = variants.expect("the codes").lines().filter(|line| line.ends_with(',')).count();
    assert_eq!(variants, ErrorCode::ALL.len(), "ErrorCode::ALL has them all");
}

fn names_like_metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()));
    let ends = [
        "_total",
        "_ms",
        "_state",
        "_override",
        "_mcp_off",
        "_expiry",
        "_present",
        "_sent",
        "_known",
        "_alerts",
        "_violation",
        "_bytes",
        "_listed",
        "_drift",
        "_percent",
        "_ignored",
        "_kill_switch",
        "_limit",
        "_in_flight",
        "_info",
    ];
    let is_metric = |word: &&str| {
        ["cortex_", "dualpath_", "mcp_server_", "mcp_tool_", "snowflake_pat_"]
            .iter()
            .any(|start| word.starts_with(start))
            && ends.iter().any(|end| word.ends_with(end))
    };
    words.filter(is_metric).map(str::to_owned).collect()
}

fn source(folder: &Path) -> String {
    text_of(folder, "rs")
}

fn text_of(folder: &Path, kind: &str) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).expect("the source") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            text += &text_of(&path, kind);
        } else if path.extension().is_some_and(|extension| extension == kind) {
            text += &fs::read_to_string(&path).expect("source");
        }
    }
    text
}

/// The targets of `[text](target)`, outside of blocks.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// Headings as a link names them: lower case, hyphens for blanks, no other punctuation.
fn headings(text: &str) -> BTreeSet<String> {
    let slug = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        heading
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    };
    text.lines().filter(|line| line.starts_with('#')).map(slug).collect()
}

/// Text between single backticks.
fn spans(document: &Document) -> Vec<String> {
    let mut spans = Vec::new();
    let mut fenced = false;
    for line in document.text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            spans.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    spans
}

/// The table of crossings has the numbers that the test of the crossing budget holds the filter to.
#[test]
fn crossings_are_those_of_the_budget() {
    let guide = fs::read_to_string(root().join("envoy/guide/performance.md")).expect("performance.md");
    let budgets = include_str!("../emulated/crossings.rs");
    for (row, what) in [
        ("plain call, JSON", "a plain call"),
        ("plain call, events", "a call that is answered with events"),
        ("failed over once", "a call that fails over"),
        ("direct path", "a call on the direct path"),
        ("[kept answer](cache.md)", "a call that is answered with what is kept"),
    ] {
        let line = budgets.lines().find(|line| line.contains(&format!("\"{what}\""))).expect("a budget");
        let numbers: Vec<&str> = line.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty()).collect();
        let expected = format!("| {row} | {} |", numbers.join(" | "));
        assert!(guide.contains(&expected), "the guide lacks {expected}");
    }
}
