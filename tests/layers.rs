//! The core is a stack: no module imports from one that stands above it, and no files import each other in a circle.
//!
//! What counts is every path through `crate::` or `super::` in code that ships, wherever it stands; test code is free to
//! look anywhere. A path ends at the file that it leads to. The file of a folder's own module (`mod.rs`, or `name.rs`
//! beside `name/`) names what the folder shows, so within its folder it may be imported by the files below it and import
//! them: only a circle among the other files counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The stack from the ground up. A module may import from the rows below its own and from its own row, where there is no
/// circle of modules.
const STACK: [&[&str]; 7] = [
    &["json", "wire", "jsonrpc", "sse", "network", "shared_data", "budget", "random", "held", "usage"],
    &["mcp", "credential", "failure", "breaker", "cache", "concurrency", "translate", "wiring"],
    &["registry"],
    &["annotations", "discovery", "drill", "health", "history", "probe", "runtime", "telemetry"],
    &["call"],
    &["filter", "cli"],
    &["main", "build"],
];

/// Each file of `src` with those that it imports from.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    read(&root, &root, &mut files);
    let all: BTreeSet<&str> = files.keys().map(String::as_str).collect();
    files
        .iter()
        .map(|(file, code)| {
            let found = paths(code).into_iter().filter_map(|path| resolve(file, &path, &all));
            (file.clone(), found.filter(|other| other != file).collect())
        })
        .collect()
}

/// Every file that ships below `folder`, without its tests and comments.
fn read(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "tests" {
            read(root, &path, files);
        } else if name.ends_with(".rs") && name != "tests.rs" && name != "lib.rs" {
            let text = fs::read_to_string(&path).unwrap();
            // What stands alone under `cfg(test)` before a file's tests is not told from them.
            let ships = text.split("#[cfg(test)]\nmod ").next().unwrap();
            let code = ships.lines().filter(|line| !line.trim_start().starts_with("//"));
            let key = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(key, code.collect::<Vec<_>>().join("\n"));
        }
    }
}

/// The paths through `crate` or `super` in this code, with the braces of `use` taken apart.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':' && c != '$') {
                branches(&code[at..], Vec::new(), &mut found);
            }
        }
    }
    found
}

/// Follows the path that `code` begins with, and each of its branches; answers what comes behind it.
fn branches<'c>(mut code: &'c str, mut path: Vec<String>, found: &mut Vec<Vec<String>>) -> &'c str {
    loop {
        code = code.trim_start();
        if let Some(mut inside) = code.strip_prefix('{') {
            loop {
                inside = branches(inside, path.clone(), found).trim_start();
                match inside.strip_prefix(',') {
                    Some(next) if !next.trim_start().starts_with('}') => inside = next,
                    rest => return rest.unwrap_or(inside).trim_start().strip_prefix('}').unwrap_or(""),
                }
            }
        }
        let end = code.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len());
        if end > 0 {
            path.push(code[..end].to_owned());
        }
        code = &code[end..];
        match code.strip_prefix("::") {
            Some(next) => code = next,
            None => break,
        }
    }
    found.push(path);
    code
}

/// The file that `path`, read in `file`, leads to.
fn resolve(file: &str, path: &[String], all: &BTreeSet<&str>) -> Option<String> {
    let mut module: Vec<&str> = module_of(file);
    let mut steps = path.iter().map(String::as_str).peekable();
    if steps.next_if_eq(&"crate").is_some() {
        module.clear();
    }
    while steps.next_if_eq(&"super").is_some() {
        module.pop()?;
    }
    let mut reached = file_of(&module, all);
    for step in steps {
        module.push(step);
        match file_of(&module, all) {
            Some(below) => reached = Some(below),
            None => break,
        }
    }
    reached
}

fn module_of(file: &str) -> Vec<&str> {
    let stem = file.strip_suffix(".rs").unwrap();
    stem.strip_suffix("/mod").unwrap_or(stem).split('/').collect()
}

fn file_of(module: &[&str], all: &BTreeSet<&str>) -> Option<String> {
    let path = module.join("/");
    [format!("{path}.rs"), format!("{path}/mod.rs")].into_iter().find(|file| all.contains(file.as_str()))
}

/// The module at the top that a file belongs to.
fn top(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

fn row(module: &str) -> usize {
    STACK.iter().position(|row| row.contains(&module)).unwrap_or_else(|| panic!("{module} has no place in the stack"))
}

/// Whether `file` is of the module that `below` lies in.
fn is_parent(file: &str, below: &str) -> bool {
    module_of(below).starts_with(&module_of(file))
}

/// Nodes that reach themselves, over any number of edges.
fn in_circles<'n>(edges: &BTreeMap<&'n str, BTreeSet<&'n str>>) -> BTreeSet<&'n str> {
    let reaches_itself = |start: &'n str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![start]);
        while let Some(node) = next.pop() {
            for other in edges.get(node).into_iter().flatten() {
                if *other == start {
                    return true;
                }
                if seen.insert(*other) {
                    next.push(other);
                }
            }
        }
        false
    };
    edges.keys().copied().filter(|node| reaches_itself(node)).collect()
}

#[test]
fn no_module_imports_from_one_that_stands_above_it() {
    let imports = imports();
    let edges = imports.iter().flat_map(|(file, others)| others.iter().map(move |other| (file, other)));
    let upward: Vec<_> = edges.filter(|(file, other)| row(top(file)) < row(top(other))).collect();
    assert!(upward.is_empty(), "imports that go up the stack: {upward:#?}");
}

#[test]
fn no_modules_of_one_row_import_each_other_in_a_circle() {
    let imports = imports();
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (file, others) in &imports {
        let beside = others.iter().map(|other| top(other)).filter(|other| *other != top(file));
        edges.entry(top(file)).or_default().extend(beside);
    }
    assert_eq!(in_circles(&edges), BTreeSet::new());
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let imports = imports();
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (file, others) in &imports {
        let counts = others.iter().filter(|other| !is_parent(file, other) && !is_parent(other, file));
        edges.insert(file, counts.map(String::as_str).collect());
    }
    assert_eq!(in_circles(&edges), BTreeSet::new(), "files that import each other in a circle");
}

#[test]
fn a_path_with_branches_is_read_as_each_of_them() {
    let found = paths("use crate::a::{self, b::{C, d}, e};\nlet x = super::f::g(crate::h);\npub(crate) fn k() {}");
    let found: Vec<_> = found.iter().map(|path| path.join("::")).collect();
    let expected = ["crate::a::self", "crate::a::b::C", "crate::a::b::d", "crate::a::e", "crate::h", "super::f::g"];
    assert_eq!(found, expected);
}
