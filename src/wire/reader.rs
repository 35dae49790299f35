//! Reads the wire form (a JSON tree, whatever it was written in) key by key, and notes every problem instead of
//! stopping at the first. A `None` from a reading function means that the problem has been noted already.

use std::borrow::Cow;
use std::cell::RefCell;
use std::net::IpAddr;
use std::time::Duration;

use super::id::Id;
use super::order::sort_short;
use super::problem::{Problem, Problems, Violation, WITH_HINTS};
use super::suggest::{is_near, nearest, suggest};
use super::token_like::looks_like_a_token;
use super::units::{parse_bytes, parse_duration, show_duration};
use crate::json::{Map, Value};

/// Bounds of every timeout.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(3600);

/// A value of the wire form.
///
/// Where it stands is worked out when a problem is noted, which is rare: a registry of a thousand tools has tens of
/// thousands of values.
#[derive(Clone, Copy)]
pub struct Node<'v> {
    root: &'v Value,
    value: &'v Value,
    problems: &'v Problems,
    veiled: bool,
}

impl<'v> Node<'v> {
    /// The whole document; its path is empty.
    pub fn root(value: &'v Value, problems: &'v Problems) -> Self {
        Node { root: value, value, problems, veiled: false }
    }

    /// The same value, but no problem about it or anything below it shows what stands there: it may be a secret, put
    /// where only the name of one belongs.
    pub fn veiled(mut self) -> Self {
        self.veiled = true;
        self
    }

    /// The same value below a veiled one, shown nonetheless: what belongs here is a name.
    pub fn unveiled(mut self) -> Self {
        self.veiled = false;
        self
    }

    /// Where this value stands.
    fn path(&self) -> String {
        path_of(self.root, self.value).unwrap_or_default()
    }

