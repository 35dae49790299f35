use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::cli::here::Here;
use crate::cli::load::{load_all, overlaid};
use crate::cli::warnings::{former_names, warnings};

/// What the examples are laid over.
const BASE: &str = r#"
version: 1
listener: {client_timeout: 60s}
credentials: [{id: pat, slots: {a: {sds_file: /etc/dualpath/pat-a.yaml}, b: {sds_file: /etc/dualpath/pat-b.yaml}}}]
servers:
  - {id: one, kind: mcp, url: "https://one.example.com/mcp", credential: pat}
  - {id: api, kind: rest, url: "https://api.example.com", credential: pat}
tools:
  - {name: search, task: search, rest: {server: api, preset: snowflake.search, with: {database: DB, schema: PUBLIC, service: DOCS}}}
"#;

/// Codes that no excerpt of a registry can give: of files, and of dates that come nearer.
const WITHOUT_EXAMPLE: [&str; 5] = ["DP0100", "DP0101", "DP0102", "DP0823", "DP0825"];

#[test]
fn codes_are_in_order_and_say_everything() {
    for (about, yaml) in FILES {
        let read: Result<Map<String, Value>, _> = serde_saphyr::from_str(yaml);
        assert!(read.as_ref().is_ok_and(|codes| !codes.is_empty()), "{about}: {read:?}");
    }
    let names: Vec<_> = all().iter().map(|code| code.name.as_str()).collect();
    let (other, listed) = names.split_last().expect("codes");
    assert_eq!(*other, OTHER);
    assert!(listed.is_sorted_by(|a, b| a < b) && names.iter().all(|name| is_code(name)), "{names:?}");
    for code in all() {
        let ends = |text: &str| text.ends_with(['.', '}']) && !text.contains('\n');
        assert!(!code.title.is_empty() && !code.title.ends_with('.'), "{}", code.name);
        assert!(ends(&code.means) && ends(&code.mend), "{}: means and mend are whole sentences", code.name);
        assert_eq!(code.wrong.is_none(), WITHOUT_EXAMPLE.contains(&&*code.name), "{}", code.name);
    }
}

/// The codes that a registry gets.
fn codes_of(folder: &Path, name: &str, example: &str) -> Vec<String> {
    let text = if example.contains("version:") { example.to_owned() } else { overlaid(BASE, example).to_string() };
    let file = folder.join(name);
    fs::write(&file, text).expect("a file");
    match load_all(file.to_str().expect("UTF-8")) {
        Err(error) => error.findings().iter().map(|found| found.code.to_owned()).collect(),
        Ok(loaded) => {
            let warned = loaded.iter().flat_map(|loaded| {
                let more = warnings(&loaded.registry, 1_795_000_000, &Here::of_this_machine());
                former_names(&loaded.wire).into_iter().chain(more)
            });
            warned.map(|warning| warning.code.to_owned()).collect()
        }
    }
}

