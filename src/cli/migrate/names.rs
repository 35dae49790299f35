//! Former names of keys, changed where they stand.

use serde_json::Value;

use crate::cli::load::{At, LoadError, Tree, read_registry};

/// A file as this version writes it.
#[derive(Debug)]
pub(super) struct Migrated {
    /// Its text.
    pub text: String,
    /// What was changed, in words.
    pub done: Vec<String>,
}

/// A key whose name is another one now.
struct Renamed {
    at: At,
    /// What stands there: `true` where a tool of YAML 1.1 has written `on` back.
    former: String,
    place: String,
}

const FORMER: [&str; 2] = ["on", "true"];
const PRESENT: &str = "outcomes";

/// The text of `file` with its former names changed, and with a version.
///
/// # Errors
/// It is no YAML, or a key has both its names.
pub(super) fn migrated(file: &str, text: &str) -> Result<Migrated, LoadError> {
    let tree = read_registry(file, text)?;
    let mut found = Vec::new();
    find_in_registry(&tree, "", &mut found);
    for (name, environment) in tree.get("environments").map(Tree::keys).unwrap_or_default() {
        find_in_registry(environment, &format!("environments.{name}."), &mut found);
    }
    let refuse = |at: Option<At>, message: String| LoadError::Syntax { file: file.to_owned(), at, message, hint: None };
    if let Some(both) = found.iter().find(|renamed| renamed.place.ends_with('!')) {
        let message = format!("{} is beside {PRESENT}, which is its new name: take one out", both.former);
        return Err(refuse(Some(both.at), message));
    }
    let mut migrated = Migrated { text: text.to_owned(), done: Vec::new() };
    // From the end, so that the places before stay what they are.
    found.sort_by_key(|renamed| std::cmp::Reverse(renamed.at));
    for Renamed { at, former, place } in &found {
        let changed = byte_at(text, *at).and_then(|start| rename(&migrated.text, start, former));
        let Some(changed) = changed else {
            let message = format!(
                "{place}: {former} is called {PRESENT} now, and is written in a way that has to be changed by hand"
            );
            return Err(refuse(Some(*at), message));
        };
        migrated.text = changed;
        migrated.done.push(format!("{}:{}: {place}: {former} is called {PRESENT} now", at.0, at.1));
    }
    migrated.done.reverse();
    if tree.get("version").is_none() && tree.get("servers").is_some() {
        migrated.text = with_version(&tree, &migrated.text);
        migrated.done.push("version: 1 added".to_owned());
    }
    // What was found by its place in the text is looked at once more as a whole.
    let expected = expected(&tree);
    let same = Tree::read(file, 0, &migrated.text).is_ok_and(|tree| tree.value() == expected);
    if same {
        Ok(migrated)
    } else {
        Err(refuse(None, "cannot be migrated: the result would say something else".to_owned()))
    }
}

/// Servers and tools with former names, in lists and in mappings from names.
fn find_in_registry(tree: &Tree, path: &str, found: &mut Vec<Renamed>) {
    for section in ["servers", "tools"] {
        let Some(section_tree) = tree.get(section) else { continue };
        let named = section_tree.keys().iter().map(|(name, entry)| (format!("{path}{section}.{name}"), entry));
        let listed =
            section_tree.entries().iter().enumerate().map(|(at, entry)| (format!("{path}{section}[{at}]"), entry));
        for (place, entry) in named.chain(listed) {
            for (key, value) in entry.keys().iter().filter(|(key, _)| FORMER.contains(&&**key)) {
                let both = if entry.get(PRESENT).is_some() { "!" } else { "" };
                let Some(at) = value.place.at else { continue };
                found.push(Renamed { at, former: key.clone(), place: format!("{place}{both}") });
            }
        }
    }
}

/// The text with the key that begins at `start`, in quotes or not, called by its present name.
fn rename(text: &str, start: usize, former: &str) -> Option<String> {
    let (before, key) = text.split_at_checked(start)?;
    let quote = key.chars().next().filter(|c| ['"', '\''].contains(c));
    let rest = key.strip_prefix(['"', '\'']).unwrap_or(key).strip_prefix(former)?;
    let quotes: String = quote.into_iter().collect();
    Some([before, &quotes, PRESENT, rest].concat())
}

/// The byte at a line and column, both from 1; columns count characters.
fn byte_at(text: &str, (line, column): At) -> Option<usize> {
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    let column = usize::try_from(column).ok()?.checked_sub(1)?;
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let within: usize = text.get(start..)?.chars().take(column).map(char::len_utf8).sum();
    start.checked_add(within)
}

/// The version, in front of the first key.
fn with_version(tree: &Tree, text: &str) -> String {
    let first = tree.keys().first().and_then(|(_, value)| byte_at(text, value.place.at?)).unwrap_or_default();
    let (before, after) = text.split_at_checked(first).unwrap_or(("", text));
    let is_flow = before.trim_end().ends_with('{');
    [before, if is_flow { "\"version\": 1, " } else { "version: 1\n" }, after].concat()
}

/// What the migrated file must say.
fn expected(tree: &Tree) -> Value {
    let mut value = tree.value();
    rename_in(&mut value);
    if let Some(Value::Object(environments)) = value.get_mut("environments") {
        environments.values_mut().for_each(rename_in);
    }
    if let Value::Object(map) = &mut value
        && map.contains_key("servers")
    {
        map.entry("version").or_insert(Value::from(1));
    }
    value
}

/// Gives the servers and tools of a registry their keys' present names.
pub(in crate::cli) fn rename_in(registry: &mut Value) {
    for section in ["servers", "tools"] {
        let entries: Vec<&mut Value> = match registry.get_mut(section) {
            Some(Value::Array(entries)) => entries.iter_mut().collect(),
            Some(Value::Object(entries)) => entries.values_mut().collect(),
            _ => Vec::new(),
        };
        for map in entries.into_iter().filter_map(Value::as_object_mut) {
            for former in FORMER {
                if let Some(outcomes) = map.shift_remove(former) {
                    map.insert(PRESENT.to_owned(), outcomes);
                }
            }
        }
    }
}