    /// The value itself, unread.
    pub fn value(&self) -> &'v Value {
        self.value
    }

    /// Notes that this value breaks `rule`.
    pub fn refuse(&self, rule: impl Into<String>) {
        self.note(rule.into(), None);
    }

    /// Notes that this value breaks `rule`, with a way to mend it.
    pub fn refuse_with(&self, rule: impl Into<String>, hint: impl Into<String>) {
        self.note(rule.into(), if WITH_HINTS { Some(hint.into()) } else { None });
    }

    /// Notes what a rule that knows no paths has found.
    pub fn violates(&self, violation: Violation) {
        self.note(violation.rule, violation.hint);
    }

    fn note(&self, rule: String, hint: Option<String>) {
        let path = Some(self.path()).filter(|path| !path.is_empty()).unwrap_or_else(|| "registry".to_owned());
        let scalar = !matches!(self.value, Value::Object(_) | Value::Array(_));
        let token = self.value.as_str().filter(|text| looks_like_a_token(text));
        let value = if scalar && (self.veiled || token.is_some()) { VEIL.to_owned() } else { shown(self.value) };
        // Also where it says how to write the value otherwise.
        let is_in =
            |text: &str| token.is_some_and(|token| text.to_ascii_lowercase().contains(&token.to_ascii_lowercase()));
        let rule = if is_in(&rule) { "must be something else".to_owned() } else { rule };
        let hint = hint.filter(|hint| !is_in(hint));
        self.problems.add(Problem { path, value, rule, hint });
    }

    /// Notes every text below this value, and every key, that looks like a token, unless something is noted of it already. A
    /// registry is copied, committed and shown in Envoy's configuration dump.
    pub fn refuse_tokens(&self) {
        let is_noted = || self.problems.has(&self.path());
        match self.value {
            Value::Object(map) => {
                for (key, value) in map.iter() {
                    let node = Node { value, ..*self };
                    if looks_like_a_token(key) && !is_noted() {
                        node.veiled().refuse("is under a key that looks like a token");
                    }
                    // The one place for a secret, for demonstrations.
                    if key != "inline" {
                        node.refuse_tokens();
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| Node { value, ..*self }.refuse_tokens()),
            Value::String(text) if looks_like_a_token(text) && !is_noted() => {
                self.refuse_with(
                    "looks like a token: a registry never holds a secret",
                    "name the place that the secret comes from in a slot of a credential, such as sds_file: /etc/dualpath/pat-a.yaml",
                );
            }
            _ => {}
        }
    }

    /// This value as a mapping.
    pub fn table(&self) -> Option<Table<'v>> {
        match self.value {
            Value::Object(map) => {
                Some(Table { node: *self, map, read: RefCell::default(), unlisted: RefCell::default() })
            }
            _ => {
                self.refuse("must be a mapping");
                None
            }
        }
    }

    /// The elements of this value, which must be a list.
    pub fn list(&self) -> Option<Vec<Node<'v>>> {
        match self.value {
            Value::Array(values) => Some(values.iter().map(|value| Node { value, ..*self }).collect()),
            _ => {
                self.refuse("must be a list");
                None
            }
        }
    }

    /// This value as a non-empty string.
    pub fn string(&self) -> Option<&'v str> {
        match self.value {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => {
                self.refuse("must be a non-empty string");
                None
            }
        }
    }

    /// This value as a boolean.
    pub fn boolean(&self) -> Option<bool> {
        let answer = self.value.as_bool();
        if answer.is_none() {
            self.refuse_boolean("must be true or false");
        }
        answer
    }

    /// Notes that this value breaks `rule`, which allows true and false: as text they are something else.
    pub fn refuse_boolean(&self, rule: &str) {
        let text = self.value.as_str().filter(|_| WITH_HINTS).unwrap_or_default();
        let is = |words: [&str; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
        if is(["true", "yes", "on", "y"]) {
            self.refuse_with(rule, "write true, without quotes");
        } else if is(["false", "no", "off", "n"]) {
            self.refuse_with(rule, "write false, without quotes");
        } else {
            self.refuse(rule);
        }
    }

    /// Notes that this value breaks `rule`, which allows numbers.
    fn refuse_number(&self, rule: String) {
        let text = self.value.as_str().filter(|_| WITH_HINTS).unwrap_or_default();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            self.refuse_with(rule, "take the quotes off");
        } else {
            self.refuse(rule);
        }
    }

    /// This value as a whole number within `min..=max`.
    pub fn integer(&self, min: u64, max: u64) -> Option<u64> {
        match self.value.as_u64() {
            Some(n) if (min..=max).contains(&n) => Some(n),
            _ => {
                self.refuse_number(format!("must be a whole number from {min} to {max}"));
                None
            }
        }
    }

    /// This value as a number within `min..=max`.
    pub fn number(&self, min: f64, max: f64) -> Option<f64> {
        match self.value.as_f64() {
            Some(n) if (min..=max).contains(&n) => Some(n),
            _ => {
                // The bounds as text would bring the printing of floating-point numbers into the module, 20 KiB.
                self.refuse_number(if WITH_HINTS {
                    format!("must be a number from {min} to {max}")
                } else {
                    "must be a number within its bounds".to_owned()
                });
                None
            }
        }
    }

    /// This value as one of `choices`; answers the position of the one chosen.
    pub fn one_of(&self, choices: &[&str]) -> Option<usize> {
        let text = self.value.as_str();
        let found = text.and_then(|text| choices.iter().position(|choice| *choice == text));
        if found.is_none() {
            let near = text
                .filter(|_| WITH_HINTS)
                .and_then(|text| nearest(text, choices))
                .map(|near| format!("did you mean {near}?"));
            self.note(format!("must be one of {}", choices.join(", ")), near);
        }
        found
    }

    /// One of `names`, as the value at the same position.
    pub fn choose<T: Copy>(&self, names: &[&str], values: &[T]) -> Option<T> {
        values.get(self.one_of(names)?).copied()
    }

    /// This value as an [`Id`].
    pub fn id(&self) -> Option<Id> {
        let id = Id::new(self.string()?);
        if id.is_none() {
            self.refuse(format!(
                "must be a name of at most {} characters: a-z, 0-9, - and _, the first not - or _",
                Id::MAX_LEN
            ));
        }
        id
    }

    /// This value as the name of a file. That the file exists is not asked: it may be on another machine.
    pub fn file_name(&self) -> Option<String> {
        let name = self.string()?;
        if name.chars().any(char::is_control) {
            self.refuse("must be a file name without control characters");
            return None;
        }
        Some(name.to_owned())
    }

    /// This value as an IP address.
    pub fn address(&self) -> Option<String> {
        let address = self.string()?.parse::<IpAddr>();
        if address.is_err() {
            self.refuse_with("must be an IP address", "127.0.0.1 for this machine only, 0.0.0.0 for all interfaces");
        }
        address.ok().map(|ip| ip.to_string())
    }

    /// This value as a TCP port.
    pub fn port(&self) -> Option<u16> {
        u16::try_from(self.integer(1, u16::MAX.into())?).ok()
    }

    /// This value as a duration with its unit (`250ms`, `30s`, `5m`, `1h`, `90d`), within `min..=max`.
    pub fn duration(&self, min: Duration, max: Duration) -> Option<Duration> {
        match self.value.as_str().and_then(parse_duration) {
            None => {
                let hint = match self.value {
                    Value::Number(_) => "a number alone has no unit",
                    _ => "a whole number and its unit: ms, s, m, h or d",
                };
                self.refuse_with("must be a duration such as 500ms, 30s or 5m", hint);
                None
            }
            Some(d) if d < min || d > max => {
                self.refuse(format!("must be a duration from {} to {}", show_duration(min), show_duration(max)));
                None
            }
            found => found,
        }
    }

    /// This value as a duration that somebody may wait for an answer.
    pub fn timeout(&self) -> Option<Duration> {
        self.duration(SHORTEST, LONGEST)
    }

    /// This value as a size in bytes (`64KiB`, `1MiB`, or a whole number of bytes), within `min..=max`.
    pub fn bytes(&self, min: u64, max: u64) -> Option<u64> {
        let size = match self.value {
            Value::String(text) => parse_bytes(text),
            other => other.as_u64(),
        };
        match size {
            Some(n) if (min..=max).contains(&n) => Some(n),
            _ => {
                self.refuse(format!("must be a size such as 64KiB or 1MiB, from {min} to {max} bytes"));
                None
            }
        }
    }
}