#[test]
fn the_wrong_example_of_a_code_gives_it_and_the_right_one_is_right() {
    let folder = std::env::temp_dir().join(format!("dualpath-codes-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let mut failed = Vec::new();
    for code in all() {
        if let Some(wrong) = &code.wrong {
            let found = codes_of(&folder, "registry.yaml", wrong);
            if !found.contains(&code.name) {
                failed.push(format!("{}: wrong gives {found:?}", code.name));
            }
        }
        if let Some(right) = &code.right {
            let found = codes_of(&folder, "registry.yaml", right);
            let is_error = |name: &String| named(name).is_none_or(|code| code.level() == Level::Error);
            if found.contains(&code.name) || found.iter().any(is_error) {
                failed.push(format!("{}: right gives {found:?}", code.name));
            }
        }
    }
    fs::remove_dir_all(&folder).expect("the folder");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Words that a rule begins with, in the reader's language.
const BEGINNINGS: [&str; 13] = [
    "must ",
    "is ",
    "has ",
    "needs ",
    "uses ",
    "takes ",
    "looks ",
    "includes ",
    "comes ",
    "nothing can ",
    "holds ",
    "base_open ",
    "cannot be read: {",
];

/// Texts of the source that begin like rules and are none of a registry's, or are a part of one.
const NO_RULES: [&str; 4] = ["must be", "must be ", "must be under", "is {}"];

#[test]
fn every_rule_in_the_source_has_a_code() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    for folder in ["registry/read", "wire", "translate", "cli/load"] {
        rust_files(&src.join(folder), &mut files);
    }
    let elsewhere = ["render.rs", "request.rs", "answer.rs", "suggest.rs", "tests.rs"];
    files.retain(|file| !elsewhere.contains(&file.file_name().and_then(|name| name.to_str()).unwrap_or_default()));
    let mut without = BTreeSet::new();
    let mut count = 0;
    for file in files {
        let text = fs::read_to_string(&file).expect("source");
        let ships = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let code: String = ships
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .fold(String::new(), |all, line| all + line + "\n");
        for literal in literals(&code) {
            if !BEGINNINGS.iter().any(|begins| literal.starts_with(begins)) || NO_RULES.contains(&&*literal) {
                continue;
            }
            count += 1;
            if of_rule(&filled(&literal)) == OTHER {
                without.insert(format!("{}: {literal}", file.display()));
            }
        }
    }
    assert!(count > 150, "{count} rules were found");
    assert!(without.is_empty(), "rules without a code; give them one in src/cli/codes: {without:#?}");
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the source") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The texts in quotes.
fn literals(code: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), code);
    while let Some((_, after)) = rest.split_once('"') {
        let mut end = 0;
        let bytes = after.as_bytes();
        while bytes.get(end).is_some_and(|b| *b != b'"') {
            end += if bytes.get(end) == Some(&b'\\') { 2 } else { 1 };
        }
        let Some(literal) = after.get(..end) else { break };
        found.push(literal.replace("\\n", "\n").replace("\\\"", "\""));
        rest = after.get(end + 1..).unwrap_or_default();
    }
    found
}

/// A format with something in its places.
fn filled(literal: &str) -> String {
    let (mut text, mut rest) = (String::new(), literal);
    while let Some((before, after)) = rest.split_once('{') {
        text += before;
        rest = match (after.strip_prefix('{'), after.split_once('}')) {
            (Some(after), _) => {
                text += "{";
                after
            }
            (None, Some((_, after))) if !before.ends_with('$') => {
                text += "1";
                after
            }
            _ => {
                text += "{";
                after
            }
        };
    }
    (text + rest).replace("}}", "}")
}

#[test]
fn the_pattern_with_the_most_words_wins() {
    assert_eq!(of_rule("must be one of mcp, rest"), "DP0107");
    assert_eq!(of_rule("must be one of those under environments"), "DP0205");
    assert_eq!(of_rule("must be under the id of a server that may answer these calls"), "DP0605");
    assert_eq!(of_rule("must be a whole number from 0 to 1000"), "DP0108");
    assert_eq!(of_rule("must be pink"), OTHER);
    assert!(fits_pattern("a * b * c", "a x b y c") && !fits_pattern("a * b * c", "a x c"));
}

#[test]
fn a_level_is_set_of_warnings_only() {
    for (text, set) in [
        ("DP0802=note", Some((Level::Note, "DP0802"))),
        ("dp0901=error", Some((Level::Error, "DP0901"))),
        ("DP0104=off", None),
        ("DP0802=loud", None),
        ("DP0802", None),
        ("DP0899=off", None),
    ] {
        let read: Option<Setting> = text.parse().ok();
        assert_eq!(read.map(|set| (set.level, set.code.name.as_str())), set, "{text}");
    }
    let read = in_comments("a: 1\n  # check: DP0802=off, DP0803=note; there is one server\n# check: this\n");
    let read: Vec<_> = read.into_iter().map(|(line, set)| (line, set.map(|set| set.code.name.as_str()))).collect();
    assert_eq!(read, [(2, Ok("DP0802")), (2, Ok("DP0803"))]);
}