/// A mapping of the wire form. Keys that nobody asked for are noted as unknown by [`Table::done`].
pub struct Table<'v> {
    node: Node<'v>,
    map: &'v Map,
    read: RefCell<Vec<Cow<'static, str>>>,
    unlisted: RefCell<Vec<&'static str>>,
}

impl<'v> Table<'v> {
    /// The mapping as a value.
    pub fn node(&self) -> &Node<'v> {
        &self.node
    }

    /// The value under `key`, if the mapping has it.
    pub fn optional(&self, key: &'static str) -> Option<Node<'v>> {
        self.read.borrow_mut().push(Cow::Borrowed(key));
        self.child(key)
    }

    /// The same for a key that is a name of the operator's own.
    pub fn optional_named(&self, key: &str) -> Option<Node<'v>> {
        self.read.borrow_mut().push(Cow::Owned(key.to_owned()));
        self.child(key)
    }

    /// The value under `key` if there is one, for a key that nobody should write: one that is refused with a reason, or
    /// the former name of another. Unlike [`Table::optional`] this does not make it a known key in hints. [`Table::done`]
    /// passes over it.
    pub fn unlisted(&self, key: &'static str) -> Option<Node<'v>> {
        let found = self.child(key);
        if found.is_some() {
            self.unlisted.borrow_mut().push(key);
        }
        found
    }

    /// Takes it that the values under `keys` are right: the command line has read them, before it rendered them for Envoy.
    #[cfg(not(feature = "cli"))]
    pub fn pass_over(&self, keys: &[&'static str]) {
        self.read.borrow_mut().extend(keys.iter().copied().map(Cow::Borrowed));
    }

    /// Whether `key` is missing and one that nobody asked for, up to now, is nearly the same. [`Table::done`] notes that
    /// one, so what follows from the missing key need not be noted as well.
    pub fn is_misspelt(&self, key: &str) -> bool {
        let read = self.read.borrow();
        let unread = self.map.keys().filter(|other| read.iter().all(|read| read != *other));
        WITH_HINTS && !self.map.contains_key(key) && unread.into_iter().any(|other| is_near(other, key))
    }

    /// The value under `key`, which the mapping must have.
    pub fn required(&self, key: &'static str) -> Option<Node<'v>> {
        let found = self.optional(key);
        self.note_missing(key, found.is_none());
        found
    }

    /// The same for a key that is a name of the operator's own.
    pub fn required_named(&self, key: &str) -> Option<Node<'v>> {
        let found = self.optional_named(key);
        self.note_missing(key, found.is_none());
        found
    }

    fn note_missing(&self, key: &str, missing: bool) {
        if missing {
            let path = join(&self.node.path(), key);
            self.node.problems.add(Problem { path, value: String::new(), rule: "is required".to_owned(), hint: None });
        }
    }

    /// The required `key` as an [`Id`], and where it stands.
    pub fn id(&self, key: &'static str) -> (Option<Id>, Option<Node<'v>>) {
        let node = self.required(key).map(Node::unveiled);
        let id = node.as_ref().and_then(Node::id);
        (id, node)
    }

    /// Every key with its value, for mappings whose keys are names of the operator's own.
    pub fn entries(&self) -> Vec<(&'v str, Node<'v>)> {
        self.map.iter().map(|(key, value)| (key, Node { value, ..self.node })).collect()
    }

    /// Notes every key that was never asked for. Nobody knows what such a key holds, so text is not shown.
    pub fn done(self) {
        let (known, unlisted) = (self.read.borrow(), self.unlisted.borrow());
        #[cfg(feature = "cli")]
        self.node.problems.may_have(&self.node.path(), &known);
        for (key, value) in self.map.iter() {
            if !known.iter().any(|known| *known == key) && !unlisted.contains(&key) {
                let node = Node { value, ..self.node };
                let node = if value.as_str().is_some() { node.veiled() } else { node };
                node.refuse_with("is not a known key", suggest(key, known.iter().map(Cow::as_ref)));
            }
        }
    }

    fn child(&self, key: &str) -> Option<Node<'v>> {
        self.map.get(key).map(|value| Node { value, ..self.node })
    }
}

/// What `read` makes of the value, or the default where there is none.
pub fn or<N, T>(node: Option<N>, default: T, read: impl FnOnce(&N) -> Option<T>) -> Option<T> {
    node.map_or(Some(default), |node| read(&node))
}

/// The path from `from` to `value`, a part of it: the very one, not one that is equal.
fn path_of(from: &Value, value: &Value) -> Option<String> {
    if std::ptr::eq(from, value) {
        return Some(String::new());
    }
    match from {
        Value::Object(map) => map.iter().find_map(|(key, child)| {
            let below = path_of(child, value)?;
            let key = name(key);
            Some(if below.is_empty() || below.starts_with('[') {
                [key, &*below].concat()
            } else {
                format!("{key}.{below}")
            })
        }),
        Value::Array(values) => values.iter().enumerate().find_map(|(at, child)| {
            let below = path_of(child, value)?;
            let own = format!("[{at}]");
            Some(if below.is_empty() || below.starts_with('[') { own + &below } else { join(&own, &below) })
        }),
        _ => None,
    }
}

fn join(path: &str, key: &str) -> String {
    let key = name(key);
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A key as it is shown.
fn name(key: &str) -> &str {
    if looks_like_a_token(key) { VEIL } else { key }
}

/// What is shown of a veiled scalar.
pub const VEIL: &str = "(not shown)";

/// A value as JSON, cut after 60 characters; of a mapping only the keys, sorted, of a list only the length.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().map(name).collect();
            sort_short(&mut keys, |key| *key);
            format!("{{{}}}", keys.join(", "))
        }
        Value::Array(values) => format!("[{} elements]", values.len()),
        scalar => scalar.to_json(),
    };
    match text.char_indices().nth(60) {
        Some((cut, _)) => format!("{}...", text.get(..cut).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    macro_rules! json {
        ($($json:tt)+) => { Value::from(&serde_json::json!($($json)+)) };
    }

    #[test]
    fn a_duration_without_a_unit_is_refused_with_a_hint() {
        let problems = Problems::default();
        let value = json!(30);
        assert_eq!(Node::root(&value, &problems).duration(Duration::ZERO, Duration::MAX), None);
        let found = problems.into_vec();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].hint.as_deref(), Some("a number alone has no unit"));
    }

    #[track_caller]
    fn hint_for(value: Value, read: impl Fn(&Node) -> bool) -> Option<String> {
        let problems = Problems::default();
        assert!(!read(&Node::root(&value, &problems)), "{value}");
        problems.into_vec().remove(0).hint
    }

    #[test]
    fn a_hint_is_about_what_is_written() {
        let time = |node: &Node| node.timeout().is_some();
        for text in ["40sec", "PT40S", "-40s", "40", "s", ""] {
            let hint = hint_for(json!(text), time);
            assert_eq!(hint.as_deref(), Some("a whole number and its unit: ms, s, m, h or d"), "{text}");
        }
        assert_eq!(hint_for(json!("99999999999999999999s"), time), None);
        let cases =
            [("10080", Some("take the quotes off")), ("0.5", Some("take the quotes off")), ("x", None), ("", None)];
        for (text, expected) in cases {
            assert_eq!(hint_for(json!(text), |node| node.integer(0, 9).is_some()).as_deref(), expected);
            assert_eq!(hint_for(json!(text), |node| node.number(0.0, 9.0).is_some()).as_deref(), expected);
        }
        for (text, expected) in
            [("Yes", Some("write true, without quotes")), ("off", Some("write false, without quotes")), ("2", None)]
        {
            assert_eq!(hint_for(json!(text), |node| node.boolean().is_some()).as_deref(), expected);
        }
        for (text, expected) in
            [("MCP", Some("did you mean mcp?")), ("rset", Some("did you mean rest?")), ("grpc", None)]
        {
            assert_eq!(hint_for(json!(text), |node| node.one_of(&["mcp", "rest"]).is_some()).as_deref(), expected);
        }
    }

    #[test]
    fn every_unknown_key_is_noted_not_only_the_first() {
        let problems = Problems::default();
        let value = json!({"a": 1, "b": 2, "c": 3});
        let table = Node::root(&value, &problems).table().unwrap();
        table.optional("a");
        table.done();
        let paths: Vec<_> = problems.into_vec().into_iter().map(|p| p.path).collect();
        assert_eq!(paths, ["b", "c"]);
    }

    #[test]
    fn a_veiled_value_is_not_shown_nor_is_anything_below_it() {
        let problems = Problems::default();
        let value = json!({"a": "hunter2", "b": ["hunter2"], "c": "shown"});
        let table = Node::root(&value, &problems).veiled().table().unwrap();
        table.optional("a").unwrap().boolean();
        table.optional("b").unwrap().list().unwrap()[0].boolean();
        table.optional("c").unwrap().unveiled().boolean();
        let shown: Vec<_> = problems.into_vec().into_iter().map(|problem| problem.value).collect();
        assert_eq!(shown, ["(not shown)", "(not shown)", "\"shown\""]);
    }

    #[test]
    fn text_under_an_unknown_key_is_not_shown() {
        let problems = Problems::default();
        let value = json!({"tokn": "hunter2"});
        Node::root(&value, &problems).table().unwrap().done();
        assert_eq!(problems.into_vec()[0].value, "(not shown)");
    }
}
